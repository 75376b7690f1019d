from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st

from aitb_nautilus.errors import DataError
from aitb_nautilus.observe.report_columns import ColumnWriter, exact_decimals


def read(writer: ColumnWriter, place: dict[str, int]) -> list[float]:
    """Unpack a column as `assets/columns.js` does; that one is tested in a browser."""
    planes = zlib.decompress(base64.b64decode(writer.blob()))
    out, total = [], 0
    for i in range(place["n"]):
        code = sum(planes[place["o"] + p * place["n"] + i] << (8 * p) for p in range(place["w"]))
        total += code // 2 if code % 2 == 0 else -(code + 1) // 2
        out.append(total / 10 ** place["d"])
    return out


@given(st.lists(st.integers(-(2**50), 2**50), max_size=40))
def test_whole_numbers_come_back_exactly(values: list[int]) -> None:
    writer = ColumnWriter()
    writer.whole(np.array([7, 7, 7], dtype=np.int64))
    place = writer.whole(np.array(values, dtype=np.int64))
    assert read(writer, place) == values


@given(st.lists(st.integers(-(10**9), 10**9), max_size=40))
def test_prices_come_back_with_their_decimals(cents: list[int]) -> None:
    writer = ColumnWriter()
    prices = np.array(cents) / 100
    assert read(writer, writer.numbers(prices, 2)) == prices.tolist()


def test_times_are_kept_in_milliseconds() -> None:
    writer = ColumnWriter()
    ns = np.array([1_672_531_260_000_000_000, 1_672_531_320_100_000_000], dtype=np.int64)
    assert read(writer, writer.times(ns)) == [1_672_531_260_000, 1_672_531_320_100]


def test_texts_become_places_in_a_list() -> None:
    writer = ColumnWriter()
    assert read(writer, writer.codes(["b", "a", "b"], ["a", "b"])) == [1, 0, 1]


def test_numbers_that_would_grow_too_large_lose_decimals_not_size() -> None:
    writer = ColumnWriter()
    place = writer.numbers(np.array([1e12, 2e12]), 8)
    assert place["d"] < 8
    assert read(writer, place) == [1e12, 2e12]


def test_number_beyond_what_a_page_can_count_is_refused() -> None:
    with pytest.raises(DataError, match="too large"):
        ColumnWriter().numbers(np.array([1e17]), 2)
    with pytest.raises(DataError, match="too large"):
        ColumnWriter().whole(np.array([2**60], dtype=np.int64))


def test_flat_column_takes_almost_no_room() -> None:
    writer = ColumnWriter()
    writer.numbers(np.full(100_000, 10_000.0), 2)
    assert len(writer.blob()) < 1_000


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([1.0, 2.0], 0), ([16_500.12, 3.1], 2), ([0.00001234], 8), ([0.1 + 0.2], 1), ([], 0)],
)
def test_decimals_are_as_many_as_the_values_need(values: list[float], wanted: int) -> None:
    assert exact_decimals(np.array(values)) == wanted
