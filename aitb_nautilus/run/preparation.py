"""From a desk to what a run is made of: components, instruments, bars, all checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.bars import BarFrame, FloatArray, Interval, TimeArray
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.run_record import DataRecord, Mode
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.assembly import Assembly, assemble, reference_bar_types, venue_of
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.feed import BarSource, QuoteTicks, Series
from aitb_nautilus.run.load import Desk, resolve
from aitb_nautilus.run.measured_way import MeasuredWay
from aitb_nautilus.run.model_sources import check_expiries, check_sources
from aitb_nautilus.run.paid_latency import ARRIVAL_NS, PaidLatency, paid_latencies
from aitb_nautilus.run.warm_up import bars_before, past_in_catalog

__all__ = ["Preparation", "Quotes", "prepare"]


class Quotes(msgspec.Struct, frozen=True):
    """The quotes of one instrument: where to read them, how many, the longest time without, ns."""

    source: QuoteTicks
    rows: int
    silent_ns: int


class Preparation(msgspec.Struct, frozen=True):
    """Everything that a run is made of.

    Of a back-test all of it is known before; of a node, bars and funding are those until now: none
    before its first bar.

    Attributes
    ----------
    bar_types
        What the components listen to, each once, sorted.
    source
        The catalog.
    venues
        The run's venues by name.
    series, frames
        The run's bars, and the same by instrument id.
    past
        Bars before the run, by instrument id: they warm it up.
    funding
        Settlement times and rates by instrument id; only instruments that have any.
    references
        Bars of instruments that are only looked at, by instrument id.
    data
        What the run folder says of the bars.
    reference_data
        The same of those that are only looked at.
    not_applied
        Keys of limits that need quotes, which the data do not hold.
    mode
        What brings the bars and fills the orders.
    began_ns
        When the run began, ns UTC, where its bars do not say it.
    quotes
        On which the orders of a back-test fill, by instrument id; empty: on bars.
    paid
        Of which run a back-test pays the latency, by venue name; such a venue in `venues` has the
        latency that is left to the engine.
    remarks
        What a person should know of the limits before the run.
    room
        What a sandbox is given beyond its balance, by venue name, its currency: it buys again what
        the run before held, at the price of then.
    """

    desk: Desk
    context: Context
    strategies: Sequence[GuardedStrategy]
    actors: Sequence[GuardedActor]
    bar_types: Sequence[str]
    source: BarSource
    venues: Mapping[str, VenueSettings]
    instruments: Mapping[str, InstrumentSettings]
    not_applied: Sequence[str]
    starting_equity: float
    series: Sequence[Series] = ()
    frames: Mapping[str, BarFrame] = {}
    past: Mapping[str, BarFrame] = {}
    funding: Mapping[str, tuple[TimeArray, FloatArray]] = {}
    references: Mapping[str, BarFrame] = {}
    data: Sequence[DataRecord] = ()
    reference_data: Sequence[DataRecord] = ()
    mode: Mode = "backtest"
    began_ns: int = 0
    quotes: Mapping[str, Quotes] = {}
    paid: Mapping[str, PaidLatency] = {}
    remarks: Sequence[str] = ()
    room: Mapping[str, Decimal] = {}

    @property
    def first_open_ns(self) -> int:
        """Return when the first bar opens, or the run began if there is none, ns UTC."""
        opens = [int(s.frame.ts_close[0]) - s.interval_ns for s in self.series if len(s.frame)]
        return min(opens, default=self.began_ns)

    @property
    def last_close_ns(self) -> int:
        """Return when the last bar closes, or the run began if there is none, ns UTC."""
        closes = [int(s.frame.ts_close[-1]) for s in self.series if len(s.frame)]
        return max(closes, default=self.began_ns)

    @property
    def data_sha256(self) -> str:
        """Return one hash for all bars and funding rates of the run, and the bars before it."""
        digest = hashlib.sha256()
        for record in (*self.data, *self.reference_data):
            digest.update(record.sha256.encode())
        for instrument_id in sorted(self.funding):
            times, rates = self.funding[instrument_id]
            digest.update(instrument_id.encode())
            digest.update(times.astype("<i8").tobytes())
            digest.update(rates.astype("<f8").tobytes())
        bars_sha256 = resolve("catalog.store:bars_sha256", "catalog")
        for instrument_id, frame in sorted(self.past.items()):
            digest.update(bars_sha256(instrument_id, frame).encode())
        return digest.hexdigest()


def prepare(desk: Desk, run_state: RunState) -> Preparation:
    """Build the components of a desk and read the bars that a back-test wants.

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
    if desk.config.rehearsal_speed != 1:
        raise ConfigError(
            f"{desk.path}: rehearsal_speed",
            f"was {desk.config.rehearsal_speed}",
            "must be 1: bars of another length than those in the catalog are for a rehearsal alone",
            "Back-test the config that it was made of",
        )
    # Without quotes nothing in a catalog could answer a limit that looks at a book.
    on_quotes = desk.config.backtest.fills == "quotes"
    assembly = assemble(desk, run_state, quotes=on_quotes)
    context = assembly.context
    check_sources(desk.path, context, assembly.strategies, assembly.actors)
    folder = Path(desk.config.catalog.path)
    source = resolve("catalog.store:BarStore", "catalog")(folder)
    used: dict[str, InstrumentSettings] = {}
    venues: dict[str, VenueSettings] = {}
    frames: dict[str, BarFrame] = {}
    past: dict[str, BarFrame] = {}
    funding: dict[str, tuple[TimeArray, FloatArray]] = {}
    quotes: dict[str, Quotes] = {}
    paid = paid_latencies(desk, {assembly.spec_of(text).venue for text in assembly.bar_types})
    draws = {n: one.draws(desk.config.backtest.latency_seed) for n, one in paid.items()}
    before = bars_before(desk, assembly)
    series, data = [], []
    for bar_type in assembly.bar_types:
        spec = assembly.spec_of(bar_type)
        instrument_id = spec.id
        used[instrument_id] = spec
        venue = venue_of(desk, spec)
        if not on_quotes:
            _check_latency(desk, venue, paid.get(spec.venue), bar_type)
        venue = venues[spec.venue] = _engines_part(venue, is_paid=spec.venue in paid)
        frame, record = _bars(desk, source, bar_type, spec)
        frames[instrument_id] = frame
        data.append(record)
        instrument = context.instruments[instrument_id]
        one = Series(bar_type, instrument, frame, venue.latency_ns)
        series.append(one)
        if on_quotes:
            quotes[instrument_id], record = _quotes(desk, spec, one)
            data.append(record)
        _let_hear(context, one, draws.get(spec.venue), on_quotes=on_quotes)
        first, last = int(frame.ts_close[0]), int(frame.ts_close[-1])
        earlier = past_in_catalog(source, bar_type, first - one.interval_ns, before)
        if len(earlier):
            past[instrument_id] = earlier
        times, rates = source.read_funding(instrument_id, first, last)
        if len(times):
            funding[instrument_id] = (times, rates)
    references, reference_data = _references(desk, source, assembly)
    balance = sum(float(v.balance()[0]) for v in venues.values())
    context.ledger.starting_equity = balance
    check_expiries(context, min(int(f.ts_close[0]) for f in frames.values()))
    return Preparation(
        desk,
        context,
        assembly.strategies,
        assembly.actors,
        assembly.bar_types,
        source,
        venues,
        used,
        assembly.not_applied,
        balance,
        series=series,
        frames=frames,
        past=past,
        funding=funding,
        references=references,
        data=data,
        reference_data=reference_data,
        quotes=quotes,
        paid=paid,
        remarks=assembly.remarks,
    )


