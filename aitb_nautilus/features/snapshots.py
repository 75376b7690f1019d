"""The state of an engine as bytes: a key that says whose it is, the cells, a checksum."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError

__all__ = ["pack", "unpack"]

_MAGIC = b"AITB features 1\n"
_SUM = 32


def pack(key: str, cells: NDArray[np.float64]) -> bytes:
    """Return cells and the key of their owner as bytes."""
    name = key.encode()
    body = _MAGIC + len(name).to_bytes(4, "little") + name + cells.astype("<f8").tobytes()
    return body + hashlib.sha256(body).digest()


def unpack(key: str, count: int, snapshot: bytes) -> NDArray[np.float64]:
    """Return the cells of a snapshot.

    Raises
    ------
    DataError
        If it is damaged, of another version, or its owner had another key.
    """
    where = "snapshot of features"
    todo = "Warm the features up from bars instead"
    body = snapshot[:-_SUM]
    if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != snapshot[-_SUM:]:
        raise DataError(where, "is damaged or of another version", "must be whole", todo)
    start = len(_MAGIC) + 4
    end = start + int.from_bytes(body[len(_MAGIC) : start], "little")
    if body[start:end] != key.encode():
        raise DataError(where, "is of other features or instruments", "must be of the same", todo)
    cells = np.frombuffer(body[end:], "<f8")
    if len(cells) != count:
        raise DataError(where, f"has {len(cells)} cells", f"must have {count}", todo)
    return cells
