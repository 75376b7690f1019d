"""Check a desk for live trading without connecting it, or run it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.load import Desk, load_config
from aitb_nautilus.run.modes import mode_view
from aitb_nautilus.run.node import run_node
from aitb_nautilus.run.node_clients import clients_of
from aitb_nautilus.run.node_engine import build_node
from aitb_nautilus.run.node_preparation import NodePreparation, prepare_node
from aitb_nautilus.run.run_log import Tell

__all__ = ["LiveCheck", "check_live", "live", "paper"]


class LiveCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a desk would do live. It was built with everything in it, and not connected.

    Attributes
    ----------
    data, execution
        By venue name: which adapter, where, with which keys (references, never the secrets).
    warm_up_bars, in_catalog
        Bars before the first one that are told, of each instrument, and how many of all of them
        the catalog has; the venue is asked for the rest.
    remarks
        What should be known of the limits before a run.
    """

    mode: str
    name: str
    config_sha256: str
    trader_id: str
    data: dict[str, Any]
    execution: dict[str, Any]
    instruments: list[str]
    bar_types: list[str]
    actors: list[str]
    strategies: list[str]
    models: list[str]
    warm_up_bars: int
    in_catalog: int
    on_stop: str
    on_error: str
    runs: str
    remarks: list[str]


def check_live(desk: Desk | str | Path) -> LiveCheck:
    """Build a desk for live trading, and say what it would do.

    Raises
    ------
    ConfigError
        If the config does not allow it, or a key is missing.
    ModelError
        If a model cannot be used.
    """
    if not isinstance(desk, Desk):
        desk = load_config(desk)
    prepared = prepare_node(desk, RunState(), "live", time.time_ns())
    built = build_node(
        prepared.run,
        prepared.plan,
        clients_of(prepared.run),
        first=[],
        reference_bar_types=prepared.reference_bar_types,
        log_folder=None,
        note=lambda _level, _line: None,
        on_tick=lambda: None,
        on_warm=lambda: None,
    )
    built.node.dispose()
    return _described(desk, prepared)


def paper(desk: Desk | str | Path, tell: Tell | None = None) -> RunRecord:
    """Run a desk on live data with simulated orders, until SIGINT or SIGTERM.

    Parameters
    ----------
    desk
        A desk from `load_config`, or the path of a config file.
    tell
        Told of what happens, a level and a line each.

    Raises
    ------
    AitbError
        As `run_node`.
    """
    return run_node(desk, "paper", tell=tell)


def live(
    desk: Desk | str | Path,
    *,
    run: bool = False,
    live_orders: bool = False,
    tell: Tell | None = None,
) -> LiveCheck | RunRecord:
    """Check a desk for live trading; with `run`, connect it and run it until SIGINT or SIGTERM.

    Parameters
    ----------
    desk
        A desk from `load_config`, or the path of a config file.
    run
        Whether to connect. Without it nothing leaves this machine.
    live_orders
        Whether anything may be sent to the venue. Without it everything is decided, and refused:
        no order, no exit, no change and no cancel leaves.
    tell
        Told of what happens, a level and a line each.

    Raises
    ------
    AitbError
        As `check_live` and `run_node`.
    """
    if not run:
        return check_live(desk)
    return run_node(desk, "live", live_orders=live_orders, tell=tell)


def _described(desk: Desk, prepared: NodePreparation) -> LiveCheck:
    run, plan = prepared.run, prepared.plan
    view = mode_view(desk, "live")
    return LiveCheck(
        mode="live",
        name=desk.name,
        config_sha256=desk.sha256(),
        trader_id=desk.config.trader.id,
        data={name: view["data"][name] for name in run.venues},
        execution={name: view["execution"][name] for name in run.venues},
        instruments=list(run.instruments),
        bar_types=list(run.bar_types),
        actors=[one.component_id for one in run.actors],
        strategies=[one.component_id for one in run.strategies],
        models=[f"{s.model}@{s.version}" for s in run.context.sources.values()],
        warm_up_bars=plan.bars,
        in_catalog=sum(map(len, plan.past.values())),
        on_stop=desk.config.live.on_stop,
        on_error=desk.config.live.on_error,
        runs=desk.config.backtest.runs,
        remarks=list(run.remarks),
    )
