"""The way between numpy and arrow without a copy, and without pandas.

pyarrow's own `to_numpy` and `pa.array` import pandas wherever it is installed, which takes longer
than to read a year of minute bars.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["arrow_of", "numpy_of", "whole"]


def arrow_of(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return a numpy array as an arrow array of a type with the same bytes a value."""
    flat = np.ascontiguousarray(values)
    return pa.Array.from_buffers(kind, len(flat), [None, pa.py_buffer(flat)])


def numpy_of[T: np.generic](column: pa.ChunkedArray | pa.Array, dtype: type[T]) -> NDArray[T]:
    """Return an arrow column without nulls as a numpy array of a type with the same bytes a value.

    Raises
    ------
    ValueError
        If the column has nulls.
    """
    array = whole(column)
    if array.null_count:
        raise ValueError("the column has empty values")
    buffer = array.buffers()[1]
    if buffer is None:
        return np.empty(0, dtype)
    return np.frombuffer(buffer, dtype, len(array), array.offset * np.dtype(dtype).itemsize)


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined
