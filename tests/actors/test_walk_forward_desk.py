"""A schedule of retrainings, traded out of sample: trained, written, and run on a whole desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.training.labels import label_bars
from aitb_nautilus.training.samples import TrainingBars
from aitb_nautilus.training.settings import (
    Algorithm,
    LightgbmSettings,
    LogisticSettings,
    SignLabel,
    WalkForwardSettings,
)
from aitb_nautilus.training.walk_forward import Stream, walk_forward, write_stream
from tests.bar_samples import MINUTE_NS, walk
from tests.run.desk_lab import A, Lab, Outcome
from tests.training.sample_maker import settings

LABEL = SignLabel(horizon_bars=4, cost_bps=0.5)
FEATURES = parse_features(["log_return(1)", "log_return(5)", "rsi(14)"], interval="1m")
PLAN = WalkForwardSettings(train_days=0.5, step_days=0.25)
NAMES = ("first", "second")
ENSEMBLE = {
    "class": "actors.ensemble:EnsembleActor",
    "id": "both",
    "params": {
        "name": "both",
        "instruments": [A],
        "members": [{"model": name} for name in NAMES],
        "weights": "recent_log_loss",
        "window": 200,
        "min_resolved": 20,
    },
}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def market(lab: Lab) -> BarFrame:
    """Write two days of bars, an hour of them missing, and return them."""
    kept = np.ones(2880, np.bool_)
    kept[2000:2060] = False
    bars = walk(2880, seed=5).take(kept)
    columns = [bars.open, bars.high, bars.low, bars.close, bars.volume]
    rows = [tuple(row) for row in np.column_stack([c.round(1) for c in columns])]
    there = iter(rows)
    return lab.bars([next(there) if keep else None for keep in kept])


def stream(lab: Lab, bars: BarFrame, name: str, algorithm: Algorithm) -> tuple[Stream, Any]:
    """Train on the schedule, write the stream, and return it with its ``[[actors]]`` block."""
    wanted = settings(id=name, instruments=(A,), label=LABEL, algorithm=algorithm)
    trained = walk_forward(wanted, PLAN, FEATURES, TrainingBars({A: bars}, "ab" * 32, True))
    path = write_stream(lab.folder, *trained).path
    params = {"path": path}
    return trained[1], {
        "class": "actors.walk_forward:WalkForwardActor", "id": name, "params": params
    }  # fmt: skip


def said(outcome: Outcome, model: str) -> list[dict[str, Any]]:
    return [row for row in outcome.table("predictions") if row["model"] == model]


def test_desk_hears_what_the_models_of_the_schedule_said_and_what_became_of_it(lab: Lab) -> None:
    bars = market(lab)
    made, actor = stream(lab, bars, "first", LightgbmSettings(trees=10, min_rows_in_leaf=20))
    outcome = lab.run(lab.strategy({}), actors=[actor])
    rows = said(outcome, "first")
    assert [row["ts"] for row in rows] == made.ts.tolist()
    assert [row["probability"] for row in rows] == made.probability.tolist()
    assert [row["version"] for row in rows] == [f"first/window-{n}" for n in made.window]
    assert made.window.max() >= 5
    labels = label_bars(bars, LABEL, MINUTE_NS, FEATURES.longest_gap_bars)
    place = np.searchsorted(bars.ts_close, made.ts)
    known = [bool(up) if k else None for k, up in zip(labels.known, labels.up, strict=True)]
    assert [row["up"] for row in rows] == [known[i] for i in place]
    assert 0 < sum(row["up"] is None for row in rows) < 10


def test_ensemble_of_two_schedules_is_the_same_at_every_hash_seed(lab: Lab) -> None:
    bars = market(lab)
    trees, first = stream(lab, bars, "first", LightgbmSettings(trees=10, min_rows_in_leaf=20))
    logit, second = stream(lab, bars, "second", LogisticSettings())
    path = lab.config(lab.strategy({}), actors=[first, second, ENSEMBLE])
    tables = []
    for seed in ("0", "7"):
        done = lab.process(path, env={"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        tables.append(pq.read_table(Path(done.stdout.strip()) / "predictions.parquet"))
    assert tables[0].equals(tables[1])
    rows = [row for row in tables[0].to_pylist() if row["model"] == "both"]
    assert len(rows) == len(trees.ts) == len(logit.ts)
    between = np.sort(np.column_stack([trees.probability, logit.probability]).astype(float))
    given = np.array([row["probability"] for row in rows])
    assert ((between[:, 0] <= given) & (given <= between[:, 1])).all()
    assert np.array_equal(given[:20], between[:20].mean(axis=1))
    assert not np.allclose(given[200:], between[200:].mean(axis=1))
    assert {row["version"] for row in rows} == {"first@walk-forward+second@walk-forward"}
