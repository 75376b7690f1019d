"""The threshold strategy on a whole desk: an actor publishes, the engine runs, fills by hand.

Bars open where the one before closed, unless a test says otherwise. An order decided at the close
of a bar fills at the next open plus 10 basis points, up to a whole tick of 0.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from aitb_nautilus.errors import ConfigError, RunError
from tests.run.desk_lab import LATENCY, MINUTE, T0, A, B, Lab, Outcome, flat

MODEL = '''
from aitb_nautilus.messages import Prediction
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.risk.sources import PredictionSource

SAYS = {says}


class ScriptedModel(GuardedActor):
    """Say at the bar of a number what the script says."""

    settings_type = ScriptedSettings

    def __init__(self, settings, context, component_id):
        super().__init__(settings, context, component_id)
        self.seen = Counter()
        interval = Interval.parse(settings.interval)
        context.add_source(
            PredictionSource(
                model="scripted",
                version="1",
                sha256="0" * 64,
                instruments=settings.instruments,
                interval=settings.interval,
                label=Label(kind="sign", horizon_bars=5, horizon_ns=5 * interval.ns),
                longest_gap_bars=0,
            )
        )

    def bar_types(self):
        interval = Interval.parse(self.settings.interval)
        return [interval.bar_type(i) for i in self.settings.instruments]

    def hear_bar(self, bar):
        self.seen[bar.instrument_id] += 1
        said = SAYS.get((bar.instrument_id, self.seen[bar.instrument_id]))
        if said is not None:
            probability, lifetime = said
            self.publish_prediction(
                Prediction(
                    bar.instrument_id, "scripted", "1", 2 * probability - 1, probability, None,
                    None, 5 * 60 * 10**9, bar.ts, bar.ts, bar.ts, bar.ts + lifetime,
                )
            )
'''

type Script = Mapping[int | tuple[str, int], float | tuple[float, int]]


def desk(
    lab: Lab, says: Script, *, instruments: Sequence[str] = (A,), **params: Any
) -> dict[str, Any]:
    """Return a desk as plain data; `says` gives a probability, and perhaps a lifetime, by bar."""
    script = {
        key if isinstance(key, tuple) else (A, key): said
        if isinstance(said, tuple)
        else (said, 5 * MINUTE)
        for key, said in says.items()
    }
    helper = lab.strategy({}, code=MODEL.replace("{says}", repr(script)))
    module = helper["class"].partition(":")[0]
    terms = {"instruments": list(instruments), "interval": "1m"}
    sizing = {"method": "fixed_notional", "notional": 1_000}
    strategy = {
        "class": "strategies.threshold:Threshold",
        "id": "threshold",
        "params": {**terms, "model": "scripted", "sizing": sizing, **params},
    }
    actor = {"class": f"{module}:ScriptedModel", "id": "model", "params": terms}
    return lab.plain(strategy, actors=[actor])


def run(lab: Lab, rows: Sequence[Sequence[float] | None], says: Script, **params: Any) -> Outcome:
    """Run a desk on bars of one instrument."""
    lab.bars(rows)
    return lab.run_plain(desk(lab, says, **params))


def fills(outcome: Outcome) -> list[tuple[str, float, str, int]]:
    """Return side, price and purpose of each fill, and after how many bars it came."""
    return [(f["side"], f["price"], f["purpose"], (f["ts"] - T0) // MINUTE) for f in outcome.fills]


def walk(*closes: float) -> list[tuple[float, float, float, float]]:
    """Return bars without wicks that open where the one before closed."""
    opens = (closes[0], *closes[:-1])
    return [(o, max(o, c), min(o, c), c) for o, c in zip(opens, closes, strict=True)]


def test_entry_turn_and_exit_fill_at_the_next_open_plus_slippage(lab: Lab) -> None:
    outcome = run(
        lab,
        [*flat(100, 2), (102, 103, 101, 103), (104, 104, 104, 104), (105, 106, 98, 99), *flat(99)],
        {2: 0.6, 3: 0.5, 4: 0.4, 5: 0.51},
    )
    # Bar 2 closes at 100: 1,000 buy 10. Bar 3 opens at 102: 102.102, up to 102.2.
    # Bar 4 closes at 104: 1,000 sell 9.615. Bar 5 opens at 105: 104.895, down to 104.8.
    # Bar 6 opens at 99: 99.099, up to 99.1.
    assert fills(outcome) == [
        ("BUY", 102.2, "entry", 2),
        ("SELL", 104.8, "exit:signal", 4),
        ("SELL", 104.8, "entry", 4),
        ("BUY", 99.1, "exit:signal", 5),
    ]
    assert [f["quantity"] for f in outcome.fills] == [10, 10, 9.615, 9.615]
    assert {(f["ts"] - T0) % MINUTE for f in outcome.fills} == {LATENCY}
    assert [trip["exit_purpose"] for trip in outcome.trips] == ["exit:signal"] * 2


def test_expired_prediction_opens_nothing_and_is_no_sign_of_life(lab: Lab) -> None:
    outcome = run(
        lab,
        flat(100, 12),
        {2: (0.9, 0), 4: (0.9, 1), 5: (0.9, 0), 6: (0.1, 0), 7: (0.9, 0)},
        max_blind_bars=2,
    )
    assert fills(outcome) == [("BUY", 100.1, "entry", 4), ("SELL", 99.9, "exit:blind", 7)]


def test_silent_model_does_not_leave_a_position_alone(lab: Lab) -> None:
    says = {2: 0.6, 3: 0.6, 4: 0.6}
    outcome = run(lab, flat(100, 20), says, max_blind_bars=6, exits={"stop_frac": 0.1})
    assert fills(outcome) == [("BUY", 100.1, "entry", 2), ("SELL", 99.9, "exit:blind", 11)]
    assert [o["status"] for o in outcome.table("orders")] == ["FILLED", "CANCELED", "FILLED"]


@pytest.mark.parametrize(
    ("probability", "trades"),
    [
        (0.6, [("BUY", 100.1, "entry", 6)]),
        (0.5, []),
        (0.4, [("SELL", 99.9, "entry", 5)]),
    ],
)
def test_time_exit_and_a_signal_at_one_bar_close_once(
    lab: Lab, probability: float, trades: list[tuple[str, float, str, int]]
) -> None:
    # Held from bar 3 on, for three bars: the time exit leaves at bar 5, when the signal comes.
    exits = {"max_bars": 3, "stop_frac": 0.2}
    says = {2: 0.6, 5: probability, 6: probability}
    outcome = run(lab, flat(100, 7), says, exits=exits)
    first = [("BUY", 100.1, "entry", 2), ("SELL", 99.9, "exit:time", 5)]
    assert fills(outcome) == first + trades


def test_stop_rests_from_the_entry_on_and_the_cooldown_follows_it(lab: Lab) -> None:
    rows = walk(100, 100, 100, 95, 95, 95, 95, 95)
    says = dict.fromkeys(range(2, 9), 0.6)
    outcome = run(lab, rows, says, exits={"stop_frac": 0.02}, cooldown_bars=2)
    # Bought at 100.1, stopped within bar 4. Bars 4 and 5 pass, and bar 6 may open again.
    assert [(side, purpose, bar) for side, _, purpose, bar in fills(outcome)] == [
        ("BUY", "entry", 2),
        ("SELL", "exit:stop", 4),
        ("BUY", "entry", 6),
    ]


def test_turn_through_a_gap_in_the_data_is_made_once_when_the_market_opens(lab: Lab) -> None:
    rows = [*flat(100, 4), None, None, None, *[(105, 105, 105, 105)] * 4]
    says = {2: 0.6, 4: 0.4, 5: 0.4, 6: 0.4}
    outcome = run(lab, rows, says, exits={"stop_frac": 0.2})
    assert fills(outcome) == [
        ("BUY", 100.1, "entry", 2),
        ("SELL", 104.8, "exit:signal", 7),
        ("SELL", 104.8, "entry", 7),
    ]


def test_filter_on_larger_bars_lets_an_entry_through_when_their_close_does(lab: Lab) -> None:
    # Bars of two minutes close with bars 2, 4, 6, 8. Up from bar 6 (100) to bar 8 (102): 2 %.
    rows = walk(100, 100, 100, 100, 100, 100, 103, 102, 102, 102)
    says = dict.fromkeys(range(1, 11), 0.6)
    filters = [{"feature": "log_return(1)@2m", "long_min": 0.01}]
    outcome = run(lab, rows, says, filters=filters)
    assert fills(outcome) == [("BUY", 102.2, "entry", 8)]


def test_model_without_what_the_settings_ask_for_stops_the_run(lab: Lab) -> None:
    with pytest.raises(RunError, match="model scripted gives no confidence") as caught:
        run(lab, flat(100, 5), {2: 0.6}, min_confidence=0.5)
    assert "threshold-001: min_confidence" in str(caught.value)
    assert lab.last().fills == []


def test_bars_longer_than_those_of_the_model_are_refused_before_the_run(lab: Lab) -> None:
    lab.bars(flat(100, 10))
    with pytest.raises(ConfigError, match="interval: was 5m, but model scripted answers bars of"):
        lab.run_plain(desk(lab, {}, interval="5m"))


def test_two_instruments_and_two_hash_seeds_give_one_run(lab: Lab) -> None:
    for instrument_id in (A, B):
        lab.bars(walk(100, 101, 102, 101, 100, 99, 98, 99), instrument_id)
    says = {(A, 2): 0.6, (A, 5): 0.4, (B, 2): 0.4, (B, 5): 0.6, (B, 6): 0.49}
    path = lab.write(desk(lab, says, instruments=(A, B), exits={"stop_frac": 0.1}))
    outcomes = []
    for seed in ("0", "4242"):
        done = lab.process(path, env={"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        outcomes.append(lab.read(lab.folder / done.stdout.strip()))
    first, second = outcomes
    sides = {i: [f["side"] for f in first.fills if f["instrument_id"] == i] for i in (A, B)}
    assert sides == {A: ["BUY", "SELL", "SELL"], B: ["SELL", "BUY", "BUY", "SELL"]}
    assert second.record.fingerprint == first.record.fingerprint
    assert second.fills == first.fills
