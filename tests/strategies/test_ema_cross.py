"""The baseline strategy: its averages, its crosses, and its trades on a real engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    OrderIntent,
    Side,
)
from aitb_nautilus.risk.book import Order, Position
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.settings import decode
from strategies.ema_cross import Ema, EmaCross, EmaCrossSettings
from tests.risk.rig import BTC, ETH, MINUTE, ROOMY, Rig, close_of, make_context, run

FIXED = {"method": "fixed_notional", "notional": 3_000}
UP, DOWN = 1.01, 0.99


def settings(**changes: Any) -> EmaCrossSettings:
    data = {"instruments": [BTC], "interval": "1m", "sizing": FIXED, "fast": 1, "slow": 2}
    return decode(data | changes, EmaCrossSettings, "desk.toml: strategies[0].params")


def bars_of(closes: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """Return bars that open at the close before, without wicks."""
    opens = [closes[0], *closes[:-1]]
    return [(o, max(o, c), min(o, c), c) for o, c in zip(opens, closes, strict=True)]


def walk(*factors: float, start: float = 30_000.0) -> list[float]:
    """Return closes that begin with two still bars and then move by these factors."""
    closes = [start, start]
    for factor in factors:
        closes.append(round(closes[-1] * factor, 1))
    return closes


def trade(closes: Sequence[float], risk: RiskSettings = ROOMY, **changes: Any) -> Rig:
    context = make_context(risk)
    rig = run([EmaCross(settings(**changes), context, "ema-001")], context, bars_of(closes))
    assert rig.state.failures == []
    assert rig.guard.halts == []
    assert rig.quantity() == context.ledger.position("ema-001", BTC).quantity
    return rig


def fills(rig: Rig) -> list[tuple[Side, int, str]]:
    """Return side, bar in which it filled, and purpose of each fill."""
    orders = rig.context.ledger.orders
    return [
        (f.side, 1 - (close_of(1) - f.ts) // MINUTE.ns, orders[f.client_order_id].purpose)
        for f in rig.context.ledger.fills
    ]


# The average


@pytest.mark.parametrize(
    ("bars", "closes", "expected"),
    [
        (3, [1, 2, 3, 4, 5, 6], [None, None, 2, 3, 4, 5]),
        (3, [10, 11, 13, 12, 15, 14], [None, None, 34 / 3, 35 / 3, 40 / 3, 41 / 3]),
        (1, [5, 7, 6], [5, 7, 6]),
        (2, [1, 2, 4], [None, 1.5, 1.5 + 2 / 3 * 2.5]),
    ],
)
def test_average_equals_the_textbook_on_a_short_series(
    bars: int, closes: list[float], expected: list[float | None]
) -> None:
    average = Ema(bars)
    values = [average.value if average.update(close) else None for close in closes]
    assert values == pytest.approx(expected)


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=40), st.integers(1, 12))
def test_average_is_the_weighted_sum_written_out(closes: list[float], bars: int) -> None:
    average = Ema(bars)
    ready = [average.update(close) for close in closes]
    assert ready == [i + 1 >= bars for i in range(len(closes))]
    if ready[-1]:
        weight = 2 / (bars + 1)
        later = closes[bars:]
        seed = sum(closes[:bars]) / bars
        written_out = seed * (1 - weight) ** len(later) + sum(
            weight * (1 - weight) ** (len(later) - 1 - i) * x for i, x in enumerate(later)
        )
        assert average.value == pytest.approx(written_out, rel=1e-9)


# Decisions, without an engine


def answers(closes: Sequence[float], **changes: Any) -> list[list[Intent]]:
    strategy = EmaCross(settings(**changes), make_context(), "ema-001")
    decided = []
    for i, close in enumerate(closes):
        bar = BarClosed(BTC, close_of(i + 1), close, close, close, close, 1.0)
        decided.append(list(strategy.decide_on_bar(bar)))
    return decided


def entry(side: Side, instrument_id: str = BTC) -> OrderIntent:
    return OrderIntent(instrument_id=instrument_id, side=side)


def test_cross_is_answered_on_the_bar_that_crosses_and_only_there() -> None:
    closes = walk(UP, UP, DOWN, DOWN, UP)
    assert answers(closes) == [[], [], [entry("BUY")], [], [entry("SELL")], [], [entry("BUY")]]


def test_nothing_is_decided_before_the_slow_average_is_defined() -> None:
    closes = walk(UP, DOWN, UP, DOWN, UP)
    assert answers(closes, slow=7) == [[]] * len(closes)


def test_side_on_which_the_averages_begin_is_no_cross() -> None:
    rising = [30_000.0 + 100 * i for i in range(8)]
    assert answers(rising, fast=2, slow=3) == [[]] * 8


def test_averages_that_only_touch_count_as_below() -> None:
    assert answers([100.0, 100.0, 110.0, 110.0, 110.0], fast=1, slow=2)[2] == [entry("BUY")]
    flat_again = answers([100.0, 100.0, 110.0, 106.66666666666667], fast=1, slow=2)
    assert flat_again[3] == [entry("SELL")]


@pytest.mark.parametrize(
    ("direction", "sides"), [("both", ["BUY", "SELL"]), ("long", ["BUY"]), ("short", ["SELL"])]
)
def test_only_the_wanted_sides_are_opened(direction: str, sides: list[str]) -> None:
    decided = answers(walk(UP, DOWN, DOWN), direction=direction)
    assert [i.side for one in decided for i in one if isinstance(i, OrderIntent)] == sides


def test_each_instrument_has_its_own_averages() -> None:
    strategy = EmaCross(settings(instruments=[BTC, ETH]), make_context(), "ema-001")
    assert strategy.bar_types() == [MINUTE.bar_type(BTC), MINUTE.bar_type(ETH)]
    decided: list[Intent] = []
    for i, (btc, eth) in enumerate(zip(walk(UP, UP), walk(DOWN, UP, start=2_000.0), strict=True)):
        for instrument_id, close in ((BTC, btc), (ETH, eth)):
            bar = BarClosed(instrument_id, close_of(i + 1), close, close, close, close, 1.0)
            decided += strategy.decide_on_bar(bar)
    assert decided == [entry("BUY"), entry("BUY", ETH)]


def test_nothing_is_entered_while_the_size_is_not_known() -> None:
    sizing = {"method": "volatility_target", "annual_volatility_frac": 0.5, "half_life_bars": 4}
    decided = answers(walk(UP, DOWN, UP, DOWN), sizing=sizing)
    assert [len(one) for one in decided] == [0, 0, 0, 0, 1, 1]


def test_entry_without_a_price_has_no_size() -> None:
    strategy = EmaCross(settings(), make_context(), "ema-001")
    assert strategy.size(entry("BUY")) == 0


def test_size_follows_the_settings_at_the_last_price() -> None:
    context = make_context(equity=50_000.0)
    context.ledger.marks[BTC] = 25_000.0
    fixed = EmaCross(settings(), context, "ema-001")
    assert fixed.size(entry("BUY")) == Decimal("0.12")
    fraction = {"method": "equity_fraction", "fraction": 0.1}
    assert EmaCross(settings(sizing=fraction), context, "ema-002").size(entry("BUY")) == Decimal(
        "0.2"
    )


def test_position_on_the_wrong_side_is_closed_before_the_other_is_opened() -> None:
    context = make_context()
    strategy = EmaCross(settings(exits={"stop_frac": 0.5}), context, "ema-001")
    context.ledger.positions["ema-001", BTC] = Position()
    context.ledger.positions["ema-001", BTC].quantity = Decimal("-0.1")
    decided: list[Intent] = []
    for i, close in enumerate(walk(UP)):
        bar = BarClosed(BTC, close_of(i + 1), close, close, close, close, 1.0)
        decided = list(strategy.decide_on_bar(bar))
    assert decided == [CloseIntent(instrument_id=BTC), entry("BUY")]


# Entries whose fill is not known yet


class Late:
    """A strategy that is told of bars, and of fills when the test says so."""

    def __init__(self, **changes: Any) -> None:
        self.context = make_context()
        self.ledger = self.context.ledger
        self.strategy = EmaCross(settings(**changes), self.context, "ema-001")
        self._bars = 0

    def hear(self, *closes: float) -> list[Intent]:
        """Return what is answered to the last of some bars."""
        decided: list[Intent] = []
        for close in closes:
            self._bars += 1
            bar = BarClosed(BTC, close_of(self._bars), close, close, close, close, 1.0)
            self.ledger.apply_bar(bar)
            decided = list(self.strategy.decide_on_bar(bar))
        return decided

    def send(self, side: Side, quantity: int = 1, *, is_exit: bool = False) -> Order:
        order = Order(
            client_order_id=f"o{len(self.ledger.orders)}",
            strategy_id="ema-001",
            instrument_id=BTC,
            side=side,
            kind="MARKET",
            quantity=Decimal(quantity),
            price=None,
            trigger_price=None,
            reduce_only=is_exit,
            purpose="exit:signal" if is_exit else "entry",
            ts_sent=self.ledger.now,
            is_exit=is_exit,
        )
        self.ledger.apply_order(order)
        return order

    def fill(self, order: Order, quantity: int = 1) -> list[Intent]:
        name, trade = order.client_order_id, f"t{len(self.ledger.fills)}"
        fill = Fill(
            "ema-001", BTC, name, trade, 1, order.side, 30_000.0, Decimal(quantity), 0.0, "TAKER"
        )
        assert self.ledger.apply_fill(fill)
        return list(self.strategy.decide_on_fill(fill))


def test_nothing_is_entered_twice_while_the_first_entry_is_on_its_way() -> None:
    """Bars that come in a burst, or an order that the venue does not answer for minutes."""
    late = Late(direction="long")
    assert late.hear(*walk(UP)) == [entry("BUY")]
    order = late.send("BUY")
    assert late.hear(29_000.0, 31_000.0, 29_000.0, 31_000.0) == []
    assert late.fill(order) == []  # The averages are as they were at the entry.
    assert late.hear(31_500.0) == []


def test_entry_that_fills_after_the_averages_have_crossed_back_is_closed_again() -> None:
    late = Late(exits={"stop_frac": 0.05})
    late.hear(*walk(UP))
    order = late.send("BUY", 2)
    assert late.hear(29_000.0) == []
    stop, close = late.fill(order)
    assert isinstance(stop, OrderIntent)
    assert (stop.kind, stop.reduce_only) == ("STOP_MARKET", True)
    assert close == CloseIntent(instrument_id=BTC)


def test_entry_that_fills_late_is_left_to_its_exits_where_a_cross_closes_nothing() -> None:
    late = Late(exits={"stop_frac": 0.05, "signal": False})
    late.hear(*walk(UP))
    order = late.send("BUY")
    late.hear(29_000.0)
    assert [type(one) for one in late.fill(order)] == [OrderIntent]


def test_what_an_entry_still_waits_for_is_cancelled_with_its_position() -> None:
    late = Late()
    late.hear(*walk(UP))
    order = late.send("BUY", 3)
    assert late.fill(order) == []
    assert late.hear(29_000.0) == [
        CancelIntent(client_order_id=order.client_order_id),
        CloseIntent(instrument_id=BTC),
        entry("SELL"),
    ]


def test_position_that_is_being_closed_is_not_closed_once_more() -> None:
    late = Late()
    late.hear(*walk(UP))
    late.fill(late.send("BUY", 2), 2)
    turn = [CloseIntent(instrument_id=BTC), entry("SELL")]
    assert late.hear(29_000.0) == turn
    late.send("SELL", 1, is_exit=True)  # A part of it, such as a target: the rest must go.
    assert late.hear(31_000.0, 29_000.0) == turn
    late.send("SELL", 1, is_exit=True)
    assert late.hear(31_000.0, 29_000.0) == [entry("SELL")]
    late.send("SELL", 2)
    assert late.hear(31_000.0, 29_000.0) == []


# Trades, on the real engine


def test_cross_fills_at_the_open_of_the_next_bar_and_turns_on_the_next_cross() -> None:
    closes = walk(UP, UP, DOWN, DOWN)
    rig = trade(closes)
    assert fills(rig) == [
        ("BUY", 4, "entry"),
        ("SELL", 6, "exit:signal"),
        ("SELL", 6, "entry"),
    ]
    prices = [f.price for f in rig.context.ledger.fills]
    assert prices == [closes[2], closes[4], closes[4]]
    assert rig.quantity() == -(Decimal(3_000) / Decimal(str(closes[4]))).quantize(
        Decimal("0.001"), "ROUND_DOWN"
    )


@pytest.mark.parametrize(
    ("direction", "trades"),
    [
        ("long", [("BUY", 4, "entry"), ("SELL", 6, "exit:signal"), ("BUY", 8, "entry")]),
        ("short", [("SELL", 6, "entry"), ("BUY", 8, "exit:signal")]),
    ],
)
def test_one_sided_strategy_goes_flat_on_the_other_cross(
    direction: str, trades: list[tuple[Side, int, str]]
) -> None:
    assert fills(trade(walk(UP, UP, DOWN, DOWN, UP, UP), direction=direction)) == trades


@pytest.mark.parametrize(
    ("exits", "factors", "last"),
    [
        ({"stop_frac": 0.02}, [UP, 1.0, 0.97, 1.0], ("SELL", 5, "exit:stop")),
        ({"target_frac": 0.03}, [UP, 1.005, 1.05, 1.0], ("SELL", 5, "exit:target")),
        (
            {"trailing_frac": 0.02},
            [UP, 1.05, 1.001, 0.97, 1.0],
            ("SELL", 6, "exit:trailing"),
        ),
        ({"max_bars": 2}, [UP, 1.002, 1.001, 1.001, 1.0], ("SELL", 6, "exit:time")),
    ],
)
def test_exit_closes_the_position_and_leaves_nothing_behind(
    exits: dict[str, float], factors: list[float], last: tuple[Side, int, str]
) -> None:
    rig = trade(walk(*factors), exits=exits, direction="long")
    assert fills(rig)[:2] == [("BUY", 4, "entry"), last]
    assert rig.quantity() == 0
    assert rig.context.ledger.open_order_count() == 0


def test_stop_and_target_rest_at_the_venue_and_one_cancels_the_other() -> None:
    exits = {"stop_frac": 0.05, "target_frac": 0.03}
    rig = trade(walk(UP, 1.005, 1.05, 1.0), exits=exits, direction="long")
    orders = list(rig.context.ledger.orders.values())
    assert [(o.purpose, o.status) for o in orders[:3]] == [
        ("entry", "FILLED"),
        ("exit:stop", "CANCELED"),
        ("exit:target", "FILLED"),
    ]
    bought = orders[0]
    assert all(o.reduce_only and o.quantity == bought.quantity for o in orders[1:3])
    fill_price = rig.context.ledger.fills[0].price
    assert orders[1].trigger_price == pytest.approx(fill_price * 0.95, abs=0.1)
    assert orders[2].price == pytest.approx(fill_price * 1.03, abs=0.1)


def test_turning_around_with_exits_resting_leaves_those_of_the_new_position_only() -> None:
    exits = {"stop_frac": 0.3, "target_frac": 0.3, "trailing_frac": 0.4}
    rig = trade(walk(UP, UP, DOWN, DOWN, DOWN), exits=exits)
    resting = list(rig.context.ledger.open_orders(BTC))
    assert rig.quantity() < 0
    assert [(o.purpose, o.side) for o in resting] == [("exit:stop", "BUY"), ("exit:target", "BUY")]
    assert all(o.quantity == abs(rig.quantity()) for o in resting)


def test_turning_around_within_tight_limits_is_not_shrunk() -> None:
    tight = RiskSettings(max_order_notional=3_100.0, max_position_notional=3_100.0)
    exits = {"stop_frac": 0.3, "target_frac": 0.3}
    rig = trade(walk(UP, UP, DOWN, DOWN, UP, UP), risk=tight, exits=exits)
    assert rig.guard.refusals == []
    assert [f[0] for f in fills(rig)] == ["BUY", "SELL", "SELL", "BUY", "BUY"]


def test_halted_guard_lets_the_strategy_leave_but_not_enter() -> None:
    class Halting(EmaCross):
        def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
            if bar.ts == close_of(4):
                self.context.guard.halt("by hand", bar.ts)
            return super().decide_on_bar(bar)

    context = make_context()
    rig = run(
        [Halting(settings(), context, "ema-001")],
        context,
        bars_of(walk(UP, UP, DOWN, DOWN, UP, UP)),
    )
    assert fills(rig) == [("BUY", 4, "entry"), ("SELL", 6, "exit:signal")]
    assert {d.limit for d in rig.guard.refusals} == {"state"}


# Settings


@pytest.mark.parametrize(
    ("changes", "paragraph"),
    [
        ({"fast": 26, "slow": 26}, "fast was 26, must be less than slow, which is 26."),
        ({"fast": 0}, "fast: was 0, must be int >= 1."),
        ({"fats": 3}, "unknown key 'fats', did you mean 'fast'?"),
        ({"direction": "longs"}, "direction: was 'longs', must be one of long, short, both."),
        ({"instruments": []}, "instruments: was [], must be array of length >= 1."),
        ({"instruments": [BTC, BTC]}, "instruments names one of them twice."),
        ({"interval": "1x"}, "the interval '1x' is not known"),
        ({"sizing": {"method": "fixed"}}, "sizing.method: was 'fixed', must be one of"),
        ({"exits": {"stop_frac": 2}}, "exits.stop_frac: was 2, must be float < 1.0."),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], paragraph: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**changes)
    assert paragraph in str(caught.value)


def test_unknown_instrument_is_refused_when_the_strategy_is_built() -> None:
    with pytest.raises(ConfigError, match=r"instrument BTCUSD-PERP.BINANCE: is not known"):
        EmaCross(settings(instruments=["BTCUSD-PERP.BINANCE"]), make_context(), "ema-001")
