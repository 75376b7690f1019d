"""Every way in which a bundle can be wrong gets its own paragraph, exit code 5, and no session."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models import bundle as bundles, runtime
from aitb_nautilus.models.bundle import LARGEST, verify_files
from aitb_nautilus.models.graphs import NEWEST_IR, NEWEST_OPSETS
from aitb_nautilus.models.manifest import Output, Probe
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.trust import Keyring
from tests.model_lab import (
    CONTRACT,
    FEATURES,
    FINGERPRINT,
    TRAINING,
    described,
    forge,
    graph,
    put,
    rows,
    write_signed,
)


def refusal(registry: Registry, reference: str = "btc_up@1", **expected) -> str:
    """Return the paragraph with which a model is refused."""
    told = {"features": FEATURES, "feature_fingerprint": FINGERPRINT, **expected}
    with pytest.raises(ModelError) as caught:
        registry.load(reference, **told)
    assert caught.value.exit_code == 5
    paragraph = caught.value.paragraph()
    assert "\n" not in paragraph
    assert caught.value.wanted or caught.value.todo
    return paragraph


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.mark.parametrize("name", sorted(bundles.FILES))
def test_missing_file(registry, name):
    (put(registry).bundle.path / name).unlink()
    assert f"lacks {name}" in refusal(registry)


def test_extra_file(registry):
    (put(registry).bundle.path / "weights.bin").write_bytes(b"0")
    assert "also holds weights.bin" in refusal(registry)


def test_extra_file_with_a_name_that_would_break_the_paragraph(registry):
    (put(registry).bundle.path / "a\nb\x1b[2J").write_bytes(b"0")
    assert r"also holds 'a\nb\x1b[2J'" in refusal(registry)


def test_any_changed_byte_of_any_file(registry, keyring):
    bundle = put(registry).bundle
    good = {name: (bundle.path / name).read_bytes() for name in bundles.FILES}
    expected = {
        "bundle.json": {"does not fit the signature in bundle.sig"},
        "bundle.sig": {"does not fit the signature in bundle.sig", "is no signature"},
        "model.onnx": {"has been changed: its hash is not the one in bundle.json"},
    }
    for name, data in good.items():
        flipped = (
            data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :] for i in range(len(data))
        )
        said = set()
        for bad in (*flipped, data[:-1], data + b" ", b""):
            with pytest.raises(ModelError) as caught:
                verify_files({**good, name: bad}, bundle.path, keyring)
            said.add(caught.value.found)
        assert said == expected[name]
    assert verify_files(good, bundle.path, keyring) == bundle


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bundle.json", "one of the two was changed after it was published"),
        ("bundle.sig", "is no signature"),
        ("model.onnx", "has been changed"),
    ],
)
def test_changed_byte_on_the_disk(registry, name, said):
    path = put(registry).bundle.path / name
    data = path.read_bytes()
    overwrite(path, data[:50] + b"!" + data[51:])
    assert said in refusal(registry)


def test_signature_of_another_manifest(registry):
    first, second = put(registry).bundle.path, put(registry, bias=0.2).bundle.path
    overwrite(first / "bundle.sig", (second / "bundle.sig").read_bytes())
    assert "does not fit the signature" in refusal(registry)


def test_signature_in_other_words(registry):
    path = put(registry).bundle.path / "bundle.sig"
    overwrite(path, path.read_bytes().upper())
    assert "is no signature" in refusal(registry)


def test_key_of_a_stranger_is_refused_with_the_command_that_trusts_it(registry, tmp_path):
    stranger = Keyring(tmp_path / "stranger")
    put(Registry(registry.root, stranger))
    key = stranger.own().public
    said = refusal(registry)
    assert f"is signed by {key}" in said
    assert f"aitb models trust {key} --name NAME" in said
    registry.keyring.trust(key, "Anna")
    assert registry.verify("btc_up@1").bundle.signer == "Anna"
    registry.keyring.distrust("Anna")
    assert f"is signed by {key}" in refusal(registry)


def test_stranger_who_claims_the_own_key(registry, tmp_path):
    folder = put(Registry(registry.root, Keyring(tmp_path / "stranger"))).bundle.path
    signature = msgspec.json.decode((folder / "bundle.sig").read_bytes())
    signature["key"] = registry.keyring.own_or_new().public
    overwrite(folder / "bundle.sig", msgspec.json.encode(signature) + b"\n")
    assert "does not fit the signature" in refusal(registry)


def test_signing_key_that_others_may_read(registry):
    put(registry)
    key = registry.keyring.folder / "signing.key"
    key.chmod(0o640)
    said = refusal(registry)
    assert "may be read by other users (mode 0640)" in said
    assert f"chmod 600 {key}" in said


def test_expired_version(registry):
    expires = 4_102_444_800_000_000_000
    put(registry, expires_ns=expires)
    told = {"features": FEATURES, "feature_fingerprint": FINGERPRINT}
    assert registry.load("btc_up@1", **told, now_ns=expires - 1)
    assert "expired at 2100-01-01T00:00:00Z" in refusal(registry, now_ns=expires)


def test_withdrawn_version(registry):
    put(registry)
    put(registry, bias=0.2)
    for version in (1, 2):
        registry.promote(f"btc_up@{version}", "live")
    registry.withdraw("btc_up@2", "the feed was wrong")
    assert "was withdrawn by" in refusal(registry, "btc_up@2")
    said = refusal(registry, "btc_up@live")
    assert "the feed was wrong" in said
    assert "aitb models rollback btc_up live" in said


def test_renamed_version(registry):
    path = put(registry).bundle.path
    path.rename(path.with_name("7"))
    said = refusal(registry, "btc_up@7")
    assert "holds btc_up@1, must hold btc_up@7" in said


def test_renamed_model(registry):
    put(registry)
    (registry.root / "btc_up").rename(registry.root / "eth_up")
    assert "holds btc_up@1, must hold eth_up@1" in refusal(registry, "eth_up@1")


@pytest.mark.parametrize("name", sorted(bundles.FILES))
def test_file_that_is_a_link(registry, tmp_path, name):
    path = put(registry).bundle.path / name
    elsewhere = tmp_path / name
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert f"{name}: is a symbolic link" in refusal(registry)


def test_version_that_is_a_link(registry, tmp_path):
    path = put(registry).bundle.path
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert "btc_up/1: is a symbolic link" in refusal(registry)


def test_model_folder_that_is_a_link(registry, tmp_path):
    put(registry)
    path = registry.root / "btc_up"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert "btc_up: is a symbolic link" in refusal(registry)


@pytest.mark.parametrize(
    "reference", ["../btc_up@1", "/etc@1", "btc_up@../1", "btc_up@", "", "BTC@1", "btc_up@01"]
)
def test_reference_that_leads_elsewhere(registry, reference):
    put(registry)
    assert "model reference" in refusal(registry, reference)


def test_pipe_in_place_of_a_file(registry):
    path = put(registry).bundle.path / "bundle.sig"
    path.unlink()
    os.mkfifo(path)
    assert "is no regular file" in refusal(registry)


def test_folder_in_place_of_a_file(registry):
    path = put(registry).bundle.path / "model.onnx"
    path.unlink()
    path.mkdir()
    assert "model.onnx: is no regular file" in refusal(registry)


@pytest.mark.parametrize("name", sorted(bundles.FILES))
def test_file_that_is_too_large(registry, name):
    path = put(registry).bundle.path / name
    path.chmod(0o644)
    os.truncate(path, LARGEST[name] + 1)  # sparse: takes no room
    assert f"must have at most {LARGEST[name]:,}" in refusal(registry)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x80\x04\x95.", b"\x08\x07", b"PK\x03\x04" * 9])
def test_file_that_is_no_onnx(registry, keyring, data):
    forge(registry.root, keyring, data)
    assert "model.onnx: is no ONNX model" in refusal(registry)


def test_file_in_onnx_runtimes_own_format_is_not_run_unseen(registry, keyring):
    # "ORTM" at byte 4 makes ONNX Runtime take a file for its own format, which nobody inspected.
    # Here it is a part of the name of a graph that is in order, and the graph must be what runs.
    data = b"\x12\x06abORTM" + graph()
    assert data[4:8] == b"ORTM"
    forge(registry.root, keyring, data, probes=(_probe(graph()),))
    row = rows(1)[0]
    expected = runtime.ModelSession(graph(), described(graph()), "graph").predict_row(row)
    assert registry.verify("btc_up@1").session.predict_row(row) == expected


def _probe(data):
    session = runtime.ModelSession(data, described(data), "probe")
    row = rows(1)[0]
    return Probe(row=tuple(row.tolist()), answers=(session.predict_row(row).probability,))


def custom_operator(model):
    model.opset_import.append(helper.make_opsetid("com.evil", 1))
    model.graph.node[1].op_type = "Run"
    model.graph.node[1].domain = "com.evil"


def contributed_operator(model):
    model.graph.node[1].op_type = "QuickGelu"
    model.graph.node[1].domain = "com.microsoft"


def own_function(model):
    model.functions.append(
        helper.make_function(
            "ai.onnx", "Own", ["x"], ["y"], [helper.make_node("Sigmoid", ["x"], ["y"])], []
        )
    )


def external_weights(model):
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../../secret.bin"


def external_constant(model):
    tensor = numpy_helper.from_array(np.zeros((1, 1), np.float32), "c")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "i", [], [])
    model.graph.node[1].attribute.append(helper.make_attribute("body", inner))


def random_answer(model):
    model.graph.node[1].op_type = "RandomUniformLike"


def endless_loop(model):
    model.graph.node[1].op_type = "Loop"


def too_new(model):
    model.opset_import[0].version = 99


def too_old(model):
    model.opset_import[0].version = 1


def two_opsets(model):
    model.opset_import.append(helper.make_opsetid("", 13))


def too_new_format(model):
    model.ir_version = 99


def training_graph(model):
    model.training_info.add()


def no_input(model):
    del model.graph.input[:]
    model.graph.initializer.append(
        numpy_helper.from_array(np.zeros((1, 4), np.float32), "features")
    )


def extra_input(model):
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["rows", 1]))


def other_input_name(model):
    model.graph.input[0].name = "x"
    model.graph.node[0].input[0] = "x"


def other_width(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5


def other_dtype(model):
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def fixed_rows(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def no_such_output(model):
    model.graph.output[0].name = model.graph.node[1].output[0] = "chance"


def extra_output(model):
    model.graph.output.append(
        helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["rows", 1])
    )


def wide_output(model):
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2


def sequence_output(model):
    model.graph.output[0].CopyFrom(
        helper.make_tensor_sequence_value_info("probability", TensorProto.FLOAT, None)
    )


GRAPHS = {
    custom_operator: "needs custom operators ('com.evil')",
    contributed_operator: "the operator QuickGelu of the domain 'com.microsoft'",
    own_function: "defines functions of its own (Own)",
    external_weights: "keeps the tensor 'w' in another file (../../../secret.bin)",
    external_constant: "keeps the tensor 'c' in another file (/etc/hostname)",
    random_answer: "draws random numbers (operator RandomUniformLike)",
    endless_loop: "holds a loop (operator Loop)",
    too_new: "uses operator set 99 of ai.onnx, must be 7 to 23",
    too_old: "uses operator set 1 of ai.onnx, must be 7 to 23",
    two_opsets: "names two versions of the operator set ai.onnx",
    too_new_format: "is of ONNX format (IR) 99",
    training_graph: "holds training graphs",
    no_input: "has 0 inputs (none)",
    extra_input: "has 2 inputs (features, more)",
    other_input_name: "has the input 'x' with 4 columns, bundle.json says 'features' with 4",
    other_width: "has the input 'features' with 5 columns, bundle.json says 'features' with 4",
    other_dtype: "has the input 'features' of double, must be float32",
    fixed_rows: "has the input 'features' of shape (1, 4), must be (any number of rows,",
    no_such_output: "has the outputs chance, must have probability, and no others",
    extra_output: "has the outputs probability, logit, must have probability, and no others",
    wide_output: "has the output 'probability' of shape (any, 2), must be (any number of rows, 1)",
    sequence_output: "has the output 'probability' of sequence_type, must be float32",
}


@pytest.mark.parametrize("change", GRAPHS, ids=lambda change: change.__name__)
def test_graph_signed_with_a_trusted_key_that_no_model_may_hold(
    registry, keyring, change, monkeypatch
):
    # ONNX Runtime must not even see it.
    monkeypatch.setattr(runtime.ort, "InferenceSession", None)
    forge(registry.root, keyring, graph(change=change))
    assert GRAPHS[change] in refusal(registry)


def test_newest_graph_that_is_accepted_also_runs(registry):
    def newest(model):
        del model.opset_import[:]
        for domain, version in NEWEST_OPSETS.items():
            model.opset_import.append(helper.make_opsetid(domain, version))
        model.ir_version = NEWEST_IR

    publication = registry.publish(
        "newest",
        graph(change=newest),
        contract=CONTRACT,
        training=TRAINING,
        probe_rows=rows(2),
    )
    assert registry.verify("newest").bundle == publication.bundle


def test_graph_that_onnx_runtime_cannot_run(registry, keyring):
    def nonsense(model):
        model.graph.node[1].op_type = "Nonsense"

    forge(registry.root, keyring, graph(change=nonsense))
    assert "cannot be run by ONNX Runtime" in refusal(registry)


def test_graph_that_fails_on_a_row(registry, keyring):
    def beyond(model):
        model.graph.initializer.append(numpy_helper.from_array(np.array([9], np.int64), "nine"))
        model.graph.node[1].CopyFrom(
            helper.make_node("GatherElements", ["logit", "nine2"], ["probability"], axis=1)
        )
        model.graph.initializer[-1].CopyFrom(
            numpy_helper.from_array(np.array([[9]], np.int64), "nine2")
        )

    forge(registry.root, keyring, graph(change=beyond))
    assert "failed in ONNX Runtime" in refusal(registry)


def test_answer_that_is_not_finite(registry, keyring):
    def logarithm(model):
        model.graph.node[1].op_type = "Log"

    forge(registry.root, keyring, graph(bias=-9, change=logarithm))
    assert "answered with the probability nan, must be in [0, 1]" in refusal(registry)


def test_answer_that_is_no_probability(registry, keyring):
    def linear(model):
        model.graph.node[1].op_type = "Identity"

    forge(registry.root, keyring, graph(bias=1.5, change=linear))
    assert "answered with the probability 1.5, must be in [0, 1]" in refusal(registry)


def test_answer_that_differs_from_the_published_one(registry, keyring):
    forge(registry.root, keyring, graph(bias=1.0))
    said = refusal(registry)
    assert "answers probe 0 with the probability 0.731058" in said
    assert "was 0.5 where it was published" in said


def test_expected_return_that_differs_by_a_thousandth_of_itself(registry, keyring):
    def rename(model):
        model.graph.node[1].op_type = "Identity"
        model.graph.node[1].output[0] = model.graph.output[0].name = "expected_return"

    data = graph(weights=(0.002, 0, 0, 0), bias=0.0, change=rename)
    spec = msgspec.structs.replace(
        described(data), outputs=(Output(name="expected_return", role="expected_return"),)
    )
    for answer, fits in ((0.002, True), (0.002002, False)):
        probe = Probe(row=(1.0, 0.0, 0.0, 0.0), answers=(answer,))
        forge(registry.root, keyring, data, model=spec, probes=(probe,))
        if fits:
            assert registry.verify("btc_up@1")
        else:
            assert "answers probe 0 with the expected_return 0.002" in refusal(registry)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (FEATURES[:3], "trained on ema_ratio(12,26) as well, which it is not given"),
        ((*FEATURES, "atr(14)"), "trained on 4 features; it is also given atr(14)"),
        (
            ("log_return(2)", *FEATURES[1:]),
            "trained on log_return(1); it is given log_return(2) instead",
        ),
        ((*FEATURES[:2], *FEATURES[:1:-1]), "as number 2 on zscore(volume,50), not ema_ratio"),
        ((*FEATURES, FEATURES[0]), "trained on 4 features; it is given one of them twice"),
        ([f"sma({i})" for i in range(9)], "sma(0), sma(1), sma(2) and 6 more instead"),
    ],
    ids=["missing", "extra", "other", "order", "twice", "all"],
)
def test_other_features_than_the_running_code_computes(registry, features, said):
    put(registry)
    assert said in refusal(registry, features=features)


def test_features_of_the_same_names_computed_by_other_code(registry):
    put(registry)
    said = refusal(registry, feature_fingerprint="0" * 64)
    assert f"fingerprint {FINGERPRINT}" in said
    assert "0" * 64 in said


def test_bars_of_another_interval(registry):
    put(registry)
    assert "trained on bars of 1m, is asked to answer on bars of 5m" in refusal(
        registry, interval="5m"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.replace(b'"aitb-bundle-1"', b'"aitb-bundle-2"'), "is of the format 'aitb"),
        (lambda t: b"[1]", "is no manifest of a model"),
        (lambda t: b"\xff" + t, "is no manifest of a model"),
        (lambda t: t + b"\n", "is not in canonical form"),
        (lambda t: t.replace(b'"version":1', b'"version":1,"version":1'), "not in canonical form"),
        (lambda t: t.replace(b'"version":1', b'"version":1,"weights":2'), "unknown field"),
        (lambda t: t.replace(b'"version":1', b'"version":"1"'), "Expected `int`, got `str`"),
        (lambda t: t.replace(b'"version":1', b'"version":0'), "version must be at least 1"),
        (lambda t: t.replace(b'"id":"btc_up"', b'"id":"../btc"'), "the model id '../btc'"),
        (lambda t: t.replace(b'"trials":3', b'"trials":0'), "trials must be at least 1"),
    ],
)
def test_signed_manifest_that_is_none(registry, keyring, change, said):
    folder = forge(registry.root, keyring, graph())
    text = (folder / "bundle.json").read_bytes()
    assert change(text) != text
    write_signed(folder, keyring, graph(), change(text))
    assert said in refusal(registry)


def test_manifest_that_describes_another_graph(registry, keyring):
    data = graph()
    spec = msgspec.structs.replace(described(data), ir_version=9)
    forge(registry.root, keyring, data, model=spec)
    assert "is not the file that bundle.json describes" in refusal(registry)


@pytest.mark.parametrize("line", [b"{}\n", b"garbage\n", b'{"kind":"delete","version":1}\n'])
def test_damaged_history(registry, line):
    put(registry)
    with (registry.root / "btc_up" / "history.jsonl").open("ab") as file:
        file.write(line)
    assert "history.jsonl: line 2: is no event" in refusal(registry)


def test_file_is_read_once_and_what_was_hashed_is_what_runs(registry, monkeypatch):
    path = put(registry).bundle.path / "model.onnx"
    other = graph(bias=3.0)
    check = bundles._check_described

    def swap_after_the_hash(*args):
        overwrite(path, other)
        check(*args)

    monkeypatch.setattr(bundles, "_check_described", swap_after_the_hash)
    loaded = registry.verify("btc_up@1")
    assert path.read_bytes() == other
    assert loaded.bundle.model == graph()
    row = np.zeros(4, np.float32)
    assert loaded.session.predict_row(row).probability == pytest.approx(0.5125, abs=1e-4)


def test_model_that_is_not_there(registry):
    assert "the folder holds no models" in refusal(registry)
    put(registry)
    assert "did you mean 'btc_up'?" in refusal(registry, "btc_op@1")
    assert "versions are 1" in refusal(registry, "btc_up@2")
    assert "aliases are none" in refusal(registry, "btc_up@live")
    shutil.rmtree(registry.root / "btc_up" / "1")
    assert "is empty" in refusal(registry, "btc_up")
