"""Where the files of a node are: what is written to one that was moved away is found by nobody."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Places"]


class Places:
    """Remember which files are written to, by device and inode.

    Parameters
    ----------
    files
        That are open for writing.

    Raises
    ------
    OSError
        If one of them is not there.
    """

    def __init__(self, *files: Path) -> None:
        states = ((file, file.stat()) for file in files)
        self._files = {str(file): (state.st_dev, state.st_ino) for file, state in states}

    def objection(self) -> str:
        """Return which of them is not where others will read it; empty if all are."""
        for path, identity in self._files.items():
            try:
                state = os.stat(path)
            except OSError as e:
                return f"{Path(path).name} is gone: {e.strerror}"
            if (state.st_dev, state.st_ino) != identity:
                return f"{Path(path).name} was replaced by another file"
        return ""
