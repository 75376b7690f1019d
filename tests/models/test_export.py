from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.export import check_export, house_model, normalized
from aitb_nautilus.models.graphs import inspect
from tests.model_lab import graph, rows
from tests.trained_models import COLUMNS, NAMES, sample

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_real_export_answers_as_the_library_that_trained_it(trained, name):
    model = trained[name]
    x, _ = sample(3000, seed=2)
    check = check_export(model.onnx, x, model.answer(x), tolerance=1e-6, role=model.role)
    assert check.rows == 3000
    assert 0 < check.largest_difference < 1e-6
    assert check.flips == {0.5: 0}


@pytest.mark.parametrize("name", NAMES)
def test_real_export_is_in_the_house_form(trained, name):
    model = trained[name]
    spec = inspect(model.onnx, "here")
    assert (spec.input.name, spec.input.columns) == ("features", COLUMNS)
    assert [output.role for output in spec.outputs] == [model.role]
    proto = ModelProto.FromString(model.onnx)
    assert (proto.graph.name, proto.producer_name, proto.producer_version) == ("aitb", "aitb", "")
    operators = {node.op_type for node in proto.graph.node}
    assert operators.isdisjoint({"ArgMax", "ArrayFeatureExtractor", "ZipMap"}), "label was kept"


@pytest.mark.parametrize("name", NAMES)
def test_normalizing_twice_is_the_same_as_once(trained, name):
    assert normalized(trained[name].onnx) == trained[name].onnx


def test_same_data_and_seeds_give_the_same_bytes_in_any_process(trained):
    code = (
        "import hashlib; from tests.trained_models import NAMES, train;"
        "print(*(hashlib.sha256(train(n).onnx).hexdigest() for n in NAMES))"
    )
    found = [hashlib.sha256(trained[name].onnx).hexdigest() for name in NAMES]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "4711", "OMP_NUM_THREADS": "2", "PATH": "/usr/bin"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.split() == found


def test_converter_gives_other_bytes_each_time_before(trained):
    names = {ModelProto.FromString(trained[n].converted).graph.name for n in NAMES}
    assert len(names) > 1


def test_difference_beyond_the_tolerance_is_refused(trained):
    model = trained["lightgbm"]
    x, _ = sample(500, seed=3)
    expected = model.answer(x)
    expected[123] += 2e-5
    with pytest.raises(ModelError, match=r"to row 123 of 500, 2.*e-05 away"):
        check_export(model.onnx, x, expected, tolerance=1e-5)


def test_flipped_decision_is_refused_at_any_threshold():
    data, x = graph(), rows(400)
    logit = x.astype(np.float64) @ [0.6, -0.3, 0.15, -0.1] + 0.05
    expected = 1 / (1 + np.exp(-logit))
    near = float(np.sort(expected)[250]) + 3e-6
    assert check_export(data, x, expected, tolerance=1e-4, thresholds=(0.5, near)).flips == {
        0.5: 0,
        near: 0,
    }
    with pytest.raises(ModelError, match=r"decides 1 of 400 rows otherwise at 0\.[0-9]+: "):
        check_export(data, x, expected + 6e-6, tolerance=1e-4, thresholds=(0.5, near))


def test_row_that_float32_cannot_tell_from_the_threshold_is_a_tie():
    data, x = graph(bias=0.0), np.zeros((3, 4), np.float32)
    check = check_export(data, x, np.full(3, 0.5 + 1e-9), tolerance=1e-6)
    assert (check.flips, check.ties) == ({0.5: 0}, 3)
    with pytest.raises(ModelError, match="decides 3 of 3 rows otherwise"):
        check_export(data, x, np.full(3, 0.5 + 1e-6), tolerance=1e-5)


