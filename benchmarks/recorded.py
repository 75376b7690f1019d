"""Where the recorded bars are that benchmarks run on."""

from __future__ import annotations

import os
from pathlib import Path

BTC = "BTCUSDT.BINANCE"
FILE = "bars_1m/binance_spot_BTCUSDT_1m_2022-01_2023-12.parquet"
BARS = 1_051_120
ABSENT = f"no recorded market data: {FILE}"


def market_file() -> Path | None:
    """Return the file of two years of BTCUSDT by the minute, or None where there is none."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "market"
    file = Path(os.environ.get("AITB_MARKET_DATA", beside)) / FILE
    return file if file.is_file() else None
