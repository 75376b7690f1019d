from __future__ import annotations

from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from catalog.decimals import (
    DECIMAL,
    SCALE,
    decimals_of_floats,
    decimals_wanted,
    floats_of_decimals,
    off_grid,
)

CONTEXT = Context(prec=60)


@given(st.lists(st.integers(0, 10**14), min_size=1), st.integers(0, 8))
def test_doubles_of_decimals_survive_the_round_trip_bit_for_bit(
    ticks: list[int], precision: int
) -> None:
    texts = [str(Decimal(tick).scaleb(-precision)) for tick in ticks if tick / 10**precision < 1e13]
    values = np.array([float(text) for text in texts])
    stored = decimals_of_floats(values, precision)
    assert stored.type == DECIMAL
    assert np.array_equal(floats_of_decimals(stored, precision), values)


def test_stored_decimals_are_those_of_the_text() -> None:
    stored = decimals_of_floats(np.array([46216.93, 0.1, 16_899_467_156.0]), 2)
    assert stored.to_pylist() == [Decimal("46216.93"), Decimal("0.10"), Decimal("16899467156.00")]


def test_a_part_of_a_stored_column_reads_right() -> None:
    values = np.arange(1, 101) / 100
    part = decimals_of_floats(values, 2)[40:60]
    assert np.array_equal(floats_of_decimals(part, 2), values[40:60])


def test_integers_beyond_the_doubles_are_divided_once() -> None:
    text = "123456789.0123456789"
    stored = pa.array([Decimal(text)], pa.decimal128(38, 10)).cast(DECIMAL)
    assert floats_of_decimals(stored, 10)[0] == float(text)


def test_off_grid_sees_the_noise_of_a_sum() -> None:
    values = np.array([0.3, 0.1 + 0.2, 1.25, 1e-9])
    assert off_grid(values, 1).tolist() == [False, True, True, True]
    assert off_grid(values, 2).tolist() == [False, True, False, True]


def test_decimals_wanted_is_the_fewest_that_hold_all() -> None:
    assert decimals_wanted(np.array([1.0, 250.0])) == 0
    assert decimals_wanted(np.array([1.0, 0.25])) == 2
    assert decimals_wanted(np.array([0.1 + 0.2]), most=10) is None


@pytest.mark.parametrize("value", [0.123, 1e13, 2e15])
def test_values_beside_the_grid_or_too_large_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="grid of 2 decimals"):
        decimals_of_floats(np.array([value]), 2)


def test_column_with_more_decimals_than_declared_is_refused() -> None:
    stored = decimals_of_floats(np.array([0.125]), 3)
    with pytest.raises(ValueError, match="more decimals than are declared"):
        floats_of_decimals(stored, 2)


@given(st.integers(-(2**62), 2**62), st.integers(0, 16))
def test_every_64_bit_number_of_ticks_reads_as_its_own_quotient(tick: int, precision: int) -> None:
    exact = Decimal(tick).scaleb(-precision, CONTEXT)
    stored = pa.array([exact], pa.decimal128(38, SCALE))
    assert floats_of_decimals(stored, precision)[0] == float(exact)


@given(st.integers(1, 10**30), st.integers(0, 15))
def test_what_does_not_divide_is_never_taken_for_something_else(raw: int, precision: int) -> None:
    unit = 10 ** (SCALE - precision)
    stored = pa.array([Decimal(raw).scaleb(-SCALE, CONTEXT)], pa.decimal128(38, SCALE))
    if raw % unit or raw // unit >= 2**63:
        with pytest.raises(ValueError, match="more decimals than are declared, or are too large"):
            floats_of_decimals(stored, precision)
    else:
        assert floats_of_decimals(stored, precision)[0] == raw // unit / 10**precision
