"""From a desk to what a back-test needs: components, instruments, bars, all checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.errors import AitbError, ConfigError, DataError
from aitb_nautilus.market.bars import BarFrame, FloatArray, Interval, TimeArray
from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import InstrumentSettings, find_instrument, known_instruments
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.run_record import DataRecord
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.guard import Guard, LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import build_limits, refuse_unknown_scopes
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.feed import BarSource, Series
from aitb_nautilus.run.load import Component, Desk, resolve
from aitb_nautilus.run.model_sources import check_expiries, check_sources

__all__ = ["Preparation", "prepare"]


class Preparation(msgspec.Struct, frozen=True):
    """Everything that a back-test is made of.

    Attributes
    ----------
    source
        The catalog.
    venues
        The run's venues by name.
    frames
        Bars by instrument id.
    funding
        Settlement times and rates by instrument id; only instruments that have any.
    data
        What the run folder says of the bars.
    """

    desk: Desk
    context: Context
    strategies: Sequence[GuardedStrategy]
    actors: Sequence[GuardedActor]
    source: BarSource
    venues: Mapping[str, VenueSettings]
    instruments: Mapping[str, InstrumentSettings]
    series: Sequence[Series]
    frames: Mapping[str, BarFrame]
    funding: Mapping[str, tuple[TimeArray, FloatArray]]
    data: Sequence[DataRecord]
    starting_equity: float

    @property
    def first_open_ns(self) -> int:
        """Return when the first bar opens, ns UTC."""
        return min(int(s.frame.ts_close[0]) - s.interval_ns for s in self.series)

    @property
    def data_sha256(self) -> str:
        """Return one hash for all bars and funding rates of the run."""
        digest = hashlib.sha256()
        for record in self.data:
            digest.update(record.sha256.encode())
        for instrument_id in sorted(self.funding):
            times, rates = self.funding[instrument_id]
            digest.update(instrument_id.encode())
            digest.update(times.astype("<i8").tobytes())
            digest.update(rates.astype("<f8").tobytes())
        return digest.hexdigest()


def prepare(desk: Desk, run_state: RunState) -> Preparation:
    """Build the components of a desk and read the bars that they want.

    Raises
    ------
    ConfigError
        If there is no strategy, or a component names an instrument, venue, interval or model that
        does not fit the rest of the config.
    DataError
        If the catalog lacks the bars, or has none in the wanted time.
    ModelError
        If a model cannot be used.
    """
    if not desk.strategies:
        raise ConfigError(f"{desk.path}: strategies", "there is none", "must have at least one")
    folder = Path(desk.config.catalog.path)
    recorded = resolve("catalog.instruments:catalog_instruments", "catalog")(folder)
    extra = [*recorded, *desk.config.instruments]
    specs = known_instruments(extra)
    context = _context(desk, specs, run_state)
    actors = [_make(desk, "actors", c, context) for c in desk.actors]
    strategies = [_make(desk, "strategies", c, context) for c in desk.strategies]
    bar_types = _bar_types(desk, strategies, actors)
    check_sources(desk.path, context, strategies, actors)
    source = resolve("catalog.store:BarStore", "catalog")(folder)
    used: dict[str, InstrumentSettings] = {}
    venues: dict[str, VenueSettings] = {}
    frames: dict[str, BarFrame] = {}
    funding: dict[str, tuple[TimeArray, FloatArray]] = {}
    series, data = [], []
    for bar_type in bar_types:
        instrument_id = Interval.instrument_of_bar_type(bar_type)
        spec = used[instrument_id] = find_instrument(instrument_id, extra)
        venue = venues[spec.venue] = _venue(desk, spec)
        _check_latency(desk, venue, bar_type)
        frame, record = _bars(desk, source, bar_type, spec)
        frames[instrument_id] = frame
        data.append(record)
        instrument = context.instruments[instrument_id]
        one = Series(bar_type, instrument, frame, venue.latency_ns)
        series.append(one)
        context.heard_at[instrument_id] = one.heard_at
        first, last = int(frame.ts_close[0]), int(frame.ts_close[-1])
        times, rates = source.read_funding(instrument_id, first, last)
        if len(times):
            funding[instrument_id] = (times, rates)
    balance = sum(float(v.balance()[0]) for v in venues.values())
    context.ledger.starting_equity = balance
    check_expiries(context, min(int(f.ts_close[0]) for f in frames.values()))
    return Preparation(
        desk,
        context,
        strategies,
        actors,
        source,
        venues,
        used,
        series,
        frames,
        funding,
        data,
        balance,
    )


def _context(desk: Desk, specs: Mapping[str, InstrumentSettings], run_state: RunState) -> Context:
    balance = sum(float(v.balance()[0]) for v in desk.config.venues)
    ledger = Ledger(balance)
    lots = {
        spec.id: LotRules(
            spec.lot,
            Decimal(spec.min_quantity or 0),
            float(spec.min_notional or 0),
            long_only=spec.kind == "spot",
        )
        for spec in specs.values()
    }
    refuse_unknown_scopes(
        desk.config.risk,
        str(desk.path),
        venues=[v.name for v in desk.config.venues],
        strategies=[s.id for s in desk.config.strategies],
        instruments=list(specs),
    )
    guard = Guard(ledger, build_limits(desk.config.risk), lots)
    instruments = {spec.id: engine_instrument(spec) for spec in specs.values()}
    begins_ns = desk.config.backtest.range_ns()[0] or 0
    return Context(run_state, ledger, guard, instruments, begins_ns)


def _make(desk: Desk, section: str, component: Component, context: Context) -> Any:
    """Return a component, or say which one could not be made."""
    try:
        return component.cls(component.settings, context, component.id)
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


def _venue(desk: Desk, spec: InstrumentSettings) -> VenueSettings:
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


def _check_latency(desk: Desk, venue: VenueSettings, bar_type: str) -> None:
    interval = Interval.of_bar_type(bar_type)
    if venue.latency_ns * 4 > interval.ns:
        raise ConfigError(
            f"{desk.path}: venues {venue.name}.latency_ms",
            f"was {venue.latency_ms:g}",
            f"must be at most a quarter of a bar, {interval.ns / 4e6:g} for {interval} bars: "
            f"beyond that, bars cannot say at what price an order arrives",
        )


def _bars(
    desk: Desk, source: Any, bar_type: str, spec: InstrumentSettings
) -> tuple[BarFrame, DataRecord]:
    interval_ns = Interval.of_bar_type(bar_type).ns
    start, end = desk.config.backtest.range_ns()
    # A bar belongs to the range if it opens in it: it closes one interval later.
    first = None if start is None else start + interval_ns
    known = source.series(bar_type)
    stored = (known.price_precision, known.size_precision)
    if stored != (spec.price_precision, spec.size_precision):
        raise DataError(
            f"catalog {desk.config.catalog.path}: {bar_type}",
            f"was imported with {stored[0]} decimals of price and {stored[1]} of quantity",
            f"must have {spec.price_precision} and {spec.size_precision}, as tick_size "
            f"{spec.tick_size} and lot_size {spec.lot_size} say",
            "Import the files again into a new catalog, or mend the [[instruments]] block",
        )
    frame = source.read(bar_type, first, end)
    if len(frame) < 2:
        raise DataError(
            f"{desk.path}: backtest.start and backtest.end",
            f"{bar_type} has {len(frame)} bars between {desk.config.backtest.start or 'its start'} "
            f"and {desk.config.backtest.end or 'its end'}",
            f"must have at least 2; the catalog holds {iso(known.first_ns)} to "
            f"{iso(known.last_ns)}",
        )
    steps = (frame.ts_close[1:] - frame.ts_close[:-1]) // interval_ns
    first_ns, last_ns = int(frame.ts_close[0]), int(frame.ts_close[-1])
    record = DataRecord(
        bar_type=bar_type,
        rows=len(frame),
        first=iso(first_ns),
        last=iso(last_ns),
        sha256=resolve("catalog.store:bars_sha256", "catalog")(bar_type, frame),
        gaps=int((steps > 1).sum()),
        sources=[s.name for s in known.sources if s.touches(first_ns, last_ns)],
        repairs=[f"{r.rule}: {r.rows} rows of {r.source}" for r in known.repairs],
        missing=int((steps[steps > 1] - 1).sum()),
        simulated=known.simulated,
    )
    return frame, record
