"""The engine of a back-test, built from a prepared desk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import CacheConfig, LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import AccountType, Money, OmsType, TraderId, Venue
from nautilus_trader.risk import RiskEngineConfig

from aitb_nautilus.run.ambiguous import AmbiguousBars
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.prediction_recorder import PredictionRecorder
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.venue_model import QuoteFillModel, SlippageFillModel, VenueClock
from aitb_nautilus.run.warm_up import Past
from aitb_nautilus.run.watch import QuoteWatch, RecordedReferences
from aitb_nautilus.settings import Settings

__all__ = ["SECOND_WALL", "BuiltEngine", "build_engine"]

SECOND_WALL = 10
"""The engine's own limits stand this many times outside ours.

It applies them to exits as well, which ours never refuses: a position that grew must still get out.
"""


class BuiltEngine(msgspec.Struct, frozen=True):
    """An engine with everything in it but data.

    Attributes
    ----------
    fill_models
        By venue name; they know the reference price of each taker fill.
    ambiguous
        Knows the bars that touched stop and target.
    recorder
        Knows all predictions.
    """

    engine: BacktestEngine
    fill_models: Mapping[str, SlippageFillModel | QuoteFillModel]
    ambiguous: AmbiguousBars
    recorder: PredictionRecorder


def build_engine(preparation: Preparation) -> BuiltEngine:
    """Return the engine with venues, instruments, actors and strategies."""
    config = preparation.desk.config
    context = preparation.context
    latency_ns = {v.name: v.latency_ns for v in preparation.venues.values()}
    interval_ns = {str(s.instrument_id): s.interval_ns for s in preparation.series}
    clock = VenueClock(Settings(), context, "aitb_venue_clock-001", latency_ns)
    context.latencies.venue_answers_by(clock.now)
    ambiguous = AmbiguousBars(
        Settings(),
        context,
        "aitb_ambiguous_bars-001",
        rule=config.backtest.ambiguous_bars,
        frames=preparation.frames,
        latency_ns=latency_ns,
        strategies={s.component_id: s for s in preparation.strategies},
        touch_venues=frozenset(
            v.name for v in preparation.venues.values() if v.limit_fill == "touch"
        ),
    )
    recorder = PredictionRecorder(Settings(), context, "aitb_prediction_recorder-001")
    rate = f"{config.risk.max_orders_per_minute * SECOND_WALL}/00:01:00"
    wall = str(math.ceil(config.risk.max_position_notional * SECOND_WALL))
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId(config.trader.id),
            logging=LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True),
            bypass_logging=True,
            run_analysis=False,
            shutdown_on_error=True,
            # Nobody asks the engine's cache for old bars or ticks; two are what it needs itself.
            cache=CacheConfig(tick_capacity=2, bar_capacity=2),
            risk_engine=RiskEngineConfig(
                max_order_submit_rate=rate,
                max_order_modify_rate=rate,
                max_notional_per_order=dict.fromkeys(preparation.instruments, wall),
            ),
        )
    )
    fill_models: dict[str, SlippageFillModel | QuoteFillModel] = {}
    for venue in preparation.venues.values():
        touch = venue.limit_fill == "touch"
        model = fill_models[venue.name] = (
            QuoteFillModel()
            if preparation.quotes
            else SlippageFillModel(venue.slippage_bps, touch, clock.now, interval_ns)
        )
        _add_venue(engine, venue, model, on_bars=not preparation.quotes)
    for series in preparation.series:
        engine.add_instrument(series.instrument)
    past = Past(
        Settings(),
        context,
        "aitb_past-001",
        frames=preparation.past,
        bar_types=preparation.bar_types,
    )
    actors: list[Any] = [clock, recorder, past]
    if not preparation.quotes:
        actors.insert(1, ambiguous)
    elif context.guard.hearing.wants_quotes:
        watched = list(preparation.quotes)
        actors.append(QuoteWatch(Settings(), context, "aitb_quotes-001", watched))
    if preparation.references:
        actors.append(_references(preparation))
    engine.add_actors([*actors, *preparation.actors])
    engine.add_strategies(list(preparation.strategies))
    return BuiltEngine(engine, fill_models, ambiguous, recorder)


def _references(preparation: Preparation) -> RecordedReferences:
    """Return what brings the bars of references, in time with those that are compared."""
    rules = preparation.desk.config.risk.rules
    compared = {rule.scope.instrument for rule in rules if rule.reference is not None}
    return RecordedReferences(
        Settings(),
        preparation.context,
        "aitb_references-001",
        preparation.references,
        [s.bar_type for s in preparation.series if str(s.instrument_id) in compared],
    )


def _add_venue(
    engine: BacktestEngine,
    venue: VenueSettings,
    model: SlippageFillModel | QuoteFillModel,
    *,
    on_bars: bool,
) -> None:
    amount, currency = venue.balance()
    engine.add_venue(
        Venue(venue.name),
        OmsType.NETTING,
        AccountType.CASH if venue.account == "cash" else AccountType.MARGIN,
        [Money.from_str(f"{amount} {currency}")],
        default_leverage=Decimal(repr(venue.leverage)),
        fee_model=MakerTakerFeeModel(
            Decimal(repr(venue.maker_fee_bps)) / 10_000, Decimal(repr(venue.taker_fee_bps)) / 10_000
        ),
        latency_model=StaticLatencyModel(venue.latency_ns),
        fill_model=model,
        bar_execution=on_bars,
        # A stop that is already beyond its trigger when it arrives fills at the market.
        reject_stop_orders=False,
    )
