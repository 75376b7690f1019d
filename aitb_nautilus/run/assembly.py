"""From a desk to its components, and to the bars that they want."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.errors import AitbError, ConfigError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import (
    InstrumentSettings,
    find_instrument,
    known_instruments,
    named_instruments,
    venue_name,
)
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import Limit, build_limits, refuse_unknown_scopes, without_quotes
from aitb_nautilus.risk.replay_stage import DryPort, ReplayStage
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.least_orders import least_order_remarks
from aitb_nautilus.run.load import Component, Desk, resolve
from aitb_nautilus.run.lots import lot_rules

__all__ = ["Assembly", "assemble", "reference_bar_types", "venue_of"]


class Assembly(msgspec.Struct, frozen=True):
    """The components of a desk, without any data.

    Attributes
    ----------
    bar_types
        What they listen to, each once, sorted.
    instruments
        What the catalog and the config add to the package's table.
    not_applied
        Keys of limits that were left out, since they need quotes.
    remarks
        What a person should know of the limits before the run.
    """

    context: Context
    strategies: Sequence[GuardedStrategy]
    actors: Sequence[GuardedActor]
    bar_types: Sequence[str]
    instruments: Sequence[InstrumentSettings]
    not_applied: Sequence[str]
    remarks: Sequence[str]

    def spec_of(self, bar_type: str) -> InstrumentSettings:
        """Return the instrument of a bar type."""
        return find_instrument(Interval.instrument_of_bar_type(bar_type), self.instruments)


def assemble(
    desk: Desk,
    run_state: RunState,
    *,
    quotes: bool = True,
    begins_ns: int | None = None,
    stage: ReplayStage | None = None,
) -> Assembly:
    """Build the components of a desk.

    Parameters
    ----------
    quotes
        Whether the data bring quotes. If not, limits that need them are left out and named; if so,
        they refuse until a quote has come.
    begins_ns
        When the run begins, ns UTC; absent: at the start of the back-test, if the config says one.
    stage
        Where the components stand if there is no engine.

    Raises
    ------
    ConfigError
        If there is no strategy, or a component names an instrument, interval or model that does
        not fit the rest of the config.
    ModelError
        If a model cannot be used.
    """
    if not desk.strategies:
        raise ConfigError(f"{desk.path}: strategies", "there is none", "must have at least one")
    folder = Path(desk.config.catalog.path)
    recorded = resolve("catalog.instruments:catalog_instruments", "catalog")(folder)
    extra = [*recorded, *desk.config.instruments]
    limits, not_applied = build_limits(desk.config.risk), list[str]()
    if not quotes:
        limits, not_applied = without_quotes(limits)
    if begins_ns is None:
        begins_ns = desk.config.backtest.range_ns()[0] or 0
    context = _context(
        desk, known_instruments(extra), run_state, limits, begins_ns=begins_ns, stage=stage
    )
    actors = [_make(desk, "actors", c, context) for c in desk.actors]
    strategies = [_make(desk, "strategies", c, context) for c in desk.strategies]
    bar_types = _bar_types(desk, strategies, actors)
    remarks = [*desk.remarks(), *_least_order_remarks(desk, strategies, known_instruments(extra))]
    return Assembly(context, strategies, actors, bar_types, extra, not_applied, remarks)


def reference_bar_types(desk: Desk, assembly: Assembly) -> list[str]:
    """Return the bar types of what the rules compare prices with and nobody trades, each once.

    A reference's bars have the interval of those that are compared with them.
    """
    traded = {Interval.instrument_of_bar_type(text): text for text in assembly.bar_types}
    found: dict[str, None] = {}
    for rule in desk.config.risk.rules:
        own = traded.get(rule.scope.instrument or "")
        if rule.reference is not None and own and rule.reference.instrument not in traded:
            found[Interval.of_bar_type(own).bar_type(rule.reference.instrument)] = None
    return list(found)


def _context(
    desk: Desk,
    specs: Mapping[str, InstrumentSettings],
    run_state: RunState,
    limits: Sequence[Limit],
    *,
    begins_ns: int,
    stage: ReplayStage | None,
) -> Context:
    balance = sum(float(v.balance()[0]) for v in desk.config.venues)
    lots = lot_rules(specs.values(), desk.config.venues)
    ledger = Ledger(balance, lots)
    at_venues = {venue.name for venue in desk.config.venues}
    likely = (
        named_instruments(desk.plain(), specs),
        [name for name in specs if venue_name(name) in at_venues],
    )
    refuse_unknown_scopes(
        desk.config.risk,
        str(desk.path),
        venues=[v.name for v in desk.config.venues],
        strategies=[s.id for s in desk.config.strategies],
        instruments=list(specs),
        likely=likely,
    )
    guard = Guard(ledger, limits, lots)
    instruments = {spec.id: engine_instrument(spec) for spec in specs.values()}
    trader = desk.config.trader.id
    if stage is None:
        return Context(run_state, ledger, guard, instruments, trader, begins_ns, likely)
    return Context(
        run_state,
        ledger,
        guard,
        instruments,
        trader,
        begins_ns,
        likely,
        port_of=lambda strategy_id: DryPort(stage, strategy_id, instruments),
        stage=stage,
    )


def _least_order_remarks(
    desk: Desk, strategies: Sequence[GuardedStrategy], specs: Mapping[str, InstrumentSettings]
) -> list[str]:
    wanted = [(one.component_id, text) for one in strategies for text in one.bar_types()]
    traded = [(who, Interval.instrument_of_bar_type(text)) for who, text in wanted]
    known = [(who, where) for who, where in traded if where in specs]
    return least_order_remarks(desk.config.risk, str(desk.path), known, specs)


def _make(desk: Desk, section: str, component: Component, context: Context) -> Any:
    """Return a component, or say which one could not be made."""
    try:
        return component.cls(component.settings, context, component.id)
    except ConfigError as e:
        if e.where.startswith(str(desk.path)):
            raise
        # A component knows neither the file nor, mostly, its own name in it.
        place = e.where.removeprefix(f"{component.id}: ")
        where = f"{desk.path}: {section} {component.id}: {place}"
        raise ConfigError(where, e.found, e.wanted, e.todo) from e
    except AitbError:
        raise
    except Exception as e:
        raise ConfigError(
            f"{desk.path}: {section} {component.id}",
            f"could not be made ({type(e).__name__}: {e})",
            f"{component.cls.__module__}:{component.cls.__qualname__} must accept its params",
        ) from e


def _bar_types(
    desk: Desk, strategies: Sequence[GuardedStrategy], actors: Sequence[GuardedActor]
) -> list[str]:
    """Return the bar types that the components want, each once, sorted."""
    wanted: dict[str, str] = {}
    components: list[GuardedStrategy | GuardedActor] = [*strategies, *actors]
    for component in components:
        for bar_type in component.bar_types():
            try:
                Interval.of_bar_type(bar_type)
            except ValueError as e:
                section = "strategies" if isinstance(component, GuardedStrategy) else "actors"
                where = f"{desk.path}: {section} {component.component_id}.bar_types()"
                raise ConfigError(where, str(e)) from e
            instrument_id = Interval.instrument_of_bar_type(bar_type)
            other = wanted.setdefault(instrument_id, bar_type)
            if other != bar_type:
                raise ConfigError(
                    f"{desk.path}: strategies and actors",
                    f"{instrument_id} is wanted as {Interval.of_bar_type(other)} and as "
                    f"{Interval.of_bar_type(bar_type)} bars",
                    "must be one interval in one run, since both would fill the same orders",
                )
    if not wanted:
        raise ConfigError(f"{desk.path}: strategies", "none of them listens to bars")
    return sorted(wanted.values())


def venue_of(desk: Desk, spec: InstrumentSettings) -> VenueSettings:
    """Return the venue on which an instrument trades.

    Raises
    ------
    ConfigError
        If the config has no such venue, or one of another kind or currency.
    """
    venue = next((v for v in desk.config.venues if v.name == spec.venue), None)
    if venue is None:
        names = ", ".join(v.name for v in desk.config.venues)
        raise ConfigError(
            f"{desk.path}: venues",
            f"there is none named {spec.venue}, which {spec.id} trades on",
            f"the file has {names}",
            f"Add a [[venues]] block with name = {spec.venue!r}",
        )
    if (spec.kind == "spot") != (venue.account == "cash"):
        wanted = "cash" if spec.kind == "spot" else "margin"
        raise ConfigError(
            f"{desk.path}: venues {venue.name}.account",
            f"was {venue.account!r}",
            f"must be {wanted!r} to trade {spec.id}, which is {spec.kind}",
        )
    if spec.quote != desk.config.trader.currency:
        raise ConfigError(
            f"{desk.path}: strategies",
            f"{spec.id} is quoted in {spec.quote}",
            f"must be quoted in trader.currency, which is {desk.config.trader.currency}",
        )
    return venue
