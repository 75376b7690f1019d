"""Fills of an order that we have not seen, from what its venue says of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from aitb_nautilus.messages import Fill, Side
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder

__all__ = ["missed_fills", "needs_trades", "unknown_fee_of"]

_UNSEEN = "unseen-"


def needs_trades(ledger: Ledger, side: Side, instrument_id: str) -> bool:
    """Return whether what an order has brought cannot be counted without its trades.

    Such as what was bought on a spot market: its fee is taken from that, and only the fill says
    how much it was.
    """
    return side == "BUY" and ledger.is_spot(instrument_id)


def missed_fills(
    ledger: Ledger, known: Order, order: VenueOrder, fills: Sequence[VenueFill], now: int
) -> list[Fill]:
    """Return the fills that a ledger has not seen, and one for what no fill explains.

    None for what no fill explains of an order that `needs_trades`.

    Parameters
    ----------
    known, order
        As the ledger and as the venue has it.
    fills
        All fills of the order that the venue tells.
    now
        ns UTC.
    """
    client_order_id = known.client_order_id
    before = [f for f in ledger.fills if f.client_order_id == client_order_id]
    trades = {trade for name, trade in ledger.trades() if name == client_order_id}
    # A sum that was taken before stands for fills that the venue did not list then.
    summed = any(name.startswith(_UNSEEN) for name in trades)
    news = [fill for fill in fills if fill.trade_id not in trades]
    if summed or known.filled >= order.filled:
        news = []
    missed = [_fill(known, fill) for fill in news]
    told = [*before, *missed]
    rest = order.filled - known.filled - sum((fill.quantity for fill in missed), ZERO)
    if rest > 0 and not needs_trades(ledger, known.side, known.instrument_id):
        price = _price_of_rest(order, told, rest)
        name = f"{_UNSEEN}{order.venue_order_id or client_order_id}-{order.filled}"
        unseen = VenueFill(trade_id=name, price=price, quantity=rest, ts=order.ts or now)
        missed.append(_fill(known, unseen))
    return missed


def unknown_fee_of(fills: Sequence[VenueFill], missed: Sequence[Fill]) -> str:
    """Return why trading must halt after fills that were missed: their fee is not known.

    Empty if it is.
    """
    news = {fill.trade_id for fill in missed}
    unknown = (f.unknown_fee for f in fills if f.unknown_fee and f.trade_id in news)
    return next(unknown, "")


def _fill(known: Order, fill: VenueFill) -> Fill:
    return Fill(
        known.strategy_id,
        known.instrument_id,
        known.client_order_id,
        fill.trade_id,
        fill.ts,
        known.side,
        fill.price,
        fill.quantity,
        fill.fee,
        fill.liquidity,
        fill.base_fee,
        fill.fee_elsewhere,
    )


def _price_of_rest(order: VenueOrder, told: Sequence[Fill], rest: Decimal) -> float:
    """Return the price at which the rest was filled, so that all of it has the average price."""
    if order.average_price is not None:
        spent = order.average_price * float(order.filled)
        price = (spent - sum(f.price * float(f.quantity) for f in told)) / float(rest)
        if price > 0:
            return price
    return order.price or order.trigger_price or (told[-1].price if told else 0.0)
