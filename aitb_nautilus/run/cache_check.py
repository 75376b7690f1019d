"""What the engine's cache in Redis holds, before the engine begins with it, against the journal.

The engine believes its cache: it brings a position up to what the venue reports, but a venue that
holds nothing reports nothing, and then the engine holds on to what the cache says (observed with
2.0.0rc7). So the engine may begin with a cache only if it agrees with the journal about positions
and open orders; else the cache is emptied, and the engine begins as without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import redis

from aitb_nautilus.risk.firewall import Unexplained
from aitb_nautilus.risk.journal_carried import Carried

__all__ = ["CacheContent", "content_of", "differences", "empty"]

_AT_ONCE = 500


class CacheContent(msgspec.Struct, frozen=True):
    """What a cache holds.

    Attributes
    ----------
    positions
        Signed quantity, base currency, by strategy and instrument; none that is flat.
    orders
        Ids of open orders.
    """

    positions: Mapping[tuple[str, str], Decimal]
    orders: frozenset[str]


class _Fill(msgspec.Struct):
    """Of the engine's OrderFilled, what changes a position."""

    strategy_id: str
    instrument_id: str
    order_side: str
    last_qty: Decimal


_fill = msgspec.json.Decoder(_Fill).decode


def content_of(client: redis.Redis, prefix: str) -> CacheContent:
    """Return what the cache holds under a prefix of its keys.

    Raises
    ------
    msgspec.DecodeError
        If it is none that this version of the engine wrote.
    redis.RedisError
        If Redis does not answer.
    """
    index = f"{prefix}index:"
    known: Any = client.smembers(f"{index}orders")
    closed: Any = client.smembers(f"{index}orders_closed")
    positions: dict[tuple[str, str], Decimal] = {}
    names: Any = client.smembers(f"{index}positions_open")
    for name in names:
        events: Any = client.lrange(f"{prefix}positions:{name}", 0, -1)
        for fill in map(_fill, events):
            key = fill.strategy_id, fill.instrument_id
            change = fill.last_qty if fill.order_side == "BUY" else -fill.last_qty
            positions[key] = positions.get(key, Decimal(0)) + change
    return CacheContent({k: q for k, q in positions.items() if q}, frozenset(known - closed))


def differences(content: CacheContent, carried: Carried) -> list[Unexplained]:
    """Return a row for each position and open order of which cache and journal differ."""
    ours = {(p.strategy_id, p.instrument_id): p.quantity for p in carried.positions}
    rows = []
    for strategy_id, instrument_id in dict.fromkeys([*content.positions, *ours]):
        key = strategy_id, instrument_id
        theirs, known = content.positions.get(key, Decimal(0)), ours.get(key, Decimal(0))
        if theirs != known:
            line = f"{strategy_id} holds {theirs} {instrument_id} in the engine's cache, "
            line += f"{known} in the journal"
            rows.append(_row(":".join(key), instrument_id, str(theirs), str(known), line))
    resting = {o.client_order_id: o.instrument_id for o in carried.orders}
    for name in sorted(content.orders ^ resting.keys()):
        there = name in content.orders
        line = f"order {name} is {'open' if there else 'not open'} in the engine's cache, and "
        line += "not in the journal" if there else "in the journal it is"
        says = ("open", "-") if there else ("-", "open")
        rows.append(_row(name, resting.get(name, ""), *says, line))
    return rows


def empty(client: redis.Redis, prefix: str) -> None:
    """Delete everything under a prefix."""
    some: list[str] = []
    for key in client.scan_iter(match=f"{prefix}*", count=_AT_ONCE):
        some.append(key)
        if len(some) == _AT_ONCE:
            client.unlink(*some)
            some.clear()
    if some:
        client.unlink(*some)


def _row(name: str, where: str, there: str, ours: str, line: str) -> Unexplained:
    return Unexplained(f"cache:{name}", "engine's cache", where, there, ours, line, ("ignore",))
