"""Markets made up for the tests of features."""

from __future__ import annotations

import numpy as np

from aitb_nautilus.features.engine import FeatureEngine, FeatureRows
from aitb_nautilus.features.feature_set import Feature, FeatureSet
from aitb_nautilus.features.kernel import Argument, Instrument, Kernel
from aitb_nautilus.market.bars import BarFrame, FloatArray
from aitb_nautilus.market.intervals import Interval

MINUTE = Interval.parse("1m")
OTHER = "ETHUSDT.BINANCE"
START = 27_000_017  # minutes since 1970; no round number, so that blocks begin anywhere


def market(
    count: int, *, seed: int = 1, price: float = 20_000.0, every: Interval = MINUTE
) -> BarFrame:
    """Return a market with calm and wild hours, trends, gaps at the open, and idle minutes."""
    random = np.random.default_rng(seed)
    wild = np.exp(np.repeat(random.normal(0, 0.7, count // 50 + 1), 50)[:count])
    drift = np.repeat(random.normal(0, 3e-4, count // 80 + 1), 80)[:count]
    steps = drift + 8e-4 * wild * random.standard_t(4, count)
    gaps = np.where(random.random(count) < 0.3, 2e-4 * random.standard_normal(count), 0.0)
    idle = random.random(count) < 0.03
    steps[idle] = gaps[idle] = 0.0
    close = price * np.exp(np.cumsum(steps + gaps))
    opened = np.r_[price, close[:-1]] * np.exp(gaps)
    span = close * 4e-4 * wild
    high = np.maximum(opened, close) + np.where(idle, 0.0, span * random.random(count))
    low = np.minimum(opened, close) - np.where(idle, 0.0, span * random.random(count))
    volume = np.where(idle, 0.0, random.lognormal(2.0, 1.0, count))
    return frame(opened, high, low, close, volume, every=every)


def frame(
    opened: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    *,
    every: Interval = MINUTE,
    start: int = START,
) -> BarFrame:
    """Return bars in prices of four decimals; `start` is the close time of the first, in bars."""
    ts = (start + np.arange(len(close), dtype=np.int64)) * every.ns
    prices = [np.round(column, 4) for column in (opened, high, low, close)]
    return BarFrame(ts, *prices, np.round(volume, 5))


def flat(count: int, price: float = 100.0, volume: float = 0.0) -> BarFrame:
    """Return bars in which nothing happens."""
    one = np.full(count, price)
    return frame(one, one, one, one, np.full(count, volume))


def scaled(bars: BarFrame, price: float = 1.0, volume: float = 1.0) -> BarFrame:
    """Return bars in other money and other lots, without rounding."""
    prices = [column * price for column in (bars.open, bars.high, bars.low, bars.close)]
    return BarFrame(bars.ts_close, *prices, bars.volume * volume)


def examples(kernel: Kernel) -> tuple[Argument, ...]:
    """Return the usual arguments of a kernel."""
    return tuple(parameter.example for parameter in kernel.parameters)


def set_of(kernel: Kernel, arguments: tuple[Argument, ...] | None = None) -> FeatureSet:
    """Return the set of one kernel, which need not be registered."""
    given = examples(kernel) if arguments is None else arguments
    return FeatureSet((Feature(kernel, given, MINUTE, None),), MINUTE, 120)


def run(features: FeatureSet, *frames: BarFrame) -> FeatureRows:
    """Return the features of bars in float64; the second frame is of the other instrument."""
    engine = FeatureEngine(features)
    return engine.batch(sides(features, *frames), dtype=np.float64)


def sides(features: FeatureSet, *frames: BarFrame) -> dict[str, BarFrame]:
    """Return as many frames as the set has instruments, by id."""
    return dict(zip(("own", *features.others), frames, strict=False))


def takes_two(kernel: Kernel) -> bool:
    """Return whether a kernel looks at another instrument."""
    return any(isinstance(parameter, Instrument) for parameter in kernel.parameters)


def same_bits(a: FloatArray, b: FloatArray) -> bool:
    """Return whether two arrays are equal bit for bit, all NaN being one."""
    return a.shape == b.shape and bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())