def test_thresholds_that_float32_cannot_tell_apart_are_found():
    """A tree that splits between two neighbouring float32 values goes wrong when rounded."""
    low = np.float32(1.0)
    high = np.nextafter(low, np.float32(2))
    # The library splits at the double between them; as a float32 that is `low` or `high`.
    tree = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["probability"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[float(high), 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_ids=[0, 0],
        target_nodeids=[1, 2],
        target_treeids=[0, 0],
        target_weights=[0.2, 0.8],
    )
    proto = helper.make_model(
        helper.make_graph(
            [tree],
            "t",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", 1])],
            [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["rows", 1])],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)],
    )
    x = np.array([[low], [high]], np.float32)
    with pytest.raises(ModelError, match="closer together than float32 can tell"):
        check_export(normalized(proto.SerializeToString()), x, np.array([0.2, 0.8]), tolerance=1e-5)


@pytest.mark.parametrize(
    "expected", [np.zeros(3), np.zeros((4, 1)), np.full(4, np.nan)], ids=["few", "wide", "nan"]
)
def test_expected_answers_of_another_shape_are_a_mistake(expected):
    with pytest.raises(ValueError, match="expected must be"):
        check_export(graph(), rows(4), expected, tolerance=1.0)


def test_role_that_the_model_lacks_is_refused():
    with pytest.raises(ModelError, match="gives no expected_return"):
        check_export(graph(), rows(4), np.zeros(4), tolerance=1.0, role="expected_return")


def test_classifier_that_answers_with_dictionaries_is_refused_with_the_way_out():
    def mapped(model):
        model.graph.output[0].CopyFrom(
            helper.make_tensor_sequence_value_info("probability", TensorProto.FLOAT, None)
        )

    with pytest.raises(ModelError, match=r"has 0 outputs of .* zipmap=False"):
        house_model(graph(change=mapped))


def test_classifier_whose_two_columns_bear_the_name_of_the_role():
    def both(model):
        one = numpy_helper.from_array(np.array(1, np.float32), "one")
        model.graph.initializer.append(one)
        model.graph.node[1].output[0] = "up"
        model.graph.node.append(helper.make_node("Sub", ["one", "up"], ["down"]))
        model.graph.node.append(helper.make_node("Concat", ["down", "up"], ["probability"], axis=1))
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2

    x = rows(9)
    logit = x.astype(np.float64) @ [0.6, -0.3, 0.15, -0.1] + 0.05
    data = house_model(graph(change=both))
    check_export(data, x, 1 / (1 + np.exp(-logit)), tolerance=1e-6)


def test_input_of_doubles_is_refused():
    def double(model):
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE

    with pytest.raises(ModelError, match="of double, must be float32"):
        house_model(graph(change=double))


def test_what_no_output_needs_is_dropped_and_what_an_inner_graph_needs_stays():
    def branch(model):
        def inner(name, node):
            out = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            return helper.make_graph([node], name, [], [out])

        weight = numpy_helper.from_array(np.array([2.0], np.float32), "needed_inside")
        useless = numpy_helper.from_array(np.zeros(9, np.float32), "useless")
        always = numpy_helper.from_array(np.array(True), "always")
        model.graph.initializer.extend([weight, useless, always])
        model.graph.node.append(helper.make_node("Neg", ["useless"], ["unread"]))
        model.graph.node[1].CopyFrom(
            helper.make_node(
                "If",
                ["always"],
                ["score"],
                then_branch=inner(
                    "yes", helper.make_node("Mul", ["logit", "needed_inside"], ["yes"])
                ),
                else_branch=inner("no", helper.make_node("Neg", ["features"], ["no"])),
            )
        )
        model.graph.node.append(helper.make_node("Sigmoid", ["score"], ["probability"]))
        model.graph.input[0].name = "rows_of_x"
        model.graph.node[0].input[0] = "rows_of_x"
        else_branch = next(a.g for a in model.graph.node[1].attribute if a.name == "else_branch")
        else_branch.node[0].input[0] = "rows_of_x"

    data = normalized(graph(change=branch))
    proto = ModelProto.FromString(data)
    assert [weight.name for weight in proto.graph.initializer] == [
        "w",
        "b",
        "needed_inside",
        "always",
    ]
    assert "unread" not in {name for node in proto.graph.node for name in node.output}
    x = rows(9)
    logit = 2 * (x.astype(np.float64) @ [0.6, -0.3, 0.15, -0.1] + 0.05)
    check_export(data, x, 1 / (1 + np.exp(-logit)), tolerance=1e-6)
