"""Ask Binance's spot market what an account holds, and for one order by our name of it.

A spot market has no positions: what is held is a coin, and the account may hold more of it than the
node has bought. So the node's position is what its journal says, and the venue must hold at least
that; see `positions_of`. Nothing is sent but cancels.

References
----------
Binance, Spot, REST API: Query order, Account trade list, Current open orders, Account information
(https://developers.binance.com/docs/binance-spot-api-docs/rest-api). How the engine's adapter
writes a client order id was read off the orders that it sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from decimal import Decimal
from typing import Any

from aitb_nautilus.messages import OrderKind
from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.fees import coin_price, fee_of, unknown_fee
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueFill, VenueOrder
from aitb_nautilus.run.binance_asker import STATUS, our_name_of, price_of, venue_name_of
from aitb_nautilus.run.binance_rest import AskError, BinanceRest, symbol_of, understood
from aitb_nautilus.run.config import VenueSettings

__all__ = ["SpotAsker", "positions_of"]

_PREFIX = "x-TD67BGP9-u"
_KIND: dict[str, OrderKind] = {
    "MARKET": "MARKET",
    "LIMIT": "LIMIT",
    "LIMIT_MAKER": "LIMIT",
    "STOP_LOSS": "STOP_MARKET",
    "STOP_LOSS_LIMIT": "STOP_LIMIT",
    "TAKE_PROFIT": "MARKET_IF_TOUCHED",
    "TAKE_PROFIT_LIMIT": "LIMIT_IF_TOUCHED",
}
_PAGE = 1_000
"""So many trades the venue tells at once, at most."""
_FEE_COIN = "BNB"
"""An account that holds some may pay its fees with it."""


class SpotAsker:
    """Ask by HTTP; a call blocks for seconds at most, so it belongs onto a thread of its own.

    Parameters
    ----------
    venue
        With its keys.
    instruments
        The engine's, by id.
    ledger
        Of the trader: what is sold there is what it holds, and its marks tell what a coin is worth
        in which a fee was paid. Only read.
    prices
        Is told what such a coin is worth where no instrument of the run says it; by coin and quote
        currency.
    """

    def __init__(
        self,
        venue: VenueSettings,
        instruments: Mapping[str, Any],
        ledger: Ledger,
        prices: MutableMapping[tuple[str, str], float],
    ) -> None:
        self._rest = BinanceRest(venue)
        self._instruments = instruments
        self._ledger = ledger
        self._prices = prices

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
        name = venue_name_of(client_order_id, _PREFIX)
        with understood():
            order = self._get("/api/v3/order", symbol=symbol, origClientOrderId=name)
            if order is None:
                return None
            told, fills = self._order(order, client_order_id, instrument_id), []
            if told.filled:
                rows = self._trades(symbol, order["orderId"])
                fills = [self._fill(row, instrument_id) for row in rows]
        listed = sum((fill.quantity for fill in fills), ZERO)
        if listed < told.filled:
            # What a fee has taken of the rest stands in its trades alone; they come a moment later.
            raise AskError(f"it says trades of {listed} alone, and that {told.filled} is filled")
        return told, fills

    def cancel(self, client_order_id: str, instrument_id: str) -> None:
        """Cancel an order; one that the venue does not know has ended.

        Raises
        ------
        AskError
            If there was no answer, or a refusal.
        """
        name = venue_name_of(client_order_id, _PREFIX)
        named = {"symbol": symbol_of(instrument_id), "origClientOrderId": name}
        self._rest.ask("DELETE", "/api/v3/order", named)

    def books(self, venue: str) -> VenueFacts:
        """Return open orders and the balances of all coins; it blocks, for seconds at most.

        What a coin is worth with which fees may be paid is asked as well.

        Raises
        ------
        AskError
            If there was no answer, or one that is not understood.
        """
        with understood():
            orders = tuple(
                self._order(
                    row,
                    our_name_of(row["clientOrderId"], _PREFIX),
                    f"{row['symbol']}.{venue}",
                )
                for row in self._get("/api/v3/openOrders") or ()
            )
            account = self._get("/api/v3/account", omitZeroBalances="true") or {}
            balances = {
                row["asset"]: Decimal(row["free"]) + Decimal(row["locked"])
                for row in account["balances"]
            }
            if balances.get(_FEE_COIN):
                self._ask_prices(venue)
        return VenueFacts(venues=(venue,), orders=orders, balances=balances)

    def _get(self, path: str, **params: Any) -> Any:
        return self._rest.ask("GET", path, params)

    def _trades(self, symbol: str, order_id: int) -> Iterator[dict[str, Any]]:
        """Yield all trades of an order, oldest first, however many pages they fill."""
        first: int | None = 0
        while first is not None:
            asked = {"orderId": order_id, "fromId": first, "limit": _PAGE}
            page = self._get("/api/v3/myTrades", symbol=symbol, **asked) or []
            yield from page
            first = page[-1]["id"] + 1 if len(page) == _PAGE else None

    def _ask_prices(self, venue: str) -> None:
        """Ask what the fee's coin is worth in the quote currencies of a venue."""
        ours = [i for name, i in self._instruments.items() if name.endswith(f".{venue}")]
        quotes = {instrument.quote_currency.code for instrument in ours} - {_FEE_COIN}
        for quote in sorted(quotes):
            self.price(_FEE_COIN, quote)

    def price(self, coin: str, quote: str) -> float | None:
        """Return what a coin is worth, quote currency; None: nobody knows.

        Raises
        ------
        AskError
            If there was no answer, or one that is not understood.
        """
        told = self._rest.look_up("/api/v3/ticker/price", {"symbol": f"{coin}{quote}"})
        with understood():
            if told is not None:
                self._prices[coin, quote] = float(told["price"])
        return self._prices.get((coin, quote))

    def _order(self, row: dict[str, Any], client_order_id: str, instrument_id: str) -> VenueOrder:
        filled, spent = Decimal(row["executedQty"]), Decimal(row["cummulativeQuoteQty"])
        ours = self._ledger.orders.get(client_order_id)
        return VenueOrder(
            client_order_id=client_order_id,
            venue_order_id=str(row["orderId"]),
            instrument_id=instrument_id,
            side=row["side"],
            kind=_KIND[row["type"]],
            quantity=Decimal(row["origQty"]),
            status=STATUS[row["status"]],
            filled=filled,
            price=price_of(row["price"]),
            trigger_price=price_of(row["stopPrice"]),
            average_price=float(spent / filled) if filled else None,
            # The venue knows no such thing; nothing can be sold that is not held.
            reduce_only=ours is not None and ours.reduce_only,
            ts=row["updateTime"] * 1_000_000,
        )

    def _fill(self, row: dict[str, Any], instrument_id: str) -> VenueFill:
        instrument, coin = self._instruments[instrument_id], row["commissionAsset"]
        quote = instrument.quote_currency.code
        worth = coin_price(coin, quote, self._instruments, self._ledger.marks, self._prices)
        if worth is None and coin not in (instrument.base_currency.code, quote):
            # After a restart what has filled is asked for before the books are.
            worth = self.price(coin, quote)
        price = float(row["price"])
        fee = fee_of(Decimal(row["commission"]), coin, price, instrument, worth)
        paid = f"{row['commission']} {coin}"
        return VenueFill(
            trade_id=str(row["id"]),
            price=price,
            quantity=Decimal(row["qty"]),
            ts=row["time"] * 1_000_000,
            fee=fee.value,
            liquidity="MAKER" if row["isMaker"] else "TAKER",
            base_fee=fee.base,
            fee_elsewhere=fee.elsewhere,
            unknown_fee=unknown_fee(row["id"], paid, coin, quote) if fee.unknown else "",
        )


def positions_of(
    facts: VenueFacts, ledger: Ledger, instruments: Mapping[str, Any]
) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return what of an account's coins counts as the trader's positions, and what is beside them.

    Coins beyond those that the journal explains belong to somebody else: they were there before, or
    were put there since. Where there are fewer, that stands in the position of the instrument.

    Parameters
    ----------
    facts
        Of spot venues.
    ledger
        Of the trader; only read.
    instruments
        The engine's, by id.

    Returns
    -------
    tuple[dict[str, Decimal], dict[str, Decimal]]
        Held by instrument id; beside that by coin. Base currency.
    """
    held: dict[str, Decimal] = {}
    beside: dict[str, Decimal] = {}
    for instrument_id, instrument in instruments.items():
        if not facts.speaks_of(instrument_id):
            continue
        coin = instrument.base_currency.code
        left = beside.get(coin, facts.balances.get(coin, ZERO))
        ours = sum((p.held for p in ledger.holders(instrument_id).values()), ZERO)
        held[instrument_id] = min(left, ours)
        beside[coin] = left - held[instrument_id]
    return held, beside
