"""Folders and files of models: read without following links, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from aitb_nautilus.errors import ModelError

__all__ = ["Folder", "exclusive", "write_whole"]

_LOCK_NAME = ".lock"


class Folder:
    """An open folder. What is read from it stays the same folder, whatever is renamed meanwhile.

    Parameters
    ----------
    handle
        Of the open folder; closed with it.
    path
        For messages.
    """

    def __init__(self, handle: int, path: Path) -> None:
        self.handle = handle
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a folder that the user named; it may be a link."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path)
        except OSError as e:
            raise _unreadable(path, e, "must be a folder") from e

    def child(self, name: str) -> Folder:
        """Open a folder inside; a symbolic link is refused."""
        path = self.path / name
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return Folder(os.open(name, flags, dir_fd=self.handle), path)
        except OSError as e:
            raise _unreadable(path, e, "must be a folder") from e

    def names(self) -> list[str]:
        """Return the names of everything inside, sorted."""
        return sorted(os.listdir(self.handle))

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of a regular file inside.

        Parameters
        ----------
        limit
            The most bytes that it may have.

        Raises
        ------
        ModelError
            If it is no regular file (a link, a folder, a pipe), too large, or cannot be read.
        """
        path = self.path / name
        # O_NONBLOCK: opening a pipe must not wait for its writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            handle = os.open(name, flags, dir_fd=self.handle)
        except OSError as e:
            raise _unreadable(path, e, "must be a file") from e
        try:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                raise ModelError(str(path), "is no regular file", "must be a file", _RESTORE)
            if state.st_size > limit:
                raise ModelError(
                    str(path), f"has {state.st_size:,} bytes", f"must have at most {limit:,}"
                )
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        finally:
            os.close(handle)
        if len(data) > limit:
            raise ModelError(str(path), "grew while it was read", todo=_RESTORE)
        return data

    def write(self, name: str, data: bytes, mode: int) -> None:
        """Write a new file inside and force it to the disk."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, mode, dir_fd=self.handle), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def sync(self) -> None:
        """Force the names inside to the disk."""
        os.fsync(self.handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)


def write_whole(path: Path, data: bytes, mode: int) -> None:
    """Put a file into place, or leave what was there; never half of it.

    Parameters
    ----------
    mode
        Its permissions, such as 0o600.
    """
    with Folder.open(path.parent) as folder:
        temporary = f".{path.name}.{os.getpid()}"
        try:
            folder.write(temporary, data, mode)
            os.replace(temporary, path.name, src_dir_fd=folder.handle, dst_dir_fd=folder.handle)
        except BaseException:
            if temporary in folder.names():
                os.unlink(temporary, dir_fd=folder.handle)
            raise
        folder.sync()


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder against other writers; wait for them if need be.

    The lock ends with the process, however that ends. Readers need no lock.
    """
    handle = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


_RESTORE = "Take the bundle again from where it came, or use another version"


def _unreadable(path: Path, error: OSError, wanted: str) -> ModelError:
    """Say why something could not be opened."""
    if path.is_symlink():
        return ModelError(
            str(path), "is a symbolic link", wanted, "Replace the link by what it points to"
        )
    if isinstance(error, FileNotFoundError):
        return ModelError(str(path), "is not there", todo=_RESTORE)
    if isinstance(error, NotADirectoryError):
        return ModelError(str(path), "is a file", wanted)
    reason = (error.strerror or str(error)).lower()
    return ModelError(str(path), f"cannot be read: {reason}", wanted)
