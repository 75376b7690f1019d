"""Ask Binance's USD-M futures for one order by our name of it, open or not.

The engine's adapter brings open orders alone when a node starts: what was filled or cancelled while
no node ran is found by nobody. Orders leave by the engine; of what changes something, only a cancel
is sent here, since the engine sends none of what it thinks is over.

References
----------
Binance, USDⓈ-M futures, Trade REST endpoints: Query Order, Account Trade List, Query Algo Order
(https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api). How the
engine's adapter writes a client order id was read off the orders that it sends.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from aitb_nautilus.messages import OrderKind, OrderStatus, Side
from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.fees import unknown_fee
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder
from aitb_nautilus.run.binance_rest import AskError, BinanceRest, symbol_of, understood
from aitb_nautilus.run.config import VenueSettings

__all__ = [
    "STATUS",
    "BinanceAsker",
    "conditional_order",
    "our_name_of",
    "plain_order",
    "price_of",
    "venue_name_of",
]

_PREFIX = "x-aHRE4BCj-u"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 22
STATUS: dict[str, OrderStatus] = {
    "NEW": "ACCEPTED",
    "PARTIALLY_FILLED": "ACCEPTED",
    "FILLED": "FILLED",
    "CANCELED": "CANCELED",
    "REJECTED": "REJECTED",
    "EXPIRED": "EXPIRED",
    "EXPIRED_IN_MATCH": "EXPIRED",
    # Of a conditional order; once it has woken, the order that it became says the rest.
    "TRIGGERING": "ACCEPTED",
    "TRIGGERED": "ACCEPTED",
    "FINISHED": "ACCEPTED",
}
"""Ours by the venue's, of perpetuals and spot."""
_KIND: dict[str, OrderKind] = {
    "MARKET": "MARKET",
    "LIMIT": "LIMIT",
    "STOP": "STOP_LIMIT",
    "STOP_MARKET": "STOP_MARKET",
    "TAKE_PROFIT": "LIMIT_IF_TOUCHED",
    "TAKE_PROFIT_MARKET": "MARKET_IF_TOUCHED",
    "TRAILING_STOP_MARKET": "TRAILING_STOP_MARKET",
}


_LISTED_S: Final = 3.0
"""So long trades of an order may be missing; less than an order is asked for after a restart."""


class BinanceAsker:
    """Ask by HTTP; a call blocks for seconds at most, so it belongs onto a thread of its own.

    Parameters
    ----------
    venue
        With its keys.
    """

    def __init__(self, venue: VenueSettings) -> None:
        self._rest = BinanceRest(venue)
        self._unlisted: dict[str, tuple[Decimal, float]] = {}

    def find(
        self, client_order_id: str, instrument_id: str
    ) -> tuple[VenueOrder, list[VenueFill]] | None:
        """Return an order and all its fills; None if the venue knows none of that id.

        Raises
        ------
        AskError
            If there was no answer, or one that is no answer to this, such as where trades of the
            order are not listed yet.
        """
        symbol = symbol_of(instrument_id)
        name = venue_name_of(client_order_id)
        with understood():
            order = self.get("/fapi/v1/order", symbol=symbol, origClientOrderId=name)
            if order is not None:
                return self._plain(order, client_order_id, instrument_id)
            algo = self.get("/fapi/v1/algoOrder", clientAlgoId=name)
            if algo is None:
                return None
            return self._conditional(algo, symbol, client_order_id, instrument_id)

    def cancel(self, client_order_id: str, instrument_id: str) -> None:
        """Cancel an order, conditional or not; one that the venue does not know has ended.

        Raises
        ------
        AskError
            If there was no answer, or a refusal.
        """
        symbol, name = symbol_of(instrument_id), venue_name_of(client_order_id)
        named = {"symbol": symbol, "origClientOrderId": name}
        if self._rest.ask("DELETE", "/fapi/v1/order", named) is None:
            self._rest.ask("DELETE", "/fapi/v1/algoOrder", {"clientAlgoId": name})

    def _plain(
        self, order: dict[str, Any], client_order_id: str, instrument_id: str
    ) -> tuple[VenueOrder, list[VenueFill]]:
        filled = Decimal(order["executedQty"])
        fills: list[VenueFill] = []
        if filled:
            of = {"symbol": order["symbol"], "orderId": order["orderId"]}
            rows = self.get("/fapi/v1/userTrades", **of) or ()
            worth = {pair: self.price(*pair) for pair in {_fee_pair(row) for row in rows}}
            fills = [_fill(row, worth[_fee_pair(row)]) for row in rows]
        self._wait_for_trades(client_order_id, filled, fills)
        return plain_order(order, client_order_id, instrument_id), fills

    def _wait_for_trades(
        self, client_order_id: str, filled: Decimal, fills: Sequence[VenueFill]
    ) -> None:
        """Give no answer yet where trades are not listed: they come a moment later, with the fee.

        After a while the order is all that there is, such as of trades that are listed no more.
        What is filled later is waited for anew.
        """
        listed = sum((fill.quantity for fill in fills), ZERO)
        if listed >= filled:
            self._unlisted.pop(client_order_id, None)
            return
        now = time.monotonic()
        before, since = self._unlisted.get(client_order_id, (ZERO, now))
        if before != filled:
            since = now
            self._unlisted[client_order_id] = filled, since
        if now - since < _LISTED_S:
            raise AskError(f"it says trades of {listed} alone, and that {filled} is filled")

    def price(self, coin: str, quote: str) -> float | None:
        """Return what a coin is worth, quote currency; None: nobody knows.

        Raises
        ------
        AskError
            If there was no answer, or one that is not understood.
        """
        if coin == quote:
            return 1.0
        told = self._rest.look_up("/fapi/v1/ticker/price", {"symbol": f"{coin}{quote}"})
        with understood():
            return None if told is None else float(told["price"])

    def _conditional(
        self, algo: dict[str, Any], symbol: str, client_order_id: str, instrument_id: str
    ) -> tuple[VenueOrder, list[VenueFill]]:
        became = algo.get("actualOrderId")
        kind = _KIND[algo["orderType"]]
        if became:
            order = self.get("/fapi/v1/order", symbol=symbol, orderId=became)
            if order is not None:
                told, fills = self._plain(order, client_order_id, instrument_id)
                told = msgspec.structs.replace(
                    told, kind=kind, trigger_price=price_of(algo["triggerPrice"])
                )
                return told, fills
        return conditional_order(algo, client_order_id, instrument_id), []

    def get(self, path: str, **params: Any) -> Any:
        """Return a signed question's answer; None if it is that there is no such order.

        Raises
        ------
        AskError
            If there was no answer.
        """
        return self._rest.ask("GET", path, params)


