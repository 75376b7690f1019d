"""Prices on the grid of ticks, rounded to the side that is asked for."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Protocol

from aitb_nautilus.messages import Side

__all__ = ["goes_up", "on_grid", "wish_on_grid"]

_NEARLY = 1e-6
"""Of a tick: so near to the grid, a price is on it, and only float arithmetic took it off."""

_ABSURD = 1e12
"""No instrument has such a price, and the engine can hardly hold one: the guard refuses it."""


class _Round(Protocol):
    def __call__(self, price: float, *, up: bool) -> float: ...


def on_grid(price: float, tick: Decimal, *, up: bool) -> float:
    """Return a price on the grid of ticks, rounded up or down.

    What float arithmetic alone took off the grid is put back onto it.

    >>> on_grid(99.00000000000001, Decimal("0.1"), up=True)
    99.0
    >>> on_grid(99.01, Decimal("0.1"), up=True)
    99.1
    """
    steps = price / float(tick)
    nearest = round(steps)
    if abs(steps - nearest) > _NEARLY:
        nearest = math.ceil(steps) if up else math.floor(steps)
    return float(nearest * tick)


def goes_up(kind: str, side: Side, *, is_trigger: bool, reduces: bool) -> bool:
    """Return whether a price goes to the tick above, so that rounding never raises risk.

    - A limit price: a buy goes down, a sell up. It never pays more, or sells for less, than wished.
    - The trigger of an order that opens goes away from the market: a stop to buy up, one to sell
      down, of an order that waits for the better price (``..._IF_TOUCHED``) the other way round.
      Nothing opens at a price at which the wish would not have opened.
    - The trigger of an order that reduces goes towards the market: a stop to sell up, one to buy
      down. The position is closed no later than was wished, and loses no more.
    - The limit price of a stop that reduces: a sell goes down, a buy up. A stop that is triggered
      and does not fill would be no stop.

    Parameters
    ----------
    kind
        Of the order, as in `OrderIntent`.
    is_trigger
        Whether it is the trigger price; else it is the limit price.
    reduces
        Whether the order goes against what is held.

    Examples
    --------
    >>> goes_up("STOP_MARKET", "SELL", is_trigger=True, reduces=True)
    True
    """
    buys = side == "BUY"
    if is_trigger:
        waits_for_rise = buys != kind.endswith("_IF_TOUCHED")
        return waits_for_rise != reduces
    if reduces and "STOP" in kind:
        return buys
    return not buys


def wish_on_grid(
    wish: tuple[str, Side, float | None, float | None],
    mark: float | None,
    rounded: _Round,
    *,
    reduces: bool,
) -> tuple[float | None, float | None]:
    """Return limit and trigger price of a wish on the grid.

    Which way they go is said by `goes_up`; one that would reach the market by it, where a venue
    refuses a stop, goes the other way.

    Parameters
    ----------
    wish
        Kind, side, limit price, trigger price; quote currency.
    mark
        Last price; None before the first.
    rounded
        Puts a price onto the grid.
    reduces
        As in `goes_up`.
    """
    kind, side, limit, trigger = wish

    def put(price: float | None, *, is_trigger: bool) -> float | None:
        if price is None or not 0 < price < _ABSURD:
            return price
        up = goes_up(kind, side, is_trigger=is_trigger, reduces=reduces)
        near = rounded(price, up=up)
        if is_trigger and mark is not None and (price < mark <= near or price > mark >= near):
            return rounded(price, up=not up)
        return near

    return put(limit, is_trigger=False), put(trigger, is_trigger=True)
