"""A desk for the benchmarks of a live node: twenty perpetuals, one model, an order at most bars.

The market is made up so that a model can tell the next bar from the last: each bar takes back most
of what the one before did. So a LightGBM of 200 trees on 40 features, trained by ``aitb train``,
wants to be in at one bar and out at the next, and the desk sends an order at nearly every bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.market.instruments import InstrumentSettings, find_instrument
from aitb_nautilus.run.node_settings import LiveSettings
from catalog.store import BarStore

__all__ = ["INSTRUMENTS", "make_market", "write_config"]

_BASES = (
    "BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "TRX", "AVAX", "LINK",
    "DOT", "LTC", "BCH", "ATOM", "UNI", "ETC", "XLM", "FIL", "NEAR", "APT",
)  # fmt: skip
INSTRUMENTS = tuple(f"{base}USDT-PERP.BINANCE" for base in _BASES)
COLUMNS = (
    *(f"log_return({n})" for n in (1, 2, 3, 5, 10, 15, 30, 60, 120)),
    *(f"rsi({n})" for n in (7, 14, 28)),
    *(f"zscore(close,{n})" for n in (15, 30, 60, 120)),
    *(f"zscore(volume,{n})" for n in (15, 30, 60, 120)),
    *(f"ema_ratio({a},{b})" for a, b in ((3, 12), (12, 26), (20, 60))),
    *(f"distance_from_high({n})" for n in (30, 60, 120)),
    *(f"distance_from_low({n})" for n in (30, 60, 120)),
    *(f"range_position({n})" for n in (15, 60)),
    "candle_body",
    "upper_wick",
    "lower_wick",
    "close_location",
    "bar_range",
    "natr(14)",
    "realised_volatility(60)",
    "autocorrelation(1,60)",
    "hour_sin",
)
_MINUTE = Interval.parse("1m")
_TRAINED_BARS, _HISTORY_BARS = 1_500, 500
_FIRST_NS = 1_700_000_040_000_000_000
_PRICE_TICKS, _SWING = 20_000, 0.002
_CONFIG = """
[trader]
state = "state-{name}"

[catalog]
path = "data"

[backtest]
runs = "runs-{name}"

[features]
interval = "1m"
columns = {columns}

[model]
id = "swing"
instruments = {instruments}
end = "{end}"
label = {{ kind = "sign", horizon_bars = 1 }}
algorithm = {{ kind = "lightgbm", trees = {trees}, leaves = 31, early_stopping_rounds = 0 }}
folds = {{ count = 2 }}

[[venues]]
name = "BINANCE"
account = "margin"
leverage = 10
starting_balance = "1000000 USDT"
maker_fee_bps = 2.0
taker_fee_bps = 5.0

[risk]
max_order_notional = 5_000
max_position_notional = 5_000
max_gross_notional = 200_000
max_leverage = 5.0
max_open_orders = 100
max_orders_per_minute = 100_000
max_turnover_per_day = 1e9
max_daily_loss_frac = 0.5
price_band_frac = 0.5

[live]
on_disk = "{on_disk}"
keep_warm_ms = {keep_warm_ms}

[[actors]]
class = "actors.inference:OnnxInferenceActor"
id = "inference"
params = {{ models = ["swing"] }}

[[strategies]]
class = "strategies.threshold:Threshold"
id = "threshold"

[strategies.params]
instruments = {instruments}
interval = "1m"
model = "swing"
direction = "long"
long_enter = 0.5
long_exit = 0.49
sizing = {{ method = "fixed_notional", notional = 1_000 }}
"""


def make_market(folder: Path, bars: int, instruments: Sequence[str] = INSTRUMENTS) -> int:
    """Write a catalog.

    Parameters
    ----------
    bars
        That can be played.

    Returns
    -------
    int
        Close of the last bar before those that are played, ns UTC.
    """
    store, known = BarStore(folder / "data"), _TRAINED_BARS + _HISTORY_BARS
    for seed, name in enumerate(instruments):
        spec = find_instrument(name)
        frame = swinging_bars(known + bars, spec, seed)
        store.write(spec, _MINUTE, frame, source="a swing", simulated=True)
    return _FIRST_NS + known * _MINUTE.ns


def write_config(
    folder: Path,
    name: str,
    instruments: Sequence[str] = INSTRUMENTS,
    *,
    on_disk: str,
    trees: int,
    keep_warm_ms: float = LiveSettings().keep_warm_ms,
) -> Path:
    """Write the config of a desk; each has state and runs of its own, the model is shared."""
    end = np.datetime64(_FIRST_NS + _TRAINED_BARS * _MINUTE.ns, "ns")
    path = folder / f"{name}.toml"
    path.write_text(
        _CONFIG.format(
            name=name,
            columns=list(COLUMNS),
            instruments=list(instruments),
            trees=trees,
            end=np.datetime_as_string(end, "s"),
            on_disk=on_disk,
            keep_warm_ms=keep_warm_ms,
        )
    )
    return path


def swinging_bars(count: int, spec: InstrumentSettings, seed: int) -> BarFrame:
    """Return bars of which each takes back most of what the one before it did."""
    rng = np.random.default_rng(seed)
    decimals, price = spec.price_precision, float(spec.tick) * _PRICE_TICKS
    side = np.where((np.arange(count) + seed) % 2, 1.0, -1.0)
    swing = side * _SWING * rng.uniform(0.5, 1.5, count)
    walk = np.cumsum(rng.normal(0, _SWING, count))
    close = np.round(price * np.exp(walk + swing), decimals)
    opened = np.concatenate([close[:1], close[:-1]])
    reach = 1 + rng.uniform(0, _SWING / 4, (2, count))
    high = np.round(np.maximum(opened, close) * reach[0], decimals)
    low = np.round(np.minimum(opened, close) / reach[1], decimals)
    ts = _FIRST_NS + np.arange(1, count + 1, dtype=np.int64) * _MINUTE.ns
    volume = np.round(rng.uniform(0.5e8, 1.5e8, count) / price, spec.size_precision)
    return BarFrame(ts, opened, high, low, close, volume)
