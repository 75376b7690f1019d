"""Gradient-boosted trees of LightGBM, and the same trees in ONNX.

LightGBM compares float64 features with float64 thresholds, ONNX Runtime float32 with float32. A
float32 value x is at most t exactly if it is at most t rounded down to float32; so thresholds are
rounded down, and every row takes the same path in both. The trees are written from LightGBM's own
text, since the usual converter takes a third of the time of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.training.graphs import ML_DOMAIN, GraphWriter
from aitb_nautilus.training.samples import Rows
from aitb_nautilus.training.settings import LightgbmSettings
from aitb_nautilus.training.tables import FitTable

__all__ = ["Trees", "fit_trees"]


@dataclass(frozen=True, slots=True)
class _Tree:
    """One tree; children below zero are leaves: -1 is leaf 0."""

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf: NDArray[np.float32]


class Trees:
    """A fitted ensemble.

    Parameters
    ----------
    text
        LightGBM's text of the model. Its thresholds are rounded down and its leaves are rounded to
        float32 here; LightGBM itself answers with these.
    """

    def __init__(self, text: str) -> None:
        self._trees, exact = _read(text)
        self._library = lgb.Booster(model_str=exact)

    @property
    def rounds(self) -> int:
        """How many trees there are."""
        return len(self._trees)

    def score(self, rows: Rows) -> FloatArray:
        """Return LightGBM's raw score: log odds or return, (n,) float64."""
        found = self._library.predict(rows, raw_score=True, num_threads=1)
        return np.asarray(found, np.float64)

    def write(self, graph: GraphWriter) -> str:
        """Add the trees to a graph; return the name of the score, (rows, 1)."""
        trees: list[int] = []
        nodes: list[int] = []
        leaves: list[int] = []
        features: list[int] = []
        values: list[float] = []
        modes: list[bytes] = []
        yes: list[int] = []
        no: list[int] = []
        weights: list[float] = []
        for i, tree in enumerate(self._trees):
            splits, count = len(tree.feature), len(tree.leaf)
            trees += [i] * (splits + count)
            nodes += range(splits + count)
            features += tree.feature.tolist() + [0] * count
            values += tree.threshold.tolist() + [0.0] * count
            modes += [b"BRANCH_LEQ"] * splits + [b"LEAF"] * count
            # Leaf k stands behind the splits; LightGBM names it -1 - k.
            yes += np.where(tree.left < 0, splits - 1 - tree.left, tree.left).tolist() + [0] * count
            no += np.where(tree.right < 0, splits - 1 - tree.right, tree.right).tolist()
            no += [0] * count
            leaves += range(splits, splits + count)
            weights += tree.leaf.tolist()
        owners = [tree for tree, mode in zip(trees, modes, strict=True) if mode == b"LEAF"]
        return graph.node(
            "TreeEnsembleRegressor",
            [graph.input_name],
            ML_DOMAIN,
            n_targets=1,
            nodes_treeids=trees,
            nodes_nodeids=nodes,
            nodes_featureids=features,
            nodes_values=values,
            nodes_modes=modes,
            nodes_truenodeids=yes,
            nodes_falsenodeids=no,
            target_treeids=owners,
            target_nodeids=leaves,
            target_ids=[0] * len(leaves),
            target_weights=weights,
        )


def fit_trees(
    settings: LightgbmSettings, table: FitTable, validation: FitTable | None, seed: int
) -> Trees:
    """Fit trees; with a validation part, stop early.

    Parameters
    ----------
    table, validation
        What to fit, and what decides when to stop.
    """
    parameters = {
        "objective": "binary" if table.is_class else "regression",
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.min_rows_in_leaf,
        "feature_fraction": settings.feature_share,
        "bagging_fraction": settings.row_share,
        "bagging_freq": 1 if settings.row_share < 1 else 0,
        "lambda_l1": settings.l1,
        "lambda_l2": settings.l2,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "use_missing": False,
        "verbosity": -1,
    }
    data = lgb.Dataset(table.rows, table.target, weight=table.weight, params=parameters)
    if validation is None or not settings.early_stopping_rounds:
        booster = lgb.train(parameters, data, settings.trees)
        return Trees(booster.model_to_string())
    held = lgb.Dataset(validation.rows, validation.target, weight=validation.weight, reference=data)
    stop = lgb.early_stopping(settings.early_stopping_rounds, verbose=False)
    booster = lgb.train(parameters, data, settings.trees, valid_sets=[held], callbacks=[stop])
    return Trees(booster.model_to_string(num_iteration=booster.best_iteration))


def _read(text: str) -> tuple[list[_Tree], str]:
    """Return the trees of a LightGBM text in float32, and the text of exactly these trees."""
    trees: list[_Tree] = []
    found: dict[str, str] = {}
    lines = []
    inside = False
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        written = line
        if key == "tree_sizes":
            continue  # lengths of the texts that change here; LightGBM reads on without them
        if key == "Tree":
            inside, found = True, {}
        elif inside and equals:
            found[key] = value
            if key == "threshold":
                written = f"threshold={_spell(_rounded_down(_floats(value)))}"
            elif key == "leaf_value":
                written = f"leaf_value={_spell(_floats(value).astype(np.float32))}"
        elif inside and not line and found:
            trees.append(_tree(found))
            inside = False
        lines.append(written)
    return trees, "\n".join(lines) + "\n"


def _tree(found: dict[str, str]) -> _Tree:
    return _Tree(
        _ints(found.get("split_feature", "")),
        _rounded_down(_floats(found.get("threshold", ""))),
        _ints(found.get("left_child", "")),
        _ints(found.get("right_child", "")),
        _floats(found["leaf_value"]).astype(np.float32),
    )


def _rounded_down(values: FloatArray) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each value."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)


def _floats(text: str) -> FloatArray:
    return np.array(text.split(), np.float64)


def _ints(text: str) -> NDArray[np.int64]:
    return np.array(text.split(), np.int64)


def _spell(values: NDArray[np.float32]) -> str:
    return " ".join(map(repr, values.astype(np.float64).tolist()))
