"""Take everything that a recorded run decided once more, without an engine, and compare.

The recording is told to the same features, models, strategies and guard, each fact at its recorded
time. Bars must be those of the run folder; features, predictions and commands must be those of the
recording; intents, decisions, orders and what became of them must be the records of the journal.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from aitb_nautilus.errors import DataError, ModelError
from aitb_nautilus.market.times import iso
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.journal_reader import read
from aitb_nautilus.risk.recorded import opened
from aitb_nautilus.risk.replay_compare import LAYERS, Divergence, Findings, JournalAgain
from aitb_nautilus.risk.replay_player import RecordingPlayer
from aitb_nautilus.risk.replay_stage import ReplayStage
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_file import INPUTS_NAME, read_entries
from aitb_nautilus.run.assembly import assemble
from aitb_nautilus.run.load import Component, Desk, load_config
from aitb_nautilus.run.node_preparation import keep_order
from aitb_nautilus.run.recorded_run import RecordedRun
from aitb_nautilus.run.recording import HEADER
from aitb_nautilus.run.replay_bars import BarCheck

__all__ = ["Header", "ReplayRecord", "check_models", "header_of", "replay", "with_models"]


class ReplayRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found.

    Attributes
    ----------
    differences
        0, or 1: the first one ends the replay.
    equal
        How many things were equal, by layer.
    divergence
        The first difference, None if there is none; `at` is its time as text.
    is_whole
        Whether the recording reaches to the end of the run.
    unchecked
        Records of the journal that come after the end of the recording.
    remarks
        What the reader should know, a sentence each.
    """

    run_id: str
    run_dir: str
    mode: str
    differences: int
    equal: dict[str, int]
    divergence: Divergence | None
    at: str
    is_whole: bool
    unchecked: int
    remarks: list[str]
    seconds: float


class Header(msgspec.Struct, frozen=True):
    """What a recording begins with; see `recording.HEADER`."""

    run_id: str
    mode: str
    equity: float
    begins_ns: int
    sources: list[tuple[str, str, str]]


def replay(path: Path) -> ReplayRecord:
    """Decide everything once more that a recorded run decided.

    Parameters
    ----------
    path
        The run folder.

    Raises
    ------
    DataError, ConfigError
        If folder, recording, journal or config cannot be read, or the run was gone on with after a
        restart.
    ModelError
        If the registry has not the very models any more.
    """
    began = time.perf_counter()
    recorded = RecordedRun(path, may_run=True)
    folder = recorded.run.path
    entries = read_entries(folder / INPUTS_NAME)
    header = _header(next(entries, None), folder)
    opened(folder)  # refuses what was gone on with after a restart
    findings, stage, state = Findings(), ReplayStage(), RunState()
    desk = with_models(load_config(folder / "config.toml"), header.sources)
    is_live = header.mode != "backtest"
    quotes = is_live or desk.config.backtest.fills == "quotes"
    assembly = assemble(desk, state, quotes=quotes, begins_ns=header.begins_ns, stage=stage)
    context = assembly.context
    everybody: list[GuardedStrategy | GuardedActor] = [*assembly.strategies, *assembly.actors]
    components: dict[str, Any] = {one.component_id: one for one in everybody}
    check_models(context.sources, header.sources, folder)
    context.ledger.starting_equity = header.equity
    context.brought.update(assembly.bar_types)
    context.heard_at.update(dict.fromkeys(context.instruments, lambda now: now))
    if is_live:
        keep_order(context)
    context.tape.desk = frozenset(components)
    journal = JournalAgain(read(folder), findings)
    context.chronicle.journal = journal
    check = BarCheck(recorded, findings)
    player = RecordingPlayer(
        entries,
        context,
        components=components,
        stage=stage,
        findings=findings,
        journal=journal,
        check_bar=check,
    )
    context.tape.player = player
    player.play()
    context.tape.player, context.chronicle.journal = None, None
    check.find_cause(player.rest(), is_whole=player.is_whole)
    unchecked = 0
    if findings.divergence is None and (rest := journal.rest()) is not None:
        if player.is_whole:
            journal.miss(rest)
        else:
            unchecked = 1 + sum(1 for _ in iter(journal.rest, None))
    has_differed = findings.divergence is not None
    remarks = _remarks(player, unchecked, everybody, has_differed=has_differed)
    if findings.divergence is not None and state.failures:
        remarks.append(f"In the replay, {state.failures[0].reason}.")
    divergence = findings.divergence
    return ReplayRecord(
        run_id=header.run_id,
        run_dir=str(folder),
        mode=header.mode,
        differences=int(divergence is not None),
        equal={layer: findings.counts[layer] for layer in LAYERS},
        divergence=divergence,
        at="" if divergence is None else iso(divergence.ts),
        is_whole=player.is_whole,
        unchecked=unchecked,
        remarks=remarks,
        seconds=round(time.perf_counter() - began, 3),
    )


