"""An error inside the guard: nothing opens any more, and what closes goes on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from aitb_nautilus.messages import BarClosed, CloseIntent, Fill, ModifyIntent, OrderIntent
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.capture import Failure
from aitb_nautilus.risk.guard import Guard, LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import Limit, Proposal, Verdict
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, Scripted, flat_bars, make_context, run

X = "X.V"
BUY = OrderIntent(instrument_id=X, side="BUY", quantity=Decimal(1))


class Broken(Limit):
    """A limit with a defect."""

    name = "broken"

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        raise ZeroDivisionError("by a defect")


class BrokenLots(dict[str, LotRules]):
    """Rounding rules that cannot be asked: even what needs no limit fails."""

    def __contains__(self, _: object) -> bool:
        raise KeyError("by a defect")


def guard_with(limits: Any = (), lots: Any = None, held: str = "0") -> Guard:
    ledger = Ledger(10_000.0)
    ledger.apply_bar(BarClosed(X, 0, 100.0, 100.0, 100.0, 100.0, 1.0))
    if amount := Decimal(held):
        side: Any = "BUY" if amount > 0 else "SELL"
        ledger.apply_fill(Fill("S-001", X, "F", "T", 0, side, 100.0, abs(amount), 0.0, "TAKER"))
    return Guard(ledger, list(limits), lots or {X: LotRules(Decimal("0.001"))})


def test_limit_that_raises_refuses_the_order_halts_and_is_told() -> None:
    guard, told = guard_with([Broken()]), list[Failure]()
    guard.tell_error = told.append
    decision = guard.judge(BUY, "S-001", 7)
    assert (decision.allowed, decision.limit) == (False, "guard")
    assert decision.line == "S-001.guard raised ZeroDivisionError: by a defect"
    assert guard.state == "halted"
    assert guard.states.in_force[0].cause == "error"
    assert (told[0].ts, told[0].error) == (7, "ZeroDivisionError: by a defect")
    assert "in check" in told[0].trace
    assert guard.refusals == [decision]


@pytest.mark.parametrize("judge", ["judge", "judge_whole"])
@pytest.mark.parametrize(
    ("held", "side", "quantity", "reduce_only", "passes"),
    [
        ("5", "SELL", 5, True, True),
        ("5", "SELL", 2, False, True),
        ("-5", "BUY", 5, False, True),
        ("5", "SELL", 6, True, True),  # reduce-only: the venue takes no more than what is held
        ("5", "SELL", 6, False, False),  # it would turn the position around
        ("5", "BUY", 1, True, False),
        ("5", "BUY", 1, False, False),
        ("0", "SELL", 1, True, False),
        ("0", "BUY", 1, False, False),
    ],
)
def test_guard_that_is_all_broken_lets_pass_what_closes_and_nothing_else(
    judge: str, held: str, side: Any, quantity: int, reduce_only: bool, passes: bool
) -> None:
    guard = guard_with(lots=BrokenLots({X: LotRules(Decimal("0.001"))}), held=held)
    wish = OrderIntent(
        instrument_id=X, side=side, quantity=Decimal(quantity), reduce_only=reduce_only
    )
    decision = getattr(guard, judge)(wish, "S-001", 0)
    assert decision.allowed == passes
    assert decision.quantity == (quantity if passes else 0)
    assert decision.reducing == passes
    assert guard.state == "halted"


@pytest.mark.parametrize(("side", "passes"), [("SELL", True), ("BUY", False)])
def test_change_of_a_stop_passes_and_that_of_an_entry_does_not(side: Any, passes: bool) -> None:
    guard = guard_with(lots=BrokenLots({X: LotRules(Decimal("0.001"))}), held="5")
    order = Order(
        client_order_id="O-1",
        strategy_id="S-001",
        instrument_id=X,
        side=side,
        kind="STOP_MARKET",
        quantity=Decimal(5),
        price=None,
        trigger_price=90.0,
        reduce_only=side == "SELL",
        purpose="",
        ts_sent=0,
    )
    moved = ModifyIntent(client_order_id="O-1", trigger_price=95.0)
    assert guard.judge_modify(moved, order, 0).allowed == passes


def test_strategy_gets_out_in_the_engine_and_the_run_fails() -> None:
    context = make_context()
    strategy = Scripted(Settings(), context, "S-001")
    buy = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.1"))

    def break_it(_: Any) -> Any:
        context.guard.limits = [Broken()]
        context.guard._asked.clear()
        return [buy, CloseIntent(instrument_id=BTC)]

    strategy.steps = {2: lambda _: [buy], 4: break_it, 5: lambda _: [buy]}
    rig = run([strategy], context, flat_bars(8))
    assert len(rig.engine.cache.orders()) == 2
    assert rig.quantity() == 0
    assert rig.guard.state == "halted"
    assert rig.state.failures[0].reason == "S-001.guard raised ZeroDivisionError: by a defect"
