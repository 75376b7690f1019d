"""What a desk is in each mode, and what differs: data, execution and clock, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from aitb_nautilus.observe.run_record import Mode
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.load import Desk

__all__ = ["Difference", "mode_differences", "mode_view", "of_one_mode"]

_TOLD_ELSEWHERE = ("backtest", "paper", "venues")
"""Sections that say what data and execution are like, and are shown as these."""
_OF_A_NODE = ("live", "redis")
"""Sections that paper and live have, and a back-test has not."""


class Difference(msgspec.Struct, frozen=True):
    """One thing that two modes have different; None where a mode has it not."""

    key: str
    left: Any
    right: Any


def mode_view(desk: Desk, mode: Mode) -> dict[str, Any]:
    """Return a desk as it runs in a mode, as plain data: what brings data, what fills, the rest."""
    config = desk.config
    left_out = _TOLD_ELSEWHERE + (_OF_A_NODE if mode == "backtest" else ())
    sections = {k: v for k, v in desk.plain().items() if k not in left_out}
    if mode == "backtest":
        data: dict[str, Any] = {
            "client": "catalog",
            "start": config.backtest.start or "as far as the data reach",
            "end": config.backtest.end or "as far as the data reach",
        }
        clock = "the times of the bars"
    else:
        data = {venue.name: {"client": _client(venue), **_place(venue)} for venue in config.venues}
        clock = "the clock of this machine"
    execution = {venue.name: _execution(desk, venue, mode) for venue in config.venues}
    seen = {"data": data, "execution": execution, "clock": clock}
    return {**seen, "runs": config.backtest.runs, **sections}


def mode_differences(desk: Desk, left: Mode, right: Mode) -> tuple[list[Difference], list[str]]:
    """Return what differs between two modes, and the sections that do not.

    Examples
    --------
    The key of a difference is its path: ``execution.BINANCE.client``.
    """
    one, other = mode_view(desk, left), mode_view(desk, right)
    flat, also = dict(_flat(one)), dict(_flat(other))
    keys = [*flat, *(key for key in also if key not in flat)]
    differences = [
        Difference(key, flat.get(key), also.get(key))
        for key in keys
        if flat.get(key) != also.get(key)
    ]
    return differences, [name for name in one if one[name] == other.get(name)]


def of_one_mode(differences: Sequence[Difference]) -> dict[str, list[Difference]]:
    """Return the sections that one of two modes has not at all, by name.

    Examples
    --------
    >>> rows = [Difference("clock", "bars", "own"), Difference("live.on_stop", None, "hold")]
    >>> list(of_one_mode(rows))
    ['live']
    """
    sections: dict[str, list[Difference]] = {}
    for one in differences:
        sections.setdefault(one.key.partition(".")[0], []).append(one)
    return {
        name: rows
        for name, rows in sections.items()
        if all(row.left is None for row in rows) or all(row.right is None for row in rows)
    }


def _execution(desk: Desk, venue: VenueSettings, mode: Mode) -> dict[str, Any]:
    costs = {
        "starting_balance": venue.starting_balance,
        "maker_fee_bps": venue.maker_fee_bps,
        "taker_fee_bps": venue.taker_fee_bps,
        "latency_ms": venue.latency_ms,
    }
    if mode == "backtest":
        seed = desk.config.backtest.latency_seed
        drawn = {"latency_ms": venue.latency, "latency_seed": seed}
        paid = {} if venue.latency is None else drawn
        return {
            "client": "simulated exchange",
            **_simulated_fills(desk, venue),
            **costs,
            **paid,
        }
    if mode == "paper":
        return {"client": "sandbox", "fills": desk.config.paper.fills, **costs}
    keys = {
        name: secret.reference
        for name in ("api_key", "api_secret", "api_passphrase")
        if (secret := getattr(venue, name)) is not None
    }
    return {"client": _client(venue), "fills": "the venue's", **_place(venue), **keys}


def _simulated_fills(desk: Desk, venue: VenueSettings) -> dict[str, Any]:
    if desk.config.backtest.fills == "quotes":
        return {"fills": "quotes: best bid and ask at arrival"}
    return {
        "fills": "bars: the next open, triggers inside",
        "slippage_bps": venue.slippage_bps,
        "limit_fill": venue.limit_fill,
        "ambiguous_bars": desk.config.backtest.ambiguous_bars,
    }


def _client(venue: VenueSettings) -> str:
    return f"{venue.adapter_name} adapter" if venue.adapter_name else "none: see venues.adapter"


def _place(venue: VenueSettings) -> dict[str, Any]:
    names = ("http", "ws", "ws_private", "ws_business", "ws_trading")
    urls = {f"base_url_{name}": getattr(venue, f"base_url_{name}") for name in names}
    return {
        "product": "spot" if venue.account == "cash" else "linear perpetuals",
        "environment": venue.environment,
        **{name: url for name, url in urls.items() if url is not None},
    }


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
