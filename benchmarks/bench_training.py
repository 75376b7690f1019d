"""Seconds of a walk-forward on 90 days of one-minute bars: features, training, prediction.

18 retrainings on windows of 15 days in steps of 5 days, LightGBM of 200 trees with 31 leaves, 40
features, one thread. What is not the fitting of trees (features, labels, splits, calibration, ONNX
and its gate, metrics, prediction) is set against LightGBM's own fitting in the same run.

Run as ``python benchmarks/bench_training.py [CATALOG]``; without a catalog a simulated market is
used. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.training.samples import TrainingBars, make_samples
from aitb_nautilus.training.settings import (
    LightgbmSettings,
    ModelSettings,
    SignLabel,
    WalkForwardSettings,
)
from aitb_nautilus.training.walk_forward import walk_forward
from catalog.periods import parse_time
from catalog.simulate import SimulationSettings, simulate
from catalog.store import BarStore

BTC = "BTCUSDT.BINANCE"
DAY_NS = 86_400_000_000_000
DAYS, TRAIN_DAYS, STEP_DAYS = 105, 15, 5
COLUMNS = [
    *(f"log_return({n})" for n in (1, 2, 3, 5, 10, 15, 30, 60, 120)),
    *(f"rsi({n})" for n in (7, 14, 28)),
    *(f"zscore(close,{n})" for n in (15, 30, 60, 120)),
    *(f"zscore(volume,{n})" for n in (15, 30, 60, 120)),
    *(f"percent_rank(close,{n})" for n in (30, 60)),
    *(f"distance_from_high({n})" for n in (30, 60, 120)),
    *(f"distance_from_low({n})" for n in (30, 60, 120)),
    *(f"range_position({n})" for n in (15, 60)),
    "candle_body",
    "upper_wick",
    "lower_wick",
    "close_location",
    "bar_range",
    "hour_sin",
    "hour_cos",
    "rsi(14)@5m",
    "log_return(4)@1h",
    "log_return(1)@1h",
]


def main(catalog: str | None = None) -> None:
    """Run the walk-forward and print its seconds."""
    features = parse_features(COLUMNS, interval="1m")
    settings = ModelSettings(
        id="bench",
        instruments=(BTC,),
        label=SignLabel(horizon_bars=15),
        algorithm=LightgbmSettings(early_stopping_rounds=None),
    )
    plan = WalkForwardSettings(train_days=TRAIN_DAYS, step_days=STEP_DAYS)
    bars = TrainingBars({BTC: _bars(catalog)}, "00" * 32, catalog is None)
    make_samples(features, bars, (BTC,), settings.label)  # compiles, if need be
    report, _ = walk_forward(settings, plan, features, bars)
    seconds = report.seconds
    outside = seconds["total"] - seconds["training"]
    print(
        json.dumps(
            {
                "features": len(COLUMNS),
                "windows": len(report.windows),
                "predictions": report.rows,
                "seconds": {name: round(value, 2) for name, value in seconds.items()},
                "outside_fitting_seconds": round(outside, 2),
                "outside_over_fitting": round(outside / seconds["training"], 3),
            }
        )
    )


def _bars(catalog: str | None) -> BarFrame:
    if catalog is None:
        return simulate(SimulationSettings(instruments=(BTC,), days=DAYS))[BTC]
    start = parse_time("2023-01-01")
    bar_type = Interval("1m").bar_type(BTC)
    return BarStore(Path(catalog)).read(bar_type, start, start + DAYS * DAY_NS)


if __name__ == "__main__":
    main(*sys.argv[1:])
