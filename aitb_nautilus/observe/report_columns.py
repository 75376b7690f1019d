"""Pack number columns into one small text that a page can carry.

A column of n numbers becomes whole numbers (times ten to the power of its decimals), then the
differences between neighbours, zigzag coded so that small ones are small, then as many planes of n
bytes as the largest needs, lowest byte first. All columns together are deflated once and base64
coded. `assets/columns.js` is the reader. Time is kept in milliseconds.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
import numpy.typing as npt

from aitb_nautilus.errors import DataError

__all__ = ["ColumnWriter", "exact_decimals"]

_LIMIT = 2**53  # JavaScript's whole numbers end here
_MAX_DECIMALS = 10


class ColumnWriter:
    """Collects columns; each gets a small description by which the page finds it again."""

    def __init__(self) -> None:
        self._planes: list[bytes] = []
        self._size = 0

    def whole(self, values: npt.NDArray[np.int64], decimals: int = 0) -> dict[str, int]:
        """Add whole numbers, to be divided by ten to the power of `decimals`.

        Returns
        -------
        dict
            Offset ``o`` and planes ``w`` in bytes, numbers ``n``, decimals ``d``.

        Raises
        ------
        DataError
            If a difference between neighbours is beyond 2**52: the page could not read it.
        """
        steps: npt.NDArray[np.int64] = np.diff(values, prepend=np.int64(0))
        coded = (steps << 1) ^ (steps >> 63)
        highest = int(coded.max()) if len(coded) else 0
        lowest = int(coded.min()) if len(coded) else 0
        if highest >= _LIMIT or lowest < 0:
            raise DataError("report", "a number is too large to be drawn", "must be below 2**52")
        width = (highest.bit_length() + 7) // 8
        planes = coded.astype("<u8").view(np.uint8).reshape(len(values), 8)[:, :width].T
        packed = np.ascontiguousarray(planes).tobytes()
        place = {"o": self._size, "w": width, "n": len(values), "d": decimals}
        self._planes.append(packed)
        self._size += len(packed)
        return place

    def numbers(self, values: npt.NDArray[np.float64], decimals: int) -> dict[str, int]:
        """Add numbers, rounded to `decimals`; fewer if they would grow too large."""
        highest = float(np.abs(values).max()) if len(values) else 0.0
        while decimals > 0 and highest * 10.0**decimals >= _LIMIT / 8:
            decimals -= 1
        if highest >= _LIMIT / 8:
            raise DataError("report", f"{highest:g} is too large to be drawn", "must be below 1e15")
        return self.whole(np.rint(values * 10.0**decimals).astype(np.int64), decimals)

    def times(self, ns: npt.NDArray[np.int64]) -> dict[str, int]:
        """Add times, given as ns, kept as ms."""
        return self.whole(ns // 1_000_000)

    def codes(self, texts: list[str], known: list[str]) -> dict[str, int]:
        """Add texts as their places in `known`."""
        place = {text: i for i, text in enumerate(known)}
        return self.whole(np.asarray([place[text] for text in texts], dtype=np.int64))

    def blob(self) -> str:
        """Return all columns as base64 of their deflated bytes (zlib format)."""
        return base64.b64encode(zlib.compress(b"".join(self._planes), 9)).decode("ascii")


def exact_decimals(values: npt.NDArray[np.float64]) -> int:
    """Return the fewest decimals, up to 10, that give the values back to nine digits."""
    for decimals in range(_MAX_DECIMALS):
        if np.allclose(np.round(values, decimals), values, rtol=1e-9, atol=0.0):
            return decimals
    return _MAX_DECIMALS
