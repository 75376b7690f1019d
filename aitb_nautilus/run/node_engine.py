"""The engine of a live node, built from a prepared desk: clients, limits, components."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.adapters.sandbox import (
    SandboxExecutionClientConfig,
    SandboxExecutionClientFactory,
)
from nautilus_trader.common import (
    CacheConfig,
    Environment,
    FileWriterConfig,
    LoggerConfig,
    LogLevel,
)
from nautilus_trader.execution import MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.live import (
    LiveExecutionEngineConfig,
    LiveNode,
    LiveNodeBuilder,
    LiveNodeConfig,
    LiveRiskEngineConfig,
)
from nautilus_trader.model import AccountId, AccountType, BarType, Money, OmsType, TraderId, Venue

from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.bar_gate import BarGate, GatePlan
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.engine import SECOND_WALL
from aitb_nautilus.run.engine_cache import QUIET, EngineCache
from aitb_nautilus.run.engine_log import LOG_STEM
from aitb_nautilus.run.keep_warm import KeepWarm
from aitb_nautilus.run.node_clients import Clients
from aitb_nautilus.run.prediction_recorder import PredictionRecorder
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.sandbox_feed import SandboxFeed
from aitb_nautilus.run.warden import Warden
from aitb_nautilus.run.watch import QuoteWatch, ReferenceWatch
from aitb_nautilus.settings import Settings

__all__ = ["BuiltNode", "build_node"]

_CACHED = 50
"""Ticks, prices and bars of each instrument that the engine keeps: the last one is looked at."""
_TERSE = dict.fromkeys(
    ("nautilus_trading::strategy", "nautilus_execution::engine", "nautilus_portfolio::portfolio"),
    "WARN",
)
"""Who says a dozen lines of every order, four of them before it has left: to write one, and to wake
the thread that takes it, is on the order's way. The journal says all of it."""
_SURELY_OLD_MS = 6_000
"""Most venues refuse a command that is older than five seconds."""


class BuiltNode(msgspec.Struct, frozen=True):
    """A node with everything in it, ready to run.

    Attributes
    ----------
    cache, portfolio
        Of the engine; it does not give them out while it runs.
    gate, warden, recorder
        The node's own actors.
    """

    node: LiveNode
    cache: Any
    portfolio: Any
    gate: BarGate
    warden: Warden
    recorder: PredictionRecorder


def build_node(
    preparation: Preparation,
    plan: GatePlan,
    clients: Mapping[str, Clients],
    *,
    first: Sequence[Any],
    reference_bar_types: Sequence[str],
    log_folder: Path | None,
    note: Callable[[str, str], None],
    on_tick: Callable[[], None],
    on_warm: Callable[[], None],
    kept: EngineCache | None = None,
) -> BuiltNode:
    """Return a node with clients, actors and strategies. Nothing is connected yet.

    Parameters
    ----------
    plan
        Which bars to bring.
    clients
        By venue name.
    first
        Actors that hear before all others.
    reference_bar_types
        Of instruments that are only looked at.
    log_folder
        Where the engine's own log goes; None: nowhere.
    note
        For the log of the run.
    on_tick
        Called ten times a second on the node's thread.
    on_warm
        Called there once the past is told.
    kept
        Where the engine keeps its cache beyond this run; None: nowhere.
    """
    context, config = preparation.context, preparation.desk.config
    is_paper = preparation.mode == "paper"
    rate = f"{config.risk.max_orders_per_minute * SECOND_WALL}/00:01:00"
    wall = str(math.ceil(config.risk.max_position_notional * SECOND_WALL))
    builder = LiveNodeBuilder.from_config(
        "AITB",
        LiveNodeConfig(
            environment=Environment.SANDBOX if is_paper else Environment.LIVE,
            trader_id=TraderId(config.trader.id),
            logging=_logging(log_folder),
            exec_engine=_exec_engine(None if is_paper else config.live.order_check_secs),
            risk_engine=LiveRiskEngineConfig(
                max_order_submit_rate=rate,
                max_order_modify_rate=rate,
                max_notional_per_order=dict.fromkeys(preparation.instruments, wall),
            ),
            cache=CacheConfig(tick_capacity=_CACHED, bar_capacity=_CACHED)
            if kept is None
            else kept.config(_CACHED),
            timeout_connection_secs=config.live.connect_secs,
            delay_post_stop_secs=0.5,
            timeout_disconnection_secs=2.0,
            timeout_shutdown_secs=2.0,
        ),
    )
    if kept is not None:
        builder = builder.with_instance_id(kept.instance_id())
        builder = builder.with_cache_database_factory(kept.database())
    watched = [spec.id for spec in preparation.instruments.values()]
    for venue in preparation.venues.values():
        data, execution = clients[venue.name].data, clients[venue.name].execution
        builder = builder.add_data_client(venue.name, data.factory, data.config)
        if execution is None:
            builder = builder.add_simulated_exec_client(
                venue.name,
                SandboxExecutionClientFactory(),
                _sandbox(venue, config.paper.fills, preparation.room.get(venue.name, Decimal())),
            )
        else:
            builder = builder.add_exec_client(venue.name, execution.factory, execution.config)
    node = builder.build()
    gate = BarGate(
        Settings(),
        context,
        "aitb_gate-001",
        plan=plan,
        live=config.live,
        note=note,
        on_warm=on_warm,
    )
    warden = Warden(
        Settings(),
        context,
        "aitb_warden-001",
        strategies=preparation.strategies,
        live=config.live,
        on_tick=on_tick,
    )
    recorder = PredictionRecorder(Settings(), context, "aitb_prediction_recorder-001")
    actors: list[Any] = [*first, warden, recorder, gate]
    if config.live.keep_warm_ms:
        actors.append(
            KeepWarm(
                Settings(),
                context,
                "aitb_keep_warm-001",
                gate=gate,
                actors=preparation.actors,
                bar_types=plan.bar_types,
                keep_ms=config.live.keep_warm_ms,
                note=note,
            )
        )
    if context.guard.hearing.wants_quotes:
        actors.append(QuoteWatch(Settings(), context, "aitb_quotes-001", watched))
    if reference_bar_types:
        actors.append(
            ReferenceWatch(Settings(), context, "aitb_references-001", reference_bar_types)
        )
    if is_paper and config.paper.fills == "quotes":
        actors.append(SandboxFeed(Settings(), context, "aitb_sandbox_feed-001", watched))
    for actor in (*actors, *preparation.actors):
        node.add_actor(actor)
    for strategy in preparation.strategies:
        node.add_strategy(strategy)
    if not is_paper:
        _claim(preparation.strategies)
    return BuiltNode(node, node.cache, node.portfolio, gate, warden, recorder)


def _exec_engine(check_secs: float | None) -> LiveExecutionEngineConfig:
    """Let the engine compare its orders with those of the venue; None: with a sandbox, never.

    What it hears of no more, it asks for by its id: the stream of a venue may lose a message, and
    an answer may say nothing of whether an order was taken. It is not given up before the venue
    would have refused it as too old.
    """
    if check_secs is None:
        # A sandbox is born with this run: there is nothing to reconcile.
        return LiveExecutionEngineConfig(reconciliation=False)
    return LiveExecutionEngineConfig(
        reconciliation_startup_delay_secs=check_secs,
        inflight_check_interval_ms=1_000,
        inflight_check_threshold_ms=_SURELY_OLD_MS,
        inflight_check_retries=2,
        open_check_interval_secs=check_secs,
        open_check_open_only=False,  # with open ones alone nothing is ever asked for by its id
        open_check_lookback_mins=60,
        open_check_threshold_ms=2_000,
        max_single_order_queries_per_cycle=20,
        open_check_missing_retries=max(2, math.ceil(_SURELY_OLD_MS / 1_000 / check_secs)),
    )


def _claim(strategies: Sequence[GuardedStrategy]) -> None:
    """Let the engine give orders and positions that it finds at a venue to their strategy.

    It can do so by instrument alone; where several strategies trade one, nobody gets them, and
    what becomes of their orders is read off the engine's cache.
    """
    listening = [
        [BarType.from_str(text).instrument_id for text in dict.fromkeys(s.bar_types())]
        for s in strategies
    ]
    for strategy, own in zip(strategies, listening, strict=True):
        alone = [one for one in dict.fromkeys(own) if sum(one in o for o in listening) == 1]
        strategy.set_external_order_instrument_ids(alone)


def _logging(folder: Path | None) -> LoggerConfig:
    """Keep the engine's own words off stdout, where the answer of the verb goes."""
    if folder is None:
        return LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True)
    return LoggerConfig(
        stdout_level=LogLevel.OFF,
        fileout_level=LogLevel.INFO,
        print_config=False,
        component_levels=QUIET | _TERSE,
        file_config=FileWriterConfig(str(folder), LOG_STEM, "json"),
    )


def _sandbox(venue: VenueSettings, fills: str, room: Decimal) -> SandboxExecutionClientConfig:
    amount, currency = venue.balance()
    return SandboxExecutionClientConfig(
        venue=Venue(venue.name),
        starting_balances=[Money.from_str(f"{amount + room:f} {currency}")],
        account_id=AccountId(f"{venue.name}-001"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH if venue.account == "cash" else AccountType.MARGIN,
        default_leverage=Decimal(repr(venue.leverage)),
        fee_model=MakerTakerFeeModel(
            Decimal(repr(venue.maker_fee_bps)) / 10_000, Decimal(repr(venue.taker_fee_bps)) / 10_000
        ),
        latency_model=StaticLatencyModel(venue.latency_ns),
        bar_execution=fills == "bars",
        # A stop that is already beyond its trigger when it arrives fills at the market.
        reject_stop_orders=False,
        # Venue ids that count from one again would meet those of the run before.
        use_random_ids=True,
    )
