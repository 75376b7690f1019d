"""Forty features on two years of one-minute bars: batch, stream, start, and that both agree.

The limits are those of a quiet machine. What neighbours on the machine add is kept out as far as
possible: the best of a few rounds counts, for the stream the quietest hundredth of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import FeatureSet, parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import close_of_open_ns
from benchmarks.figures import skip
from benchmarks.recorded import ABSENT, market_file

MINUTE = 60_000_000_000
ROUNDS = 3
STRETCHES = 100
CUTS = 1_000
AFTER_CUT = 20
COLUMNS = (
    "log_return(1)",
    "log_return(5)",
    "log_return(60)",
    "log_return(1440)",
    "return_shock(60)",
    "range_position(20)",
    "range_position(240)",
    "distance_from_high(1440)",
    "distance_from_low(1440)",
    "sma_ratio(20)",
    "sma_ratio(240)",
    "ema_distance(50)",
    "ema_distance(200)",
    "ema_ratio(12,26)",
    "macd_histogram(12,26,9)",
    "linear_slope(60)",
    "adx(14)",
    "efficiency(30)",
    "rsi(14)",
    "rsi(60)",
    "stochastic(14,3)",
    "momentum_score(60)",
    "parkinson(60)",
    "garman_klass(60)",
    "realised_volatility(30)",
    "realised_volatility(1440)",
    "volatility_ratio(15,120)",
    "natr(14)",
    "skewness(120)",
    "zscore(close,20)",
    "zscore(close,240)",
    "zscore(volume,60)",
    "autocorrelation(1,120)",
    "signed_volume(30)",
    "vwap_distance(60)",
    "vwap_distance(1440)",
    "amihud(60)",
    "candle_body",
    "upper_wick",
    "hour_sin",
)
START = f"""
import time
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
began, busy = time.perf_counter(), time.process_time()
engine = FeatureEngine(parse_features({COLUMNS!r}, interval="1m"))
engine.update({MINUTE}, 1.0, 1.0, 1.0, 1.0, 1.0)
print(time.process_time() - busy, time.perf_counter() - began)
"""


def figure(name: str, value: float, unit: str, limit: float, note: str = "") -> None:
    """Print one figure as JSON; lower is better for all of them."""
    rest = {"unit": unit, "limit": limit, "better": "lower"} | ({"note": note} if note else {})
    print(json.dumps({"figure": name, "value": round(value, 3), **rest}), flush=True)


def read(file: Path) -> BarFrame:
    """Return the recorded bars."""
    table = pq.read_table(file)
    opened = table["open_time"].cast(pa.timestamp("ns", "UTC")).to_numpy().astype(np.int64)
    columns = [table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    return BarFrame(close_of_open_ns(opened, MINUTE), *columns)


def starts(folder: Path) -> None:
    """Time a process with nothing compiled, then processes that find everything compiled."""
    environment = os.environ | {"AITB_CACHE_DIR": str(folder)}
    warm = []
    for i in range(1 + ROUNDS):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", START],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        if i == 0:
            busy, waited = map(float, done.stdout.split())
            note = f"of one processor, once a version; {waited:.1f} s by the clock"
            figure("40 features, cold compile", busy, "s", 15.0, note)
        else:
            warm.append(time.perf_counter() - began)
    figure(
        "40 features, warm start", min(warm), "s", 4.5, "whole process: imports, load, first bar"
    )


def batch(features: FeatureSet, bars: BarFrame) -> np.ndarray:
    """Time the batch and return its rows."""
    engine = FeatureEngine(features)
    seconds = []
    for _ in range(ROUNDS):
        engine.reset()
        began = time.perf_counter()
        rows = engine.batch(bars)
        seconds.append(time.perf_counter() - began)
    note = f"best of {ROUNDS}; {min(seconds) / len(bars) / len(COLUMNS) * 1e9:.0f} ns a value"
    figure(f"40 features of {len(bars):,} bars in batch", min(seconds), "s", 3.0, note)
    return rows.values


def stream(features: FeatureSet, bars: BarFrame, rows: np.ndarray) -> None:
    """Time one bar after the other, and count the values that differ from the batch."""
    engine = FeatureEngine(features)
    update, clock = engine.update, time.perf_counter_ns
    columns = (bars.ts_close, bars.open, bars.high, bars.low, bars.close, bars.volume)
    medians, highs, different, missing = [], [], 0, np.full(len(COLUMNS), np.nan, np.float32)
    for part in np.array_split(np.arange(len(bars)), STRETCHES):
        plain = zip(*(column[part].tolist() for column in columns), strict=True)
        took, found = [], []
        for bar in plain:
            began = clock()
            row = update(*bar)
            took.append(clock() - began)
            found.append(row)
        made = np.array([missing if row is None else row for row in found])
        same = (made.view(np.uint32) == rows[part].view(np.uint32)) | (
            np.isnan(made) & np.isnan(rows[part])
        )
        different += int((~same).sum())
        medians.append(float(np.median(took)) / 1e3)
        highs.append(float(np.percentile(took, 99)) / 1e3)
    note = f"quietest of {STRETCHES} stretches; over all {np.median(medians):.1f}"
    figure("40 features of one bar, median", min(medians), "us", 6.0, note)
    note = f"quietest of {STRETCHES} stretches; over all {np.median(highs):.1f}"
    figure("40 features of one bar, 99th percentile", min(highs), "us", 15.0, note)
    note = f"of {rows.size:,}"
    figure("values that differ between batch and stream", different, "values", 0, note)


def cuts(features: FeatureSet, bars: BarFrame, rows: np.ndarray) -> None:
    """Snapshot and restore at random bars, and count the values that differ afterwards."""
    random = np.random.default_rng(1)
    engine, other = FeatureEngine(features), FeatureEngine(features)
    done, different = 0, 0
    for cut in np.sort(random.choice(len(bars) - AFTER_CUT, CUTS, replace=False)).tolist():
        engine.batch(bars.take(slice(done, cut)))
        done = cut
        other.restore(engine.snapshot())
        after = slice(cut, cut + AFTER_CUT)
        found = other.batch(bars.take(after)).values
        same = (found == rows[after]) | (np.isnan(found) & np.isnan(rows[after]))
        different += int((~same).sum())
    note = f"{CUTS:,} random cuts, {AFTER_CUT} bars after each; {len(engine.snapshot()):,} bytes"
    figure("values that differ after a restore", different, "values", 0, note)


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as folder:
        starts(Path(folder))
    file = market_file()
    if file is None:
        skip("40 features in batch and in stream", ABSENT)
        return
    features = parse_features(COLUMNS, interval="1m")
    bars = read(file)
    rows = batch(features, bars)
    stream(features, bars, rows)
    cuts(features, bars, rows)


if __name__ == "__main__":
    main()
