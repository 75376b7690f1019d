from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, strategies as st
from onnx import helper, numpy_helper

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.graphs import inspect
from aitb_nautilus.models.runtime import CHUNK, Answer, ModelSession
from tests.model_lab import graph, rows
from tests.trained_models import NAMES, sample


def session_of(data: bytes) -> ModelSession:
    return ModelSession(data, inspect(data, "here"), "here")


def bits(values):
    return values.view(np.uint32).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_real_model_answers_a_row_as_a_bare_session_does(trained, name):
    model = trained[name]
    bare = ort.InferenceSession(model.onnx, providers=["CPUExecutionProvider"])
    session = session_of(model.onnx)
    for row in sample(200, seed=2)[0]:
        (expected,) = bare.run(None, {"features": row[np.newaxis]})
        answer = session.predict_row(row)
        assert getattr(answer, model.role) == expected[0, 0]
        assert sum(value is None for value in answer) == 1


@pytest.mark.parametrize("name", NAMES)
def test_exact_rows_have_the_bits_of_single_rows(trained, name):
    model = trained[name]
    session = session_of(model.onnx)
    x, _ = sample(1000, seed=3)
    alone = np.array([getattr(session.predict_row(row), model.role) for row in x], np.float32)
    assert bits(getattr(session.rows_exact(x), model.role)) == bits(alone)


def test_batch_of_a_logistic_regression_differs_in_bits_and_is_not_used_for_exact_rows(trained):
    session = session_of(trained["logistic"].onnx)
    x, _ = sample(1000, seed=3)
    fast, exact = session.predict_rows(x).probability, session.rows_exact(x).probability
    assert not session.exact_in_batches
    np.testing.assert_allclose(fast, exact, rtol=1e-5)
    # The reason for all this, on most processors: here the linear operator sums otherwise.
    assert bits(fast) != bits(exact)


def test_trees_are_answered_in_batches(trained, monkeypatch):
    session = session_of(trained["lightgbm"].onnx)
    assert session.exact_in_batches
    x, _ = sample(CHUNK + 3, seed=4)
    asked = []
    monkeypatch.setattr(
        session, "_singles", lambda rows: asked.append(len(rows)) or session._batches(rows)
    )
    session.rows_exact(x)
    assert asked == [64]


def test_exact_rows_fall_back_to_single_rows_if_the_sample_disagrees(trained, monkeypatch):
    session = session_of(trained["lightgbm"].onnx)
    x, _ = sample(300, seed=4)
    expected = session.rows_exact(x).probability
    batches = session._batches
    monkeypatch.setattr(session, "_batches", lambda rows: np.nextafter(batches(rows), 1))
    assert bits(session.rows_exact(x).probability) == bits(expected)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, CHUNK, CHUNK + 1])
@pytest.mark.parametrize("name", ["lightgbm", "mlp"])
def test_any_number_of_rows(trained, name, count):
    session = session_of(trained[name].onnx)
    x, _ = sample(count, seed=5)
    for answers in (session.predict_rows(x), session.rows_exact(x)):
        assert answers.probability.shape == (count,)
        assert answers.probability.dtype == np.float32
        assert answers.expected_return is None


def test_rows_in_any_memory_order_are_the_same_rows(trained):
    session = session_of(trained["mlp"].onnx)
    x, _ = sample(50, seed=6)
    expected = bits(session.rows_exact(x).probability)
    assert bits(session.rows_exact(np.asfortranarray(x)).probability) == expected
    wide = np.repeat(x, 2, axis=1)
    assert bits(session.rows_exact(wide[:, ::2]).probability) == expected
    assert bits(session.predict_rows(wide[:, ::2]).probability) == expected
    assert [session.predict_row(row).probability for row in wide[:, ::2]] == pytest.approx(
        session.rows_exact(x).probability.tolist(), abs=0
    )


