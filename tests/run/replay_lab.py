"""Recorded back-tests to replay, and faults to plant into a replay, one in each layer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.messages import OrderIntent, opposite
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.risk import sender
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_file import INPUTS_NAME, block_of, read_entries
from aitb_nautilus.run.backtest import backtest
from strategies.threshold import Threshold
from tests.model_lab import put_for
from tests.run.desk_lab import A, B, Lab, Outcome
from tests.run.test_what_if import EVERY_LIMIT, busy, walk

__all__ = ["PLANTS", "Broken", "Plant", "record", "rewrite"]

FEATURES = parse_features(
    ["log_return(1)", "zscore(close,5)", f"beta({B},8)"], interval="1m", longest_gap_bars=4
)
BARS = 300
"""Of each instrument, the first 40 of them before the run."""

_PAST = 40
"""What is said of the past is not compared: nothing was decided on it."""

type Plant = Callable[[pytest.MonkeyPatch, Path, int], None]


def record(
    lab: Lab, *, is_recorded: bool = True, inference: str = "replayed", **sections: Any
) -> Outcome:
    """Run a model, a strategy that trades it, and a busy one beside it, on two instruments."""
    if not (lab.folder / "models").exists():
        for i, id_ in enumerate((A, B)):
            lab.bars(walk(30 + i, BARS), id_)
        put_for(Registry(lab.folder / "models"), "up", FEATURES, (A,), seed=1)
    params = {
        "models": ["up"],
        "registry": str(lab.folder / "models"),
        "inference": inference,
    }
    if inference == "worker":
        params |= {"valid_bars": 50, "deadline_ms": 50 * 60_000.0}
    actor = {"class": "actors.inference:OnnxInferenceActor", "id": "model", "params": params}
    threshold = {
        "class": "strategies.threshold:Threshold",
        "id": "threshold",
        "params": {
            "instruments": [A],
            "interval": "1m",
            "model": "up",
            "direction": "both",
            "long_enter": 0.55,
            "long_exit": 0.5,
            "short_enter": 0.45,
            "short_exit": 0.5,
            "sizing": {"method": "equity_fraction", "fraction": 0.04},
            "exits": {"stop_frac": 0.004, "target_frac": 0.006, "max_bars": 20},
        },
    }
    script = lab.strategy(busy(3, BARS, (A, B)), instruments=(A, B))
    past = {"start": "2023-01-01T00:40:00"}
    sections = {
        "risk": EVERY_LIMIT,
        "backtest": {"runs": str(lab.folder / "runs")} | past,
    } | sections
    config = lab.config(threshold, script, actors=[actor], **sections)
    return lab.read(Path(backtest(config, record=is_recorded).run_dir))


def rewrite(folder: Path, change: Callable[[list[Entry]], list[Entry]]) -> None:
    """Change what a recording says."""
    path = folder / INPUTS_NAME
    path.write_bytes(block_of(change(list(read_entries(path))), first=True))


class Broken:
    """Counts calls, and says which one is to be broken."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._seen = count()

    @property
    def is_it(self) -> bool:
        return next(self._seen) == self._wanted


def _close_of_a_bar(_: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    def change(entries: list[Entry]) -> list[Entry]:
        place = [i for i, e in enumerate(entries) if e.kind == "bar"][200 * number]
        name, ts, opened, high, low, close, volume = entries[place].what
        values = (name, ts, opened, high, low, close + 0.1, volume)
        entries[place] = entries[place]._replace(what=values)
        return entries

    rewrite(folder, change)


def _output_of_a_kernel(patch: pytest.MonkeyPatch, _: Path, number: int) -> None:
    broken, right = Broken(_PAST + 70 * number), FeatureEngine.update_all

    def update(self: FeatureEngine, *args: Any) -> Any:
        row = right(self, *args)
        if row is not None and broken.is_it:
            row = row.copy()
            row[1] = np.nextafter(row[1], np.float32(np.inf))
        return row

    patch.setattr(FeatureEngine, "update_all", update)


def _bit_of_a_prediction(patch: pytest.MonkeyPatch, _: Path, number: int) -> None:
    broken, right = Broken(_PAST + 70 * number), ModelSession.predict_row

    def predict(self: ModelSession, row: Any) -> Any:
        answer = right(self, row)
        if broken.is_it:
            up = np.nextafter(np.float32(answer.probability), np.float32(1))
            answer = answer._replace(probability=float(up))
        return answer

    patch.setattr(ModelSession, "predict_row", predict)


def _side_of_an_intent(patch: pytest.MonkeyPatch, _: Path, number: int) -> None:
    broken, right = Broken(_PAST + 7 * number), Threshold.decide_on_prediction

    def decide(self: Threshold, prediction: Any) -> Iterator[Any]:
        for intent in right(self, prediction):
            turned = isinstance(intent, OrderIntent) and broken.is_it
            yield replace(intent, side=opposite(intent.side)) if turned else intent

    patch.setattr(Threshold, "decide_on_prediction", decide)


def _a_limit(_: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    path = folder / "config.toml"
    was, now = (
        ("max_order_notional = 600.0", "max_order_notional = 400.0"),
        ("max_gross_notional = 1500.0", "max_gross_notional = 1250.0"),
        ("max_leverage = 0.13", "max_leverage = 0.09"),
    )[number]
    text = path.read_text()
    assert text.count(was) == 1
    path.write_text(text.replace(was, now))


def _quantity_of_an_order(patch: pytest.MonkeyPatch, _: Path, number: int) -> None:
    broken, right = Broken(60 * number), sender.plan

    def plan(*args: Any) -> Any:
        terms = right(*args)
        return replace(terms, quantity=terms.quantity * 2) if broken.is_it else terms

    patch.setattr(sender, "plan", plan)


PLANTS: dict[str, Plant] = {
    "data": _close_of_a_bar,
    "features": _output_of_a_kernel,
    "predictions": _bit_of_a_prediction,
    "intents": _side_of_an_intent,
    "decisions": _a_limit,
    "orders": _quantity_of_an_order,
}


def copy_of(folder: Path, to: Path) -> Path:
    """Return a copy of a run folder, to be broken."""
    return Path(shutil.copytree(folder, to / folder.name))
