"""Back-tests that begin later than the catalog: the bars before warm them up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.models.registry import Registry
from tests.features.feature_bars import market
from tests.model_lab import put_for
from tests.run.desk_lab import MINUTE, T0, A, B, Lab, Outcome, buy, flat

LATER = "2023-01-01T00:05:00"  # bar 6 is the first that opens then

WANTS = """
class Wants(Scripted):
    def bars_before(self):
        return 3

    def decide_on_bar(self, bar):
        with open({path!r}, "a") as file:
            file.write(f"{{bar.ts}} {{self.now()}} {{bar.close}}\\n")
        return super().decide_on_bar(bar)
"""


def late(lab: Lab, on_bar: Any, **sections: Any) -> tuple[Outcome, list[list[str]]]:
    """Run a strategy that wants three bars before the sixth, of eight; return what it heard."""
    path = lab.folder / "heard.txt"
    lab.bars([*flat(100, 4), *flat(110, 4)])
    code = WANTS.format(path=str(path))
    sections = {"backtest": {"start": LATER}, **sections}
    outcome = lab.run(lab.strategy(on_bar, code=code, cls="Wants"), **sections)
    return outcome, [line.split() for line in path.read_text().splitlines()]


def test_strategy_hears_the_bars_before_at_their_own_times(lab: Lab) -> None:
    outcome, heard = late(lab, {})
    bars = [3, 4, 5, 6, 7, 8]  # three before, three of the run
    assert [int(ts) for ts, _, _ in heard] == [T0 + n * MINUTE for n in bars]
    assert [int(now) for _, now, _ in heard] == [T0 + n * MINUTE for n in bars]
    assert [float(close) for *_, close in heard] == [100, 100, 110, 110, 110, 110]
    assert (outcome.record.bars, outcome.record.warm_up_bars) == (3, 3)
    assert [row["ts"] for row in outcome.table("equity")] == [T0 + n * MINUTE for n in (6, 7, 8)]


def test_what_is_wished_in_the_past_is_refused_and_not_counted(lab: Lab) -> None:
    outcome, _ = late(lab, {2: [buy()], 4: [buy(2)]})  # the second of the past, the first after it
    assert [(f["quantity"], f["ts"] > T0 + 6 * MINUTE) for f in outcome.fills] == [(2.0, True)]
    assert (outcome.record.refused, outcome.record.orders) == (0, 1)
    assert outcome.log == []


@pytest.mark.parametrize(("asked", "told"), [(0, 0), (2, 2), (100, 5)])
def test_config_says_how_many_bars_before_are_told(lab: Lab, asked: int, told: int) -> None:
    outcome, heard = late(lab, {}, warm_up={"bars": asked})
    assert (outcome.record.warm_up_bars, len(heard)) == (told, told + 3)


def test_bars_before_are_part_of_the_hash_of_the_data(lab: Lab) -> None:
    warm, _ = late(lab, {})
    cold, _ = late(lab, {}, warm_up={"bars": 0})
    assert warm.record.data_sha256 != cold.record.data_sha256


def test_limit_that_looks_back_is_warm_at_the_first_bar(lab: Lab) -> None:
    liquidity = {"risk": {"liquidity": {"min_bar_value": 1_050.0, "bars": 5}}}
    outcome, _ = late(lab, {4: [buy()]}, warm_up={"bars": 0}, **liquidity)
    assert outcome.record.refused == 0
    # of the five bars before the first, four traded at 100, one at 110: with it 1,033 on average
    outcome, heard = late(lab, {6: [buy()]}, **liquidity)
    assert outcome.record.warm_up_bars == 5
    assert (outcome.record.refused, outcome.record.fills) == (1, 0), heard


@pytest.mark.parametrize("inference", ["replayed", "inline", "worker"])
def test_predictions_after_a_warm_up_equal_those_of_a_run_that_never_stopped(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inference: str
) -> None:
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "keys"))
    registry = Registry(tmp_path / "models")
    names = ["ema_ratio(5,20)", "zscore(close,30)", "zscore(volume,50)", "ema_ratio(2,6)@5m"]
    features = parse_features(names, interval="1m")
    put_for(registry, "m", features, (A, B))
    for seed, name in enumerate((A, B)):
        bars = market(1_000, seed=seed, price=100)
        columns = [np.round(c, 1) for c in (bars.open, bars.high, bars.low, bars.close)]
        rows = zip(*columns, np.round(bars.volume, 3), strict=True)
        lab.bars([tuple(map(float, row)) for row in rows], name)
    params = {"models": ["m"], "registry": str(tmp_path / "models"), "inference": inference}
    actor = {"class": "actors.inference:OnnxInferenceActor", "id": "inference", "params": params}

    def predictions(start: str | None) -> list[tuple[Any, ...]]:
        section = {} if start is None else {"start": start}
        outcome = lab.run(lab.strategy({}), actors=[actor], backtest=section)
        assert bool(outcome.record.warm_up_bars) == (start is not None)
        rows = outcome.table("predictions")
        return [(r["ts"], r["instrument_id"], r["probability"]) for r in rows]

    first = T0 + 900 * MINUTE
    whole = [row for row in predictions(None) if row[0] > first]
    assert len(whole) == 2 * 100
    assert len({p for _, _, p in whole}) > 150
    assert predictions("2023-01-01T15:00:00") == whole
