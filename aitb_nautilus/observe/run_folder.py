"""Read a run folder: run.json at once, each table when it is first asked for.

A folder that is missing, not finished, not ours, damaged or written by a newer version is a
`DataError` that says which. A run that failed or was interrupted can be read; what it had no time
to write reads as empty.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aitb_nautilus.errors import DataError
from aitb_nautilus.observe.run_record import SCHEMA, RunRecord
from aitb_nautilus.observe.run_tables import TABLES, ended

__all__ = ["Run", "floats", "texts", "times"]


class Run:
    """A run folder, opened for reading.

    Parameters
    ----------
    path
        The folder, or the run.json in it.

    Attributes
    ----------
    path
        The folder.
    record
        What run.json holds.

    Raises
    ------
    DataError
        If the folder is missing, not finished, not a run folder, damaged, or of a newer version.
    """

    def __init__(self, path: Path, *, may_run: bool = False) -> None:
        self.path = path.parent if path.name == "run.json" else path
        self.record = _read_record(self.path, may_run=may_run)

    @cached_property
    def equity(self) -> pa.Table:
        """Equity, market and exposure by bar close, ascending in time."""
        table = self._table("equity")
        ts = times(table, "ts")
        if (np.diff(ts) <= 0).any():
            raise self._damaged("equity", "times do not ascend", "each later than the one before")
        return table

    @cached_property
    def fills(self) -> pa.Table:
        """Fills in order of time."""
        return self._counted("fills", self.record.fills)

    @cached_property
    def orders(self) -> pa.Table:
        """Orders in order of time."""
        return self._counted("orders", self.record.orders)

    @cached_property
    def positions(self) -> pa.Table:
        """Round trips, open ones included."""
        return self._table("positions")

    @cached_property
    def closed_positions(self) -> pa.Table:
        """Round trips that have ended, in the order in which they ended."""
        return ended(self.positions)

    @cached_property
    def funding(self) -> pa.Table:
        """Funding payments in order of time."""
        return self._table("funding")

    @cached_property
    def bars(self) -> pa.Table:
        """Bars in the order in which they were heard; joined into longer ones if they are many."""
        return self._table("bars")

    @cached_property
    def past(self) -> pa.Table:
        """Bars before the run, in the order in which they were heard."""
        if self.record.warm_up_bars == 0 and not (self.path / "past.parquet").exists():
            return TABLES["past"].empty_table()
        return self._counted("past", self.record.warm_up_bars)

    @cached_property
    def predictions(self) -> pa.Table:
        """Predictions and what happened; empty where the run counted none and wrote no table."""
        if self.record.predictions == 0 and not (self.path / "predictions.parquet").exists():
            return TABLES["predictions"].empty_table()
        return self._counted("predictions", self.record.predictions)

    @cached_property
    def risk(self) -> pa.Table:
        """Exposure, leverage, volatility and drawdown by stretch of time."""
        return self._if_measured("risk")

    @cached_property
    def risk_parts(self) -> pa.Table:
        """Exposure by instrument and usage by limit, by stretch of time."""
        return self._if_measured("risk_parts")

    @cached_property
    def tails(self) -> pa.Table:
        """Returns and what was foretold of them."""
        return self._if_measured("tails")

    @cached_property
    def refusals(self) -> pa.Table:
        """What the guard refused or let pass in part, in order of time; the first of them."""
        return self._if_measured("refusals")

    @cached_property
    def latency(self) -> pa.Table:
        """How long each stage took, as histograms; empty if nothing was measured."""
        return self._table("latency") if self.record.latency else TABLES["latency"].empty_table()

    @cached_property
    def config_text(self) -> str:
        """The resolved config, secrets masked."""
        file = self.path / "config.toml"
        try:
            return file.read_text(encoding="utf-8")
        except FileNotFoundError as e:
            if self.record.status == "complete":
                raise DataError(str(file), "is missing", "a complete run has it") from e
            return ""
        except (OSError, UnicodeDecodeError) as e:
            raise DataError(str(file), f"cannot be read ({e})") from e

    def _table(self, name: str) -> pa.Table:
        schema = TABLES[name]
        file = self.path / f"{name}.parquet"
        if not file.exists():
            if self.record.status == "complete":
                raise DataError(str(file), "is missing", "a complete run has it")
            return schema.empty_table()
        try:
            with pq.ParquetFile(file) as parquet:
                table = parquet.read()
        except (OSError, pa.ArrowException) as e:
            raise self._damaged(name, f"cannot be read ({e})", "must be a Parquet file") from e
        for field in schema:
            # What a column says that an older version did not write is not known.
            if field.nullable and field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(table.num_rows, field.type))
        missing = [column for column in schema.names if column not in table.column_names]
        if missing:
            raise self._damaged(
                name, f"lacks {', '.join(missing)}", f"must have {', '.join(schema.names)}"
            )
        try:
            table = table.select(schema.names).cast(schema)
        except (pa.ArrowException, ValueError) as e:
            raise self._damaged(name, f"has other columns ({e})", "must follow the schema") from e
        for field in schema:
            column = table.column(field.name)
            if pa.types.is_floating(field.type) and not _all_finite(column):
                raise self._damaged(name, f"{field.name} has NaN or infinity", "must have none")
        return table

    def _if_measured(self, name: str) -> pa.Table:
        """Return a table of the risk figures; empty if the run has none."""
        return TABLES[name].empty_table() if self.record.risk is None else self._table(name)

    def _counted(self, name: str, wanted: int) -> pa.Table:
        table = self._table(name)
        if self.record.status == "complete" and table.num_rows != wanted:
            raise self._damaged(name, f"has {table.num_rows} rows", f"run.json counts {wanted}")
        return table

    def _damaged(self, name: str, found: str, wanted: str) -> DataError:
        return DataError(
            str(self.path / f"{name}.parquet"), found, wanted, "Run it again to make a new folder"
        )


def times(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    """Return a time column as int64 ns UTC; empty cells are -1."""
    return np.asarray(table.column(name).cast(pa.int64()).fill_null(-1).to_numpy(), dtype=np.int64)


def floats(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Return a number column as float64; empty cells are NaN."""
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)


