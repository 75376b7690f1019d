"""Import of settled funding rates into the catalog: all files, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.bars import FloatArray, TimeArray
from aitb_nautilus.market.times import iso
from catalog.columns import funding_columns
from catalog.imported import Imported
from catalog.provenance import Source
from catalog.recordings import RowChoice, read_rows, split_by_symbol
from catalog.store import BarStore
from catalog.symbols import Naming, symbol_of_name
from catalog.tables import file_sha256, floats_of_column, open_tables

__all__ = ["import_funding"]

_HOUR_NS = 3_600_000_000_000
# Exchanges stamp a settlement some milliseconds late. A minute is still no other settlement.
_MAX_JITTER_NS = 60_000_000_000


def import_funding(
    store: BarStore,
    files: Sequence[Path],
    naming: Naming,
    choice: RowChoice,
    *,
    unit: float = 1.0,
    replace: bool = False,
    on_file: Callable[[Path], None] | None = None,
) -> Sequence[Imported]:
    """Import funding rates from files given in any order, all of them or none.

    Parameters
    ----------
    unit
        What the file's rates are multiplied by: 1 for fractions, 0.01 for percent.
    on_file
        Called after each file, for a progress bar.

    Raises
    ------
    DataError
        If a file is damaged, a rate is not sound, or rates contradict each other or the catalog.
    ConfigError
        If a perpetual is not known.
    """
    done: dict[str, Imported] = {}
    with store.batch() as batch:
        for path in files:
            sha256 = file_sha256(path) if path.is_file() else None
            for instrument_id, ts, rate in _read(path, naming, choice):
                first, last = int(ts[0]), int(ts[-1])
                source = Source(path.name, sha256, first, last)
                result = batch.write_funding(
                    instrument_id, ts, rate * unit, source, replace=replace
                )
                before = done.get(instrument_id, Imported(instrument_id, first, last))
                done[instrument_id] = before.with_file(first, last, result)
            if on_file is not None:
                on_file(path)
    return [done[key] for key in sorted(done)]


def _read(
    path: Path, naming: Naming, choice: RowChoice
) -> Iterator[tuple[str, TimeArray, FloatArray]]:
    for file in open_tables(path):
        names = funding_columns(file.columns, choice.columns, file.where)
        table, _, stamps = read_rows(file, [names.rate], names.time, names.symbol, choice)
        rates = floats_of_column(table[names.rate], f"{file.where}, column {names.rate}")
        for symbol, part in split_by_symbol(table, names.symbol):
            rows = np.arange(len(stamps)) if part is None else part
            told = symbol or symbol_of_name(file.name, naming)
            instrument_id = naming.instrument_id(told, file.where)
            spec = naming.known.get(instrument_id)
            if spec is None or spec.kind != "perpetual":
                raise ConfigError(
                    f"instrument {instrument_id}",
                    "is no perpetual that is known",
                    "funding rates belong to perpetuals",
                    "Name it with --instrument, or add it in a config named with --config",
                )
            ts, rate = _settlements(f"{file.where}, {instrument_id}", stamps[rows], rates[rows])
            yield instrument_id, ts, rate


def _settlements(where: str, stamps: TimeArray, rates: FloatArray) -> tuple[TimeArray, FloatArray]:
    """Put stamps onto the hour and into order; equal repetitions count once."""
    ts = (stamps + _HOUR_NS // 2) // _HOUR_NS * _HOUR_NS
    beside = np.flatnonzero(np.abs(stamps - ts) > _MAX_JITTER_NS)
    if len(beside):
        raise DataError(
            f"{where}, {iso(int(stamps[beside[0]]))}",
            "is no settlement time",
            "must be on the hour, within a minute",
        )
    order = np.argsort(ts, kind="stable")
    ts, rates = ts[order], rates[order]
    again = np.flatnonzero(ts[1:] == ts[:-1])
    differing = again[rates[again] != rates[again + 1]]
    if len(differing):
        raise DataError(
            f"{where}, {iso(int(ts[differing[0]]))}",
            f"is there with {float(rates[differing[0]])!r} and {float(rates[differing[0] + 1])!r}",
            "must have one rate",
        )
    keep = np.ones(len(ts), np.bool_)
    keep[again + 1] = False
    return ts[keep], rates[keep]
