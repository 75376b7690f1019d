"""A desk on twenty perpetuals: a made-up market, forty features, boosted trees, exits, limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.rehearsal import BarSource
from aitb_nautilus.run.training import train
from catalog.store import BarStore

__all__ = ["TWENTY", "desk_of", "sources_of", "train_model", "twenty_frames"]

TWENTY = tuple(
    f"{base}USDT-PERP.BINANCE"
    for base in (
        *("BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "TRX", "AVAX", "LINK"),
        *("DOT", "LTC", "BCH", "ATOM", "UNI", "ETC", "FIL", "NEAR", "APT", "ARB"),
    )
)
MINUTE = Interval.parse("1m")
FIRST_NS = 1_700_000_040_000_000_000
"""A whole minute, at which the made-up market begins."""
LEARNT = 2_000
"""Bars of each instrument that the model learns from, and that the exchange has as history."""
TREES = 200
_PRICES = (60_000, 3_000, 600, 150, 0.6, 0.4, 0.1, 0.1, 30, 15, 6, 80, 400, 8, 9, 25, 5, 5, 9, 1)
_COLUMNS = tuple(
    f"{name}({length})"
    for length in (3, 8, 20, 60)
    for name in (
        *("log_return", "acceleration", "return_shock", "distance_from_high", "range_position"),
        *("sma_ratio", "linear_slope", "efficiency", "realised_volatility", "cci"),
    )
)
"""Forty features that look back at most 120 bars."""


def twenty_frames(count: int, seed: int) -> dict[str, BarFrame]:
    """Return minutes of all twenty that move together, on the ticks of each."""
    rng = np.random.default_rng(seed)
    together = rng.normal(0, 4e-4, count)
    closes = FIRST_NS + np.arange(1, count + 1, dtype=np.int64) * MINUTE.ns
    frames = {}
    for name, price in zip(TWENTY, _PRICES, strict=True):
        tick = float(find_instrument(name).tick_size)
        moves = together + rng.normal(0, 4e-4, count)
        close = price * np.exp(np.cumsum(moves))
        opened = np.concatenate([[price], close[:-1]])
        high = np.maximum(opened, close) * (1 + rng.uniform(0, 4e-4, count))
        low = np.minimum(opened, close) * (1 - rng.uniform(0, 4e-4, count))
        volume = np.round(rng.uniform(1, 3, count) * 1e6 / price)
        opened, close = (np.round(np.round(p / tick) * tick, 8) for p in (opened, close))
        high, low = np.ceil(high / tick - 1e-6), np.floor(low / tick + 1e-6)
        high = np.maximum.reduce([np.round(high * tick, 8), opened, close])
        low = np.minimum.reduce([np.round(low * tick, 8), opened, close])
        frames[name] = BarFrame(closes, opened, high, low, close, volume)
    return frames


def sources_of(frames: Mapping[str, BarFrame]) -> list[BarSource]:
    """Return what a rehearsal plays: all that the model has not learnt from."""
    return [
        BarSource(find_instrument(name), frame, MINUTE.ns, int(frame.ts_close[LEARNT - 1]))
        for name, frame in frames.items()
    ]


def train_model(folder: Path, frames: Mapping[str, BarFrame]) -> Path:
    """Train boosted trees on the first bars, as `aitb train` does; return the registry."""
    store = BarStore(folder / "training")
    for name, frame in frames.items():
        known = frame.take(np.arange(len(frame)) < LEARNT)
        store.write(find_instrument(name), MINUTE, known, source="made up", simulated=True)
    registry = folder / "models"
    data = {
        "catalog": {"path": str(folder / "training")},
        "features": {"interval": "1m", "columns": list(_COLUMNS)},
        "model": {
            "id": "trees",
            "instruments": list(TWENTY),
            "registry": str(registry),
            "label": {"kind": "sign", "horizon_bars": 5},
            "algorithm": {"kind": "lightgbm", "trees": TREES, "early_stopping_rounds": 0},
            "folds": {"count": 2},
        },
    }
    path = folder / "training.toml"
    path.write_text(tomli_w.dumps(data))
    train(path)
    return registry


def desk_of(folder: Path, registry: Path, venue: Mapping[str, Any], **sections: Any) -> Path:
    """Write the config of the desk; `venue` says where the exchange is.

    It opens a position where the trees are a little surer than a coin, protects it with a stop and
    a target, leaves after a quarter of an hour, and rests.
    """
    actor = {"models": ["trees@1"], "registry": str(registry), "inference": "inline"}
    strategy = {
        "instruments": list(TWENTY),
        "interval": "1m",
        "model": "trees",
        "direction": "both",
        "long_enter": 0.502,
        "long_exit": 0.5,
        "short_enter": 0.498,
        "short_exit": 0.5,
        "cooldown_bars": 5,
        "sizing": {"method": "equity_fraction", "fraction": 0.05},
        "exits": {"stop_frac": 0.002, "target_frac": 0.003, "max_bars": 15, "signal": False},
    }
    data: dict[str, Any] = {
        "catalog": {"path": str(folder / "data")},
        "backtest": {"runs": str(folder / "runs")},
        "venues": [
            {
                "name": "BINANCE",
                "account": "margin",
                "leverage": 5.0,
                "starting_balance": "100000 USDT",
                "maker_fee_bps": 2.0,
                "taker_fee_bps": 5.0,
                "latency_ms": 20.0,
                **venue,
            }
        ],
        "risk": {
            "max_order_notional": 20_000.0,
            "max_position_notional": 20_000.0,
            "max_gross_notional": 200_000.0,
            "max_leverage": 3.0,
            "max_open_orders": 100,
            "max_orders_per_minute": 100,
            "max_stale_bars": 2.0,
            "max_clock_skew_ms": 2_000.0,
            "max_prediction_age_minutes": 2.0,
            "book": {"max_quote_age_ms": 60_000.0, "max_spread_frac": 0.01},
            "correlation": {"max_volatility_frac": 50.0, "min_bars": 100, "half_life_bars": 50},
            "drawdown": {"shrink_frac": 0.2, "reduce_frac": 0.5},
        },
        "actors": [
            {"class": "actors.inference:OnnxInferenceActor", "id": "trees", "params": actor}
        ],
        "strategies": [
            {"class": "strategies.threshold:Threshold", "id": "threshold", "params": strategy}
        ],
    }
    for name, values in sections.items():
        both = isinstance(values, Mapping) and isinstance(data.get(name), Mapping)
        data[name] = {**data[name], **values} if both else values
    path = folder / "desk.toml"
    path.write_text(tomli_w.dumps(data))
    return path