def test_answers_are_the_same_in_another_process(trained, tmp_path):
    code = (
        "import sys, numpy as np; from aitb_nautilus.models.graphs import inspect;"
        "from aitb_nautilus.models.runtime import ModelSession;"
        "x = np.load(sys.argv[1]);"
        "all = [open(path, 'rb').read() for path in sys.argv[2:]];"
        "all = [ModelSession(data, inspect(data, ''), '') for data in all];"
        "print(*(s.rows_exact(x).probability.tobytes().hex() for s in all))"
    )
    x, _ = sample(64, seed=7)
    np.save(tmp_path / "x.npy", x)
    names = ("lightgbm", "logistic", "mlp")
    for name in names:
        (tmp_path / name).write_bytes(trained[name].onnx)
    words = [sys.executable, "-c", code, tmp_path / "x.npy", *(tmp_path / name for name in names)]
    done = subprocess.run(words, capture_output=True, check=True, text=True)
    here = [session_of(trained[name].onnx).rows_exact(x).probability for name in names]
    assert done.stdout.split() == [values.tobytes().hex() for values in here]


def test_two_outputs_arrive_by_their_roles_whatever_their_order():
    def both(model):
        model.graph.node.append(helper.make_node("Identity", ["logit"], ["expected_return"]))
        outputs = [model.graph.output.pop()]
        outputs.insert(0, helper.make_tensor_value_info("expected_return", 1, ["rows", 1]))
        model.graph.output.extend(outputs)

    session = session_of(graph(change=both))
    x = rows(20)
    logit = x.astype(float) @ [0.6, -0.3, 0.15, -0.1] + 0.05
    for answers in (session.predict_rows(x), session.rows_exact(x)):
        np.testing.assert_allclose(answers.expected_return, logit, atol=1e-6)
        np.testing.assert_allclose(answers.probability, 1 / (1 + np.exp(-logit)), atol=1e-6)
    answer = session.predict_row(x[3])
    assert answer == Answer(answers.probability[3], answers.expected_return[3])


def test_answer_does_not_change_when_the_next_row_is_asked():
    session = session_of(graph())
    first = session.predict_row(rows(1, seed=1)[0])
    kept = tuple(first)
    session.predict_row(rows(1, seed=2)[0])
    assert tuple(first) == kept


def test_row_given_is_not_kept():
    session = session_of(graph())
    row = rows(1)[0]
    before = session.predict_row(row)
    row[:] = 0
    assert session.predict_row(rows(1)[0]) == before


@pytest.mark.parametrize(
    "row",
    [
        np.zeros(3, np.float32),
        np.zeros(5, np.float32),
        np.zeros((1, 4), np.float32),
        np.float32(0),
        np.zeros(1, np.float32),
        np.zeros(4),
        np.zeros(4, np.int64),
    ],
)
def test_row_of_another_shape_or_dtype_is_refused(row):
    with pytest.raises(ModelError, match="a column for each feature"):
        session_of(graph()).predict_row(np.asarray(row))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_row_that_is_not_finite_is_refused_with_its_column(bad):
    session = session_of(graph())
    x = rows(5)
    x[3, 2] = bad
    with pytest.raises(ModelError, match=r"in column 2 of row 0"):
        session.predict_row(x[3])
    for ask in (session.predict_rows, session.rows_exact):
        with pytest.raises(ModelError, match=r"in column 2 of row 3"):
            ask(x)


@given(st.floats(2.0**60, 2.0**127, width=32))
def test_astronomic_but_finite_row_is_answered(value):
    row = np.array([value, -value, 0, 0], np.float32)
    assert session_of(graph()).predict_row(row).probability == 1.0


def test_impossible_answer_names_its_row():
    def linear(model):
        model.graph.node[1].op_type = "Identity"

    session = session_of(graph(change=linear))
    x = np.zeros((6, 4), np.float32)
    x[4, 0] = 5
    for ask in (session.predict_rows, session.rows_exact):
        with pytest.raises(
            ModelError, match=r"answered to row 4 with the probability 3\.049999952316284"
        ):
            ask(x)


def test_output_that_is_not_a_row_for_each_row_is_refused():
    def total(model):
        axes = numpy_helper.from_array(np.array([0], np.int64), "axes")
        model.graph.initializer.append(axes)
        model.graph.node[1].CopyFrom(
            helper.make_node("ReduceSum", ["logit", "axes"], ["probability"], keepdims=1)
        )

    session = session_of(graph(bias=0.1, change=total))
    with pytest.raises(ModelError, match=r"answered 3 rows with an output of shape \(1, 1\)"):
        session.predict_rows(rows(3))


def test_session_runs_on_one_thread_and_the_processor():
    session = session_of(graph())._session
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
    assert session.get_providers() == ["CPUExecutionProvider"]
