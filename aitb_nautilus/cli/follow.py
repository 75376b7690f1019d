"""``aitb follow CONFIG``: watch a node from another process or machine, through its stream."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from aitb_nautilus.cli.follow_words import event_line
from aitb_nautilus.cli.plumbing import console, progress_console
from aitb_nautilus.errors import UsageError
from aitb_nautilus.risk.journal_records import KINDS
from aitb_nautilus.run.stream_events import OTHER_KINDS, StreamEvent
from aitb_nautilus.run.stream_reader import BEGINNING, StreamPlace, StreamReader

__all__ = ["command"]

_OF_INTEREST = ("mode", "state", "positions", "open_orders", "lost")


@click.command("follow")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--last", type=click.IntRange(min=0), metavar="N", help="Begin with the last N events."
)
@click.option("--after", metavar="ID", help="Go on after the event of this id.")
@click.option("--all", "everything", is_flag=True, help="Begin with all that is kept.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([*KINDS, *OTHER_KINDS]),
    help="Only events of this kind; may be given several times.",
)
@click.option("--until-closed", is_flag=True, help="End with the run that is followed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line on stdout.")
def command(
    *,
    config: Path,
    last: int | None,
    after: str | None,
    everything: bool,
    kinds: tuple[str, ...],
    until_closed: bool,
    as_json: bool,
) -> None:
    """Follow a node from another process, through Redis.

    Each prediction, decision, order, fill, position and halt is one line as it happens, until
    Ctrl-C. Begins with the last 10 events. Redis may come and go; what happened meanwhile follows.
    Of CONFIG only [trader] and [redis] are read, so that a file with these two is enough on another
    machine.
    """
    if sum([last is not None, after is not None, everything]) > 1:
        raise UsageError(
            "aitb follow", "--last, --after and --all were mixed", "must be one of them"
        )
    screen, beside = console(), progress_console()

    def tell(line: str) -> None:
        beside.print(Text(line, style="yellow"), soft_wrap=True)

    place = StreamPlace.read(config)
    reader = StreamReader(place, tell)
    begin = after or BEGINNING
    if after is None and not everything:
        begin = reader.position(last=10 if last is None else last)
    shown = _Shown(kinds)
    seen = begin
    with _interrupted() as is_over:
        for event in reader.follow(begin):
            if is_over:
                break
            if event is None:
                continue
            seen = event.id
            if shown.takes(event):
                if as_json:
                    click.echo(msgspec.json.encode(event).decode())
                else:
                    _print(screen, event)
            if until_closed and event.kind == "closed":
                break
    if not as_json:
        # Whole on one line, so that it can be copied.
        again = f"to go on from here: aitb follow {config} --after {seen}"
        beside.print(Text(again, style="dim"), soft_wrap=True)


def _print(screen: Console, event: StreamEvent) -> None:
    if screen.is_terminal:
        # One line each; what does not fit is in a pipe, and in --json.
        screen.print(event_line(event), no_wrap=True, overflow="ellipsis")
    else:
        screen.print(event_line(event), soft_wrap=True)


class _Shown:
    """Which events are shown: of how the node stands, only what is news."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self._kinds = kinds
        self._standing: dict[str, Any] = {}

    def takes(self, event: StreamEvent) -> bool:
        if self._kinds:
            return event.kind in self._kinds
        if event.kind != "status":
            return True
        standing = {name: event.data.get(name) for name in _OF_INTEREST}
        is_news = standing != self._standing
        self._standing = standing
        return is_news


@contextmanager
def _interrupted() -> Iterator[list[int]]:
    """Give a list that a signal fills: following ends after the event at hand, with exit code 0."""
    numbers: list[int] = []
    before = {
        number: signal.signal(number, lambda n, _: numbers.append(n))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield numbers
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
