"""How the simulated venue treats orders: arrival after latency, slippage, limits.

Two things that the engine leaves open with bars alone are settled here. An order in flight is only
looked at when data or a timer come: `VenueClock` sets a timer at its arrival, so that a stop placed
on a fill lives through the rest of that bar. And a fill's price moves against the taker by a stated
number of basis points: `SlippageFillModel`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Self

from nautilus_trader.common import DataActor
from nautilus_trader.execution import FillModel
from nautilus_trader.model import (
    BookOrder,
    BookType,
    LiquiditySide,
    OrderBook,
    OrderSide,
    OrderType,
    Price,
)

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import ORDER_SENT, OrderSent
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import Settings

__all__ = ["QuoteFillModel", "SlippageFillModel", "VenueClock", "slipped"]

_TRIGGERED = {
    OrderType.STOP_MARKET,
    OrderType.STOP_LIMIT,
    OrderType.MARKET_IF_TOUCHED,
    OrderType.LIMIT_IF_TOUCHED,
    OrderType.TRAILING_STOP_MARKET,
    OrderType.TRAILING_STOP_LIMIT,
}
_LIMITED = {
    OrderType.LIMIT,
    OrderType.STOP_LIMIT,
    OrderType.LIMIT_IF_TOUCHED,
    OrderType.TRAILING_STOP_LIMIT,
}


class VenueClock(GuardedActor):
    """Wake the venue when a command arrives there.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    latency_ns
        Latency by venue name, ns.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        latency_ns: Mapping[str, int],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._latency_ns = latency_ns
        self._last = 0

    def on_start(self) -> None:
        """Listen to commands, also while the run is being stopped: what was sent still arrives."""
        DataActor.subscribe_topic(self, ORDER_SENT, self._on_sent)

    def _on_sent(self, message: object) -> None:
        assert isinstance(message, OrderSent)  # noqa: S101 - the topic carries nothing else
        venue = venue_name(message.instrument_id)
        arrival = self.now() + self._latency_ns[venue]
        if arrival != self._last:
            self._last = arrival
            self.clock.set_time_alert_ns(f"arrival-{arrival}", arrival, callback=_nothing)


class SlippageFillModel(FillModel):
    """Fill takers at the reference price plus slippage, rounded to the tick against them.

    The reference price is the trigger of a stop that was reached inside a bar, and else the last
    price: the open of the next bar for a market order, the open again for a stop that the market
    gapped through. A limit order that crosses the market when it arrives, or when it is triggered,
    is a taker as well, but never fills beyond its price. The book behind it is as deep as the
    order; volume does not bound a fill.

    Parameters
    ----------
    slippage_bps
        Of the reference price, in basis points, >= 0.
    fill_on_touch
        Whether a resting limit order fills at a trade at its price, or only beyond it.
    now
        The engine's time, ns.
    interval_ns
        Length of the bars by instrument id, ns.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Hide the parameters from the engine."""
        return super().__new__(cls)

    def __init__(
        self,
        slippage_bps: float,
        fill_on_touch: bool,
        now: Callable[[], int],
        interval_ns: Mapping[str, int],
    ) -> None:
        self._slippage = Decimal(repr(slippage_bps)) / 10_000
        self._fill_on_touch = fill_on_touch
        self._now = now
        self._interval_ns = interval_ns
        self.references: dict[str, float] = {}
        """Reference price of each filled taker order, quote currency, by client order id."""

    def is_limit_filled(self) -> bool:
        """Return whether a resting limit order fills when its price is touched."""
        return self._fill_on_touch

    def is_slipped(self) -> bool:
        """Return False: slippage is in the book, not a matter of chance."""
        return False

    def get_orderbook_for_fill_simulation(
        self,
        instrument: Any,
        order: Any,
        best_bid: Price | None = None,
        best_ask: Price | None = None,
    ) -> OrderBook | None:
        """Return the book that a taker meets.

        None for a resting limit order: by the engine's own rule it fills at its price.
        """
        if order.liquidity_side == LiquiditySide.MAKER or best_bid is None or best_ask is None:
            return None
        is_buy = order.side == OrderSide.BUY
        if order.order_type in _LIMITED and _was_triggered(order, self._now()):
            return _book(instrument, order, order.price, is_buy=is_buy)
        reference = (best_ask if is_buy else best_bid).as_decimal()
        inside_bar = self._now() % self._interval_ns[str(instrument.id)] == 0
        if inside_bar and order.order_type in _TRIGGERED and order.trigger_price is not None:
            # The engine stands at the bar's extreme now; the market passed the trigger on its way.
            reference = order.trigger_price.as_decimal()
        self.references[str(order.client_order_id)] = float(reference)
        tick = instrument.price_increment.as_decimal()
        price = slipped(reference, self._slippage, tick, is_buy=is_buy)
        if order.order_type in _LIMITED and order.price is not None:
            bound = order.price.as_decimal()
            price = min(price, bound) if is_buy else max(price, bound)
        exact = Price.from_decimal_dp(price, instrument.price_precision)
        return _book(instrument, order, exact, is_buy=is_buy)


class QuoteFillModel(FillModel):
    """Fill at the best bid and ask as the engine has them, and remember what they were.

    A market order takes what is offered there, and what is left of it one tick beyond: what lies
    deeper is not known. A resting limit order fills once the other side of the book has come to its
    price: the two would have met.
    """

    def __init__(self) -> None:
        self.references: dict[str, float] = {}
        """Best price of the other side when a taker met it, by client order id."""

    def is_limit_filled(self) -> bool:
        """Return True: an ask at the price of a resting bid trades with it."""
        return True

    def is_slipped(self) -> bool:
        """Return False: the spread is paid, nothing is left to chance."""
        return False

    def get_orderbook_for_fill_simulation(
        self,
        instrument: Any,  # noqa: ARG002
        order: Any,
        best_bid: Price | None = None,
        best_ask: Price | None = None,
    ) -> OrderBook | None:
        """Note the price that a taker meets; None: the engine's own book fills it."""
        best = best_ask if order.side == OrderSide.BUY else best_bid
        if best is not None and order.liquidity_side != LiquiditySide.MAKER:
            self.references.setdefault(str(order.client_order_id), float(best.as_decimal()))
        return None


def _was_triggered(order: Any, now: int) -> bool:
    """Return whether an order was triggered before, and has waited at its limit since.

    The engine still calls it a taker then.
    """
    triggered = order.ts_triggered if order.order_type in _TRIGGERED else None
    return triggered is not None and triggered < now


def _book(instrument: Any, order: Any, price: Price, *, is_buy: bool) -> OrderBook:
    """Return a book of one level, as deep as the order, on the other side of it."""
    book = OrderBook(instrument.id, BookType.L2_MBP)
    side = OrderSide.SELL if is_buy else OrderSide.BUY
    book.add(BookOrder(side, price, order.quantity, 1), 0, 0, 0)
    return book


def slipped(reference: Decimal, slippage: Decimal, tick: Decimal, *, is_buy: bool) -> Decimal:
    """Return the price of a taker's fill, rounded to the tick against the taker.

    Parameters
    ----------
    reference
        Price without slippage, quote currency.
    slippage
        Fraction of it.
    tick
        Step of prices, quote currency; also the lowest price.
    is_buy
        Side of the order.
    """
    if is_buy:
        return (reference * (1 + slippage) / tick).to_integral_value(ROUND_CEILING) * tick
    return max((reference * (1 - slippage) / tick).to_integral_value(ROUND_FLOOR) * tick, tick)


def _nothing(_: object) -> None:
    """Do nothing: the engine looks at the venue after every timer."""
