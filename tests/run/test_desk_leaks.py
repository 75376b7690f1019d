"""A whole desk knows nothing of the future: a run that ends earlier says and does the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.models.registry import Registry
from tests.bar_samples import walk
from tests.model_lab import put_for
from tests.run.desk_lab import MINUTE, T0, A, Lab, Outcome

FEATURES = parse_features(["log_return(1)", "zscore(close,20)", "rsi(2)"], interval="1m")
PEEKING = '''
import numpy as np

from aitb_nautilus.messages import Prediction
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.risk.sources import PredictionSource


class NextBar(GuardedActor):
    """Foretell the next bar, as it was handed over beforehand."""

    settings_type = ScriptedSettings

    def __init__(self, settings, context, component_id):
        super().__init__(settings, context, component_id)
        label = Label(kind="sign", horizon_bars=1, horizon_ns=60 * 10**9)
        context.add_source(
            PredictionSource(
                model="up", version="1", sha256="0" * 64, instruments=settings.instruments,
                interval="1m", label=label, longest_gap_bars=0,
            )
        )

    def bar_types(self):
        return [Interval.parse("1m").bar_type(i) for i in self.settings.instruments]

    def foresee(self, frames):
        self.says = {}
        for instrument_id, bars in frames.items():
            rises = self.look(bars)
            for ts, rise in zip(bars.ts_close.tolist(), rises.tolist()):
                self.says[instrument_id, ts] = 0.5 + 0.4 * float(np.sign(rise))

    def look(self, bars):
        return np.diff(bars.close, append=bars.close[-1])

    def hear_bar(self, bar):
        p = self.says[bar.instrument_id, bar.ts]
        self.publish_prediction(
            Prediction(
                bar.instrument_id, "up", "1", 2 * p - 1, p, None, None, 60 * 10**9, bar.ts, bar.ts,
                bar.ts, bar.ts + 60 * 10**9,
            )
        )


class BelowTheMeanOfTheRun(NextBar):
    """Foretell a return to a mean that is known at the end only."""

    def look(self, bars):
        return bars.close.mean() - bars.close
'''
ENDS = (500, 733, 1_000)
OUTCOMES = {"forward_return", "up"}
"""What happened after a prediction: the future, which the table states beside it."""


@pytest.fixture
def market(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return the lab with 1,200 bars, and keys of its own."""
    monkeypatch.setenv("AITB_HOME", str(lab.folder / "keys"))
    bars = walk(1_200, seed=5)
    prices = [bars.open, bars.high, bars.low, bars.close]
    lab.bars(np.column_stack([price.round(1) for price in prices]).tolist())
    return lab


def run(lab: Lab, actor: dict[str, Any], ends_after: int | None) -> Outcome:
    """Run a desk that follows the model ``up``, to the end of the bars or after some of them."""
    strategy = {
        "class": "strategies.threshold:Threshold",
        "id": "threshold",
        "params": {
            "instruments": [A],
            "interval": "1m",
            "model": "up",
            "long_enter": 0.6,
            "long_exit": 0.5,
            "short_enter": 0.4,
            "short_exit": 0.5,
            "sizing": {"method": "fixed_notional", "notional": 1_000},
            "exits": {"stop_frac": 0.002, "target_frac": 0.004, "max_bars": 20},
        },
    }
    end = None if ends_after is None else T0 + ends_after * MINUTE
    until = {} if end is None else {"end": datetime.fromtimestamp(end / 1e9, UTC).isoformat()}
    return lab.run(strategy, actors=[actor], backtest=until)


def differences(whole: Outcome, part: Outcome, end_ns: int) -> list[str]:
    """Return which tables of the shorter run are not those of the longer one up to its end.

    An order that is on its way when the bars end fills after them, at the last price.
    """
    found = []
    for name in ("predictions", "fills"):
        one, other = (
            [
                {column: value for column, value in row.items() if column not in OUTCOMES}
                for row in outcome.table(name)
                if row["ts"] <= end_ns
            ]
            for outcome in (whole, part)
        )
        if one != other:
            found.append(name)
    return found


@pytest.mark.parametrize("inference", ["replayed", "inline"])
def test_desk_that_ends_earlier_has_said_and_done_the_same_until_then(
    market: Lab, inference: str
) -> None:
    put_for(Registry(market.folder / "models"), "up", FEATURES, (A,))
    params = {"models": ["up"], "registry": str(market.folder / "models"), "inference": inference}
    actor = {"class": "actors.inference:OnnxInferenceActor", "id": "model", "params": params}
    whole = run(market, actor, None)
    assert len(whole.table("predictions")) > 1_100
    assert len(whole.fills) > 60
    for bars in ENDS:
        part = run(market, actor, bars)
        assert part.record.bars == bars
        assert len(part.fills) > 30
        assert differences(whole, part, T0 + bars * MINUTE) == []


@pytest.mark.parametrize(
    ("cls", "leaks"),
    [("NextBar", ["predictions"]), ("BelowTheMeanOfTheRun", ["predictions", "fills"])],
)
def test_planted_look_ahead_of_a_desk_is_found(market: Lab, cls: str, leaks: list[str]) -> None:
    module = market.strategy(code=PEEKING)["class"].partition(":")[0]
    actor = {"class": f"{module}:{cls}", "id": "peek", "params": {"instruments": [A]}}
    whole = run(market, actor, None)
    assert len(whole.fills) > 30
    # The last bar of the shorter run is the one whose next bar it did not have.
    found = [differences(whole, run(market, actor, bars), T0 + bars * MINUTE) for bars in ENDS]
    assert found == [leaks] * len(ENDS)
