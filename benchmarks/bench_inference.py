"""Time one row through a model's session, against ONNX Runtime's bare `run` on the same row.

Once as far as the answer, and once from the row to the `Prediction` that the inference actor hands
to the bus. Ours and the bare one are timed in turns in one process, in small blocks, so that the
machine's other work falls on both. A model of 200 trees with 31 leaves, as the trainer makes them,
and a logistic one, where the graph itself costs almost nothing and only what is around it counts.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actors.inference import OnnxInferenceActor, OnnxInferenceSettings
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.messages import Prediction
from aitb_nautilus.models.export import normalized
from aitb_nautilus.models.graphs import inspect
from aitb_nautilus.models.manifest import Contract, Label, Span, Training
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.ledger import Ledger

COLUMNS = 40
TREES, LEAVES = 200, 31
BLOCKS, BLOCK = 60, 200
LIMIT = 2.0
BTC = "BTCUSDT.BINANCE"


def value(name: str, columns: int) -> object:
    """Return the declaration of a float32 tensor."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", columns])


def model_of(nodes: list[object], weights: list[object]) -> bytes:
    """Return a model from features to probability."""
    graph = helper.make_graph(
        nodes, "g", [value("features", COLUMNS)], [value("probability", 1)], weights
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return normalized(helper.make_model(graph, opset_imports=opsets).SerializeToString())


def trees() -> bytes:
    """Return a forest that splits at random, five deep, through a sigmoid."""
    draw = np.random.default_rng(1)
    told: dict[str, list[object]] = {
        name: []
        for name in (
            "nodes_treeids",
            "nodes_nodeids",
            "nodes_featureids",
            "nodes_modes",
            "nodes_values",
            "nodes_truenodeids",
            "nodes_falsenodeids",
            "target_ids",
            "target_nodeids",
            "target_treeids",
            "target_weights",
        )
    }
    for tree in range(TREES):
        for node in range(2 * LEAVES - 1):
            inner = node < LEAVES - 1  # a full binary tree, counted level by level
            told["nodes_treeids"].append(tree)
            told["nodes_nodeids"].append(node)
            told["nodes_featureids"].append(int(draw.integers(COLUMNS)) if inner else 0)
            told["nodes_modes"].append("BRANCH_LEQ" if inner else "LEAF")
            told["nodes_values"].append(float(np.float32(draw.normal())) if inner else 0.0)
            told["nodes_truenodeids"].append(2 * node + 1 if inner else 0)
            told["nodes_falsenodeids"].append(2 * node + 2 if inner else 0)
            if not inner:
                told["target_ids"].append(0)
                told["target_nodeids"].append(node)
                told["target_treeids"].append(tree)
                told["target_weights"].append(float(np.float32(draw.normal() / 50)))
    forest = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["score"],
        domain="ai.onnx.ml",
        n_targets=1,
        **told,
    )
    return model_of([forest, helper.make_node("Sigmoid", ["score"], ["probability"])], [])


def logistic() -> bytes:
    """Return a logistic regression."""
    column = np.random.default_rng(1).normal(size=(COLUMNS, 1)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["probability"]),
    ]
    return model_of(nodes, [numpy_helper.from_array(column, "w")])


def bare_session(data: bytes) -> ort.InferenceSession:
    """Return a session as anyone would make it to be fast: one thread, all else as it comes."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def block_of(answer: Callable[[int], float]) -> float:
    """Return the seconds of one row, mean over a block."""
    start = time.perf_counter()
    for i in range(BLOCK):
        answer(i)
    return (time.perf_counter() - start) / BLOCK


class Published(OnnxInferenceActor):
    """The actor, without an engine: what it publishes stays here."""

    settings_type = OnnxInferenceSettings
    last: Prediction

    def publish_prediction(self, prediction: Prediction) -> None:
        self.last = prediction


def actor_of(name: str, data: bytes, folder: Path) -> Published:
    """Return an actor with a published model."""
    features = parse_features([f"log_return({i + 1})" for i in range(COLUMNS)], interval="1m")
    contract = Contract(
        features=features.names,
        feature_fingerprint=features.fingerprint,
        interval="1m",
        longest_gap_bars=features.longest_gap_bars,
        instruments=(BTC,),
        label=Label(kind="sign", horizon_bars=15, horizon_ns=900_000_000_000),
    )
    training = Training(
        algorithm="made up",
        simulated=True,
        span=Span(first_ns=0, last_ns=1),
        rows=1,
        data_sha256="0" * 64,
        folds=(),
        purge_ns=0,
        embargo_ns=0,
        seeds={},
        libraries={},
        trials=1,
    )
    probes = np.zeros((1, COLUMNS), np.float32)
    Registry(folder).publish(name, data, contract=contract, training=training, probe_rows=probes)
    ledger = Ledger(0.0)
    context = Context(RunState(), ledger, Guard(ledger, [], {}), {})
    settings = OnnxInferenceSettings(models=(name,), registry=str(folder))
    return Published(settings, context, "inference-001")


def compare(name: str, data: bytes, rows: NDArray[np.float32], actor: Published) -> None:
    """Print the ratios of ours to the bare session, and what each takes."""
    bare = bare_session(data)
    ours = ModelSession(data, inspect(data, name), name)
    ((predictor, (model,)),) = actor._routes[BTC]

    def through_bare(i: int) -> float:
        answer: float = bare.run(["probability"], {"features": rows[i : i + 1]})[0][0, 0]
        return answer

    def to_answer(i: int) -> float:
        answer = ours.predict_row(rows[i]).probability
        assert answer is not None
        return answer

    def to_prediction(i: int) -> float:
        taken = predictor._answered(0, rows[i], 0.0)
        assert taken is not None
        assert taken.answers is not None
        actor._publish((model, BTC, 0, 0), taken.answers[0], 0)
        return actor.last.probability

    for figure, answer in (
        ("inference of one row", to_answer),
        ("row to prediction", to_prediction),
    ):
        assert all(through_bare(i) == answer(i) for i in range(BLOCK))
        pairs = [(block_of(answer), block_of(through_bare)) for _ in range(BLOCKS)]
        mine = statistics.median(a for a, _ in pairs) * 1e6
        theirs = statistics.median(b for _, b in pairs) * 1e6
        print(
            json.dumps(
                {
                    "figure": f"{figure}, {name} / bare session.run",
                    "value": statistics.median(a / b for a, b in pairs),
                    "unit": "ratio",
                    "limit": LIMIT,
                    "better": "lower",
                    "note": f"{mine:.1f} us a row, bare {theirs:.1f} us",
                }
            )
        )


def exact_rows(name: str, data: bytes, rows: NDArray[np.float32]) -> None:
    """Print what a row of a table with the bits of single rows costs."""
    session = ModelSession(data, inspect(data, name), name)
    start = time.perf_counter()
    session.rows_exact(rows)
    print(
        json.dumps(
            {
                "figure": f"table of exact answers, {name}",
                "value": (time.perf_counter() - start) / len(rows) * 1e6,
                "unit": "us/row",
                "better": "lower",
                "note": "in batches" if session.exact_in_batches else "row by row",
            }
        )
    )


def main() -> None:
    """Print the figures."""
    rows = np.random.default_rng(2).normal(size=(20_000, COLUMNS)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AITB_HOME"] = str(Path(folder, "keys"))
        models = {"trees": (f"{TREES} trees", trees()), "logistic": ("logistic", logistic())}
        for model_id, (name, data) in models.items():
            actor = actor_of(model_id, data, Path(folder, "models"))
            compare(name, data, rows, actor)
            exact_rows(name, data, rows)


if __name__ == "__main__":
    main()
