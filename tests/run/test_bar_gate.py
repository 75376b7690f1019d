"""The gate of a node in a real engine: what the stream lacks, doubles or shuffles.

The stream is that of a back-test's engine; the venue's history is a frame, which the gate is given
by the callback that a node's engine uses. Bars are stamped a millisecond early, as native ones are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from nautilus_trader.model import Bar, BarType, Price, Quantity

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.run.bar_gate import BarGate, GatePlan
from aitb_nautilus.run.config import LiveSettings
from aitb_nautilus.settings import Settings
from tests.actors.desk import frame, run
from tests.risk.rig import BTC, ETH, MINUTE, T0, close_of, make_context

EARLY_NS = 1_000_000


class Gate(BarGate):
    """A gate whose venue has a history."""

    history: Mapping[str, BarFrame]
    answers = True
    asked: list[tuple[str, int, int]]

    def request_bars(self, bar_type: BarType, *_: Any, start: Any, **__: Any) -> str:
        """Answer a tenth of a second later, as far as the history has come by then."""
        name = str(bar_type.instrument_id)
        before = int(start.timestamp()) * 10**9 + MINUTE.ns
        self.asked.append((name, number_of(before) + 1, number_of(self.now())))
        if self.answers:
            found = self.history[name].between(before, min(before + 300 * MINUTE.ns, self.now()))
            bars = engine_bars({name: found})
            at = self.now() + 100_000_000
            self.clock.set_time_alert_ns(
                f"answer-{name}-{at}", at, callback=lambda _: self.on_historical_bars(bars)
            )
        return "asked"


class Ear(GuardedActor):
    """Remember bars, and what was withheld when they were told."""

    def __init__(self, settings: Settings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.heard: list[tuple[str, int]] = []
        self.bars: list[BarClosed] = []
        self.withheld: dict[tuple[str, int], list[str]] = {}

    def bar_types(self) -> Sequence[str]:
        return sorted(self.context.brought)

    def hear_bar(self, bar: BarClosed) -> None:
        key = bar.instrument_id, number_of(bar.ts)
        self.heard.append(key)
        self.bars.append(bar)
        self.withheld[key] = list(self.context.guard.withheld)


def number_of(ts: int) -> int:
    """Return the number of the bar that closes at a time, or was the last to close then."""
    return (ts - T0) // MINUTE.ns + 1


def engine_bars(frames: Mapping[str, BarFrame]) -> list[Bar]:
    """Return the engine's bars, each stamped early, in the order of time."""
    found = []
    for name, f in frames.items():
        bar_type = BarType.from_str(MINUTE.bar_type(name))
        columns = (f.ts_close, f.open, f.high, f.low, f.close, f.volume)
        for ts, *prices, volume in zip(*columns, strict=True):
            stamp = int(ts) - EARLY_NS
            values = [Price(p, 2) for p in prices]
            size = Quantity.from_str(f"{volume:.3f}")
            found.append(Bar(bar_type, *values, size, stamp, stamp + 2 * EARLY_NS))
    return sorted(found, key=lambda bar: bar.ts_init)


def play(
    frames: Mapping[str, BarFrame],
    *,
    begins: int = 0,
    stream: Callable[[list[Bar]], list[Bar]] = lambda bars: bars,
    first: int = 1,
    past: Mapping[str, BarFrame] | None = None,
    history: Mapping[str, BarFrame] | None = None,
    answers: bool = True,
    bars: int = 0,
    when_warm: Callable[[Gate], None] = lambda _: None,
    **live: Any,
) -> tuple[Gate, Ear, list[str]]:
    """Let a stream that begins with bar `first` come through a gate; return what came of it."""
    context, said = make_context(), list[str]()
    plan = GatePlan(
        [MINUTE.bar_type(name) for name in frames],
        dict.fromkeys(frames, close_of(begins)),
        past or {},
        bars,
    )
    warm: list[bool] = []

    def become_warm() -> None:
        warm.append(True)
        when_warm(gate)

    gate = Gate(
        Settings(),
        context,
        "gate-001",
        plan=plan,
        live=LiveSettings(**live),
        note=lambda _, line: said.append(line),
        on_warm=become_warm,
    )
    gate.history, gate.answers, gate.asked = history or frames, answers, []
    ear = Ear(Settings(), context, "ear-001")
    coming = {name: f.between(close_of(first), None) for name, f in frames.items()}
    run(context, [stream(engine_bars(coming))], [gate, ear])
    assert [failure.trace for failure in context.run_state.failures] == []
    assert warm == [True] * gate.is_warm  # told once
    return gate, ear, said


