"""Write a run folder: first that the run began, last that it is complete.

``run.json`` says ``running`` from the first moment, and is replaced whole at the end. A process
that was killed leaves it so, and its tables missing: clearly incomplete, never half right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aitb_nautilus.errors import RunError
from aitb_nautilus.files import whole_file
from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame
from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.observe.run_tables import MAX_BAR_ROWS, TABLES

__all__ = ["RunWriter", "bars_table", "heard_in_turn", "new_run_dir", "table_of", "thin"]


_MINUTE_NS = 60_000_000_000
_ROWS_AT_ONCE = 512
_GROUP_ROWS = 65_536
"""Of a group of rows all columns are in memory once more while they are compressed."""
_LENGTHS_NS = [
    minutes * _MINUTE_NS
    for minutes in (1, 2, 3, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 7 * 1440)
]


def new_run_dir(runs: Path, name: str) -> Path:
    """Make a new folder under `runs`, named by the second and the desk; return it.

    Raises
    ------
    RunError
        If it cannot be made.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    count = 1
    while True:
        suffix = "" if count == 1 else f"-{count}"
        folder = runs / f"{stamp}-{name}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            count += 1
            continue
        except OSError as e:
            raise _refused(folder, e) from e
        return folder


def table_of(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows as one of the run folder's tables; times are int ns.

    Rows that are made one after the other are never there all at once: a node makes those of its
    whole run once a minute, and Python gives the system little back of what it needed for them.
    """
    schema = TABLES[name]
    parts = [_part(schema, part) for part in batched(rows, _ROWS_AT_ONCE, strict=False)]
    whole = pa.concat_tables([schema.empty_table(), *parts]).unify_dictionaries()
    return whole.combine_chunks()


def _part(schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    columns = [
        pa.array([row[field.name] for row in rows], _storage(field.type)).cast(field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def bars_table(frame: BarFrame, instrument_id: str) -> pa.Table:
    """Return bars for the run folder, each of them."""
    columns = [
        pa.array(frame.ts_close).cast(TABLES["bars"].field("ts").type),
        pa.array([instrument_id] * len(frame)),
        *(pa.array(getattr(frame, name)) for name in VALUE_COLUMNS),
    ]
    return pa.Table.from_arrays(columns, schema=TABLES["bars"])


def thin(frame: BarFrame, instrument_id: str, interval_ns: int) -> pa.Table:
    """Return bars for the run folder, at most about `MAX_BAR_ROWS`.

    If there are more, neighbours are merged into the next longer bars that people use, on their own
    grid of time.
    """
    opens = frame.ts_close - interval_ns
    longer = [ns for ns in _LENGTHS_NS if ns % interval_ns == 0 and ns > interval_ns]
    for length in [interval_ns, *longer]:
        starts = np.flatnonzero(np.diff(opens // length, prepend=-1))
        if len(starts) <= MAX_BAR_ROWS:
            break
    ends = np.append(starts[1:], len(frame)) - 1
    joined = BarFrame(
        frame.ts_close[ends],
        frame.open[starts],
        np.maximum.reduceat(frame.high, starts),
        np.minimum.reduceat(frame.low, starts),
        frame.close[ends],
        np.add.reduceat(frame.volume, starts),
    )
    return bars_table(joined, instrument_id)


def heard_in_turn(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the bars of several instruments in the order in which a back-test tells them.

    Parameters
    ----------
    tables
        One an instrument, in the order in which bars of one time are told.
    """
    if not tables:
        return TABLES["bars"].empty_table()
    joined = pa.concat_tables(tables)
    order = np.argsort(joined.column("ts").cast(pa.int64()).to_numpy(), kind="stable")
    return joined.take(pa.array(order))


class RunWriter:
    """Write the files of one run.

    Parameters
    ----------
    folder
        The run folder; exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record(self, record: RunRecord) -> None:
        """Replace run.json."""
        text = msgspec.json.format(msgspec.json.encode(record), indent=2)
        self._replace("run.json", text + b"\n")

    def config(self, toml: str) -> None:
        """Write the resolved config."""
        self._replace("config.toml", toml.encode())

    def log(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write what happened, one JSON object a line."""
        self._replace("log.jsonl", b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    def table(self, name: str, table: pa.Table) -> None:
        """Write one table."""
        with self._whole(f"{name}.parquet") as temporary:
            pq.write_table(table, temporary, row_group_size=_GROUP_ROWS, compression="zstd")

    def _replace(self, name: str, content: bytes) -> None:
        with self._whole(name) as temporary:
            temporary.write_bytes(content)

    @contextmanager
    def _whole(self, name: str) -> Iterator[Path]:
        """Give a temporary file to write; put it into place once it is whole and on the disk."""
        target = self.folder / name
        try:
            with whole_file(target) as temporary:
                yield temporary
        except OSError as e:
            raise _refused(target, e) from e


def _refused(path: Path, error: OSError) -> RunError:
    return RunError(
        str(path),
        f"could not be written ({error.strerror or error})",
        "must lie where there is room and where you may write",
        "Make room, or name another folder as backtest.runs, then run again",
    )


def _storage(kind: pa.DataType) -> pa.DataType:
    return pa.int64() if pa.types.is_timestamp(kind) else kind
