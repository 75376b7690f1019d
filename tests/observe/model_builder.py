"""Make up what models said in a run, and let the real code judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.observe.run_record import ModelRecord
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.run.prediction_figures import model_records, resolve_outcomes

FEATURES = (
    "zscore(close,240)",
    "realised_volatility(60)",
    "rsi(14)",
    "log_return(1)",
    "ema_ratio(12,26)",
    "volume_ratio(20,200)",
    "parkinson_volatility(120)",
    "log_return(15)",
    "bollinger_position(48)",
    "garman_klass_volatility(60)",
    "hour_of_week_sin",
    "beta(ETHUSDT-PERP.BINANCE,240)",
    "candle_body_share(1)",
    "macd(12,26,9)",
    "autocorrelation(60,1)",
    "day_of_week_cos",
    "spread(ETHUSDT-PERP.BINANCE,240)",
)


@dataclass(frozen=True)
class ModelRecipe:
    """What a model should look like; with skill, its probabilities lean the right way."""

    name: str = "btc_up"
    version: str = "3"
    skill: float = 0.02
    spread: float = 0.025
    bias: float = 0.0
    horizon_bars: int = 12
    cost_bps: float = 0.0
    sample: str = "out"
    seed: int = 5
    late: int = 0
    simulated: bool = False
    members: tuple[str, ...] = ()
    features: tuple[str, ...] = FEATURES


def predictions_of(
    recipes: Sequence[ModelRecipe], frames: Mapping[str, BarFrame], interval_ns: int
) -> tuple[pa.Table, list[ModelRecord]]:
    """Return the table of predictions and the records of the models that made them."""
    sources = {one.name: source_of(one, frames, interval_ns) for one in recipes}
    tables = [TABLES["predictions"].empty_table().drop_columns(["forward_return", "up"])]
    for recipe in recipes:
        random = np.random.default_rng(recipe.seed)
        for instrument_id, bars in frames.items():
            ts = bars.ts_close
            ahead = np.zeros(len(ts))
            ahead[: -recipe.horizon_bars] = np.log(
                bars.close[recipe.horizon_bars :] / bars.close[: -recipe.horizon_bars]
            )
            known = ahead / ahead.std() * recipe.skill
            noise = random.normal(0, recipe.spread, len(ts))
            told = np.clip(0.5 + recipe.bias + known * 0.5 + noise, 0.02, 0.98)
            tables.append(_said(recipe, instrument_id, ts, told, interval_ns))
    first_open = min(int(bars.ts_close[0]) for bars in frames.values()) - interval_ns
    table = resolve_outcomes(pa.concat_tables(tables), sources, frames)
    late = {one.name: one.late for one in recipes}
    return table, model_records(sources, table, late, first_open)


def source_of(
    recipe: ModelRecipe, frames: Mapping[str, BarFrame], interval_ns: int
) -> PredictionSource:
    """Return where a model's predictions come from."""
    horizon_ns = recipe.horizon_bars * interval_ns
    first_open = min(int(bars.ts_close[0]) for bars in frames.values()) - interval_ns
    year = 365 * 86_400 * 10**9
    trained = {"out": first_open - horizon_ns, "in": first_open, "walk-forward": None}
    last = trained[recipe.sample]
    rises = 0.004 * 0.72 ** np.arange(len(recipe.features)) - 0.00003
    return PredictionSource(
        model=recipe.name,
        version=recipe.version,
        sha256=hashlib.sha256(recipe.name.encode()).hexdigest(),
        manifest_sha256=hashlib.sha256(b"manifest").hexdigest(),
        alias="production",
        instruments=tuple(frames),
        interval=Interval.of_ns(interval_ns).text,
        label=Label(
            kind="sign",
            horizon_bars=recipe.horizon_bars,
            horizon_ns=horizon_ns,
            parameters={"cost_bps": recipe.cost_bps},
        ),
        longest_gap_bars=10,
        trained_first_ns=None if last is None else last - year,
        trained_last_ns=last,
        simulated=recipe.simulated,
        trials=24,
        algorithm="lightgbm",
        features=recipe.features,
        importance=dict(zip(recipe.features, rises.tolist(), strict=True)),
        members=recipe.members,
    )


def _said(recipe, instrument_id, ts, told, interval_ns):
    count = len(ts)
    same = {"instrument_id": instrument_id, "model": recipe.name, "version": recipe.version}
    schema = pa.schema([f for f in TABLES["predictions"] if f.name not in {"forward_return", "up"}])
    columns = {name: pa.array([text] * count) for name, text in same.items()} | {
        "ts": ts,
        "probability": told,
        "score": 2 * told - 1,
        "expected_return": pa.nulls(count, pa.float64()),
        "confidence": pa.nulls(count, pa.float64()),
        "ts_inference": ts,
        "expires": ts + interval_ns,
    }
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)