def without(*numbers: int) -> Callable[[list[Bar]], list[Bar]]:
    """Return a stream that loses bars."""
    return lambda bars: [b for b in bars if number_of(b.ts_event + EARLY_NS) not in numbers]


def one(count: int = 12, seed: int = 3) -> dict[str, BarFrame]:
    return {BTC: frame(count, seed, 30_000.0)}


def test_bars_are_told_at_their_canonical_close_with_their_exact_prices() -> None:
    frames = one()
    _, ear, _ = play(frames)
    told = ear.bars
    assert [b.ts for b in told] == frames[BTC].ts_close[: len(told)].tolist()
    for name in ("open", "high", "low", "close", "volume"):
        assert [getattr(b, name) for b in told] == getattr(frames[BTC], name)[: len(told)].tolist()
    assert len(told) == 12


def test_bar_that_comes_twice_is_told_once() -> None:
    gate, ear, said = play(one(), stream=lambda bars: [b for bar in bars for b in (bar, bar)])
    assert ear.heard == [(BTC, n) for n in range(1, 13)]
    assert (gate.ignored["came twice"], said[1:]) == (12, [])


def test_bars_that_change_places_are_told_in_the_order_of_their_closes() -> None:
    def shuffled(bars: list[Bar]) -> list[Bar]:
        bars[4], bars[5] = bars[5], bars[4]
        return [moved(bar, i) for i, bar in enumerate(bars)]

    def moved(bar: Bar, place: int) -> Bar:
        prices = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        return Bar(bar.bar_type, *prices, bar.ts_event, close_of(place + 1) + EARLY_NS)

    _, ear, _ = play(one(), stream=shuffled)
    assert ear.heard == [(BTC, n) for n in range(1, 13)]


def test_gap_in_the_stream_is_filled_before_anything_is_told_after_it() -> None:
    gate, ear, said = play(one(), stream=without(5, 6))
    assert ear.heard == [(BTC, n) for n in range(1, 13)]
    # ten seconds after its close the bar was asked for; the one after it likewise
    assert [(name, first) for name, first, _ in gate.asked] == [(BTC, 5), (BTC, 6)]
    assert "asking the venue's history" in " ".join(said)
    # bar 1 belongs to the warm-up; each of the others came before the next had closed
    assert [n for (_, n), keys in ear.withheld.items() if keys] == [1]


def test_bar_that_is_told_after_another_has_closed_opens_nothing() -> None:
    gate, ear, _ = play(one(), stream=without(5), late_bar_secs=3_000.0)
    assert [(first, now) for _, first, now in gate.asked] == [(5, 6)]  # only the next one showed it
    late = {number: keys for (_, number), keys in ear.withheld.items() if keys}
    assert late == {1: ["warm-up"], 5: ["catching-up"]}


def test_bar_that_the_history_lacks_halts_trading_and_the_bars_go_on() -> None:
    frames = one()
    lacking = {BTC: frame(12, 3, 30_000.0, without=[4])}  # the fifth
    gate, ear, said = play(frames, stream=without(5), history=lacking)
    assert ear.heard == [(BTC, n) for n in range(1, 13) if n != 5]
    assert len(gate.asked) == 3  # the newest bars may come to the history late
    guard = gate.context.guard
    assert guard.state == "halted"
    assert "the venue has no bars from" in guard.halts[0].reason
    assert guard.halts[0].reason in " ".join(said)


