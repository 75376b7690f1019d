"""Exits where a resting sale locks what it would sell, and cannot be changed: on a spot market.

One order rests, and it is the stop. A target beside it could not: for the same coins a venue takes
a second sale only as a linked pair. So a target is followed by the node. Where a bar closes at it
or beyond it, what it is for is sold at the market; the stop is cancelled for that, and placed again
for what is left. Without a stop the target rests.

A stop that is to move, or to grow, is cancelled; its successor leaves once it is gone (`Locks`).

A venue judges a stop by its trigger price, and takes none that would be worth too little. Where
that is so, the position is closed at once; while its entry is still being filled, the rest of it is
waited for. A part at a target is the whole where the rest would be left without a stop.
"""

from __future__ import annotations

from collections.abc import Iterator

from aitb_nautilus.messages import BarClosed, CloseIntent, Intent, OrderIntent, OrderUpdate
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
        # An entry that ends may leave something that has waited for the rest of it.
        ended = not order.is_open and (order.reduce_only or order.side == "BUY")
        if ended and not self._is_replacing and not self._has_stop():
            yield from self._put_back(order, update)

    def _bring(self, order: Order | None, wanted: OrderIntent) -> Iterator[Intent]:
        if order is None:
            if self._is_too_small(wanted):
                if not (self._is_closing() or self._is_entering()):
                    yield CloseIntent(instrument_id=self._instrument_id, purpose=wanted.purpose)
            elif not self._is_closing():
                yield wanted
        elif order.status == "ACCEPTED" and differs(order, wanted, self._tick):
            self._is_replacing = True  # A venue may answer the cancel before the next line.
            yield self._cancel(order)
            self._is_replacing = False
            yield wanted

    def _is_too_small(self, stop: OrderIntent) -> bool:
        """Return whether the venue takes no such stop."""
        quantity, price = stop.quantity, stop.trigger_price
        return bool(quantity and price and self._lots.is_too_small(quantity, price))

    def _is_entering(self) -> bool:
        """Return whether more is being bought."""
        return any(o.side == "BUY" for o in self._view.open_orders(self._instrument_id))

    def _resting_rung(self, position: Position, stop: float | None) -> Rung | None:
        return self._levels.rung(position) if stop is None else None

    def _reached(self, position: Position, bar: BarClosed) -> Iterator[Intent]:
        rung = self._levels.rung(position)
        mark = self._view.mark(self._instrument_id) or bar.close
        stop = self._levels.stop_price(mark)
        if rung is None or stop is None or bar.close < rung.price or self._is_leaving():
            return
        rest, lots = position.quantity - rung.quantity, self._lots
        is_whole = lots.is_too_small(rest, stop) or lots.is_too_small(rung.quantity, bar.close)
        yield OrderIntent(
            instrument_id=self._instrument_id,
            side="SELL",
            quantity=position.quantity if is_whole else rung.quantity,
            reduce_only=True,
            purpose=rung.purpose,
        )
