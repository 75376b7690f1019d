"""Bars made up for tests, and files of them as exchanges publish them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aitb_nautilus.market.bars import BarFrame, Interval, close_of_open_ns
from aitb_nautilus.market.times import parse_time

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS


def walk(
    count: int,
    *,
    every: str = "1m",
    start: str = "2023-01-01",
    seed: int = 1,
    price: float = 20_000,
) -> BarFrame:
    """Return a random walk of bars with prices of two and volumes of three decimals."""
    interval = Interval.parse(every)
    random = np.random.default_rng(seed)
    cents = int(price * 100) + np.cumsum(random.integers(-500, 501, count + 1))
    opens, closes = cents[:-1], cents[1:]
    high = np.maximum(opens, closes) + random.integers(0, 300, count)
    low = np.minimum(opens, closes) - random.integers(0, 300, count)
    begin = parse_time(start) + np.arange(count, dtype=np.int64) * interval.ns
    return BarFrame(
        close_of_open_ns(begin, interval.ns),
        opens / 100,
        high / 100,
        low / 100,
        closes / 100,
        random.integers(1, 10_000_000, count) / 1000,
    )


def opens_of(bars: BarFrame, every: str = "1m") -> list[int]:
    """Return the open times of bars in ns."""
    return [int(ts) - Interval.parse(every).ns for ts in bars.ts_close]


def kline_rows(bars: BarFrame, every: str = "1m", unit_ns: int = 1_000_000) -> list[list[str]]:
    """Return bars as rows of a Binance kline file, stamps in the unit given."""
    interval_ns = Interval.parse(every).ns
    return [
        [
            str(ts // unit_ns),
            f"{bars.open[i]:.8f}",
            f"{bars.high[i]:.8f}",
            f"{bars.low[i]:.8f}",
            f"{bars.close[i]:.8f}",
            f"{bars.volume[i]:.8f}",
            str((ts + interval_ns) // unit_ns - 1),
            "1.0",
            "5",
            "0.5",
            "0.5",
            "0",
        ]
        for i, ts in enumerate(opens_of(bars, every))
    ]


def csv_text(rows: Sequence[Sequence[object]], header: Sequence[str] | None = None) -> str:
    """Return rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def kline_zip(
    folder: Path, name: str, bars: BarFrame, every: str = "1m", unit_ns: int = 1_000_000
) -> Path:
    """Write a zip as Binance publishes it: BTCUSDT-1m-2023-01.zip with one CSV, no header."""
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.csv", csv_text(kline_rows(bars, every, unit_ns)))
    return path


def plain_rows(bars: BarFrame, every: str = "1m") -> list[list[object]]:
    """Return bars as rows of time (ms), open, high, low, close, volume."""
    return [
        [ts // 1_000_000, bars.open[i], bars.high[i], bars.low[i], bars.close[i], bars.volume[i]]
        for i, ts in enumerate(opens_of(bars, every))
    ]


PLAIN_HEADER = ["timestamp", "open", "high", "low", "close", "volume"]


def plain_csv(path: Path, bars: BarFrame, every: str = "1m") -> Path:
    """Write bars as a CSV with named columns."""
    path.write_text(csv_text(plain_rows(bars, every), PLAIN_HEADER))
    return path


def same_bars(a: BarFrame, b: BarFrame) -> bool:
    """Return whether two frames are equal bit for bit."""
    return np.array_equal(a.ts_close, b.ts_close) and bool(a.same_values(b).all())
