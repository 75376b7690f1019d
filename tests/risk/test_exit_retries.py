"""What follows when a venue takes neither the stop nor the close."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from aitb_nautilus.messages import Fill, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.exit_retries import ExitRetries, halt_flat
from aitb_nautilus.risk.trading_states import Halt
from tests.risk.rig import BTC, T0, make_context

CLOSE = Order(
    client_order_id="o2",
    strategy_id="ema-001",
    instrument_id=BTC,
    side="SELL",
    kind="MARKET",
    quantity=Decimal(1),
    price=None,
    trigger_price=None,
    reduce_only=True,
    purpose="exit:signal",
    ts_sent=T0,
    is_exit=True,
)
REFUSED = OrderUpdate("o2", BTC, T0 + 1, "REJECTED", reason="ReduceOnly Order is rejected.")


@pytest.fixture
def asked() -> list[Halt]:
    return []


def context_that_asks(asked: list[Halt], answer: bool) -> Context:
    def ask(order: Order, halt: Halt) -> bool:
        assert order is CLOSE
        asked.append(halt)
        return answer

    context = make_context()
    msgspec.structs.force_setattr(context, "ask_held", ask)
    return context


def test_strategy_is_halted_flat_at_once_where_nobody_can_be_asked() -> None:
    context = make_context()
    halt_flat(context)(CLOSE, REFUSED, True)
    (halt,) = context.guard.halts
    assert context.guard.states.flattens("ema-001", BTC)
    assert (halt.scope.id, halt.flatten, halt.ts, halt.who) == ("ema", True, T0 + 1, "exits")
    assert halt.reason == (
        f"ema-001 holds {BTC} without a stop, and the venue has refused the close as well (o2: "
        f"ReduceOnly Order is rejected.); it is closed once a second until that is done"
    )


def test_venue_is_asked_before_and_is_given_the_halt_that_may_follow(asked: list[Halt]) -> None:
    context = context_that_asks(asked, answer=True)
    halt_flat(context)(CLOSE, REFUSED, True)
    assert context.guard.halts == []
    plain = make_context()
    halt_flat(plain)(CLOSE, REFUSED, True)
    assert asked == plain.guard.halts


def test_venue_that_cannot_be_asked_changes_nothing(asked: list[Halt]) -> None:
    context = context_that_asks(asked, answer=False)
    halt_flat(context)(CLOSE, REFUSED, True)
    assert context.guard.halts == asked
    # A strategy that is halted flat already is closed all the same: nobody is asked again.
    halt_flat(context)(CLOSE, REFUSED, True)
    assert len(asked) == 1


def enter(context: Context, strategy_id: str) -> None:
    context.ledger.apply_fill(
        Fill(strategy_id, BTC, "e", f"t-{strategy_id}", T0, "BUY", 100.0, Decimal(1), 0.0, "TAKER")
    )


@pytest.mark.parametrize("answer", [True, False], ids=["can be asked", "cannot be asked"])
@pytest.mark.parametrize("other", ["", "holds", "enters"])
def test_second_close_waits_for_the_venue_where_another_strategy_has_the_instrument(
    asked: list[Halt], answer: bool, other: str
) -> None:
    """It would sell what the other one holds, if ours is gone already."""
    context = context_that_asks(asked, answer)
    enter(context, "ema-001")
    if other == "holds":
        enter(context, "two-002")
    if other == "enters":
        entry = Order(
            client_order_id="entry",
            strategy_id="two-002",
            instrument_id=BTC,
            side="BUY",
            kind="MARKET",
            quantity=Decimal(1),
            price=None,
            trigger_price=None,
            reduce_only=False,
            purpose="entry",
            ts_sent=T0,
        )
        context.ledger.apply_order(entry)
    retries = ExitRetries(halt_flat(context))
    closes = list(retries.close(CLOSE, REFUSED))
    assert context.guard.halts == []
    waits = bool(other) and answer
    assert (len(closes), len(asked)) == (0 if waits else 1, 1 if other else 0)
    assert list(retries.close(CLOSE, REFUSED)) == []
    assert context.guard.halts == ([] if answer else asked[-1:])
