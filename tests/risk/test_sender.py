"""From an allowed wish to the engine: what is sent, noted and announced."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import ClientOrderId, InstrumentId, OrderSide, Price, Quantity

from aitb_nautilus.messages import (
    ORDER_SENT,
    CancelIntent,
    CloseIntent,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderSent,
)
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, ROOMY, Rig, Scripted, Step, close_of, flat_bars, make_context, run


def order(side: Any = "BUY", quantity: str = "0.010", **changes: Any) -> OrderIntent:
    return OrderIntent(instrument_id=BTC, side=side, quantity=Decimal(quantity), **changes)


def resting(side: Any = "BUY", price: float = 29_000.0, **changes: Any) -> OrderIntent:
    return order(side, kind="LIMIT", price=price, **changes)


def desk(
    steps: dict[int, Step], rows: Any = None, risk: RiskSettings = ROOMY
) -> tuple[Rig, Scripted, list[OrderSent]]:
    sent: list[OrderSent] = []

    class Listening(Scripted):
        def decide_on_start(self) -> Iterable[Intent]:
            self.subscribe_topic(ORDER_SENT, self.note)
            return ()

        def note(self, message: object) -> None:
            assert isinstance(message, OrderSent)
            sent.append(message)

    strategy = Listening(Settings(), make_context(risk), "S-001")
    strategy.steps = steps
    rig = run([strategy], strategy.context, rows or flat_bars(8))
    assert rig.state.failures == []
    return rig, strategy, sent


def open_ids(strategy: Scripted) -> list[str]:
    return [o.client_order_id for o in strategy.view.open_orders(BTC)]


def test_every_command_is_announced_right_after_it_left() -> None:
    def change(strategy: Scripted) -> Iterable[Intent]:
        (first,) = open_ids(strategy)
        yield ModifyIntent(client_order_id=first, price=29_100.0)

    def cancel(strategy: Scripted) -> Iterable[Intent]:
        (first,) = open_ids(strategy)
        yield CancelIntent(client_order_id=first)

    rig, _, sent = desk({2: lambda _: [resting()], 4: change, 6: cancel})
    (one,) = rig.context.ledger.orders
    assert sent == [
        OrderSent("S-001", BTC, one, action, close_of(bar))  # type: ignore[arg-type]
        for action, bar in (("submit", 2), ("modify", 4), ("cancel", 6))
    ]


@pytest.mark.parametrize(
    "cancel",
    [
        lambda s: [CancelIntent(client_order_id=i) for i in open_ids(s)],
        lambda s: s.cancel_order(ClientOrderId(open_ids(s)[0])),
        lambda s: s.cancel_orders([ClientOrderId(i) for i in open_ids(s)]),
        lambda s: s.cancel_all_orders(InstrumentId.from_str(BTC)),
        lambda s: s.market_exit(),
    ],
    ids=["intent", "cancel_order", "cancel_orders", "cancel_all_orders", "market_exit"],
)
def test_cancel_reaches_the_venue_before_the_next_bar_however_it_is_sent(cancel: Step) -> None:
    # Without the announcement nobody wakes the venue, and the bar after it still fills the order.
    rows = [*flat_bars(5), (30_000.0, 30_000.0, 28_000.0, 28_000.0), *flat_bars(2, 28_000.0)]
    rig, _, sent = desk({2: lambda _: [resting()], 5: cancel}, rows)
    (one,) = rig.context.ledger.orders.values()
    assert (one.status, rig.quantity()) == ("CANCELED", 0)
    assert [(s.action, s.ts) for s in sent] == [("submit", close_of(2)), ("cancel", close_of(5))]


def test_built_orders_are_announced_each() -> None:
    def send(strategy: Scripted) -> None:
        make = strategy.order_factory
        strategy.submit_order_list(
            make.bracket(
                InstrumentId.from_str(BTC),
                OrderSide.BUY,
                Quantity.from_str("0.010"),
                tp_price=Price(31_000.0, 2),
                sl_trigger_price=Price(29_000.0, 2),
            )
        )

    rig, _, sent = desk({2: send})
    assert [(s.client_order_id, s.action) for s in sent] == [
        (client_order_id, "submit") for client_order_id in rig.context.ledger.orders
    ]


def test_order_is_noted_with_its_terms_on_the_grid_and_its_purpose() -> None:
    rig, _, _ = desk(
        {2: lambda _: [resting(price=29_000.04, quantity="0.0109", purpose="entry:grid")]}
    )
    (one,) = rig.context.ledger.orders.values()
    assert (one.price, one.quantity, one.purpose) == (29_000.0, Decimal("0.010"), "entry:grid")
    assert (one.strategy_id, one.kind, one.ts_sent) == ("S-001", "LIMIT", close_of(2))
    assert rig.order(one.client_order_id).init_event.tags == ["entry:grid"]


def test_shrunk_order_is_sent_as_far_as_it_is_allowed() -> None:
    risk = RiskSettings(max_order_notional=450.0, max_position_notional=1e6)
    rig, strategy, _ = desk({2: lambda _: [order(quantity="1.000")]}, risk=risk)
    assert rig.quantity() == Decimal("0.015")
    assert [(d.quantity, d.limit) for d in strategy.refusals] == [
        (Decimal("0.015"), "max_order_notional")
    ]


def test_refused_order_is_neither_sent_nor_noted_nor_announced() -> None:
    rig, strategy, sent = desk({2: lambda _: [resting(price=90_000.0)]})
    assert rig.engine.cache.orders() == []
    assert (rig.context.ledger.orders, sent) == ({}, [])
    assert [d.limit for d in strategy.refusals] == ["price_band_frac"]


def test_wish_that_only_reduces_is_sent_as_reduce_only() -> None:
    rig, _, _ = desk({2: lambda _: [order()], 4: lambda _: [order("SELL", "0.004")]})
    assert [o.reduce_only for o in rig.context.ledger.orders.values()] == [False, True]
    assert rig.quantity() == Decimal("0.006")


def test_two_exits_of_one_position_never_turn_it_around() -> None:
    # The target rests as a plain wish, then the position is closed at the market.
    rows = [*flat_bars(5), (30_000.0, 31_500.0, 30_000.0, 31_500.0), *flat_bars(3, 31_500.0)]
    rig, _, _ = desk(
        {
            2: lambda _: [order()],
            3: lambda _: [resting("SELL", 31_000.0)],
            4: lambda _: [CloseIntent(instrument_id=BTC)],
        },
        rows,
    )
    assert rig.quantity() == 0
    assert [o.status for o in rig.context.ledger.orders.values()] == [
        "FILLED",
        "CANCELED",
        "FILLED",
    ]


def test_position_is_turned_around_by_closing_it_and_opening_the_other_side() -> None:
    tight = RiskSettings(max_order_notional=301.0, max_position_notional=301.0)
    rig, strategy, _ = desk(
        {
            2: lambda _: [order()],
            3: lambda _: [resting("SELL", 31_000.0, reduce_only=True)],
            4: lambda _: [CloseIntent(instrument_id=BTC), order("SELL")],
        },
        risk=tight,
    )
    assert strategy.refusals == []
    assert rig.quantity() == Decimal("-0.010")


def test_closing_a_position_twice_closes_it_once() -> None:
    close = CloseIntent(instrument_id=BTC, purpose="exit:time")
    rig, strategy, _ = desk({2: lambda _: [order()], 4: lambda _: [close, close]})
    assert rig.quantity() == 0
    orders = list(rig.context.ledger.orders.values())
    assert [(o.purpose, o.status) for o in orders] == [
        ("entry", "FILLED"),
        ("exit:time", "FILLED"),
        ("exit:time", "REJECTED"),
    ]
    assert len(strategy.fills) == 2


def test_what_has_ended_or_never_was_is_not_cancelled() -> None:
    def cancel_all(strategy: Scripted) -> Iterable[Intent]:
        for client_order_id in [*strategy.context.ledger.orders, "nobody"]:
            yield CancelIntent(client_order_id=client_order_id)

    _, _, sent = desk({2: lambda _: [order()], 4: cancel_all})
    assert [s.action for s in sent] == ["submit"]


def test_close_while_flat_is_no_order() -> None:
    rig, _, sent = desk({4: lambda _: [CloseIntent(instrument_id=BTC)]})
    assert (rig.engine.cache.orders(), sent) == ([], [])


def test_change_keeps_or_renames_the_purpose() -> None:
    def change(purpose: str | None, price: float) -> Step:
        def step(strategy: Scripted) -> Iterable[Intent]:
            (first,) = open_ids(strategy)
            yield ModifyIntent(client_order_id=first, price=price, purpose=purpose)

        return step

    rig, _, _ = desk({2: lambda _: [resting(purpose="a")], 3: change(None, 29_100.0)})
    assert [o.purpose for o in rig.context.ledger.orders.values()] == ["a"]
    rig, _, _ = desk({2: lambda _: [resting(purpose="a")], 3: change("b", 29_100.0)})
    assert [o.purpose for o in rig.context.ledger.orders.values()] == ["b"]


def test_changed_quantity_is_put_onto_whole_lots() -> None:
    def change(strategy: Scripted) -> Iterable[Intent]:
        (first,) = open_ids(strategy)
        yield ModifyIntent(client_order_id=first, quantity=Decimal("0.0159"))

    rig, _, _ = desk({2: lambda _: [resting()], 4: change})
    (one,) = rig.context.ledger.orders.values()
    assert one.quantity == Decimal("0.015")


@pytest.mark.parametrize("second", ["0.010", "0.011"])
def test_order_in_flight_and_its_change_count_against_the_position_limit(second: str) -> None:
    tight = RiskSettings(max_order_notional=1e6, max_position_notional=900.0)

    def enlarge_and_send(strategy: Scripted) -> Iterable[Intent]:
        (first,) = open_ids(strategy)
        yield ModifyIntent(client_order_id=first, quantity=Decimal("0.020"))
        yield order(quantity=second)

    rig, strategy, _ = desk({2: lambda _: [resting()], 4: enlarge_and_send}, risk=tight)
    assert rig.quantity() == Decimal("0.010")
    assert [d.quantity for d in strategy.refusals] == (
        [Decimal("0.010")] if second != "0.010" else []
    )


def test_orders_of_two_strategies_count_together() -> None:
    context = make_context(RiskSettings(max_order_notional=1e6, max_position_notional=600.0))
    strategies = [Scripted(Settings(), context, f"S-00{i}") for i in (1, 2)]
    for strategy in strategies:
        strategy.steps = {2: lambda _: [order(quantity="0.015")]}
    rig = run(strategies, context, flat_bars(6))
    assert [s.view.quantity(BTC) for s in strategies] == [Decimal("0.015"), Decimal("0.005")]
    assert rig.quantity() == Decimal("0.020")


def test_each_strategy_reduces_its_own_position_only() -> None:
    context = make_context()
    brief, steady = (Scripted(Settings(), context, f"S-00{i}") for i in (1, 2))
    brief.steps = {2: lambda _: [order()], 5: lambda _: [CloseIntent(instrument_id=BTC)]}
    steady.steps = {3: lambda _: [order(quantity="0.020")]}
    rig = run([brief, steady], context, flat_bars(8))
    assert (brief.view.quantity(BTC), steady.view.quantity(BTC)) == (0, Decimal("0.020"))
    assert rig.quantity() == Decimal("0.020")
    assert rig.state.failures == []


def test_id_of_an_unknown_instrument_is_refused() -> None:
    wish = OrderIntent(instrument_id="XYZ.BINANCE", side="BUY", quantity=Decimal(1))
    _, strategy, _ = desk({2: lambda _: [wish]})
    assert strategy.refusals[0].line == "XYZ.BINANCE is not an instrument of this run"


def test_change_of_an_unknown_order_does_nothing() -> None:
    _, strategy, sent = desk(
        {2: lambda s: s.modify_order(ClientOrderId("nobody"), Quantity.from_str("0.020"))}
    )
    assert (strategy.refusals, sent) == ([], [])


def test_price_is_judged_as_it_is_sent() -> None:
    # The band ends at 29,699.94. On the grid of 0.1 the wish lies beyond it.
    risk = RiskSettings(
        max_order_notional=1e6, max_position_notional=1e6, price_band_frac=300.06 / 30_000
    )

    def change(strategy: Scripted) -> Iterable[Intent]:
        return [ModifyIntent(client_order_id=open_ids(strategy)[0], price=29_699.945)]

    steps = {
        2: lambda _: [resting(price=29_699.945)],
        3: lambda _: [resting(price=29_700.0)],
        5: change,
    }
    rig, strategy, _ = desk(steps, risk=risk)
    assert [d.limit for d in strategy.refusals] == ["price_band_frac"] * 2
    assert [o.price for o in rig.context.ledger.orders.values()] == [29_700.0]