def venue_name_of(client_order_id: str, prefix: str = _PREFIX) -> str:
    """Return how the engine's adapter names an order at Binance.

    Examples
    --------
    >>> venue_name_of("65de6aaf9a7285bf8ad432ecb8023393")
    'x-aHRE4BCj-u36DrvMMLngDf4Vroekvw2N'
    """
    try:
        number = uuid.UUID(client_order_id).int
    except ValueError:
        return client_order_id
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return prefix + digits.rjust(_LENGTH, "0")


def our_name_of(venue_name: str, prefix: str = _PREFIX) -> str:
    """Return our name of an order from Binance's; one that is not the adapter's stays as it is.

    Examples
    --------
    >>> our_name_of("x-aHRE4BCj-u36DrvMMLngDf4Vroekvw2N")
    '65de6aaf9a7285bf8ad432ecb8023393'
    >>> our_name_of("web_1")
    'web_1'
    """
    digits = venue_name.removeprefix(prefix)
    if digits == venue_name or len(digits) != _LENGTH or not set(digits) <= set(_DIGITS):
        return venue_name
    number = 0
    for digit in digits:
        number = number * len(_DIGITS) + _DIGITS.index(digit)
    return f"{number:032x}"


def plain_order(order: dict[str, Any], client_order_id: str, instrument_id: str) -> VenueOrder:
    """Return an order as the venue's answers have it."""
    return _order(
        client_order_id,
        instrument_id,
        str(order["orderId"]),
        order["side"],
        _KIND[order["origType"]],
        quantity=order["origQty"],
        status=STATUS[order["status"]],
        filled=Decimal(order["executedQty"]),
        price=order["price"],
        trigger=order["stopPrice"],
        average=order["avgPrice"],
        reduce_only=order["reduceOnly"],
        ms=order["updateTime"],
    )


def conditional_order(algo: dict[str, Any], client_order_id: str, instrument_id: str) -> VenueOrder:
    """Return a conditional order that waits as the venue's answers have it."""
    return _order(
        client_order_id,
        instrument_id,
        str(algo["algoId"]),
        algo["side"],
        _KIND[algo["orderType"]],
        quantity=algo["quantity"],
        status=STATUS[algo["algoStatus"]],
        filled=Decimal(0),
        price=algo["price"],
        trigger=algo["triggerPrice"],
        average="0",
        reduce_only=algo["reduceOnly"],
        ms=algo["updateTime"],
    )


def _order(
    client_order_id: str,
    instrument_id: str,
    venue_order_id: str,
    side: Side,
    kind: OrderKind,
    *,
    quantity: str,
    status: OrderStatus,
    filled: Decimal,
    price: str,
    trigger: str,
    average: str,
    reduce_only: bool,
    ms: int,
) -> VenueOrder:
    return VenueOrder(
        client_order_id=client_order_id,
        venue_order_id=venue_order_id,
        instrument_id=instrument_id,
        side=side,
        kind=kind,
        quantity=Decimal(quantity),
        status=status,
        filled=filled,
        price=price_of(price),
        trigger_price=price_of(trigger),
        average_price=price_of(average),
        reduce_only=reduce_only,
        ts=ms * 1_000_000,
    )


def _fee_pair(row: dict[str, Any]) -> tuple[str, str]:
    """Return the coin of a trade's fee, and the currency in which it is counted."""
    return row["commissionAsset"], row["marginAsset"]


def _fill(row: dict[str, Any], worth: float | None) -> VenueFill:
    """Return a trade; `worth` is what the coin of its fee is worth, quote currency, if known."""
    (coin, quote), paid = _fee_pair(row), row["commission"]
    return VenueFill(
        trade_id=str(row["id"]),
        price=float(row["price"]),
        quantity=Decimal(row["qty"]),
        ts=row["time"] * 1_000_000,
        fee=0.0 if worth is None else float(paid) * worth,
        liquidity="MAKER" if row["maker"] else "TAKER",
        fee_elsewhere=coin != quote,
        unknown_fee="" if worth else unknown_fee(row["id"], f"{paid} {coin}", coin, quote),
    )


def price_of(text: str) -> float | None:
    """Return a price as the venue writes it; it writes none as zero."""
    return float(text) or None
