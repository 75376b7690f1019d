"""Files that appear whole or not at all.

Every table is first written to a temporary file beside its place and forced to the disk. Only when
all of them stand there are they renamed into place, one after the other. A full disk, an error or
Ctrl-C before that point leaves the catalog as it was. A kill in the middle of the renames leaves
some files new and the others old, each of them whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aitb_nautilus.errors import DataError

__all__ = ["LEFTOVER_SUFFIX", "Staging", "exclusive"]

LEFTOVER_SUFFIX = ".unfinished"
_LOCK_NAME = ".aitb.lock"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Staging:
    """Tables that wait to be put into place together."""

    def __init__(self) -> None:
        self._waiting: dict[Path, Path] = {}

    def current(self, path: Path) -> Path:
        """Return the file to read for `path`: the waiting one, else the one in place."""
        return self._waiting.get(path, path)

    def exists(self, path: Path) -> bool:
        """Return whether there is a file for `path`, waiting or in place."""
        return path in self._waiting or path.exists()

    def stage(self, path: Path, table: pa.Table, **options: Any) -> None:
        """Write a table to a temporary file beside `path`.

        Raises
        ------
        DataError
            If the disk is full, or the place may not be written.
        """
        temporary = path.with_name(f"{path.name}{LEFTOVER_SUFFIX}")
        # Known before it exists, so that an interrupt at any moment finds it.
        self._waiting[path] = temporary
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                pq.write_table(table, file, **options)
                file.flush()
                os.fsync(file.fileno())
        except OSError as e:
            raise _explain(e, path) from e

    def commit(self) -> int:
        """Put all waiting files into place and return how many there were."""
        folders = {path.parent for path in self._waiting}
        count = len(self._waiting)
        for path, temporary in list(self._waiting.items()):
            os.replace(temporary, path)
            del self._waiting[path]
        for folder in folders:
            _sync_folder(folder)
        return count

    def discard(self) -> None:
        """Remove all waiting files, and the folders that were made for them."""
        for path, temporary in list(self._waiting.items()):
            temporary.unlink(missing_ok=True)
            del self._waiting[path]
            if path.parent.exists() and not any(path.parent.iterdir()):
                path.parent.rmdir()


@contextmanager
def exclusive(catalog: Path) -> Iterator[None]:
    """Hold the catalog against other writers; wait for them if need be.

    The lock ends with the process, however that ends. What a killed writer left unfinished is
    removed first.
    """
    try:
        catalog.mkdir(parents=True, exist_ok=True)
        lock = (catalog / _LOCK_NAME).open("w")
    except OSError as e:
        raise _explain(e, catalog) from e
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in catalog.rglob(f"*{LEFTOVER_SUFFIX}"):
            leftover.unlink()
        yield


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explain(error: OSError, path: Path) -> DataError:
    reason = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        return DataError(
            str(path),
            f"cannot be written: {reason}",
            "needs more room",
            "Nothing was changed. Free some space, or choose another place with --catalog, "
            "and run the same command again",
        )
    return DataError(
        str(path),
        f"cannot be written: {reason}",
        "must be a place where files can be made",
        "Nothing was changed. Choose another place with --catalog",
    )
