"""Models made up for tests: small graphs, whole records, and bundles that a thief would sign."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from aitb_nautilus.features.feature_set import FeatureSet
from aitb_nautilus.models import bundle as bundles
from aitb_nautilus.models.manifest import (
    Contract,
    Fold,
    Input,
    Label,
    Manifest,
    ModelFile,
    Output,
    Probe,
    Span,
    Training,
    encode,
)
from aitb_nautilus.models.publish import Publication
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.trust import Keyring

DAY_NS = 86_400_000_000_000
FEATURES = ("log_return(1)", "rsi(14)", "zscore(volume,50)", "ema_ratio(12,26)")
FINGERPRINT = "f" * 64
CONTRACT = Contract(
    features=FEATURES,
    feature_fingerprint=FINGERPRINT,
    interval="1m",
    longest_gap_bars=120,
    instruments=("BTCUSDT.BINANCE",),
    label=Label(
        kind="sign", horizon_bars=15, horizon_ns=900_000_000_000, parameters={"cost_bps": 5.0}
    ),
)
TRAINING = Training(
    algorithm="logistic",
    simulated=True,
    span=Span(first_ns=0, last_ns=90 * DAY_NS),
    rows=129_600,
    data_sha256="d" * 64,
    folds=(
        Fold(
            train=Span(first_ns=0, last_ns=30 * DAY_NS),
            test=Span(first_ns=31 * DAY_NS, last_ns=60 * DAY_NS),
            train_rows=43_200,
            test_rows=41_760,
            metrics={"auc": 0.53, "log_loss": 0.691},
        ),
        Fold(
            train=Span(first_ns=0, last_ns=60 * DAY_NS),
            test=Span(first_ns=61 * DAY_NS, last_ns=90 * DAY_NS),
            train_rows=86_400,
            test_rows=41_760,
            metrics={"auc": 0.51, "log_loss": 0.693, "ic": None},
        ),
    ),
    purge_ns=900_000_000_000,
    embargo_ns=3_600_000_000_000,
    seeds={"split": 1, "fit": 7},
    libraries={"scikit-learn": "1.9.1", "onnxruntime": "1.32.0"},
    trials=3,
)


def graph(
    weights: Sequence[float] = (0.6, -0.3, 0.15, -0.1),
    bias: float = 0.05,
    change: Callable[[ModelProto], None] | None = None,
) -> bytes:
    """Return a logistic model in the house form, after a change to it."""
    column = np.array(weights, np.float32).reshape(-1, 1)
    nodes = [
        helper.make_node("Gemm", ["features", "w", "b"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "aitb",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", len(column)])],
            [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["rows", 1])],
            [
                numpy_helper.from_array(column, "w"),
                numpy_helper.from_array(np.array([bias], np.float32), "b"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    if change:
        change(model)
    return model.SerializeToString()


def rows(count: int, columns: int = len(FEATURES), seed: int = 1) -> NDArray[np.float32]:
    """Return rows of features as a trainer has them."""
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


def put(registry: Registry, name: str = "btc_up", bias: float = 0.05, **more: Any) -> Publication:
    """Publish a small model; another bias is another model."""
    told = {"contract": CONTRACT, "training": TRAINING, "probe_rows": rows(3), **more}
    return registry.publish(name, graph(bias=bias), **told)


def described(model: bytes) -> ModelFile:
    """Return the description that a thief would write of any bytes."""
    return ModelFile(
        sha256=hashlib.sha256(model).hexdigest(),
        size=len(model),
        ir_version=8,
        opsets={"ai.onnx": 17},
        input=Input(name="features", columns=len(FEATURES), dtype="float32"),
        outputs=(Output(name="probability", role="probability"),),
    )


def forge(
    root: Path,
    keyring: Keyring,
    data: bytes,
    *,
    version: int = 1,
    **changes: Any,
) -> Path:
    """Write a bundle that is signed with a trusted key but was never checked; return its folder.

    The manifest describes any bytes as a small model of the house, after some changes.
    """
    manifest = Manifest(
        format="aitb-bundle-1",
        id="btc_up",
        version=version,
        created_ns=1,
        model=described(data),
        contract=CONTRACT,
        training=TRAINING,
        probes=(Probe(row=(0.0,) * len(FEATURES), answers=(0.5,)),),
    )
    text = encode(msgspec.structs.replace(manifest, **changes))
    return write_signed(root / "btc_up" / str(version), keyring, data, text)


def write_signed(folder: Path, keyring: Keyring, model: bytes, text: bytes) -> Path:
    """Write a model and any text of a manifest, signed with the own key."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / bundles.MODEL_NAME).write_bytes(model)
    (folder / bundles.MANIFEST_NAME).write_bytes(text)
    (folder / bundles.SIGNATURE_NAME).write_bytes(bundles.sign(text, keyring.own_or_new()))
    return folder


def contract_for(
    features: FeatureSet, instruments: Sequence[str] = CONTRACT.instruments, **changes: Any
) -> Contract:
    """Return the contract of a model for features that this code really computes."""
    return msgspec.structs.replace(
        CONTRACT,
        features=features.names,
        feature_fingerprint=features.fingerprint,
        interval=features.interval.text,
        longest_gap_bars=features.longest_gap_bars,
        instruments=tuple(instruments),
        **changes,
    )


def put_for(
    registry: Registry,
    name: str,
    features: FeatureSet,
    instruments: Sequence[str] = CONTRACT.instruments,
    *,
    seed: int = 1,
    change: Callable[[ModelProto], None] | None = None,
    **more: Any,
) -> Publication:
    """Publish a logistic model of real features; another seed is another model."""
    columns = len(features.names)
    weights = np.random.default_rng(seed).normal(size=columns)
    told = {
        "contract": contract_for(features, instruments),
        "training": TRAINING,
        "probe_rows": rows(3, columns),
        **more,
    }
    return registry.publish(name, graph(list(weights), change=change), **told)
