"""Run the command line: ``aitb``, also ``python -m aitb_nautilus``.

Nothing that takes time is imported here, so that Ctrl-C is answered in one line from the first
moment on, also while the command line itself is being loaded.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType

from aitb_nautilus.errors import StoppedError

__all__ = ["main"]


def main() -> int:
    """Run the command line of this process and return the exit code.

    Returns
    -------
    int
        As `aitb_nautilus.cli.main`.
    """
    # A shell starts what runs in the background with SIGINT ignored; that stays so.
    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listens:
        signal.signal(signal.SIGINT, _leave)
    cli = importlib.import_module("aitb_nautilus.cli")
    if listens:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return int(cli.main())
    except KeyboardInterrupt:  # Between two places that answer it themselves.
        return _say()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End the process at once: nothing has begun, and an import may swallow what is raised."""
    os._exit(_say())


def _say() -> int:
    """Say on stderr that the user has stopped the command; return the exit code."""
    stopped = StoppedError.at_once()
    os.write(2, f"\nerror: {stopped.paragraph()}\n".encode())
    return stopped.exit_code


if __name__ == "__main__":
    sys.exit(main())
