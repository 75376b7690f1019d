"""Recorded bars around the outage of 2023-03-24, when Binance published nothing for 80 minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import FeatureSet, parse_features
from aitb_nautilus.features.kernels import KERNELS
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import close_of_open_ns
from tests.features.feature_bars import OTHER, same_bits

BTC = "BTCUSDT.BINANCE"
MINUTE = 60_000_000_000
OUTAGE = int(np.datetime64("2023-03-24T12:40", "ns").astype(np.int64))


def recorded(market_dir: Path, symbol: str, start: int, stop: int) -> BarFrame:
    """Return recorded bars from so many minutes before the outage until so many after."""
    (path,) = (market_dir / "bars_1m").glob(f"*{symbol}*.parquet")
    table = pq.read_table(path, columns=["open_time", "open", "high", "low", "close", "volume"])
    opened = table["open_time"].cast(pa.timestamp("ns", "UTC")).to_numpy().astype(np.int64)
    first, last = np.searchsorted(opened, [OUTAGE + start * MINUTE, OUTAGE + stop * MINUTE])
    columns = [column.to_numpy()[first:last] for column in table.columns[1:]]
    return BarFrame(close_of_open_ns(opened[first:last], MINUTE), *columns)


def every_feature(longest_gap_bars: int) -> FeatureSet:
    texts = [kernel.example() for kernel in KERNELS.values()] + ["rsi(2)@15m", "beta(eth,20)@5m"]
    return parse_features(
        texts, interval="1m", instruments={"eth": OTHER}, longest_gap_bars=longest_gap_bars
    )


def frames(market_dir: Path, start: int) -> dict[str, BarFrame]:
    return {
        BTC: recorded(market_dir, "BTCUSDT", start, 2_000),
        OTHER: recorded(market_dir, "ETHUSDT", start, 2_000),
    }


def test_outage_is_bridged_and_a_start_before_it_gives_the_same_bits(market_dir: Path) -> None:
    features = every_feature(120)
    whole = FeatureEngine(features, BTC).batch(frames(market_dir, -3_000))
    assert np.diff(whole.ts_close).max() == 81 * MINUTE
    assert whole.valid[features.warmup - 1 :].all()
    assert np.isfinite(whole.values[whole.valid]).all()
    for start in (-2_000, -1_043, -900, -50):
        late = FeatureEngine(features, BTC).batch(frames(market_dir, start))
        same = np.isin(whole.ts_close, late.ts_close[late.valid])
        assert same.sum() == late.valid.sum() > 500
        assert same_bits(whole.values[same], late.values[late.valid])


def test_outage_longer_than_allowed_begins_a_new_warmup(market_dir: Path) -> None:
    features = every_feature(60)
    rows = FeatureEngine(features, BTC).batch(frames(market_dir, -3_000))
    after = int(np.diff(rows.ts_close).argmax()) + 1
    assert rows.valid[after - 1]
    assert not rows.valid[after : after + features.warmup - 1].any()
    assert rows.valid[after + features.warmup - 1]
