"""A new spot order as the client wrote it, read and checked against the symbol's rules.

References
----------
Binance, Spot, REST API, New order, and Filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.entry import Request, read_client_id, read_side
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["STOPS", "read_spot_order", "rejected"]

STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_WITH_LIMIT = ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
_WITH_TIME = ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")


def rejected(words: str) -> VenueError:
    """Return the refusal -2010 of an order that the book or the account does not allow."""
    return VenueError(-2010, words)


def read_spot_order(params: Mapping[str, str], market: Market, spare_id: str) -> Request:
    """Return the order of ``POST /api/v3/order``.

    Raises
    ------
    VenueError
        With Binance's code for what is wrong.
    """
    rules = market.rules
    kind = params.get("type", "")
    if kind not in ("MARKET", *_WITH_LIMIT, *STOPS):
        raise VenueError.of(-1116) if kind else VenueError.malformed("type")
    time_in_force = params.get("timeInForce", "" if kind in _WITH_TIME else "GTC")
    if not time_in_force:
        raise VenueError.malformed("timeInForce")
    if time_in_force not in ("GTC", "IOC", "FOK"):
        raise VenueError.of(-1115)
    price = _price(rules, params, "price") if kind in _WITH_LIMIT else None
    quantity = _quantity(market, params, kind)
    stop = _price(rules, params, "stopPrice") if kind in STOPS else 0
    # A stop with a limit must be worth enough at both of its prices.
    asked = [Decimal(one) for one in (price, stop) if one]
    reference = min(asked) if asked else market.average_price() or Decimal(0)
    if reference * rules.price_unit * rules.size(quantity) < rules.min_notional:
        raise _filter("NOTIONAL")
    request = Request(
        symbol=rules.symbol,
        side=read_side(params),
        kind="LIMIT" if price is not None else "MARKET",
        quantity=quantity,
        price=price,
        time_in_force="GTX" if kind == "LIMIT_MAKER" else time_in_force,
        reduce_only=False,
        client_id=read_client_id(params.get("newClientOrderId"), spare_id),
    )
    return replace(request, origin=kind, stop_price=stop)


def _price(rules: Rules, params: Mapping[str, str], name: str) -> int:
    text = params.get(name)
    if not text:
        raise VenueError.malformed(name)
    price = rules.price_units(text, name)
    if price < rules.tick or price % rules.tick:
        raise _filter("PRICE_FILTER")
    return price


def _quantity(market: Market, params: Mapping[str, str], kind: str) -> int:
    rules = market.rules
    amount = params.get("quoteOrderQty")
    if amount and kind == "MARKET" and "quantity" not in params:
        book = market.matcher.asks if params.get("side") == "BUY" else market.matcher.bids
        value, best = rules.price_units(amount, "quoteOrderQty"), book.best
        size = Decimal(value) / best / rules.size_unit if best else Decimal(0)
        quantity = int(size) // rules.lot * rules.lot
    else:
        text = params.get("quantity")
        if not text:
            raise VenueError.malformed("quantity")
        quantity = rules.size_units(text)
    if not rules.min_quantity <= quantity <= rules.max_quantity or quantity % rules.lot:
        raise _filter("LOT_SIZE")
    return quantity


def _filter(name: str) -> VenueError:
    return VenueError(-1013, f"Filter failure: {name}")
