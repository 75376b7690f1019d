"""Stops, targets, trailing and time exits, managed order by order.

No linked orders are used, so the same exits work where a venue refuses them (Binance futures does).
A stop and the nearest target rest at the venue as reduce-only orders from the entry's first fill
on; what trails moves the resting stop at closed bars; when a target has filled, the next one
follows; when the position is gone, what still rests is cancelled. Where they stand is decided in
`exit_levels`, the same in every mode.

Targets rest one at a time, since simulated venues set every other reduce-only order to what is left
of the position when one of them fills: right for the stop, and wrong for a target that is to close
a part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    OrderIntent,
    OrderUpdate,
    Side,
)
from aitb_nautilus.risk.book import ZERO, Order, Position
from aitb_nautilus.risk.exit_fitting import bring_to, cancel_again
from aitb_nautilus.risk.exit_levels import ExitLevels, ExitState, Rung
from aitb_nautilus.risk.exit_retries import ExitRetries, GiveUp
from aitb_nautilus.risk.exit_settings import Exits
from aitb_nautilus.risk.guard import LotRules
from aitb_nautilus.risk.view import View

__all__ = ["ExitManager"]

_FORGOTTEN = 10
"""After so many times its bars, an average keeps less than a ten-thousandth of its beginning."""


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
    lots
        Steps of quantities.
    halt
        Told where the venue takes neither stop nor close; see `ExitRetries`.
    """

    def __init__(
        self,
        exits: Exits,
        view: View,
        instrument_id: str,
        tick: float,
        lots: LotRules,
        *,
        halt: GiveUp,
    ) -> None:
        self._exits = exits
        self._view = view
        self._instrument_id = instrument_id
        self._tick = tick
        self._lots = lots
        self._levels = ExitLevels(exits, tick, lots)
        self._in_place = False
        self._retries = ExitRetries(halt)
        self._fixed: set[str] = set()

    @property
    def is_ready(self) -> bool:
        """Return whether a position may be opened: all that its exits need is known."""
        return self._levels.is_ready

    @property
    def bars_before(self) -> int:
        """Return after how many bars the average true range has forgotten where it began."""
        return _FORGOTTEN * self._exits.atr_bars if self._exits.needs_atr else 0

    def save(self) -> ExitState:
        """Return what a restart must bring back."""
        return self._levels.save()

    def restore(self, state: ExitState) -> None:
        """Go on from what was saved; the next bar looks whether all exits are in place."""
        self._levels.restore(state)
        self._in_place = False

    def bring_back(self, state: ExitState | None) -> None:
        """Go on from what was saved, if it was saved of the position that is held now.

        Else the position is followed from its average price on. A stop that rests nearer to the
        market than the exits would put it is kept: a restart never loosens one.
        """
        position = self._view.position(self._instrument_id)
        self._in_place = False
        if position.quantity == 0:
            return
        if state is not None:
            self._levels.go_on(state, position)
        if self.is_ready and self._levels.is_new(position):
            self._levels.begin(position, position.average_price)
        self._keep_resting_stop(position)

    def protect(self) -> Iterator[Intent]:
        """Place what is missing, as far as it is known before the past is told; close nothing.

        What exits cannot know before, such as a range that nothing remembers, comes by `resume`.
        """
        position = self._view.position(self._instrument_id)
        if position.quantity:
            yield from self._place(position)

    def _keep_resting_stop(self, position: Position) -> None:
        if self._levels.is_new(position):
            return
        for order in self._open():
            if order.is_stop and order.trigger_price is not None:
                self._levels.keep_stop(order.trigger_price, order.purpose)

    def resume(self, bars: Iterable[BarClosed]) -> Iterator[Intent]:
        """Take in what closed since, and place what is missing; after `bring_back`.

        Parameters
        ----------
        bars
            Of the instrument, oldest first; those that were taken in before are passed over.
        """
        position, levels = self._view.position(self._instrument_id), self._levels
        if position.quantity == 0:
            return
        if levels.is_new(position):
            levels.begin(position, position.average_price)
            self._keep_resting_stop(position)
        levels.know_range(position)
        for bar in bars:
            if bar.ts >= position.ts_opened and bar.ts > levels.state.ts:
                levels.take_bar(position, bar)
        mark = self._view.mark(self._instrument_id)
        if self._exits.max_bars is not None and levels.state.bars_held >= self._exits.max_bars:
            yield from self._leave("exit:time")
        elif mark is not None and levels.is_beyond(mark) and not self._is_passed(mark):
            yield from self._leave(levels.state.stop_purpose)
        else:
            yield from self._place(position)

    def payoff(self, price: float) -> tuple[float, float] | None:
        """Return what an entry at a price wins at the targets and loses at the stop, as fractions.

        None if one of the two is not known.
        """
        return self._levels.payoff(price)

    def measure(self, bar: BarClosed) -> None:
        """Take in a closed bar, whether anything is held or not."""
        self._levels.measure(bar)

    def on_fill(self, fill: Fill) -> Iterator[Intent]:
        """Answer a fill: place exits for what is open, cancel them once it is closed."""
        self._in_place = False
        self._retries.renew()
        position = self._view.position(self._instrument_id)
        if position.quantity == 0:
            self._levels.end()
            yield from self.cancel_all()
            return
        if self._levels.is_new(position):
            self._levels.begin(position, fill.price)
            yield from self._cancel_wrong_side(position)
        else:
            order = self._view.order(fill.client_order_id)
            self._levels.take_fill(position, fill, "" if order is None else order.purpose)
        yield from self._place(position)

    def on_bar(self, bar: BarClosed) -> Iterator[Intent]:
        """Answer a closed bar: move the stop, or leave if the time is over or the stop is passed.

        A stop that would stand at the close or beyond it is not sent, since venues refuse such a
        one; the position is closed at the market in its stead. One that rests beyond the close is
        left to the venue, whose fill is on its way. Bars of the past that are told again, and those
        from before the position was opened, do not count.
        """
        self.measure(bar)
        self._retries.renew()
        position = self._view.position(self._instrument_id)
        if position.quantity == 0 or bar.ts < position.ts_opened:
            yield from () if position.quantity else cancel_again(self._open())
            return
        levels = self._levels
        if levels.is_new(position):
            # Opened before this manager was there, such as before a restart without a memory.
            levels.begin(position, position.average_price)
            self._in_place = False
        elif bar.ts <= levels.state.ts:
            return
        moved = levels.take_bar(position, bar)
        if self._exits.max_bars is not None and levels.state.bars_held >= self._exits.max_bars:
            yield from self._leave("exit:time")
            return
        reached = list(self._reached(position, bar))
        if reached or (self._in_place and not moved):
            yield from reached
            return
        if levels.is_beyond(bar.close) and not self._is_passed(bar.close):
            yield from self._leave(levels.state.stop_purpose)
            return
        changed = False
        for change in self._place(position):
            changed = True
            yield change
        self._in_place = not changed and all(o.status == "ACCEPTED" for o in self._open())

    def on_order(self, order: Order, update: OrderUpdate) -> Iterator[Intent]:
        """Answer what became of an order.

        A stop that the venue refused closes the position at once. An exit that it took is fitted to
        what was filled while it was on its way, and a target to what it is for if the venue has
        given it another size. If a close came to nothing, or somebody else cancelled the stop, the
        exits are put back at once, or the position is closed; see `ExitRetries`.
        """
        self._in_place = False
        if not order.reduce_only:
            return
        was_ours = order.ending == "asked by exits"
        if order.is_stop and order.is_open and _is_refusal_of_change(update):
            # Some venues change no conditional order: another one takes its place.
            self._fixed.add(order.client_order_id)
            position = self._view.position(self._instrument_id)
            if position.quantity and not self._is_leaving():
                yield from self._place(position)
            return
        if update.status == "ACCEPTED" and not self._view.quantity(self._instrument_id):
            yield from cancel_again([order])
        if update.status == "ACCEPTED" and order.is_stop:
            for other in self._open():
                if other.client_order_id in self._fixed and other is not order:
                    yield self._cancel(other)
        if update.status in ("REJECTED", "DENIED") and order.is_stop:
            self._retries.may_put_back = False
            yield from self.cancel_all()
            if not self._is_closing():
                yield CloseIntent(instrument_id=self._instrument_id, purpose=order.purpose)
        elif not order.is_open and (order.kind == "MARKET" or (order.is_stop and not was_ours)):
            yield from self._put_back(order, update)
        elif (update.status == "ACCEPTED" or _is_resized(order, update)) and not self._is_leaving():
            position = self._view.position(self._instrument_id)
            if position.quantity:
                yield from self._place(position, only=order)

    def cancel_all(self) -> Iterator[Intent]:
        """Cancel every resting exit."""
        for order in self._open():
            if order.kind != "MARKET":
                yield self._cancel(order)

    def _cancel(self, order: Order) -> CancelIntent:
        return CancelIntent(client_order_id=order.client_order_id, by_exits=True)

    def _put_back(self, order: Order, update: OrderUpdate) -> Iterator[Intent]:
        """Place what is missing, unless a close is on its way; where that cannot be, close."""
        position = self._view.position(self._instrument_id)
        if position.quantity == 0 or self._is_leaving():
            return
        mark = self._view.mark(self._instrument_id) or position.average_price
        if self._retries.may_put_back and not self._levels.is_beyond(mark):
            missing = list(self._place(position))
            self._retries.may_put_back = not missing
            yield from missing
        elif self._levels.stop_price(mark) is not None and not self._has_stop():
            yield from self._retries.close(order, update)

    def _has_stop(self) -> bool:
        return any(o.is_stop and not o.is_ending for o in self._open())

    def _leave(self, purpose: str) -> Iterator[Intent]:
        """Close at the market, once."""
        yield from self.cancel_all()
        if not any(o.purpose == purpose and o.kind == "MARKET" for o in self._open()):
            yield CloseIntent(instrument_id=self._instrument_id, purpose=purpose)

    def _place(self, position: Position, only: Order | None = None) -> Iterator[Intent]:
        """Place what is missing and fit what rests; with `only`, just fit that order."""
        if self._levels.is_new(position):
            return
        side: Side = "SELL" if position.quantity > 0 else "BUY"
        resting = [
            o for o in self._open() if o.side == side and only in (None, o) and not o.is_ending
        ]
        stop = next(
            (o for o in resting if o.is_stop and o.client_order_id not in self._fixed), None
        )
        mark = self._view.mark(self._instrument_id) or position.average_price
        price = self._levels.stop_price(mark)
        if stop is None:
            stop = self._fitting(resting, abs(position.quantity), price)
        if price is not None and (stop is not None or only is None):
            wanted = OrderIntent(
                instrument_id=self._instrument_id,
                side=side,
                kind="STOP_MARKET",
                quantity=abs(position.quantity),
                trigger_price=price,
                reduce_only=True,
                purpose=self._levels.state.stop_purpose,
            )
            yield from self._bring(stop, wanted)
        rung = self._resting_rung(position, price)
        purpose = "" if rung is None else rung.purpose
        targets = [o for o in resting if o.kind == "LIMIT"]
        target = next((o for o in targets if o.purpose == purpose), None)
        for other in targets:
            if other is not target:
                yield self._cancel(other)
        if rung is not None and (target is not None or only is None):
            wanted = OrderIntent(
                instrument_id=self._instrument_id,
                side=side,
                kind="LIMIT",
                quantity=rung.quantity,
                price=rung.price,
                reduce_only=True,
                purpose=purpose,
            )
            yield from self._bring(target, wanted)

    def _bring(self, order: Order | None, wanted: OrderIntent) -> Iterator[Intent]:
        """Place an exit, or bring the one that rests to its terms."""
        yield from bring_to(order, wanted, self._tick)

    def _resting_rung(self, position: Position, stop: float | None) -> Rung | None:  # noqa: ARG002
        """Return the target that should rest beside a stop at this price."""
        return self._levels.rung(position)

    def _reached(self, position: Position, bar: BarClosed) -> Iterator[Intent]:  # noqa: ARG002
        """Close at the market what has reached a target that cannot rest; none of these."""
        return iter(())

    def _fitting(
        self, resting: list[Order], quantity: Decimal, price: float | None
    ) -> Order | None:
        """Return a stop that cannot be changed, and need not be."""
        for order in resting:
            if order.is_stop and order.leaves == quantity and price is not None:
                direction = 1 if order.side == "SELL" else -1
                tighter = direction * (price - (order.trigger_price or 0.0))
                if tighter <= self._tick / 2:
                    return order
        return None

    def _is_passed(self, price: float) -> bool:
        """Return whether a stop rests that the venue has to fill at a price."""
        direction = self._levels.state.direction
        return any(
            o.is_stop and direction * (price - (o.trigger_price or price)) <= 0
            for o in self._open()
        )

    def _is_leaving(self) -> bool:
        """Return whether an exit at the market is on its way."""
        return any(o.kind == "MARKET" for o in self._open())

    def _is_closing(self) -> bool:
        """Return whether market orders on their way close all that is held."""
        leaving = sum((o.leaves for o in self._open() if o.kind == "MARKET"), ZERO)
        return leaving >= abs(self._view.quantity(self._instrument_id))

    def _cancel_wrong_side(self, position: Position) -> Iterator[Intent]:
        """Cancel exits of a position that was turned around."""
        side = "SELL" if position.quantity > 0 else "BUY"
        for order in self._open():
            if order.kind != "MARKET" and order.side != side:
                yield self._cancel(order)

    def _open(self) -> list[Order]:
        """Return the open orders that can only reduce the position, oldest first."""
        return [o for o in self._view.open_orders(self._instrument_id) if o.reduce_only]


def _is_refusal_of_change(update: OrderUpdate) -> bool:
    return update.status is None and update.quantity is None and update.answers_change


def _is_resized(order: Order, update: OrderUpdate) -> bool:
    return order.kind == "LIMIT" and update.quantity is not None
