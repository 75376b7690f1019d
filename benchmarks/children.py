"""Python in a process of its own, so that no measurement sees what another has left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def home(folder: Path) -> dict[str, str]:
    """Return the variable that lets keys stay in a folder."""
    return {"AITB_HOME": str(folder / "home")}


def call(folder: Path, *arguments: str) -> tuple[str, float]:
    """Run Python in a folder; return what it printed, and its peak memory in GiB."""
    child = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        env=os.environ | home(folder),
    )
    assert child.stdout is not None
    with child.stdout as out:
        text = out.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(arguments)} left with {child.returncode}")
    return text, usage.ru_maxrss / 2**20
