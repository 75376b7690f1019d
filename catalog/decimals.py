"""The way between float64 and the catalog's decimals, exact in both directions.

A price such as 46216.93 is stored as decimal128(38, 16), as the engine does. It is read back as the
double nearest to the decimal, which is the double that the source file had, bit for bit.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aitb_nautilus.market.bars import FloatArray

__all__ = [
    "DECIMAL",
    "FINEST_STEP",
    "decimals_of_floats",
    "decimals_wanted",
    "floats_of_decimals",
    "off_grid",
]

SCALE = 16
DECIMAL = pa.decimal128(38, SCALE)

FINEST_STEP = 10
"""Decimals of the finest step that a venue may have; what needs more are sums and averages."""

# The engine's own bounds of a Price and a Quantity are a little wider.
MAX_VALUE = 1e13
_EXACT_INTEGERS = 1 << 53


def off_grid(values: FloatArray, precision: int) -> NDArray[np.bool_]:
    """Return where a value is not the double of a decimal with `precision` decimals.

    Parameters
    ----------
    values
        (n,) float64, finite.
    precision
        0 to 16.

    Returns
    -------
    (n,) bool
    """
    ticks = np.round(values * 10.0**precision)
    # Powers of ten up to 1e22 are exact doubles, so that this division rounds once, as reading the
    # decimal's text does.
    beside: NDArray[np.bool_] = ticks / 10.0**precision != values
    return beside | (np.abs(ticks) >= 2.0**63)


def decimals_wanted(values: FloatArray, most: int = SCALE) -> int | None:
    """Return the fewest decimals that hold all values exactly, or None if `most` are too few."""
    left = values
    for precision in range(most + 1):
        left = left[off_grid(left, precision)]
        if not len(left):
            return precision
    return None


def decimals_of_floats(values: FloatArray, precision: int) -> pa.Array:
    """Return values as decimal128(38, 16).

    Parameters
    ----------
    values
        (n,) float64, all on the grid of `precision` decimals (see `off_grid`).
    precision
        0 to 16.

    Raises
    ------
    ValueError
        If a value is not on the grid, or not below 1e13.
    """
    if off_grid(values, precision).any() or (np.abs(values) >= MAX_VALUE).any():
        raise ValueError(f"values must lie on the grid of {precision} decimals and be below 1e13")
    ticks = np.round(values * 10.0**precision).astype(np.int64)
    words = np.empty((len(ticks), 2), np.int64)
    words[:, 0] = ticks
    words[:, 1] = ticks >> 63
    kind = pa.decimal128(38, precision)
    unscaled = pa.Array.from_buffers(kind, len(words), [None, pa.py_buffer(words)])
    return unscaled.cast(DECIMAL)


def floats_of_decimals(values: pa.Array, precision: int) -> FloatArray:
    """Return the doubles nearest to decimals.

    Parameters
    ----------
    values
        (n,) decimal128(38, 16) without nulls.
    precision
        Decimals that are used, 0 to 16.

    Returns
    -------
    (n,) float64

    Raises
    ------
    ValueError
        If a value has more decimals than `precision`, or does not fit 64 bits at that precision.
    """
    buffer = values.buffers()[1]
    words = np.frombuffer(buffer, np.int64).reshape(-1, 2)
    words = words[values.offset : values.offset + len(values)]
    ticks = _ticks(words, SCALE - precision)
    floats = ticks / 10.0**precision
    # Beyond 2^53 the integer itself would be rounded before the division.
    for row in np.flatnonzero(np.abs(ticks) > _EXACT_INTEGERS):
        floats[row] = int(ticks[row]) / 10**precision
    return floats


def _ticks(words: NDArray[np.int64], zeros: int) -> NDArray[np.int64]:
    """Divide 128-bit integers by 10^zeros, exactly.

    10^z is 2^z times 5^z. Shifting by z bits divides by the one, if these bits are 0. The other is
    odd and so has an inverse modulo 2^64, and multiplying by that divides, if the quotient is whole
    and fits 64 bits. Whether it is and does, the product in floating point tells: its error is far
    below 2^63, half of the modulus.
    """
    low, high = words[:, 0].view(np.uint64), words[:, 1]
    shifted = low
    if zeros:
        up = high.view(np.uint64) << np.uint64(64 - zeros)
        shifted = (low >> np.uint64(zeros)) | up
    inverse = np.uint64(pow(5**zeros, -1, 1 << 64))
    ticks = (shifted * inverse).view(np.int64)
    whole = (high * 2.0**64 + low) / 2.0**zeros
    lost = low & np.uint64((1 << zeros) - 1)
    if lost.any() or (np.abs(ticks * 5.0**zeros - whole) >= 2.0**63).any():
        raise ValueError("values have more decimals than are declared, or are too large")
    return ticks