def texts(table: pa.Table, name: str) -> list[str]:
    """Return a text column; empty cells are empty texts."""
    return [value or "" for value in table.column(name).to_pylist()]


def _all_finite(column: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.is_finite(column), min_count=0).as_py())


def _read_record(path: Path, *, may_run: bool) -> RunRecord:
    if not path.is_dir():
        raise DataError(
            str(path), "there is no such run folder", todo="The folders under runs/ are the runs"
        )
    file = path / "run.json"
    if not file.exists():
        raise DataError(
            str(path),
            "has no run.json",
            "a run folder has one",
            "The run was killed before its end, or this is another kind of folder",
        )
    try:
        raw = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as e:
        raise DataError(str(file), f"cannot be read ({e})", "must be a JSON object") from e
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or "run_id" not in raw:
        raise DataError(str(file), "is not the record of a run", "must have schema and run_id")
    if schema > SCHEMA:
        raise DataError(
            f"{file}: schema",
            f"was {schema}",
            f"this version reads up to {SCHEMA}",
            "A newer version wrote this run; read it with that version",
        )
    try:
        record = msgspec.convert(raw, RunRecord)
    except msgspec.ValidationError as e:
        raise DataError(str(file), f"is damaged ({e})", "must follow the schema") from e
    if record.status == "running" and not may_run:
        raise DataError(
            str(path),
            "the run has not finished",
            "only a finished run can be shown",
            "If nothing is running, it was killed; run it again"
            if record.mode == "backtest"
            else f"If its node was killed: aitb report {path} makes what can be made of it",
        )
    if record.status == "complete":
        needed = ("seconds", "stats", "period", "final_equity", "costs", "ambiguous")
        empty = [name for name in needed if getattr(record, name) is None]
        if empty:
            raise DataError(str(file), f"lacks {', '.join(empty)}", "a complete run has them")
    return record
