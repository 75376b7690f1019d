"""Take a recorded decision again, with the limits that the run had, and say what differs."""

from __future__ import annotations

from typing import Any

import msgspec

from aitb_nautilus.messages import ModifyIntent
from aitb_nautilus.risk.branch import Branch
from aitb_nautilus.risk.recorded import Wish

__all__ = ["Difference", "decide_again", "was_judged_first"]

_EQUAL = 1e-9
"""Equity is a sum over positions; in another order it may differ in its last digits."""


class Difference(msgspec.Struct, frozen=True):
    """A decision that was not taken again as it was: what of it differs.

    Attributes
    ----------
    seq
        Number of the record of the decision.
    recorded, again
        What was written, and what came out now.
    """

    seq: int
    ts: int
    strategy_id: str
    instrument_id: str
    what: str
    recorded: str
    again: str


def was_judged_first(wish: Wish) -> bool:
    """Return whether the limits were asked before an order was refused for its id.

    Those that count orders have counted it then.
    """
    decided = wish.decided
    return decided.outside and decided.limit == "id" and not decided.whole


def decide_again(own: Branch, wish: Wish) -> Difference | None:
    """Decide once more, and return the first thing that is not as it was recorded.

    Compared is what the guard saw, and what it said: quantity, limit and line.
    """
    recorded, ledger, instrument_id = wish.decided, own.ledger, wish.instrument_id
    equity = ledger.equity()
    if recorded.equity is not None and abs(recorded.equity - equity) <= _EQUAL * abs(equity):
        equity = recorded.equity
    seen: dict[str, tuple[Any, Any]] = {
        "state": (recorded.state, own.guard.states.level(wish.strategy_id, instrument_id)),
        "mark": (recorded.mark, ledger.marks.get(instrument_id)),
        "position": (recorded.position, own.held(wish.strategy_id, instrument_id)),
        "open orders": (recorded.open_orders, ledger.open_order_count()),
        "equity": (recorded.equity, equity),
    }
    is_change = isinstance(wish.intent, ModifyIntent)
    if is_change and wish.client_order_id not in ledger.orders:
        seen["order"] = (wish.client_order_id, None)
    elif is_change or not recorded.outside or was_judged_first(wish):
        decision = own.judge(wish, wish.intent)
        if not recorded.outside:
            seen["quantity"] = (recorded.quantity, decision.quantity)
            seen["limit"] = (recorded.limit, decision.limit)
            if recorded.limit != "state":  # It names the command that lifts it where there is one.
                seen["line"] = (recorded.line, decision.line)
            seen["reducing"] = (recorded.reducing, decision.reducing)
    for what, (was, is_) in seen.items():
        if was != is_:
            return Difference(
                wish.seq, wish.ts, wish.strategy_id, instrument_id, what, str(was), str(is_)
            )
    return None
