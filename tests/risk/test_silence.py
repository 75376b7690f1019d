"""Nothing leaves where nothing may be sent, whatever is wished and by whatever way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import InstrumentId, OrderSide

from aitb_nautilus.errors import RunError
from aitb_nautilus.messages import CancelIntent, CloseIntent, Intent, ModifyIntent, OrderIntent
from aitb_nautilus.risk.engine_port import EnginePort
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.silence import LIVE_ORDERS, REOPENING
from tests.risk.rig import BTC, Scripted, Step
from tests.risk.test_engine_paths import (
    assert_in_step,
    bid,
    buy,
    desk,
    first_id,
    market,
    position_of,
)


def silent(step: Step) -> Step:
    def quietly(strategy: Scripted) -> Iterable[Intent] | None:
        strategy.context.guard.withheld[LIVE_ORDERS] = "nothing is sent"
        return step(strategy)

    return quietly


def stop(_: Scripted) -> Iterable[Intent]:
    return [
        OrderIntent(
            instrument_id=BTC,
            side="SELL",
            kind="STOP_MARKET",
            trigger_price=29_500.0,
            quantity=Decimal("0.010"),
            reduce_only=True,
        )
    ]


def exits(strategy: Scripted) -> Any:
    return strategy.view.open_orders(BTC)[-1]


WAYS: dict[str, Step] = {
    "close": lambda _: [CloseIntent(instrument_id=BTC)],
    "another stop": stop,
    "cancel": lambda s: [CancelIntent(client_order_id=exits(s).client_order_id)],
    "tighter stop": lambda s: [
        ModifyIntent(client_order_id=exits(s).client_order_id, trigger_price=29_600.0)
    ],
    "smaller stop": lambda s: [
        ModifyIntent(client_order_id=exits(s).client_order_id, quantity=Decimal("0.005"))
    ],
    "entry": buy,
    "built exit": lambda s: s.submit_order(market(s, side=OrderSide.SELL, reduce_only=True)),
    "list of exits": lambda s: s.submit_order_list(
        [market(s, side=OrderSide.SELL, reduce_only=True)]
    ),
    "close_position": lambda s: s.close_position(position_of(s)),
    "cancel_order": lambda s: s.cancel_order(first_id(s)),
    "cancel_all_orders": lambda s: s.cancel_all_orders(InstrumentId.from_str(BTC)),
    "market_exit": lambda s: s.market_exit(),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_leaves_and_every_wish_is_refused(way: str) -> None:
    rig, strategy = desk({2: buy, 4: stop, 6: silent(WAYS[way])})
    assert [d.limit for d in rig.guard.refusals] == [LIVE_ORDERS]
    assert [d.line for d in rig.guard.refusals] == ["nothing is sent"]
    entry, exit_ = rig.context.ledger.orders.values()
    assert (entry.status, exit_.status, exit_.trigger_price) == ("FILLED", "ACCEPTED", 29_500.0)
    assert len(rig.engine.cache.orders()) == 2
    assert rig.order(exit_.client_order_id).quantity.as_decimal() == Decimal("0.010")
    assert rig.quantity() == Decimal("0.010")
    assert_in_step(rig, strategy)


def test_close_waits_in_silence_for_a_sandbox_and_leaves_once_that_is_over() -> None:
    def hold_back(strategy: Scripted) -> Iterable[Intent]:
        strategy.context.guard.withheld[REOPENING] = "the sandbox holds nothing yet"
        return [CloseIntent(instrument_id=BTC)]

    def let_go(strategy: Scripted) -> Iterable[Intent]:
        del strategy.context.guard.withheld[REOPENING]
        return [CloseIntent(instrument_id=BTC)]

    rig, _ = desk({2: buy, 4: hold_back, 5: let_go})
    (refused,) = rig.guard.refusals
    assert (refused.limit, refused.line) == (REOPENING, "the sandbox holds nothing yet")
    assert [o.status for o in rig.context.ledger.orders.values()] == ["FILLED", "FILLED"]
    assert rig.quantity() == 0


def test_halt_is_not_enforced_where_nothing_is_sent() -> None:
    def halt(strategy: Scripted) -> None:
        strategy.context.guard.halt("to see", strategy.now())

    rig, strategy = desk({2: bid, 4: silent(halt)})
    (order,) = rig.context.ledger.orders.values()
    assert order.status == "ACCEPTED"
    assert rig.guard.refusals == []
    assert_in_step(rig, strategy)


TERMS = OrderTerms(
    client_order_id="x", instrument_id=BTC, side="BUY", kind="MARKET", quantity=Decimal("0.010")
)


@pytest.mark.parametrize(
    "command",
    [
        lambda port: port.submit(TERMS),
        lambda port: port.modify("x", BTC, Decimal("0.010"), None, None),
        lambda port: port.cancel("x"),
        lambda port: port.carry_out(lambda: None),
    ],
)
def test_command_that_came_past_all_refusals_ends_the_run_and_is_not_sent(
    command: Callable[[EnginePort], None],
) -> None:
    def around(strategy: Scripted) -> None:
        context = strategy.context
        command(EnginePort(strategy, context.instruments, context.guard, strategy.answering.update))

    rig, _ = desk({2: silent(around)})
    (failure,) = rig.state.failures
    assert failure.error.startswith(RunError.__name__)
    assert "was about to be sent, must not be: nothing is sent" in failure.error
    assert rig.engine.cache.orders() == []
