"""A log of what limits remember, beside the state file: one write of a few bytes an event.

An order waits until its count is written, and a transaction of SQLite takes ten times as long as
the one write here. The state file takes the log over when a node starts and ends, and when it has
grown; whoever reads the memories meanwhile reads both.

Each entry has its length and CRC-32 before it. What a power cut left of the last one is not read.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from aitb_nautilus.risk.limit_memory import MemoryRow
from aitb_nautilus.risk.places import Places

__all__ = ["MemoryLog", "path_of", "read"]

_HEAD = struct.Struct("<II")
_MOST_BYTES = 16 << 20
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[MemoryRow])


class MemoryLog:
    """Append to the log of a state file; the caller holds the `StateLock`.

    Parameters
    ----------
    state
        The state file.

    Attributes
    ----------
    path, handle
        Of the log.
    places
        Where it is: what is appended after it was moved away is found by nobody.

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, state: Path) -> None:
        self.path = path_of(state)
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.places = Places(self.path)
        self._size = os.lseek(self.handle, 0, os.SEEK_END)
        self._is_open = True

    @property
    def is_full(self) -> bool:
        """Return whether it is time to take it over."""
        return self._size >= _MOST_BYTES

    def append(self, rows: Sequence[MemoryRow]) -> None:
        """Write rows; they outlive the process once this returns.

        Raises
        ------
        OSError
            If they cannot be written whole.
        """
        data = _encode(rows)
        entry = _HEAD.pack(len(data), zlib.crc32(data)) + data
        if os.pwrite(self.handle, entry, self._size) != len(entry):
            raise OSError(0, "took only a part of what was written")
        self._size += len(entry)

    def clear(self) -> None:
        """Forget all, once the state file has it."""
        os.ftruncate(self.handle, 0)
        self._size = 0

    def close(self) -> None:
        """Let it go; closing twice does nothing."""
        if self._is_open:
            self._is_open = False
            os.close(self.handle)


def path_of(state: Path) -> Path:
    """Return where the log of a state file is."""
    return state.with_name(f"{state.name}-memories")


def read(state: Path) -> list[MemoryRow]:
    """Return the newest row of each limit in the log of a state file; empty if there is none.

    Raises
    ------
    OSError
        If it is there and cannot be read.
    """
    try:
        data = path_of(state).read_bytes()
    except FileNotFoundError:
        return []
    found: dict[tuple[str, str], MemoryRow] = {}
    at = 0
    while at + _HEAD.size <= len(data):
        size, check = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + size]
        if not size or len(body) < size or zlib.crc32(body) != check:
            break
        for row in _decoder.decode(body):
            found[row.limit, row.scope] = row
        at += _HEAD.size + size
    return list(found.values())
