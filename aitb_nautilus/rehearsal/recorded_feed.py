"""A market made from recorded messages of Binance: depth, best prices and trades, as they came.

A recording is a gzipped text file of lines ``<receive time, ns> <JSON>``: combined streams
``depthUpdate``, ``bookTicker``, ``trade``, ``aggTrade``, ``markPriceUpdate``, and one REST snapshot
of the book, which has no stream. Changes of the book older than the snapshot are left out.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.errors import DataError
from aitb_nautilus.rehearsal.clock import MS
from aitb_nautilus.rehearsal.feed import (
    BarClose,
    BarOpen,
    BookSet,
    DepthChange,
    Event,
    MarkPrice,
    Quote,
    Timeline,
    Trade,
)
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["read_lines", "recorded_events", "recorded_start_ns"]


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return receive time, ns, and message of each line.

    Raises
    ------
    DataError
        If a line is something else.
    """
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with gzip.open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            received, _, text = line.partition(b" ")
            try:
                yield int(received), decode(text)
            except (ValueError, msgspec.DecodeError) as e:
                raise DataError(
                    f"{path}: line {number}", f"cannot be read ({e})", "must be a time and JSON"
                ) from e


def recorded_start_ns(path: Path) -> int:
    """Return the first time of the exchange in a recording, ns."""
    for _, message in read_lines(path):
        data = message.get("data", message)
        if "E" in data:
            return int(data["E"]) * MS
    raise DataError(str(path), "has no message with a time", "must hold recorded messages")


def recorded_events(rules: Rules, path: Path, timeline: Timeline, bar_ms: int) -> Iterator[Event]:
    """Return what a recording says, in its order, at the exchange's own times.

    A message that was received late keeps its place: the time of what came before is its earliest.
    Bars begin and end on their grid, also where nobody trades.

    Parameters
    ----------
    bar_ms
        Length of the bars that the trades make, ms of the exchange.
    """
    reader = _Reader(rules)
    latest, bar_ns, next_bar = 0, bar_ms * MS, 0
    price: int | None = None
    for _, message in read_lines(path):
        data = message.get("data", message)
        if "E" in data:  # spot leaves it out of some; they came with what came before
            latest = max(latest, timeline.at(int(data["E"]) * MS))
        next_bar = next_bar or latest - latest % bar_ns + bar_ns
        while latest >= next_bar:
            if price is not None:
                yield BarClose(next_bar, rules.symbol, None)
                yield BarOpen(next_bar, rules.symbol, price)
            next_bar += bar_ns
        event = reader.read(data, latest)
        if event is None:
            continue
        if isinstance(event, Trade):
            price = event.price
        yield event


class _Reader:
    """Turns messages into events; knows where the book stands."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._snapshot: int | None = None
        self._quoted = 0

    def read(self, data: dict[str, Any], ts: int) -> Event | None:
        symbol = self._rules.symbol
        # Spot's best prices do not say what they are.
        match data.get("e") or ("bookTicker" if "A" in data else None):
            case None:
                self._snapshot = int(data["lastUpdateId"])
                self._quoted = max(self._quoted, self._snapshot)
                return BookSet(ts, symbol, self._levels(data["bids"]), self._levels(data["asks"]))
            case "depthUpdate" if self._snapshot is not None and data["u"] >= self._snapshot:
                self._quoted = max(self._quoted, int(data["u"]))
                return DepthChange(ts, symbol, self._levels(data["b"]), self._levels(data["a"]))
            case "bookTicker" if self._snapshot is not None and data["u"] > self._quoted:
                self._quoted = int(data["u"])
                bid, ask = (self._level(data["b"], data["B"]), self._level(data["a"], data["A"]))
                return Quote(ts, symbol, bid, ask)
            case "trade" | "aggTrade" if data.get("X", "MARKET") == "MARKET":
                price, quantity = self._level(data["p"], data["q"])
                return Trade(ts, symbol, price, quantity, data["m"])
            case "markPriceUpdate":
                return MarkPrice(ts, symbol, self._rules.nearest_price(float(data["p"])))
        return None

    def _levels(self, rows: list[list[str]]) -> list[tuple[int, int]]:
        return [self._level(*row) for row in rows]

    def _level(self, price: str, quantity: str) -> tuple[int, int]:
        return self._rules.price_units(price), self._rules.size_units(quantity)
