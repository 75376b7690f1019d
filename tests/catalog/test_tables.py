from __future__ import annotations

import gzip
import hashlib
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import DataError
from catalog.tables import CsvTable, file_sha256, floats_of_column, open_tables

TEXT = "time,open,note\n1,1.5,a\n2,2.5,b\n"


@pytest.mark.parametrize("kind", ["csv", "gz", "zip", "parquet"])
@pytest.mark.parametrize("name", ["right", "misleading.parquet"])
def test_kind_is_told_by_the_content(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    match kind:
        case "csv":
            path.write_text(TEXT)
        case "gz":
            path.write_bytes(gzip.compress(TEXT.encode()))
        case "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("inside.csv", TEXT)
        case "parquet":
            table = pa.table({"time": [1, 2], "open": [1.5, 2.5], "note": ["a", "b"]})
            pq.write_table(table, path)
    (table,) = open_tables(path)
    assert list(table.columns) == ["time", "open", "note"]
    assert table.name == ("inside.csv" if kind == "zip" else name)
    read = table.read(["open"], ["time"])
    assert read.column_names == ["open", "time"]
    assert read["open"].to_pylist() == [1.5, 2.5]


def test_zip_of_several_files_gives_each(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/one.csv", TEXT)
        archive.writestr("readme.md", "no data")
        archive.writestr("two.csv", TEXT)
    assert [(t.name, t.where) for t in open_tables(path)] == [
        ("one.csv", f"{path}/a/one.csv"),
        ("two.csv", f"{path}/two.csv"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(delimiter: str) -> None:
    table = CsvTable("a", "a", TEXT.replace(",", delimiter).encode())
    assert table.read(["open"], ["time"])["open"].to_pylist() == [1.5, 2.5]


def test_byte_order_mark_crlf_quotes_and_empty_cells_are_read() -> None:
    text = '\ufeff"time","open"\r\n1,"1.5"\r\n2,\r\n'
    table = CsvTable("a", "a", text.encode())
    assert list(table.columns) == ["time", "open"]
    values = floats_of_column(table.read(["open"], ["time"])["open"], "a")
    assert values[0] == 1.5
    assert np.isnan(values[1])


def test_file_without_header_has_binance_columns_or_numbers() -> None:
    klines = CsvTable("a", "a", ",".join("1" * 12).encode() + b"\n")
    assert klines.columns[:2] == ("open_time", "open")
    assert list(CsvTable("a", "a", b"1,2,3\n4,5,6\n").columns) == ["1", "2", "3"]
    assert CsvTable("a", "a", b"1,2,3\n4,5,6\n").read(["2"], ["1"])["2"].to_pylist() == [2, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,open\n1,1.5\n2,oops\n", "line 3, column open: was 'oops', must be a number"),
        ("time,open\n1,1.5\n2\n", "line 3: has 1 cells, must have 2"),
        ("time,open\n", "has a header and no rows"),
    ],
)
def test_bad_line_is_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        CsvTable("a", "a.csv", text.encode()).read(["open"], ["time"])


def spoil(path: Path, kind: str) -> None:
    match kind:
        case "missing":
            return
        case "folder":
            path.mkdir()
        case "empty":
            path.write_bytes(b"")
        case "blank":
            path.write_bytes(b"\n\n")
        case "binary":
            path.write_bytes(b"\x89PNG\0\0\0\0")
        case "gz":
            whole = gzip.compress(TEXT.encode() * 100)
            path.write_bytes(whole[: len(whole) // 2])
        case "gz-bits":
            whole = bytearray(gzip.compress(np.random.default_rng(1).bytes(2000)))
            whole[len(whole) // 2] ^= 255
            path.write_bytes(whole)
        case "zip" | "zip-bits" | "zip-empty":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("a.md" if kind == "zip-empty" else "a.csv", TEXT * 100)
            whole = bytearray(path.read_bytes())
            if kind == "zip":
                path.write_bytes(whole[: len(whole) // 2])
            elif kind == "zip-bits":
                whole[60] ^= 255
                path.write_bytes(whole)
        case "parquet":
            pq.write_table(pa.table({"a": list(range(1000))}), path)
            path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "is not there"),
        ("folder", "is a folder"),
        ("empty", "is empty"),
        ("blank", "is empty"),
        ("binary", "is of no known kind"),
        ("gz", "damaged or cut off .* must be a whole gzip file"),
        ("gz-bits", "damaged or cut off"),
        ("zip", "damaged or cut off .* must be a whole zip file"),
        ("zip-bits", "damaged or cut off .*Bad CRC"),
        ("zip-empty", "is a zip without a CSV"),
        ("parquet", "damaged or cut off .* must be a whole Parquet file"),
    ],
)
def test_file_that_cannot_be_read_is_a_data_error(tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / "given"
    spoil(path, kind)
    with pytest.raises(DataError, match=message) as caught:
        open_tables(path)
    assert str(caught.value).startswith(str(path))


def test_parquet_damaged_in_the_middle_is_found_when_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": np.arange(10_000.0)}), path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[200:4000] = bytes(3800)
    path.write_bytes(content)
    (table,) = open_tables(path)
    with pytest.raises(DataError, match="damaged or cut off"):
        table.read(["a"], [])


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2]),
        pa.array([1.0, 2.0], pa.float32()),
        pa.array(["1", "2.0"]),
        pa.array([Decimal("1.00"), Decimal("2.00")]),
    ],
    ids=lambda column: str(column.type),
)
def test_numbers_of_any_type_become_doubles(column: pa.Array) -> None:
    assert floats_of_column(pa.chunked_array([column]), "a").tolist() == [1.0, 2.0]


def test_engine_decimals_become_the_nearest_double() -> None:
    column = pa.chunked_array([pa.array([Decimal("46216.93")], pa.decimal128(38, 16))])
    assert floats_of_column(column, "a").tolist() == [46216.93]


def test_column_of_words_is_refused() -> None:
    with pytest.raises(DataError, match=r"a.csv, column open: holds string that are no numbers"):
        floats_of_column(pa.chunked_array([pa.array(["x"])]), "a.csv, column open")


def test_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(TEXT)
    assert file_sha256(path) == hashlib.sha256(TEXT.encode()).hexdigest()
