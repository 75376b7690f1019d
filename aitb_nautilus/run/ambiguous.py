"""Bars that touch both the stop and the target of a position.

A bar does not say which came first. The engine goes from open to high to low to close, which gives
a long its profit first and a short its loss. Here one rule holds for both: by default the stop
counts first. Just before such a bar is told to the venue, the order that must not win is moved out
of the bar's range; the other one then fills, and the strategy cancels its sibling as always. If it
does not, the order goes back to its own price right after the bar. Each target counts by itself,
with what it would close.

This looks one bar ahead on behalf of the *venue*. No strategy sees it: meanwhile the order's new
price is told to nobody, and every table has the strategy's own.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
from nautilus_trader.model import ClientOrderId
from nautilus_trader.trading import Strategy
from numpy.typing import NDArray

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import ORDER_SENT, OrderSent
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import Settings

__all__ = ["AmbiguousBars", "AmbiguousExit", "Rule"]

Rule = Literal["stop_first", "target_first"]

_WINDOW = 2048
"""Bars that are searched at once for the next ambiguous one."""


class AmbiguousExit(msgspec.Struct, frozen=True):
    """One bar that touched both exits of a position.

    Attributes
    ----------
    quantity
        What both orders would close, base currency, > 0.
    entry_price, stop_price, target_price
        Quote currency.
    direction
        +1 for a long, -1 for a short.
    """

    ts: int
    strategy_id: str
    instrument_id: str
    quantity: float
    direction: int
    entry_price: float
    stop_price: float
    target_price: float

    def pnl(self, exit_price: float) -> float:
        """Return the profit of leaving at a price, before costs, quote currency."""
        return self.direction * self.quantity * (exit_price - self.entry_price)


class AmbiguousBars(GuardedActor):
    """Settle ambiguous bars by one rule, and count them.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    rule
        Which exit counts first.
    frames
        All bars of the run by instrument id.
    latency_ns
        Latency by venue name, ns.
    strategies
        The engine's strategies by id.
    touch_venues
        Venues where a limit order fills on touch.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        *,
        rule: Rule,
        frames: Mapping[str, BarFrame],
        latency_ns: Mapping[str, int],
        strategies: Mapping[str, Strategy],
        touch_venues: frozenset[str],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._rule = rule
        self._frames = frames
        self._latency_ns = latency_ns
        self._strategies = strategies
        self._touch_venues = touch_venues
        self._awaited: dict[str, int] = {}
        self.exits: list[AmbiguousExit] = []

    def on_start(self) -> None:
        """Listen to commands: what rests changes only after one was sent."""
        self.subscribe_topic(ORDER_SENT, self._on_sent)

    def _on_sent(self, message: object) -> None:
        assert isinstance(message, OrderSent)  # noqa: S101 - the topic carries nothing else
        if message.action != "cancel":
            self._look_at(message.instrument_id, self._next_bar(message.instrument_id))

    def _next_bar(self, instrument_id: str) -> int:
        """Return the index of the next bar that a change sent now would still reach."""
        closes = self._frames[instrument_id].ts_close
        return int(np.searchsorted(closes, self.now() + self._lead(instrument_id), side="right"))

    def _lead(self, instrument_id: str) -> int:
        return self._latency_ns[venue_name(instrument_id)] + 2

    def _look_at(self, instrument_id: str, index: int) -> None:
        """Wake up shortly before a bar is told, early enough for a change to arrive."""
        closes = self._frames[instrument_id].ts_close
        if index < len(closes) and self._awaited.get(instrument_id) != index:
            self._awaited[instrument_id] = index
            alert = int(closes[index]) - self._lead(instrument_id)
            look = functools.partial(self._look, instrument_id, index)
            self.clock.set_time_alert_ns(f"look-{instrument_id}-{alert}", alert, callback=look)

    def _look(self, instrument_id: str, index: int, _: object) -> None:
        """Settle one bar, then wake up before the next one that resting exits make ambiguous."""
        if self._awaited.get(instrument_id) != index:
            return
        pairs = self._pairs(instrument_id)
        closes = self._frames[instrument_id].ts_close
        this = slice(index, index + 1)
        touched = [(s, t) for s, t in pairs if self._reach_both(s, t, this)[0]]
        for stop, target in touched:
            # A stop that closes more than the targets cannot be held aside for them: what they
            # leave would miss it. It then counts first, which is the worse of the two.
            room = sum((t.leaves for s, t in touched if s is stop), ZERO)
            self._settle(stop, target, index, may_wait=room >= stop.leaves)
        upcoming = slice(index + 1, index + 1 + _WINDOW)
        if pairs and upcoming.start < len(closes):
            either = np.logical_or.reduce([self._reach_both(s, t, upcoming) for s, t in pairs])
            hits = np.flatnonzero(either)
            offset = int(hits[0]) if len(hits) else len(either)
            self._look_at(instrument_id, min(upcoming.start + offset, len(closes) - 1))

    def _pairs(self, instrument_id: str) -> list[tuple[Order, Order]]:
        """Return each resting stop with each resting target of the same position."""
        resting = [
            o
            for o in self.context.ledger.open_orders(instrument_id)
            if o.reduce_only and o.status == "ACCEPTED"
        ]
        return [
            (stop, target)
            for stop in resting
            for target in resting
            if stop.is_stop
            and target.kind == "LIMIT"
            and (stop.strategy_id, stop.side) == (target.strategy_id, target.side)
        ]

    def _reach_both(self, stop: Order, target: Order, bars: slice) -> NDArray[np.bool_]:
        """Return which bars touch the stop and fill the target."""
        frame = self._frames[stop.instrument_id]
        low, high = frame.low[bars], frame.high[bars]
        trigger, price = stop.trigger_price or 0.0, target.price or 0.0
        touch = venue_name(stop.instrument_id) in self._touch_venues
        if stop.side == "SELL":
            reached = high >= price if touch else high > price
        else:
            reached = low <= price if touch else low < price
        both: NDArray[np.bool_] = reached & (low <= trigger) & (trigger <= high)
        return both

    def _settle(self, stop: Order, target: Order, index: int, *, may_wait: bool) -> None:
        frame = self._frames[stop.instrument_id]
        is_long = stop.side == "SELL"
        position = self.context.ledger.position(stop.strategy_id, stop.instrument_id)
        self.exits.append(
            AmbiguousExit(
                int(frame.ts_close[index]),
                stop.strategy_id,
                stop.instrument_id,
                float(min(stop.leaves, target.leaves)),
                1 if is_long else -1,
                position.average_price,
                stop.trigger_price or 0.0,
                target.price or 0.0,
            )
        )
        # High comes before low in the engine: only these two cases would come out wrong.
        beyond = float(frame.high[index]) + 2 * self.context.tick_size(stop.instrument_id)
        if is_long and self._rule == "stop_first":
            self._hold(target, int(frame.ts_close[index]), price=beyond)
        elif not is_long and self._rule == "target_first" and may_wait:
            self._hold(stop, int(frame.ts_close[index]), trigger_price=beyond)

    def _hold(
        self,
        order: Order,
        until: int,
        *,
        price: float | None = None,
        trigger_price: float | None = None,
    ) -> None:
        """Move an order out of the way, and put it back once the bar was told."""
        if order.client_order_id in self.context.aside:
            return
        self.context.aside.add(order.client_order_id)
        self._move(order, price=price, trigger_price=trigger_price)
        back = functools.partial(
            self._put_back,
            order,
            price=None if price is None else order.price,
            trigger_price=None if trigger_price is None else order.trigger_price,
        )
        # At one and the same time the engine tells the bar before it looks at timers.
        self.clock.set_time_alert_ns(f"back-{order.client_order_id}", until, callback=back)

    def _put_back(
        self, order: Order, _: object, *, price: float | None, trigger_price: float | None
    ) -> None:
        self.context.aside.discard(order.client_order_id)
        known = self.cache.order(ClientOrderId(order.client_order_id))
        if known is None or known.is_pending_cancel or known.is_pending_update:
            return
        if known.is_open:
            self._move(order, price=price, trigger_price=trigger_price)

    def _move(
        self, order: Order, *, price: float | None = None, trigger_price: float | None = None
    ) -> None:
        instrument = self.context.instruments[order.instrument_id]
        trigger = None if trigger_price is None else instrument.make_price(trigger_price)
        with self.context.guard.permits.announced_modify(order.client_order_id):
            Strategy.modify_order(
                self._strategies[order.strategy_id],
                ClientOrderId(order.client_order_id),
                price=None if price is None else instrument.make_price(price),
                trigger_price=trigger,
            )
        sent = OrderSent(
            order.strategy_id, order.instrument_id, order.client_order_id, "modify", self.now()
        )
        self.publish_message(ORDER_SENT, sent)
