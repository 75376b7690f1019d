"""From a desk to the exchange that its rehearsal needs: symbols, bars, account, fees."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.times import iso
from aitb_nautilus.rehearsal import BarSource, RecordedSource, RehearsalSettings, Source
from aitb_nautilus.rehearsal.bar_feed import scaled_interval_ms
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.assembly import assemble, reference_bar_types, venue_of
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.load import Desk, resolve

__all__ = ["RehearsalPlan", "plan_rehearsal"]

_BNB = "100"
"""So much the account begins with, if fees are paid with it."""
_HISTORY_BARS = 20_000
"""Bars before the start that the exchange offers as history, at most."""
_VENUE = "BINANCE"


class PlannedSymbol(msgspec.Struct, frozen=True):
    """One symbol and what is played of it.

    Attributes
    ----------
    first
        Recorded time at which the market begins.
    history
        Closed bars that the exchange offers before the first that is played.
    bars
        Bars that are played; None for a recording.
    last
        Recorded time of the last of them.
    funding
        Settlements that are played.
    """

    instrument_id: str
    symbol: str
    interval: str
    first: str
    history: int
    bars: int | None
    last: str | None
    funding: int


class RehearsalPlan(msgspec.Struct, frozen=True):
    """A rehearsal that is ready to begin."""

    settings: RehearsalSettings
    sources: Sequence[Source]
    symbols: Sequence[PlannedSymbol]


def plan_rehearsal(
    desk: Desk,
    *,
    port: int = 0,
    speed: int = 1,
    start_ns: int | None = None,
    recordings: Sequence[Path] = (),
    bnb_price: float | None = None,
) -> RehearsalPlan:
    """Read what a desk trades, and make the exchange that it needs.

    Parameters
    ----------
    port
        Where it listens; 0 takes a free one.
    speed
        How many seconds of the market pass in one.
    start_ns
        Recorded time at which the play begins, ns UTC; by default ``backtest.start``, or where
        half of the bars are history.
    recordings
        Recorded messages in place of bars: one file an instrument, named after its symbol.
    bnb_price
        Of BNB in quote currency, if fees are to be paid with it.

    Raises
    ------
    ConfigError
        If the desk does not trade on Binance, the speed makes bars that Binance has not, or fees
        are to be paid with BNB elsewhere than on spot.
    DataError
        If the catalog lacks the bars, or ends before the start.
    ModelError
        If a model cannot be used.
    """
    assembly = assemble(desk, RunState())
    wanted = [*assembly.bar_types, *reference_bar_types(desk, assembly)]
    specs = {bar_type: assembly.spec_of(bar_type) for bar_type in dict.fromkeys(wanted)}
    venue = _only_venue(desk, list(specs.values()))
    settings = _settings(venue, port, speed)
    if bnb_price is not None:
        settings = _with_bnb(desk, settings, bnb_price)
    made: list[tuple[Source, PlannedSymbol]] = []
    if recordings:
        made += _recorded(specs, recordings, speed)
    else:
        for bar_type in specs:  # Before a config of such bars is written.
            interval_ns = Interval.of_bar_type(bar_type).ns
            scaled_interval_ms(interval_ns, speed, spot=settings.product == "spot")
        made += [_from_catalog(desk, bar_type, spec, start_ns) for bar_type, spec in specs.items()]
    return RehearsalPlan(
        settings,
        [source for source, _ in made],
        [symbol for _, symbol in made],
    )


def _only_venue(desk: Desk, specs: Sequence[InstrumentSettings]) -> VenueSettings:
    venue = venue_of(desk, specs[0])
    others = {spec.venue for spec in specs} - {_VENUE}
    if others:
        raise ConfigError(
            f"{desk.path}: venues",
            f"the desk trades on {', '.join(sorted(others))}",
            f"must trade on {_VENUE} alone: the rehearsal exchange speaks no other protocol",
            "See docs/rehearsal.md",
        )
    return venue


def _settings(venue: VenueSettings, port: int, speed: int) -> RehearsalSettings:
    amount, currency = venue.balance()
    return RehearsalSettings(
        product="spot" if venue.account == "cash" else "usd_m",
        port=port,
        speed=speed,
        balances={currency: str(amount)},
        leverage=min(max(int(venue.leverage), 1), 125),
        maker_fee=str(Decimal(str(venue.maker_fee_bps)) / 10_000),
        taker_fee=str(Decimal(str(venue.taker_fee_bps)) / 10_000),
    )


def _with_bnb(desk: Desk, settings: RehearsalSettings, price: float) -> RehearsalSettings:
    if settings.product != "spot":
        raise ConfigError(
            f"{desk.path}: venues",
            "the desk trades perpetuals",
            "must trade on spot: the rehearsal pays fees with BNB there alone",
            "Leave --bnb-price out",
        )
    balances = settings.balances | {"BNB": _BNB}
    return msgspec.structs.replace(settings, balances=balances, bnb_price=repr(price))


def _from_catalog(
    desk: Desk, bar_type: str, spec: InstrumentSettings, start_ns: int | None
) -> tuple[BarSource, PlannedSymbol]:
    store = resolve("catalog.store:BarStore", "catalog")(Path(desk.config.catalog.path))
    interval_ns = Interval.of_bar_type(bar_type).ns
    known = store.series(bar_type)
    if start_ns is None:
        start_ns = desk.config.backtest.range_ns()[0]
    if start_ns is None:
        half = (known.last_ns - known.first_ns) // 2
        start_ns = max(known.first_ns + half, known.last_ns - _HISTORY_BARS * interval_ns)
    frame = store.read(bar_type, start_ns - _HISTORY_BARS * interval_ns)
    history = int((frame.ts_close <= start_ns).sum())
    if history == len(frame):
        raise DataError(
            f"catalog {desk.config.catalog.path}: {bar_type}",
            f"ends at {iso(known.last_ns)}",
            f"must have bars after {iso(start_ns)}, where the rehearsal begins",
            "Choose another time with --start, or import more",
        )
    times, rates = store.read_funding(spec.id, int(frame.ts_close[0]), known.last_ns)
    funding = [
        (int(ts), f"{rate:.8f}") for ts, rate in zip(times.tolist(), rates.tolist(), strict=True)
    ]
    source = BarSource(spec, frame, interval_ns, start_ns, funding)
    symbol = PlannedSymbol(
        spec.id,
        spec.raw_symbol,
        Interval.of_bar_type(bar_type).text,
        iso(start_ns),
        history,
        len(frame) - history,
        iso(known.last_ns),
        sum(ts > start_ns for ts, _ in funding),
    )
    return source, symbol


def _recorded(
    specs: dict[str, InstrumentSettings], recordings: Sequence[Path], speed: int
) -> list[tuple[RecordedSource, PlannedSymbol]]:
    if speed != 1:
        raise ConfigError(
            "rehearsal speed",
            f"was {speed}",
            "must be 1 for recordings: they have no bars to scale",
        )
    left = list(recordings)
    found = []
    for bar_type, spec in specs.items():
        mine = [path for path in left if spec.raw_symbol.lower() in path.name.lower()]
        if len(mine) != 1:
            raise DataError(
                f"recordings of {spec.id}",
                f"{len(mine)} of the files have {spec.raw_symbol.lower()} in their name",
                "must be one",
                "Name one file a traded instrument with --recording",
            )
        left.remove(mine[0])
        interval_ns = Interval.of_bar_type(bar_type).ns
        source = RecordedSource(spec, mine[0], interval_ns)
        first, text = iso(source.start_ns), Interval.of_bar_type(bar_type).text
        found.append(
            (source, PlannedSymbol(spec.id, spec.raw_symbol, text, first, 0, None, None, 0))
        )
    if left:
        raise DataError(
            f"recording {left[0]}", "is of no instrument that the desk trades", "must be of one"
        )
    return found