def _quotes(desk: Desk, spec: InstrumentSettings, series: Series) -> tuple[Quotes, DataRecord]:
    """Return the quotes of an instrument while its bars last, and what the run folder says."""
    folder = Path(desk.config.catalog.path)
    precisions = spec.price_precision, spec.size_precision
    source = resolve("catalog.quote_source:QuoteSource", "catalog")(folder, spec.id, precisions)
    closes = series.frame.ts_close
    span = source.span(int(closes[0]) - series.interval_ns, int(closes[-1]))
    record = DataRecord(
        bar_type=f"{spec.id} quotes",
        rows=span.rows,
        first=iso(span.first_ns),
        last=iso(span.last_ns),
        sha256=span.sha256,
        gaps=0,
        sources=list(span.sources),
        repairs=[],
        simulated=span.simulated,
    )
    return Quotes(source, span.rows, span.silent_ns), record


def _engines_part(venue: VenueSettings, *, is_paid: bool) -> VenueSettings:
    """Return a venue with the latency that the engine's own model has to pay."""
    return msgspec.structs.replace(venue, latency_ms=ARRIVAL_NS / 1e6) if is_paid else venue


def _let_hear(
    context: Context, series: Series, draw: Callable[[], int] | None, *, on_quotes: bool
) -> None:
    """Say when commands for an instrument are heard; at once, if nothing is said."""
    opens_at = None if on_quotes else series.heard_at
    heard_at = opens_at if draw is None else MeasuredWay(draw, opens_at).leaves_at
    if heard_at is not None:
        context.heard_at[str(series.instrument_id)] = heard_at


def _check_latency(
    desk: Desk, venue: VenueSettings, paid: PaidLatency | None, bar_type: str
) -> None:
    interval = Interval.of_bar_type(bar_type)
    if paid is not None:
        if paid.record.max_ns * 4 > interval.ns:
            raise ConfigError(
                f"{desk.path}: venues {venue.name}.latency",
                f"was {venue.latency!r}, whose slowest order took {paid.record.max_ns / 1e6:g} ms",
                f"must be at most a quarter of a bar, {interval.ns / 4e6:g} ms for {interval} "
                f"bars: beyond that, bars cannot say at what price an order arrives",
                'Set backtest.fills = "quotes" where the catalog has quotes',
            )
        return
    if venue.latency_ns * 4 > interval.ns:
        raise ConfigError(
            f"{desk.path}: venues {venue.name}.latency_ms",
            f"was {venue.latency_ms:g}",
            f"must be at most a quarter of a bar, {interval.ns / 4e6:g} for {interval} bars: "
            f"beyond that, bars cannot say at what price an order arrives",
        )


def _references(
    desk: Desk, source: Any, assembly: Assembly
) -> tuple[dict[str, BarFrame], list[DataRecord]]:
    """Return the bars of what the rules compare prices with, where it is not traded as well."""
    frames: dict[str, BarFrame] = {}
    records: list[DataRecord] = []
    for bar_type in reference_bar_types(desk, assembly):
        spec = assembly.spec_of(bar_type)
        frames[spec.id], record = _bars(desk, source, bar_type, spec)
        records.append(record)
    return frames, records


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
