"""From a desk to what a live node is made of, before anything is connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.run_record import DataRecord, Mode
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.locks import Locks
from aitb_nautilus.risk.turns import Turns
from aitb_nautilus.run.assembly import assemble, reference_bar_types, venue_of
from aitb_nautilus.run.bar_gate import GatePlan
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.dead_man import dead_man_remarks, refuse_dead_man
from aitb_nautilus.run.feed import Series
from aitb_nautilus.run.kept_account import account_name, room_to_reopen, with_kept_balances
from aitb_nautilus.run.last_run import LastRunFile, history_of
from aitb_nautilus.run.load import Desk, resolve
from aitb_nautilus.run.model_sources import check_expiries, check_sources
from aitb_nautilus.run.node_redis import refuse_unproved_cache
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.state_place import StatePlace
from aitb_nautilus.run.venue_bars import VenueBars, bars_of
from aitb_nautilus.run.warm_up import bars_before, past_in_catalog

_PATIENCE_NS = 3_000_000_000
"""How long what opens waits for the close before it."""
_LOCKED_NS = 10_000_000_000
"""Longer than the engine takes to find out that a cancel was done of which it was not told."""

__all__ = ["NodePreparation", "keep_order", "prepare_node", "refuse_spot", "with_bars"]


class NodePreparation(msgspec.Struct, frozen=True):
    """What a node is made of.

    Attributes
    ----------
    run
        The same as a back-test's, without any bars yet.
    plan
        Which bars to bring.
    reference_bar_types
        Of instruments that are only looked at.
    """

    run: Preparation
    plan: GatePlan
    reference_bar_types: Sequence[str]


def keep_order(context: Context) -> None:
    """Let commands that must not overtake others wait: a live venue keeps no order of them."""
    ledger, lots, tape = context.ledger, context.guard.lots, context.tape
    msgspec.structs.force_setattr(context, "turns", Turns(ledger, _PATIENCE_NS, tape))
    msgspec.structs.force_setattr(context, "locks", Locks(ledger, lots, _LOCKED_NS, tape))


def prepare_node(desk: Desk, run_state: RunState, mode: Mode, now: int) -> NodePreparation:
    """Build the components of a desk, and read the past that the catalog has for them.

    Parameters
    ----------
    now
        ns UTC.

    Raises
    ------
    ConfigError, ModelError
        As in a back-test.
    DataError, JournalError
        On paper, if what the last run left is damaged.
    """
    assembly = assemble(desk, run_state, quotes=True, begins_ns=now)
    context = assembly.context
    check_sources(desk.path, context, assembly.strategies, assembly.actors)
    check_expiries(context, now)
    source = resolve("catalog.store:BarStore", "catalog")(Path(desk.config.catalog.path))
    before = bars_before(desk, assembly)
    simulated = {known.bar_type for known in source.list() if known.simulated}
    used: dict[str, InstrumentSettings] = {}
    venues: dict[str, VenueSettings] = {}
    past: dict[str, BarFrame] = {}
    begins: dict[str, int] = {}
    ways: dict[str, VenueBars] = {}
    for bar_type in assembly.bar_types:
        spec = assembly.spec_of(bar_type)
        used[spec.id] = spec
        venues[spec.venue] = venue_of(desk, spec)
        ways[spec.id] = bars_of(venues[spec.venue])
        length = Interval.of_bar_type(bar_type).ns
        # A simulated past has nothing to do with the market that comes: it is not told.
        begins[spec.id] = now - now % length - before * length
        asked = 0 if bar_type in simulated else before
        stored = past_in_catalog(source, bar_type, now - now % length, asked)
        past[spec.id] = _unbroken(stored, begins[spec.id], length)
    context.guard.memory.account = account_name(venues, mode)
    room: Mapping[str, Decimal] = {}
    if mode == "paper":
        # Read for what it comes to: the run before may still be ending, and is asked again.
        last = LastRunFile(StatePlace.of(desk.path, desk.config.trader), mode, venues).read()
        history = history_of(last, Path(desk.config.backtest.runs), now, context.guard.lots)
        room = room_to_reopen(history.carried.positions, used, venues)
        venues = with_kept_balances(desk, venues, history.carried.balance)
    balance = sum(float(v.balance()[0]) for v in venues.values())
    context.ledger.starting_equity = balance
    keep_order(context)
    if mode == "live":
        context.tagged.update(v.name for v in venues.values() if v.account == "cash")
    run = Preparation(
        desk=desk,
        context=context,
        strategies=assembly.strategies,
        actors=assembly.actors,
        bar_types=assembly.bar_types,
        source=source,
        venues=venues,
        instruments=used,
        not_applied=assembly.not_applied,
        starting_equity=balance,
        mode=mode,
        remarks=assembly.remarks,
        began_ns=now,
        room=room,
    )
    refuse_unproved_cache(run)
    refuse_dead_man(run)
    run = msgspec.structs.replace(run, remarks=[*run.remarks, *dead_man_remarks(run)])
    return NodePreparation(
        run,
        GatePlan(assembly.bar_types, begins, past, before, ways),
        reference_bar_types(desk, assembly),
    )


def refuse_spot(desk: Desk) -> None:
    """Send no order to a spot market of which nobody knows how it answers.

    Raises
    ------
    ConfigError
        If the config has such a venue.
    """
    for venue in desk.config.venues:
        if venue.account == "cash" and venue.adapter_name != "binance":
            raise ConfigError(
                f"{desk.path}: venues {venue.name}.account",
                "was 'cash'",
                "orders are sent to no spot market but Binance's: of others it was not rehearsed "
                "how fees are taken from what is bought, and which sales a venue refuses then",
                "Run it without --live-orders or on paper, or trade the perpetual",
            )


def with_bars(
    run: Preparation, frames: Mapping[str, BarFrame], past: Mapping[str, BarFrame], equity: float
) -> Preparation:
    """Return a node's preparation with the bars and the funding that it has had so far.

    Parameters
    ----------
    frames
        By instrument id.
    past
        What warmed it up, by instrument id.
    equity
        With which it started, in the trader's currency.
    """
    series, data = [], []
    bars_sha256 = resolve("catalog.store:bars_sha256", "catalog")
    for bar_type in run.bar_types:
        instrument_id = Interval.instrument_of_bar_type(bar_type)
        frame = frames.get(instrument_id)
        if frame is None:
            continue
        venue = run.venues[run.instruments[instrument_id].venue]
        one = Series(bar_type, run.context.instruments[instrument_id], frame, venue.latency_ns)
        series.append(one)
        steps = np.diff(frame.ts_close) // one.interval_ns
        data.append(
            DataRecord(
                bar_type=bar_type,
                rows=len(frame),
                first=iso(int(frame.ts_close[0])),
                last=iso(int(frame.ts_close[-1])),
                sha256=bars_sha256(bar_type, frame),
                gaps=int((steps > 1).sum()),
                sources=[f"{venue.name} as it came"],
                repairs=[],
                missing=int((steps[steps > 1] - 1).sum()),
            )
        )
    return msgspec.structs.replace(
        run,
        series=series,
        frames=frames,
        past=past,
        funding=_funding(run, frames),
        data=data,
        starting_equity=equity,
    )


def _funding(run: Preparation, frames: Mapping[str, BarFrame]) -> dict[str, Any]:
    """Return the settlements that the ledger has seen, as the catalog would have them.

    One may come before the first bar of its instrument, while others have theirs already.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for rate in list(run.context.ledger.settled):
        found.setdefault(rate.instrument_id, []).append((rate.ts_settle, rate.rate))
    return {
        name: (
            np.array([ts for ts, _ in rates], np.int64),
            np.array([rate for _, rate in rates], np.float64),
        )
        for name, rates in found.items()
        if name in frames
    }


def _unbroken(frame: BarFrame, begin: int, length: int) -> BarFrame:
    """Return the bars from a beginning to the first that is missing; the venue has the rest."""
    wanted = begin + length * np.arange(1, len(frame) + 1, dtype=np.int64)
    broken = np.flatnonzero(frame.ts_close != wanted)
    return frame.take(slice(0, int(broken[0]))) if len(broken) else frame