def test_bar_that_the_history_lacks_may_be_accepted() -> None:
    lacking = {BTC: frame(12, 3, 30_000.0, without=[4])}
    gate, ear, said = play(one(), stream=without(5), history=lacking, holes="accept")
    assert ear.heard == [(BTC, n) for n in range(1, 13) if n != 5]
    assert (gate.context.guard.state, gate.context.guard.halts) == ("active", [])
    assert "the venue has no bars" in " ".join(said)


def test_silent_history_halts_trading() -> None:
    gate, ear, _ = play(one(), stream=without(5), answers=False, history_secs=30.0)
    # the gate is warm at once, since nothing is wanted of the past; then bar 5 does not come
    assert ear.heard == [(BTC, n) for n in range(1, 5)]
    assert "has not answered for 30 s" in gate.context.guard.halts[0].reason


def test_bar_of_one_instrument_waits_for_the_earlier_one_of_another() -> None:
    frames = {BTC: frame(12, 3, 30_000.0), ETH: frame(12, 4, 2_000.0)}

    def lost(bars: list[Bar]) -> list[Bar]:
        drop = lambda b: str(b.bar_type.instrument_id) == ETH and number_of(b.ts_event) == 4  # noqa: E731
        return [bar for bar in bars if not drop(bar)]

    gate, ear, _ = play(frames, stream=lost, late_bar_secs=3_000.0)
    numbers = [number for _, number in ear.heard]
    assert numbers == sorted(numbers)
    assert len(ear.heard) == len(set(ear.heard)) == 24
    assert [(name, first) for name, first, _ in gate.asked] == [(ETH, 5)]


def test_histories_of_all_instruments_are_asked_for_at_once() -> None:
    frames = {BTC: frame(12, 3, 30_000.0), ETH: frame(12, 4, 2_000.0)}
    gate, ear, _ = play(frames, begins=0, first=9)
    assert [(name, first) for name, first, _ in gate.asked[:2]] == [(BTC, 1), (ETH, 1)]
    assert ear.heard == [(name, n) for n in range(1, 13) for name in (BTC, ETH)]


def test_history_without_a_bar_beside_another_is_found_out_alone() -> None:
    # ETH's history lacks bars 2 to 8, so that its answers say nothing, not even whose they are.
    frames = {BTC: frame(12, 3, 30_000.0), ETH: frame(12, 4, 2_000.0)}
    lacking = frames | {ETH: frame(12, 4, 2_000.0, without=range(8))}
    _, ear, said = play(frames, begins=0, first=9, history=lacking, holes="accept")
    assert [n for name, n in ear.heard if name == ETH] == [9, 10, 11, 12]
    assert [n for name, n in ear.heard if name == BTC] == list(range(1, 13))
    assert f"{ETH}: the venue has no bars" in " ".join(said)


def test_past_comes_from_the_catalog_then_from_the_history_then_from_the_stream() -> None:
    frames = one(20)
    past = {BTC: frames[BTC].between(close_of(3), close_of(7))}
    gate, ear, said = play(frames, begins=2, first=12, past=past)
    assert ear.heard == [(BTC, n) for n in range(3, 21)]
    for bars, numbers in ((gate.past, range(3, 13)), (gate.told, range(13, 21))):
        assert [number_of(ts) for ts in bars.frames()[BTC].ts_close.tolist()] == list(numbers)
    assert gate.asked[0][1] == 8  # the first that the catalog lacks
    warming = [n for (_, n), keys in ear.withheld.items() if keys == ["warm-up"]]
    assert warming == list(range(3, 13))
    assert gate.context.guard.withheld == {}
    assert said[0].startswith("warm after 10 bars")