def header_of(path: Path) -> Header:
    """Return what a recording begins with.

    Raises
    ------
    DataError
        If the file cannot be read, or holds nothing.
    """
    return _header(next(read_entries(path), None), path.parent)


def _header(entry: Entry | None, folder: Path) -> Header:
    if entry is None or entry.kind != HEADER:
        raise DataError(
            str(folder / INPUTS_NAME),
            "holds nothing that can be replayed",
            "must begin with what the run was",
        )
    names = Header.__struct_fields__
    return msgspec.convert(dict(zip(names, entry.what, strict=True)), Header)


def with_models(desk: Desk, sources: Sequence[tuple[str, str, str]]) -> Desk:
    """Return a desk whose actors name the versions that the run had, not aliases of today."""
    versions = {model: version for model, version, _ in sources}

    def pinned(component: Component) -> Component:
        named = getattr(component.settings, "models", None)
        if not isinstance(named, tuple) or not all(isinstance(text, str) for text in named):
            return component
        exact = []
        for text in named:
            model = text.partition("@")[0]
            exact.append(f"{model}@{versions[model]}" if model in versions else text)
        return replace(component, settings=replace(component.settings, models=tuple(exact)))

    return replace(desk, actors=[pinned(one) for one in desk.actors])


def check_models(known: Any, sources: Sequence[tuple[str, str, str]], folder: Path) -> None:
    """Refuse models that are not those of the run.

    Parameters
    ----------
    known
        Sources of predictions by model.
    sources
        Of the recording.
    folder
        Of the run.

    Raises
    ------
    ModelError
        If one is missing, or another one.
    """
    for model, version, sha256 in sources:
        found = known.get(model)
        if found is None or found.sha256 != sha256:
            raise ModelError(
                f"{folder}: model {model}@{version}",
                "is not the one in the registry"
                if found is not None
                else "is published by no actor of the run's config",
                f"must have sha256 {sha256[:12]}",
                "Bring the registry of the run back",
            )


def _remarks(
    player: RecordingPlayer,
    unchecked: int,
    components: Sequence[GuardedStrategy | GuardedActor],
    *,
    has_differed: bool,
) -> list[str]:
    remarks = []
    if player.gap:
        remarks.append(
            f"{player.gap:,} inputs from {iso(player.at)} on could not be recorded; the replay "
            f"ends there."
        )
    elif not (player.is_whole or has_differed):
        remarks.append(f"The recording ends at {iso(player.at)}, before the run did.")
    if unchecked:
        remarks.append(f"{unchecked:,} records of the journal come after that; not compared.")
    for one in components:
        own = _engine_callbacks(one)
        if own:
            remarks.append(
                f"{one.component_id} overrides {', '.join(own)}: what the engine tells it there is "
                f"not recorded."
            )
    return remarks


def _engine_callbacks(component: GuardedStrategy | GuardedActor) -> list[str]:
    base = GuardedStrategy if isinstance(component, GuardedStrategy) else GuardedActor
    own = {
        name
        for cls in type(component).__mro__
        if issubclass(cls, base) and cls is not base
        for name in vars(cls)
        if name.startswith("on_") and hasattr(base, name)
    }
    return sorted(own)
