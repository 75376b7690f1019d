"""Files of any accepted kind as arrow tables: Parquet, CSV, CSV in gzip, CSVs in a zip.

The kind is told by the first bytes, not by the name.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import FloatArray
from catalog.arrays import numpy_of
from catalog.columns import BINANCE_KLINES

__all__ = [
    "CsvTable",
    "ParquetTable",
    "TableFile",
    "file_sha256",
    "floats_of_column",
    "open_tables",
]

_DELIMITERS = ",;\t|"
_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "none", "#N/A", "-"]
_CONVERSION = re.compile(
    r"In CSV column #(?P<column>\d+): (?:Row #(?P<row>\d+): )?.*invalid value '(?P<value>.*)'"
)
_RAGGED = re.compile(r"(?:Row #(?P<row>\d+): )?Expected (?P<wanted>\d+) columns, got (?P<got>\d+)")


class ParquetTable:
    """A Parquet file: `name` as the file is called, `where` for errors, names of its `columns`."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.where = str(path)
        self._path = path
        with _explained(self.where, "Parquet"):
            self.columns: Sequence[str] = pq.read_schema(path).names

    def read(self, numbers: Sequence[str], others: Sequence[str]) -> pa.Table:
        """Return the columns that hold numbers and some others.

        Raises
        ------
        DataError
            If the file is damaged.
        """
        with (
            _explained(self.where, "Parquet"),
            pq.ParquetFile(self._path, page_checksum_verification=True) as file,
        ):
            return file.read(columns=[*numbers, *others])


class CsvTable:
    """A CSV text, from a file or a member of a zip; attributes as in `ParquetTable`.

    A first line of numbers only is no header: twelve columns are then Binance klines, others are
    called 1, 2, 3 and so on.
    """

    def __init__(self, name: str, where: str, content: bytes) -> None:
        self.name = name
        self.where = where
        self._content = content
        if not content.strip():
            raise DataError(where, "is empty", "must hold bars", "Take the file out of the list")
        lines = io.TextIOWrapper(io.BytesIO(content[:65536]), "utf-8-sig", errors="replace")
        head = next(line for line in lines if line.strip()).rstrip("\r\n")
        self._delimiter = max(_DELIMITERS, key=head.count)
        cells = [c.strip() for c in next(csv.reader([head], delimiter=self._delimiter))]
        self._has_header = not all(_is_number(cell) for cell in cells)
        if self._has_header:
            self.columns: Sequence[str] = cells
        elif len(cells) == len(BINANCE_KLINES):
            self.columns = BINANCE_KLINES
        else:
            self.columns = [str(i + 1) for i in range(len(cells))]

    def read(self, numbers: Sequence[str], others: Sequence[str]) -> pa.Table:
        """Return the columns that hold numbers, as float64, and some others.

        Raises
        ------
        DataError
            If a number is none, a line has too few or too many cells, or there is only a header.
        """
        try:
            table = self._parse(numbers, others, use_threads=True)
        except pa.ArrowInvalid:
            # Only a reader in a single thread knows the line.
            try:
                table = self._parse(numbers, others, use_threads=False)
            except pa.ArrowInvalid as e:
                raise self._explain(str(e)) from e
        if not table.num_rows:
            raise DataError(self.where, "has a header and no rows", "must hold bars")
        return table

    def _parse(
        self, numbers: Sequence[str], others: Sequence[str], *, use_threads: bool
    ) -> pa.Table:
        return pa_csv.read_csv(
            io.BytesIO(self._content),
            read_options=pa_csv.ReadOptions(
                column_names=list(self.columns),
                skip_rows=int(self._has_header),
                use_threads=use_threads,
            ),
            parse_options=pa_csv.ParseOptions(delimiter=self._delimiter),
            convert_options=pa_csv.ConvertOptions(
                include_columns=[*numbers, *others],
                column_types=dict.fromkeys(numbers, pa.float64()),
                null_values=_NULLS,
                strings_can_be_null=True,
            ),
        )

    def _explain(self, message: str) -> DataError:
        if match := _CONVERSION.search(message):
            column = self.columns[int(match["column"])]
            line = f", line {match['row']}" if match["row"] else ""
            return DataError(
                f"{self.where}{line}, column {column}",
                f"was {match['value']!r}",
                "must be a number",
            )
        if match := _RAGGED.search(message):
            line = f", line {match['row']}" if match["row"] else ""
            return DataError(
                f"{self.where}{line}",
                f"has {match['got']} cells",
                f"must have {match['wanted']}, as the line before it",
                "The file may be cut off: get it again",
            )
        return DataError(self.where, f"is no readable CSV ({message.splitlines()[0]})")


type TableFile = ParquetTable | CsvTable


def open_tables(path: Path) -> list[TableFile]:
    """Return the tables of a file; a zip may hold several.

    Raises
    ------
    DataError
        If the file is not there, is empty, is damaged, or is of no known kind.
    """
    if path.is_dir():
        raise DataError(str(path), "is a folder", "must be a file", f"Name its files: {path}/*")
    if not path.exists():
        raise DataError(str(path), "is not there", "must be a file with bars or funding rates")
    where = str(path)
    with _explained(where, "file"), path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return [ParquetTable(path)]
    if start[:2] == b"PK":
        return _zip_members(path)
    if start[:2] == b"\x1f\x8b":
        with _explained(where, "gzip"):
            content = gzip.decompress(path.read_bytes())
        return [CsvTable(path.name, where, content)]
    with _explained(where, "CSV"):
        content = path.read_bytes()
    if b"\0" in content[:4096]:
        raise DataError(
            where, "is of no known kind", "must be Parquet, CSV, CSV in gzip or CSV in zip"
        )
    return [CsvTable(path.name, where, content)]


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def floats_of_column(column: pa.ChunkedArray, where: str) -> FloatArray:
    """Return a column of numbers as float64, (n,); an empty cell is NaN.

    Raises
    ------
    DataError
        If the column holds something else.
    """
    kind = column.type
    try:
        if pa.types.is_decimal(kind):
            # By way of the text, which is parsed to the nearest double.
            column = column.cast(pa.string())
        numbers = column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise DataError(where, f"holds {kind} that are no numbers", "must be numbers") from e
    if numbers.null_count:
        numbers = pc.fill_null(numbers, float("nan"))
    return numpy_of(numbers, np.float64)


def _zip_members(path: Path) -> list[TableFile]:
    where = str(path)
    with _explained(where, "zip"), zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.lower().endswith((".csv", ".txt"))]
        if not names:
            raise DataError(where, "is a zip without a CSV", "must hold at least one .csv")
        contents = [archive.read(name) for name in names]
    return [
        CsvTable(Path(name).name, where if len(names) == 1 else f"{where}/{name}", content)
        for name, content in zip(names, contents, strict=True)
    ]


@contextmanager
def _explained(where: str, kind: str) -> Iterator[None]:
    """Turn what a library says about a damaged file into our error."""
    try:
        yield
    except PermissionError as e:
        raise DataError(where, "may not be read", "must be a file that you may read") from e
    except (
        pa.ArrowException,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
    ) as e:
        reason = (str(e).splitlines() or [type(e).__name__])[0].rstrip(".")
        raise DataError(
            where,
            f"is damaged or cut off ({reason})",
            f"must be a whole {kind}" + ("" if kind == "file" else " file"),
            "Get the file again",
        ) from e


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
