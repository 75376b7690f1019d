"""Where compiled kernels are kept between processes.

A folder of the user, never one that others can write: what lies there is loaded as machine code. If
there is no such folder, kernels are compiled into a private one that goes away with the process.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

__all__ = ["CACHE_VARIABLE", "cache_root", "private_folder"]

CACHE_VARIABLE = "AITB_CACHE_DIR"
"""The environment variable that names another folder."""


def cache_root() -> Path:
    """Return the folder of compiled kernels; it is there, ours, and closed to others."""
    return _root(os.environ.get(CACHE_VARIABLE))


@functools.cache
def _root(named: str | None) -> Path:
    wanted = _usual_place() if not named else Path(named).absolute()
    return wanted / "kernels" if private_folder(wanted / "kernels") else _passing_folder()


def private_folder(path: Path) -> bool:
    """Make a folder with mode 0700 if need be; return whether it is ours alone to write."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            status = path.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _usual_place() -> Path:
    if sys.platform == "darwin":
        return Path("~/Library/Caches/aitb-nautilus").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "aitb-nautilus"


def _passing_folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="aitb-nautilus-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
