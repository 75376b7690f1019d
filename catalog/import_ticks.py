"""Import of ticks: quotes as they are, trades as the bars that they make. All files, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.bars import BarFrame, FloatArray, Interval, TimeArray
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.times import iso
from catalog.columns import quote_columns, trade_columns
from catalog.imported import Imported
from catalog.importing import ImportedSeries
from catalog.provenance import Source
from catalog.quotes import QuoteFrame
from catalog.recordings import RowChoice, read_rows, split_by_symbol
from catalog.store import BarStore
from catalog.symbols import Naming, symbol_of_name
from catalog.tables import TableFile, file_sha256, floats_of_column, open_tables

__all__ = ["bars_of_trades", "import_quotes", "import_trades"]

type OnFile = Callable[[Path], None]


def import_quotes(
    store: BarStore,
    files: Sequence[Path],
    naming: Naming,
    choice: RowChoice,
    *,
    simulated: bool = False,
    replace: bool = False,
    on_file: OnFile | None = None,
) -> Sequence[Imported]:
    """Import best bids and asks.

    Raises
    ------
    DataError
        If a file is damaged, a quote is not sound, or quotes contradict each other or the catalog.
    ConfigError
        If an instrument is not known.
    """
    done: dict[str, Imported] = {}
    with store.batch() as batch:
        for path in files:
            sha256 = file_sha256(path) if path.is_file() else None
            for spec, quotes in _quotes(path, naming, choice):
                first, last = int(quotes.ts[0]), int(quotes.ts[-1])
                origin = Source(path.name, sha256, first, last)
                result = batch.write_quotes(
                    spec, quotes, origin, simulated=simulated, replace=replace
                )
                before = done.get(spec.id, Imported(spec.id, first, last))
                done[spec.id] = before.with_file(first, last, result)
            if on_file is not None:
                on_file(path)
    return [done[key] for key in sorted(done)]


def import_trades(
    store: BarStore,
    files: Sequence[Path],
    naming: Naming,
    choice: RowChoice,
    interval: Interval,
    *,
    simulated: bool = False,
    replace: bool = False,
    on_file: OnFile | None = None,
) -> Sequence[ImportedSeries]:
    """Import the bars that trades make; the trades themselves are not kept.

    Of each instrument the first and the last bar are left out: nothing says that the recording has
    all of their trades. Files that follow each other are best given together.

    Raises
    ------
    DataError, ConfigError
        As of `import_quotes`.
    """
    parts: dict[str, list[tuple[Source, TimeArray, FloatArray, FloatArray]]] = {}
    for path in files:
        sha256 = file_sha256(path) if path.is_file() else None
        for spec, ts, price, size in _trades(path, naming, choice):
            origin = Source(f"{path.name} (trades)", sha256)
            parts.setdefault(spec.id, []).append((origin, ts, price, size))
        if on_file is not None:
            on_file(path)
    done = []
    with store.batch() as batch:
        for instrument_id, own in sorted(parts.items()):
            spec = naming.known[instrument_id]
            own.sort(key=lambda part: int(part[1][0]))
            ts, price, size = (np.concatenate([part[i] for part in own]) for i in (1, 2, 3))
            bars = bars_of_trades(ts, price, size, interval, spec.size_precision)
            bar_type = interval.bar_type(instrument_id)
            if len(bars) < 3:
                raise DataError(
                    bar_type,
                    f"the trades make {len(bars)} bars, the first and the last of them perhaps "
                    f"not whole",
                    "must make at least 3",
                    "Take a shorter --interval, or give more files",
                )
            bars = bars.take(slice(1, -1))
            first, last = int(bars.ts_close[0]), int(bars.ts_close[-1])
            sources = [msgspec.structs.replace(s, first_ns=first, last_ns=last) for s, *_ in own]
            result = batch.write(
                spec,
                interval,
                bars,
                source=sources,
                simulated=simulated,
                replace=replace,
            )
            done.append(
                ImportedSeries(
                    instrument_id=instrument_id,
                    interval=interval,
                    bar_type=bar_type,
                    first_ns=first,
                    last_ns=last,
                    rows_added=result.rows_added,
                    rows_same=result.rows_same,
                    rows_replaced=result.rows_replaced,
                    files=len(own),
                    repairs=(),
                )
            )
    return done


def bars_of_trades(
    ts: TimeArray, price: FloatArray, size: FloatArray, interval: Interval, decimals: int
) -> BarFrame:
    """Return the bars that trades make; a time without a trade has no bar.

    Parameters
    ----------
    ts
        Of the trades, (n,) int64, ns UTC, never falling. One on the close of a bar belongs to the
        next.
    price, size
        (n,) float64.
    decimals
        Of sizes: to so many a bar's volume is summed.
    """
    places = ts // interval.ns
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    ends = np.append(starts[1:], len(ts)) - 1
    return BarFrame(
        (places[starts] + 1) * interval.ns,
        price[starts],
        np.maximum.reduceat(price, starts),
        np.minimum.reduceat(price, starts),
        price[ends],
        np.round(np.add.reduceat(size, starts), decimals),
    )


def _quotes(
    path: Path, naming: Naming, choice: RowChoice
) -> Iterator[tuple[InstrumentSettings, QuoteFrame]]:
    for file in open_tables(path):
        names = quote_columns(file.columns, choice.columns, file.where)
        numbers = [names.bid, names.ask, names.bid_size, names.ask_size]
        table, _, stamps = read_rows(file, numbers, names.time, names.symbol, choice)
        values = [floats_of_column(table[n], f"{file.where}, column {n}") for n in numbers]
        whole = QuoteFrame(stamps, *values)
        for symbol, rows in split_by_symbol(table, names.symbol):
            yield _spec(file, symbol, naming), whole if rows is None else whole.take(rows)


def _trades(
    path: Path, naming: Naming, choice: RowChoice
) -> Iterator[tuple[InstrumentSettings, TimeArray, FloatArray, FloatArray]]:
    for file in open_tables(path):
        names = trade_columns(file.columns, choice.columns, file.where)
        numbers = [names.price, names.size]
        table, _, stamps = read_rows(file, numbers, names.time, names.symbol, choice)
        price, size = (floats_of_column(table[n], f"{file.where}, column {n}") for n in numbers)
        for symbol, rows in split_by_symbol(table, names.symbol):
            spec = _spec(file, symbol, naming)
            part = slice(None) if rows is None else rows
            early = np.flatnonzero(np.diff(stamps[part]) < 0)
            wrong = np.flatnonzero(~(np.isfinite(price[part]) & (size[part] >= 0)))
            if len(early) or len(wrong):
                row = int(early[0]) + 1 if len(early) else int(wrong[0])
                raise DataError(
                    f"{file.where}, {spec.id}, trade of {iso(int(stamps[part][row]))}",
                    "is earlier than the trade before it"
                    if len(early)
                    else "has no finite price, or a size below 0",
                    "must be in order" if len(early) else "must be a trade",
                )
            yield spec, stamps[part], price[part], size[part]


def _spec(file: TableFile, symbol: str | None, naming: Naming) -> InstrumentSettings:
    told = symbol or symbol_of_name(file.name, naming)
    instrument_id = naming.instrument_id(told, file.where)
    spec = naming.known.get(instrument_id)
    if spec is None:
        raise ConfigError(
            f"instrument {instrument_id}",
            "is not known",
            "must be one of the package's table, or of a config named with --config",
            "Name it with --instrument, or add an [[instruments]] block",
        )
    return spec
