"""Progress bars on stderr; nothing where stderr is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from aitb_nautilus.cli.plumbing import progress_console

__all__ = ["bars_progress", "stages_progress"]


@contextmanager
def bars_progress(label: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show how many bars of a run are done, and the time reached in it, while the block runs."""
    reached = TextColumn("bars, {task.fields[reached]}")
    with _progress(reached, TimeRemainingColumn()) as bar:
        task = bar.add_task(label, total=None, reached="")

        def update(done: int, total: int, reached: str) -> None:
            bar.update(task, completed=done, total=total, reached=reached)

        yield update


@contextmanager
def stages_progress(label: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show which stage of a training is under way, and how far it is, while the block runs."""
    with _progress(TimeElapsedColumn()) as bar:
        task = bar.add_task(label, total=None)

        def update(stage: str, done: int, total: int) -> None:
            bar.update(task, description=f"{label}: {stage}", completed=done, total=total)

        yield update


def _progress(*further: ProgressColumn) -> Progress:
    screen = progress_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *further)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
