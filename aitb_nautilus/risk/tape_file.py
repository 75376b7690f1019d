"""The file of a recording: blocks of entries, each whole by itself, only ever added to.

A block is its length and its CRC-32 (little-endian, four bytes each), and that many bytes of zlib.
They hold MessagePack: an array of entries ``[kind, depth, nanoseconds since the entry before,
who, values]``; the first entry of a block counts from zero. A process that is killed leaves a torn
block at the end, which a reader leaves out.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.errors import DataError
from aitb_nautilus.risk.tape import Entry

__all__ = ["INPUTS_NAME", "block_of", "read_entries"]

INPUTS_NAME = "inputs.tape"
"""Name of the file in a run folder."""
_MAGIC = b"AITBTAPE1\n"
_HEAD = struct.Struct("<II")
_pack = msgspec.msgpack.Encoder(decimal_format="string").encode
_unpack = msgspec.msgpack.Decoder(list[tuple[str, int, int, str, list[Any]]]).decode


def block_of(entries: Iterable[Sequence[Any]], *, first: bool) -> bytes:
    """Return entries as the bytes that are added to the file.

    Parameters
    ----------
    first
        Whether the file begins with them.
    """
    rows, before = [], 0
    for kind, depth, at, who, what in entries:
        rows.append((kind, depth, at - before, who, what))
        before = at
    body = zlib.compress(_pack(rows), 6)
    return (_MAGIC if first else b"") + _HEAD.pack(len(body), zlib.crc32(body)) + body


def read_entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of a recording, in the order in which they came.

    Parameters
    ----------
    path
        The file; a node may be writing it.

    Raises
    ------
    DataError
        If it is not there, is no recording, or is damaged before its end.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
            if len(magic) < len(_MAGIC) and _MAGIC.startswith(magic):
                raise DataError(
                    str(path),
                    "is empty: the run ended before the first second of it was written",
                    "must hold what reached the run's decisions, or they cannot be taken again",
                    f"What its journal holds: aitb audit show {path.parent}",
                )
            if magic != _MAGIC:
                raise DataError(str(path), "is no recording of this version of the program")
            size = path.stat().st_size
            while head := file.read(_HEAD.size):
                if len(head) < _HEAD.size:
                    return
                length, checksum = _HEAD.unpack(head)
                body = file.read(length)
                if len(body) < length:
                    return
                if zlib.crc32(body) != checksum:
                    if file.tell() >= size:
                        return  # torn by a crash of the machine
                    raise DataError(
                        str(path),
                        f"is damaged near byte {file.tell() - length:,}",
                        "must hold what was written",
                        "Take the copy of a backup; what came before that can be read",
                    )
                yield from _entries(body)
    except FileNotFoundError as e:
        raise DataError(
            str(path.parent),
            f"has no {path.name}",
            "must have one to be replayed: paper and live always record, a back-test does with "
            "--record",
        ) from e
    except OSError as e:
        raise DataError(str(path), f"cannot be read ({e.strerror})") from e


def _entries(body: bytes) -> Iterator[Entry]:
    at = 0
    for kind, depth, passed, who, what in _unpack(zlib.decompress(body)):
        at += passed
        yield Entry(kind, depth, at, who, tuple(what))
