"""From files to recordings: the rows of each symbol, as they stand in the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.market.bars import BarFrame, TimeArray
from aitb_nautilus.market.times import iso
from aitb_nautilus.settings import nearest
from catalog.arrays import arrow_of, numpy_of, whole
from catalog.cleaning import Recording
from catalog.columns import bar_columns
from catalog.stamps import stamps_ns
from catalog.tables import TableFile, floats_of_column, open_tables

__all__ = ["RowChoice", "SymbolRows", "read_recordings", "split_by_symbol"]


class RowChoice(msgspec.Struct, frozen=True):
    """Which columns and rows of a file to take.

    Parameters
    ----------
    columns
        Role to column name, where a name is unusual.
    symbols
        Take only these values of the symbol column; empty: all.
    filters
        Column to the value that a row must have there.
    start_ns, end_ns
        Take rows stamped from start (included) to end (not included).
    """

    columns: Mapping[str, str] = {}
    symbols: Sequence[str] = ()
    filters: Mapping[str, str] = {}
    start_ns: int | None = None
    end_ns: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SymbolRows:
    """The recording of one symbol in one table of a file.

    Parameters
    ----------
    symbol
        As the symbol column has it, or None without such a column.
    name
        Of the file or of the member of a zip, which may tell symbol and interval.
    stamps_are_close
        Whether the time column's name says so.
    columns
        Names of all columns of the table.
    has_volume
        False if volumes are absent and became 0.
    """

    symbol: str | None
    name: str
    columns: Sequence[str]
    stamps_are_close: bool
    has_volume: bool
    recording: Recording


def read_recordings(path: Path, choice: RowChoice) -> Iterator[SymbolRows]:
    """Read the bars of a file, one recording a symbol.

    Raises
    ------
    DataError
        If the file is missing, damaged, or lacks columns or rows.
    """
    for table in open_tables(path):
        yield from _read_table(table, path.name, choice)


def _read_table(file: TableFile, source: str, choice: RowChoice) -> Iterator[SymbolRows]:
    names = bar_columns(file.columns, choice.columns, file.where)
    prices = [names.open, names.high, names.low, names.close]
    numbers = [*prices, names.volume] if names.volume else prices
    table, rows, stamps = read_rows(file, numbers, names.time, names.symbol, choice)
    open_, high, low, close = (
        floats_of_column(table[name], f"{file.where}, column {name}") for name in prices
    )
    volume = (
        floats_of_column(table[names.volume], f"{file.where}, column {names.volume}")
        if names.volume
        else np.zeros(len(stamps))
    )
    bars = BarFrame(stamps, open_, high, low, close, volume)
    whole = Recording(file.where, source, rows, bars)
    for symbol, part in split_by_symbol(table, names.symbol):
        recording = whole if part is None else whole.take(part)
        if part is not None:
            recording = dataclasses.replace(recording, where=f"{file.where}, {symbol}")
        yield SymbolRows(
            symbol=symbol,
            name=file.name,
            columns=file.columns,
            stamps_are_close=names.stamps_are_close,
            has_volume=names.volume is not None,
            recording=recording,
        )


def read_rows(
    file: TableFile, numbers: Sequence[str], time: str, symbol: str | None, choice: RowChoice
) -> tuple[pa.Table, NDArray[np.int64], TimeArray]:
    """Return the chosen rows of a file, their numbers from 1, and their stamps.

    Raises
    ------
    DataError
        If a column to filter by is not there, or no row is left.
    """
    others = list(dict.fromkeys([time, *([symbol] if symbol else []), *choice.filters]))
    for column in choice.filters:
        if column not in file.columns:
            close = nearest(column, file.columns)
            raise DataError(
                f"{file.where}: column {column!r}",
                f"is not there; the columns are {', '.join(file.columns)}",
                f"did you mean {close!r}?" if close else "",
            )
    if choice.symbols and symbol is None:
        raise UsageError(
            f"--symbol {choice.symbols[0]}",
            f"{file.where} has no column of symbols",
            todo="Leave --symbol out, or name the column: --columns symbol=NAME",
        )
    table = file.read(numbers, others)
    if not table.num_rows:
        raise DataError(file.where, "has no rows", "must hold some")
    keep = np.ones(table.num_rows, np.bool_)
    for column, value in choice.filters.items():
        keep &= _equals(table[column], [value])
    if choice.symbols and symbol:
        keep &= _equals(table[symbol], choice.symbols)
    if not keep.any():
        raise DataError(
            file.where,
            "no row passes --filter and --symbol",
            "at least one must",
            _values_there(table, [*choice.filters, *([symbol] if symbol else [])]),
        )
    rows = np.flatnonzero(keep)
    if len(rows) < table.num_rows:
        table = table.take(arrow_of(rows, pa.int64()))
    stamps = stamps_ns(table[time], f"{file.where}, column {time}")
    inside = np.ones(len(stamps), np.bool_)
    if choice.start_ns is not None:
        inside &= stamps >= choice.start_ns
    if choice.end_ns is not None:
        inside &= stamps < choice.end_ns
    if not inside.any():
        raise DataError(
            file.where,
            f"has no row in the range; its rows are from {iso(int(stamps.min()))} "
            f"to {iso(int(stamps.max()))}",
            "at least one must lie between --start and --end",
        )
    if not inside.all():
        table = table.take(arrow_of(np.flatnonzero(inside), pa.int64()))
    return table, rows[inside] + 1, stamps[inside]


def split_by_symbol(
    table: pa.Table, symbol: str | None
) -> Iterator[tuple[str | None, NDArray[np.int64] | None]]:
    """Give the rows of each symbol, in the order of the file; (None, None) without a column."""
    if symbol is None:
        yield None, None
        return
    encoded = whole(table[symbol].cast(pa.string())).dictionary_encode()
    if encoded.null_count:
        row = pc.index(encoded.is_null(), True).as_py()
        raise DataError(f"column {symbol}, row {row + 1}", "is empty", "must name a symbol")
    codes = numpy_of(encoded.indices, np.int32)
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(encoded.dictionary)), "right")
    start = 0
    for text, end in zip(encoded.dictionary.to_pylist(), ends.tolist(), strict=True):
        yield text, order[start:end]
        start = end


def _equals(column: pa.ChunkedArray, values: Sequence[str]) -> NDArray[np.bool_]:
    encoded = whole(column.cast(pa.string())).dictionary_encode()
    codes = encoded.indices.fill_null(-1) if encoded.null_count else encoded.indices
    wanted = [i for i, text in enumerate(encoded.dictionary.to_pylist()) if text in values]
    return np.isin(numpy_of(codes, np.int32), wanted)


def _values_there(table: pa.Table, columns: Sequence[str]) -> str:
    parts = []
    for column in columns:
        values = sorted(map(str, pc.unique(table[column]).to_pylist()))
        shown = ", ".join(values[:12]) + (" and more" if len(values) > 12 else "")
        parts.append(f"{column} has {shown}")
    return "; ".join(parts)