def test_bars_that_are_held_back_after_the_past_are_told_later_and_open_nothing() -> None:
    told: list[int] = []

    def hold_back(gate: Gate) -> None:
        def go_on(_: object) -> None:
            told.append(len(gate.told))
            gate.begin()

        gate.holds_back = True
        gate.clock.set_time_alert_ns("go on", close_of(9) + MINUTE.ns // 2, callback=go_on)

    gate, ear, _ = play(one(), begins=3, first=6, when_warm=hold_back)
    assert told == [0]
    assert ear.heard == [(BTC, n) for n in range(4, 13)]
    late = [n for (_, n), keys in ear.withheld.items() if keys == ["catching-up"]]
    assert late == list(range(late[0], 9))
    assert late[0] <= 7
    assert gate.context.guard.withheld == {}


def test_nothing_opens_before_the_stream_has_brought_the_bars_that_the_history_lacks() -> None:
    # Five bars are wanted before bar 8; of 3 to 7 the history has 3 and 4 alone.
    lacking = {BTC: frame(20, 3, 30_000.0, without=range(4, 7))}
    _, ear, said = play(one(20), begins=2, first=8, history=lacking, bars=5, holes="accept")
    assert ear.heard == [(BTC, n) for n in range(3, 21) if n not in (5, 6, 7)]
    keys = {number: kept for (_, number), kept in ear.withheld.items() if kept}
    assert keys == {n: ["warm-up"] for n in (3, 4, 8)} | {n: ["few-bars"] for n in (9, 10)}
    (not_warm,) = [line for line in said if line.startswith("not warm")]
    assert not_warm.startswith(f"not warm: {BTC} has had 3 of 5 bars; the last of them closes at ")
    assert said[-1].startswith("warm after 5 bars")


def test_without_a_wanted_past_everything_opens_at_once() -> None:
    lacking = {BTC: frame(20, 3, 30_000.0, without=range(7))}
    _, ear, said = play(one(20), begins=2, first=8, history=lacking, bars=0, holes="accept")
    assert ear.heard == [(BTC, n) for n in range(8, 21)]
    assert {n for (_, n), keys in ear.withheld.items() if "few-bars" in keys} == set()
    assert not [line for line in said if line.startswith("not warm")]


def test_node_that_gets_no_history_at_the_start_does_not_trade() -> None:
    context = make_context()
    frames = one(20)
    plan = GatePlan([MINUTE.bar_type(BTC)], {BTC: close_of(2)}, {}, 0)
    warm: list[bool] = []
    gate = Gate(
        Settings(),
        context,
        "gate-001",
        plan=plan,
        live=LiveSettings(),
        note=lambda *_: None,
        on_warm=lambda: warm.append(True),
    )
    gate.history, gate.answers, gate.asked = frames, False, []
    run(context, [engine_bars({BTC: frames[BTC].between(close_of(12), None)})], [gate])
    (failure, *_) = context.run_state.failures
    assert "must answer before anything is traded" in failure.error
    assert (gate.is_warm, warm) == (False, [])


@pytest.mark.parametrize("lost", [(), (95, 100, 101)])
def test_features_after_a_warm_start_have_the_bits_of_a_run_that_never_stopped(
    lost: tuple[int, ...],
) -> None:
    names = ["ema_ratio(5,20)", "rsi(14)", "zscore(volume,50)", "log_return(1)"]
    features = parse_features(names, interval="1m")
    before, count = features.warmup, features.warmup + 120
    frames = one(count)
    rows = FeatureEngine(features).batch(frames[BTC])
    begin, first = 90, 90 + before  # the first bar that trades is warm
    past = {BTC: frames[BTC].between(close_of(begin + 1), close_of(begin + 30))}
    stream = without(*(begin + before + n - 90 for n in lost))
    _, ear, _ = play(frames, begins=begin, first=first, past=past, stream=stream)
    warm = FeatureEngine(features)
    own = [warm.update(b.ts, b.open, b.high, b.low, b.close, b.volume) for b in ear.bars]
    last = ear.bars[-20:]
    assert [number_of(b.ts) for b in last] == list(range(count - 19, count + 1))
    for bar, row in zip(last, own[-20:], strict=True):
        assert row is not None
        assert np.array_equal(row, rows.values[number_of(bar.ts) - 1])
