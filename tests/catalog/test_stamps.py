from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from aitb_nautilus.errors import DataError
from catalog.stamps import stamps_ns

SECOND = 1_000_000_000
AT = 1_672_531_260  # 2023-01-01 00:01:00 UTC


def column(values: list[Any], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    "values",
    [
        column([AT]),
        column([AT * 10**3]),
        column([AT * 10**6]),
        column([AT * 10**9]),
        column([float(AT)]),
        column([float(AT * 10**3)]),
        column([str(AT)]),
        column([str(AT * 10**3)]),
        column(["2023-01-01T00:01:00Z"]),
        column(["2023-01-01 00:01:00"]),
        column(["2023-01-01T00:01:00.000+00:00"]),
        column(["2023-01-01T02:01:00+02:00"]),
        column([dt.datetime(2023, 1, 1, 0, 1)], pa.timestamp("ms")),
        column([dt.datetime(2023, 1, 1, 0, 1, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
        column([AT * SECOND], pa.int64()).cast(pa.timestamp("ns", "America/New_York")),
    ],
    ids=str,
)
def test_every_kind_of_stamp_is_the_same_time(values: pa.ChunkedArray) -> None:
    stamps = stamps_ns(values, "test")
    assert stamps.dtype == np.int64
    assert stamps.tolist() == [AT * SECOND]


def test_milliseconds_and_microseconds_may_stand_in_one_file() -> None:
    stamps = stamps_ns(column([1_735_689_540_000, 1_735_689_600_000_000]), "test")
    assert stamps.tolist() == [1_735_689_540 * SECOND, 1_735_689_600 * SECOND]


def test_fractions_of_a_second_are_kept_to_the_microsecond() -> None:
    assert stamps_ns(column([AT + 0.25]), "test").tolist() == [AT * SECOND + 250_000_000]


def test_date_is_its_midnight() -> None:
    values = column([dt.date(2023, 1, 2)], pa.date32())
    assert stamps_ns(values, "test").tolist() == [1_672_617_600 * SECOND]


def test_stamps_in_several_chunks_and_a_slice() -> None:
    values = pa.chunked_array([pa.array([AT, AT + 60]), pa.array([AT + 120, AT + 180])])[1:3]
    assert (stamps_ns(values, "test") // SECOND - AT).tolist() == [60, 120]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (column([AT, None]), "row 2: is empty"),
        (column(["yesterday"]), "holds texts such as 'yesterday'"),
        (column([True]), "is a column of bool"),
        (column([AT, 12_345]), "row 2: was 12345, which is 1970-01-01T03:25:45Z"),
        (column([float("nan")]), "row 1: was nan"),
        (column([99_999_999_999]), "must lie between 1990 and 2100"),
    ],
    ids=str,
)
def test_what_is_no_time_is_named(values: pa.ChunkedArray, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        stamps_ns(values, "a.csv, column time")
    assert str(caught.value).startswith("a.csv, column time")
