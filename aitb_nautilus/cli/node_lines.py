"""What a running node tells a person, line by line, on stderr."""

from __future__ import annotations

import time

from rich.text import Text

from aitb_nautilus.cli.plumbing import progress_console
from aitb_nautilus.run.run_log import Tell

__all__ = ["node_lines"]

_STYLES = {"INFO": "", "WARNING": "yellow", "ERROR": "bold red"}


def node_lines() -> Tell:
    """Return what prints a line of a node's log, with the time of day, UTC."""
    screen = progress_console()

    def tell(level: str, message: str) -> None:
        clock = time.strftime("%H:%M:%S", time.gmtime())
        if not screen.is_terminal:
            # Into a pipe or a file, without rich: it takes the node's thread for a millisecond.
            screen.file.write(f"{clock} {message.rstrip()}\n")
            screen.file.flush()
            return
        text = Text.assemble((f"{clock} ", "dim"), (message.rstrip(), _STYLES.get(level, "")))
        screen.print(text, soft_wrap=True)

    return tell
