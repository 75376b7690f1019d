"""Indicators that TA-Lib also has, on the bars where it has warmed up as long as we do.

Left out are those where TA-Lib keeps running sums (SMA, BBANDS, MFI, CORREL ...): its own error is
up to 1e-7 there, and `test_references` and `test_windows` hold ours against exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import talib

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame, FloatArray
from tests.features.feature_bars import market

type Indicator = Callable[[BarFrame], FloatArray]


def macd_histogram(fast: int, slow: int, signal: int) -> Indicator:
    return lambda b: talib.MACD(b.close, fast, slow, signal)[2] / b.close


def di_difference(n: int) -> Indicator:
    return lambda b: (
        talib.PLUS_DI(b.high, b.low, b.close, n) - talib.MINUS_DI(b.high, b.low, b.close, n)
    )


def slow_k(n: int, m: int) -> Indicator:
    return lambda b: talib.STOCH(b.high, b.low, b.close, n, m, 0, 1, 0)[0]


INDICATORS: dict[str, Indicator] = {
    "ema_distance(12)": lambda b: b.close / talib.EMA(b.close, 12) - 1,
    "ema_distance(200)": lambda b: b.close / talib.EMA(b.close, 200) - 1,
    "ema_ratio(12,26)": lambda b: talib.EMA(b.close, 12) / talib.EMA(b.close, 26) - 1,
    "macd_histogram(12,26,9)": macd_histogram(12, 26, 9),
    "trix(15)": lambda b: talib.TRIX(b.close, 15) / 100,
    "rsi(14)": lambda b: talib.RSI(b.close, 14),
    "rsi(60)": lambda b: talib.RSI(b.close, 60),
    "atr(14)": lambda b: talib.ATR(b.high, b.low, b.close, 14),
    "natr(14)": lambda b: talib.NATR(b.high, b.low, b.close, 14),
    "adx(14)": lambda b: talib.ADX(b.high, b.low, b.close, 14),
    "directional_difference(14)": di_difference(14),
    "aroon(25)": lambda b: talib.AROONOSC(b.high, b.low, 25),
    "stochastic(14,1)": slow_k(14, 1),
    "cci(20)": lambda b: talib.CCI(b.high, b.low, b.close, 20),
    "distance_from_high(60)": lambda b: b.close / talib.MAX(b.high, 60) - 1,
    "distance_from_low(60)": lambda b: b.close / talib.MIN(b.low, 60) - 1,
    "linear_slope(30)": lambda b: talib.LINEARREG_SLOPE(np.log(b.close), 30),
}


def differences(bars: BarFrame) -> dict[str, float]:
    """Return how far each feature is from TA-Lib's at most, beside the size of its values."""
    features = parse_features(list(INDICATORS), interval="1m")
    rows = FeatureEngine(features).batch(bars, dtype=np.float64)
    assert rows.valid.sum() > 1000
    found = {}
    for column, (name, indicator) in enumerate(INDICATORS.items()):
        ours, theirs = rows.values[rows.valid, column], indicator(bars)[rows.valid]
        assert np.isfinite(theirs).all()
        found[name] = float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))
    return found


def test_indicators_agree_with_talib_after_the_warmup() -> None:
    found = differences(market(6_000))
    assert {name: d for name, d in found.items() if not d <= 1e-9} == {}


@pytest.mark.realdata
def test_indicators_agree_with_talib_on_recorded_bars(market_dir: Path) -> None:
    table = pq.read_table(
        market_dir / "bars_1m" / "binance_spot_BTCUSDT_1m_2022-01_2023-12.parquet",
        columns=["open", "high", "low", "close", "volume"],
    ).slice(0, 300_000)
    columns = [column.to_numpy() for column in table.columns]
    ts = (np.arange(len(table), dtype=np.int64) + 27_000_000) * 60_000_000_000
    found = differences(BarFrame(ts, *columns))
    assert {name: d for name, d in found.items() if not d <= 1e-9} == {}
