"""Stops, targets, trailing and time exits, managed order by order.

No linked orders are used, so the same exits work where a venue refuses them (Binance futures does).
A stop and a target rest at the venue as reduce-only orders from the entry's first fill on; trailing
raises the resting stop at closed bars; when one exit fills, the other is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import msgspec

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderUpdate,
    Side,
)
from aitb_nautilus.risk.book import ZERO, Order, Position
from aitb_nautilus.risk.ledger import View
from aitb_nautilus.settings import Settings

__all__ = ["ExitManager", "Exits"]

Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Exits(Settings, frozen=True):
    """How a position ends besides the strategy's own signal. Absent means not used.

    Attributes
    ----------
    stop_frac
        Stop this far against the entry price, as a fraction of it.
    target_frac
        Take profit this far in favour of the entry price, as a fraction of it.
    trailing_frac
        Stop this far from the best close since entry, as a fraction of that close; never moved
        back.
    max_bars
        Close at the market after so many bars.
    """

    stop_frac: Fraction | None = None
    target_frac: Annotated[float, msgspec.Meta(gt=0)] | None = None
    trailing_frac: Fraction | None = None
    max_bars: Annotated[int, msgspec.Meta(ge=1)] | None = None


class ExitManager:
    """Keep the exits of one strategy's position in one instrument as they should be.

    Parameters
    ----------
    exits
        Which exits to keep.
    view
        The strategy's view.
    instrument_id
        The instrument.
    tick
        Step of prices, quote currency; a stop moves only by whole ticks.
    """

    def __init__(self, exits: Exits, view: View, instrument_id: str, tick: float) -> None:
        self._exits = exits
        self._view = view
        self._instrument_id = instrument_id
        self._tick = tick
        self._bars_held = 0
        self._best_close = 0.0
        self._opened = 0
        self._in_place = False

    def on_fill(self, fill: Fill) -> Iterator[Intent]:
        """Answer a fill: place exits for what is open, cancel them once it is closed."""
        self._in_place = False
        position = self._view.position(self._instrument_id)
        if position.quantity == 0:
            self._opened = 0
            yield from self.cancel_all()
            return
        if position.ts_opened != self._opened:
            self._opened = position.ts_opened
            self._bars_held = 0
            self._best_close = fill.price
            yield from self._cancel_wrong_side(position)
        yield from self._place(position)

    def on_bar(self, bar: BarClosed) -> Iterator[Intent]:
        """Answer a closed bar: raise a trailing stop, close after the last bar allowed."""
        position = self._view.position(self._instrument_id)
        if position.quantity == 0:
            return
        self._bars_held += 1
        is_better = (bar.close > self._best_close) == (position.quantity > 0)
        if is_better:
            self._best_close = bar.close
        if self._exits.max_bars is not None and self._bars_held >= self._exits.max_bars:
            yield from self.cancel_all()
            if not any(o.purpose == "exit:time" for o in self._open()):
                yield CloseIntent(instrument_id=self._instrument_id, purpose="exit:time")
            return
        if self._in_place and not (is_better and self._exits.trailing_frac is not None):
            return
        changes = list(self._place(position))
        self._in_place = not changes and all(o.status == "ACCEPTED" for o in self._open())
        yield from changes

    def on_order(self, order: Order, update: OrderUpdate) -> Iterator[Intent]:
        """Answer what became of an order.

        A stop that the venue refused closes the position at once. An exit that it took is fitted to
        what was filled while it was on its way.
        """
        self._in_place = False
        if not order.reduce_only:
            return
        if update.status in ("REJECTED", "DENIED") and order.is_stop:
            yield from self.cancel_all()
            if not self._is_closing():
                yield CloseIntent(instrument_id=self._instrument_id, purpose=order.purpose)
        elif update.status == "ACCEPTED" and not any(o.kind == "MARKET" for o in self._open()):
            position = self._view.position(self._instrument_id)
            if position.quantity:
                yield from self._place(position, only=order)

    def cancel_all(self) -> Iterator[Intent]:
        """Cancel every resting exit."""
        for order in self._open():
            if order.kind != "MARKET":
                yield CancelIntent(client_order_id=order.client_order_id)

    def _place(self, position: Position, only: Order | None = None) -> Iterator[Intent]:
        """Place what is missing and fit what rests; with `only`, just fit that order."""
        side: Side = "SELL" if position.quantity > 0 else "BUY"
        quantity = abs(position.quantity)
        resting = [o for o in self._open() if o.side == side and only in (None, o)]
        stop = next((o for o in resting if o.is_stop), None)
        target = next((o for o in resting if o.kind == "LIMIT"), None)
        stop_price, purpose = self._stop_price(position)
        if stop_price is not None and (stop is not None or only is None):
            yield from self._sync(stop, side, quantity, stop_price, is_stop=True, purpose=purpose)
        if self._exits.target_frac is not None and (target is not None or only is None):
            direction = 1 if position.quantity > 0 else -1
            price = position.average_price * (1 + direction * self._exits.target_frac)
            yield from self._sync(
                target, side, quantity, price, is_stop=False, purpose="exit:target"
            )

    def _sync(
        self,
        order: Order | None,
        side: Side,
        quantity: Decimal,
        price: float,
        *,
        is_stop: bool,
        purpose: str,
    ) -> Iterator[Intent]:
        if order is None:
            yield OrderIntent(
                instrument_id=self._instrument_id,
                side=side,
                kind="STOP_MARKET" if is_stop else "LIMIT",
                quantity=quantity,
                price=None if is_stop else price,
                trigger_price=price if is_stop else None,
                reduce_only=True,
                purpose=purpose,
            )
            return
        if order.status != "ACCEPTED":
            return
        resting = (order.trigger_price if is_stop else order.price) or 0.0
        tighter = (price - resting) * (1 if side == "SELL" else -1)
        moved = (tighter if is_stop else abs(tighter)) >= self._tick
        if moved or order.leaves != quantity:
            yield ModifyIntent(
                client_order_id=order.client_order_id,
                quantity=order.filled + quantity if order.leaves != quantity else None,
                price=price if moved and not is_stop else None,
                trigger_price=price if moved and is_stop else None,
                purpose=purpose,
            )

    def _stop_price(self, position: Position) -> tuple[float | None, str]:
        """Return the tightest stop price, and which exit asks for it."""
        direction = 1 if position.quantity > 0 else -1
        tighter = max if direction > 0 else min
        price: float | None = None
        purpose = "exit:stop"
        if self._exits.stop_frac is not None:
            price = position.average_price * (1 - direction * self._exits.stop_frac)
        if self._exits.trailing_frac is not None:
            trailing = self._best_close * (1 - direction * self._exits.trailing_frac)
            if price is None or tighter(price, trailing) != price:
                price, purpose = trailing, "exit:trailing"
        return price, purpose

    def _is_closing(self) -> bool:
        """Return whether market orders on their way close all that is held."""
        leaving = sum((o.leaves for o in self._open() if o.kind == "MARKET"), ZERO)
        return leaving >= abs(self._view.quantity(self._instrument_id))

    def _cancel_wrong_side(self, position: Position) -> Iterator[Intent]:
        """Cancel exits of a position that was turned around."""
        side = "SELL" if position.quantity > 0 else "BUY"
        for order in self._open():
            if order.kind != "MARKET" and order.side != side:
                yield CancelIntent(client_order_id=order.client_order_id)

    def _open(self) -> list[Order]:
        """Return the open orders that can only reduce the position, oldest first."""
        return [o for o in self._view.open_orders(self._instrument_id) if o.reduce_only]
