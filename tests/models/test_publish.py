from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.bundle import FILES
from aitb_nautilus.models.registry import Registry
from tests.model_lab import CONTRACT, FEATURES, FINGERPRINT, TRAINING, graph, put, rows


def test_published_model_loads_and_answers_as_its_graph(registry):
    publication = put(registry)
    assert publication.new
    loaded = registry.load("btc_up", features=FEATURES, feature_fingerprint=FINGERPRINT)
    assert str(loaded.resolved) == "btc_up@1"
    assert loaded.bundle == publication.bundle
    assert loaded.bundle.signer == "own"
    row = rows(1)[0]
    logit = np.dot(row.astype(float), [0.6, -0.3, 0.15, -0.1]) + 0.05
    answer = loaded.session.predict_row(row)
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert answer.expected_return is None


def test_manifest_pins_the_file_and_keeps_what_was_told(registry):
    manifest = put(registry, notes="first try").bundle.manifest
    data = graph()
    assert manifest.model.sha256 == hashlib.sha256(data).hexdigest()
    assert manifest.model.size == len(data)
    assert manifest.model.opsets == {"ai.onnx": 17}
    assert (manifest.contract, manifest.training) == (CONTRACT, TRAINING)
    assert manifest.notes == "first try"
    assert len(manifest.probes) == 3


def test_versions_count_up_and_hold_three_files_that_are_read_only(registry):
    for bias in (0.1, 0.2, 0.3):
        put(registry, bias=bias)
    assert registry.versions("btc_up") == [1, 2, 3]
    folder = registry.root / "btc_up" / "3"
    assert set(os.listdir(folder)) == FILES
    for name in FILES:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o444


def test_same_model_again_is_recognised_and_nothing_is_written(registry):
    put(registry)
    put(registry, bias=0.2)
    before = sorted(registry.root.rglob("*"))
    again = put(registry)
    assert not again.new
    assert again.bundle.manifest.version == 1
    assert sorted(registry.root.rglob("*")) == before
    assert len(registry.history("btc_up").events) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"notes": "another"},
        {"expires_ns": 4_102_444_800_000_000_000},
        {"training": msgspec.structs.replace(TRAINING, trials=4)},
        {"probe_rows": rows(2)},
    ],
    ids=["notes", "expiry", "trials", "probes"],
)
def test_same_graph_with_another_record_is_a_new_version(registry, change):
    put(registry)
    assert put(registry, **change).bundle.manifest.version == 2


def test_number_is_never_given_out_twice(registry):
    for bias in (0.1, 0.2):
        put(registry, bias=bias)
    shutil.rmtree(registry.root / "btc_up" / "2")
    assert put(registry, bias=0.3).bundle.manifest.version == 3
    assert registry.resolve("btc_up").version == 3


def test_withdrawn_model_is_not_published_again(registry):
    put(registry)
    put(registry, bias=0.2)
    registry.withdraw("btc_up@1", "trained on a wrong feed")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"withdrawn by .*: trained on a wrong feed"):
            put(registry)
        shutil.rmtree(registry.root / "btc_up" / "1", ignore_errors=True)
    assert registry.versions("btc_up") == [2]


def test_changed_bundle_is_not_taken_for_the_same_model(registry):
    path = put(registry).bundle.path / "model.onnx"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="has been changed"):
        put(registry)


def test_bundle_of_another_under_a_published_number_is_refused(registry, tmp_path):
    put(registry)
    other = Registry(tmp_path / "other", registry.keyring)
    put(other, bias=0.7)
    shutil.rmtree(registry.root / "btc_up" / "1")
    shutil.copytree(other.root / "btc_up" / "1", registry.root / "btc_up" / "1")
    with pytest.raises(ModelError, match="not the version that was published here"):
        registry.verify("btc_up@1")


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"probe_rows": rows(0)}, ValueError, "0 probe rows"),
        ({"probe_rows": rows(65)}, ValueError, "65 probe rows"),
        ({"probe_rows": rows(3, columns=3)}, ModelError, "given a row of shape"),
        ({"name": "../btc"}, ValueError, "the model id '../btc'"),
        (
            {"contract": msgspec.structs.replace(CONTRACT, features=FEATURES[:3])},
            ValueError,
            "3 features, 4 columns",
        ),
        ({"expires_ns": -1}, ValueError, "expires_ns must lie after created_ns"),
        (
            {"training": msgspec.structs.replace(TRAINING, seeds={"fit": math.nan})},
            ValueError,
            "seeds.fit is nan",
        ),
        (
            {"training": msgspec.structs.replace(TRAINING, seeds={"fit": np.int64(3)})},
            ValueError,
            "plain values, not int64",
        ),
        (
            {"training": msgspec.structs.replace(TRAINING, rows="many")},
            ValueError,
            "Expected `int`, got `str`",
        ),
    ],
)
def test_impossible_publication_leaves_no_version(registry, change, error, said):
    with pytest.raises(error, match=said):
        put(registry, **change)
    assert registry.ids() == [] or registry.versions("btc_up") == []


def test_graph_that_answers_with_nan_is_not_published(registry):
    def logarithm(model):
        model.graph.node[1].op_type = "Log"

    with pytest.raises(ModelError, match="answered with the probability nan"):
        registry.publish(
            "btc_up",
            graph(bias=-9, change=logarithm),
            contract=CONTRACT,
            training=TRAINING,
            probe_rows=rows(3),
        )
    assert registry.ids() == []


def test_leftover_of_a_killed_publisher_is_removed(registry):
    put(registry)
    leftover = registry.root / "btc_up" / ".unfinished"
    leftover.mkdir()
    (leftover / "model.onnx").write_bytes(b"half")
    assert registry.verify("btc_up").resolved.version == 1
    assert put(registry, bias=0.2).bundle.manifest.version == 2
    assert not leftover.exists()


def test_full_disk_leaves_the_old_version_and_nothing_else(registry, monkeypatch):
    put(registry)

    def full(*names, **folders):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        with pytest.raises(OSError, match="No space left"):
            put(registry, bias=0.2)
    assert registry.versions("btc_up") == [1]
    assert not (registry.root / "btc_up" / ".unfinished").exists()
    assert put(registry, bias=0.2).bundle.manifest.version == 3  # number 2 was announced


def test_threads_that_publish_at_once_get_a_number_each(registry):
    put(registry)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: put(registry, bias=1 + i / 8).bundle, range(8)))
    assert sorted(b.manifest.version for b in found) == list(range(2, 10))
    for bundle in found:
        assert registry.read(bundle.manifest.reference) == bundle
