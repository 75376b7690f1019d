"""How halts are carried out: opening orders are cancelled, and positions closed where one flattens.

Asked at every bar, at every fill, and by the timer of a live node, so that it also works where no
bar comes. It looks at the ledger alone, and may be asked at any time.
"""

from __future__ import annotations

from collections.abc import Iterator

from aitb_nautilus.messages import CancelIntent, CloseIntent, Intent
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.trading_states import StateScope, TradingStates

__all__ = ["FLATTEN", "Enforcement", "still_open"]

FLATTEN = "exit:flatten"
_AGAIN_NS = 1_000_000_000
"""How long an answer is waited for before the same is sent once more."""


class Enforcement:
    """What one strategy still has to do to obey the trading states.

    Parameters
    ----------
    ledger, states
        Of the trader.
    strategy_id
        Whose orders and positions.
    """

    def __init__(self, ledger: Ledger, states: TradingStates, strategy_id: str) -> None:
        self._ledger = ledger
        self._states = states
        self._strategy_id = strategy_id
        self._sent: dict[str, int] = {}

    def due(self, ts: int) -> list[Intent]:
        """Return what is to be sent now, ns UTC.

        A position that an exit at the market is closing already is left to it. Stops and targets
        stay until the position is gone, and are then cancelled; before that only where a close was
        refused, since on a spot market they may hold what is to be sold.
        """
        if not self._states.in_force:
            return []
        self._sent = {what: at for what, at in self._sent.items() if abs(ts - at) < _AGAIN_NS}
        wanted = [*self._cancels(), *self._closes()]
        intents = [intent for what, intent in wanted if what not in self._sent]
        self._sent |= dict.fromkeys((what for what, _ in wanted if what not in self._sent), ts)
        return intents

    def _cancels(self) -> Iterator[tuple[str, Intent]]:
        """Yield opening orders, and exits of what was closed."""
        me, states = self._strategy_id, self._states
        for order in list(self._ledger.every_open_order()):
            if order.strategy_id != me:
                continue
            if order.is_exit:
                wanted = (
                    order.kind != "MARKET"
                    and states.flattens(me, order.instrument_id)
                    and (self._is_flat(order.instrument_id) or self._refused(order.instrument_id))
                )
            else:
                wanted = states.level(me, order.instrument_id) == "halted"
            if wanted:
                yield order.client_order_id, CancelIntent(client_order_id=order.client_order_id)

    def _closes(self) -> Iterator[tuple[str, Intent]]:
        me = self._strategy_id
        for (owner, instrument_id), position in list(self._ledger.positions.items()):
            if owner != me or not position.quantity:
                continue
            if not self._states.flattens(me, instrument_id) or self._is_leaving(instrument_id):
                continue
            yield instrument_id, CloseIntent(instrument_id=instrument_id, purpose=FLATTEN)

    def _is_flat(self, instrument_id: str) -> bool:
        return not self._ledger.position(self._strategy_id, instrument_id).quantity

    def _refused(self, instrument_id: str) -> bool:
        """Return whether the last order that should have closed a position was not taken."""
        last = next(
            (
                order
                for order in reversed(self._ledger.orders.values())
                if order.purpose == FLATTEN
                and order.instrument_id == instrument_id
                and order.strategy_id == self._strategy_id
            ),
            None,
        )
        return last is not None and last.status in ("REJECTED", "DENIED")

    def _is_leaving(self, instrument_id: str) -> bool:
        return any(
            o.is_exit and o.kind == "MARKET" and o.strategy_id == self._strategy_id
            for o in self._ledger.open_orders(instrument_id)
        )


def still_open(ledger: Ledger, scope: StateScope, *, flatten: bool) -> list[str]:
    """Return what a halt of a scope has not ended yet, a line each: opening orders and positions.

    Parameters
    ----------
    flatten
        Whether positions, and the exits that rest for them, count as well.
    """
    lines = [
        _spelled(order)
        for order in ledger.every_open_order()
        if scope.covers(order.strategy_id, order.instrument_id) and (flatten or not order.is_exit)
    ]
    if flatten:
        lines += [
            f"{strategy_id} holds {position.quantity} {instrument_id}"
            for (strategy_id, instrument_id), position in ledger.positions.items()
            if position.quantity and scope.covers(strategy_id, instrument_id)
        ]
    return lines


def _spelled(order: Order) -> str:
    return (
        f"{order.strategy_id} waits for {order.side} {order.leaves} {order.instrument_id} "
        f"({order.client_order_id})"
    )
