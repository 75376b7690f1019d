"""Files that are there completely or not at all, and files that belong to one process at a time."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["FileHeldError", "FileLock", "sync_folder", "whole_file"]


class FileHeldError(Exception):
    """Another process holds a lock.

    Attributes
    ----------
    holder
        Its process id as text; empty if it is not known.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class FileLock:
    """Hold a file of one's own against other processes; it ends with the process, however it ends.

    Parameters
    ----------
    path
        Of the lock's file, which is there as long as the lock is held.

    Raises
    ------
    FileHeldError
        If another process holds it.
    OSError
        If the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = self._taken()

    def release(self) -> None:
        """Let others have it."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def _taken(self) -> int:
        while True:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as e:
                holder = os.read(handle, 32).decode(errors="replace").strip()
                os.close(handle)
                raise FileHeldError(holder) from e
            if _is_same(self._path, handle):
                os.ftruncate(handle, 0)
                os.write(handle, f"{os.getpid()}\n".encode())
                return handle
            os.close(handle)  # its holder took the file away just before letting it go


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary file beside `path` to write; put it into place once it is on the disk.

    An error or an interrupt inside the block leaves what was at `path` as it was.

    Raises
    ------
    OSError
        If the file cannot be written or put into place.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        yield temporary
        _to_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Force to the disk that a file is in a folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_same(path: Path, handle: int) -> bool:
    """Return whether a path still names an open file."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(handle))


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
