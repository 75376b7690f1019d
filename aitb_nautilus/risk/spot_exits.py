"""Exits where a resting sale locks what it would sell, and cannot be changed: on a spot market.

One order rests, and it is the stop. A target beside it could not: for the same coins a venue takes
a second sale only as a linked pair. So a target is followed by the node. Where a bar closes at it
or beyond it, what it is for is sold at the market; the stop is cancelled for that, and placed again
for what is left. Without a stop the target rests.

A stop that is to move, or to grow, is cancelled; its successor leaves once it is gone (`Locks`).
"""

from __future__ import annotations

from collections.abc import Iterator

from aitb_nautilus.messages import BarClosed, Intent, OrderIntent, OrderUpdate
from aitb_nautilus.risk.book import Order, Position
from aitb_nautilus.risk.exit_fitting import differs
from aitb_nautilus.risk.exit_levels import Rung
from aitb_nautilus.risk.exit_manager import ExitManager

__all__ = ["SpotExitManager"]


class SpotExitManager(ExitManager):
    """Keep the exits of a position on a spot market as they should be; see `ExitManager`."""

    _is_replacing = False

    def on_order(self, order: Order, update: OrderUpdate) -> Iterator[Intent]:
        """Answer what became of an order; no stop stays away because of how another one ended."""
        yield from super().on_order(order, update)
        ended = order.reduce_only and not order.is_open
        if ended and not self._is_replacing and not self._has_stop():
            yield from self._put_back(order, update)

    def _bring(self, order: Order | None, wanted: OrderIntent) -> Iterator[Intent]:
        if order is None:
            if not self._is_closing():
                yield wanted
        elif order.status == "ACCEPTED" and differs(order, wanted, self._tick):
            self._is_replacing = True  # A venue may answer the cancel before the next line.
            yield self._cancel(order)
            self._is_replacing = False
            yield wanted

    def _resting_rung(self, position: Position, stop: float | None) -> Rung | None:
        return self._levels.rung(position) if stop is None else None

    def _reached(self, position: Position, bar: BarClosed) -> Iterator[Intent]:
        rung = self._levels.rung(position)
        mark = self._view.mark(self._instrument_id) or bar.close
        is_followed = self._levels.stop_price(mark) is not None
        if rung is None or not is_followed or bar.close < rung.price or self._is_leaving():
            return
        rest = position.quantity - rung.quantity
        is_whole = self._lots.is_too_small(min(rest, rung.quantity), bar.close)
        yield OrderIntent(
            instrument_id=self._instrument_id,
            side="SELL",
            quantity=position.quantity if is_whole else rung.quantity,
            reduce_only=True,
            purpose=rung.purpose,
        )
