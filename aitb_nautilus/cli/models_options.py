"""Options and spellings that the verbs of ``aitb models`` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aitb_nautilus.market.times import iso
from aitb_nautilus.models.history import Event

__all__ = ["models_option", "plain_event", "show_day", "show_time", "spell_event"]


def models_option[F: Callable[..., Any]](function: F) -> F:
    """Add ``--models``; it arrives as the argument ``models: Path``."""
    return click.option(
        "--models",
        type=click.Path(path_type=Path),
        default=Path("models"),
        show_default=True,
        help="Folder of the models.",
    )(function)


def plain_event(model_id: str, event: Event) -> dict[str, Any]:
    """Return an event as plain data."""
    return {
        "model": model_id,
        "kind": event.kind,
        "version": event.version,
        "alias": event.alias,
        "previous": event.previous,
        "time": iso(event.ts_ns),
        "who": event.who,
        "why": event.why,
    }


def spell_event(event: Event) -> str:
    """Return what happened, in words."""
    match event.kind:
        case "publish":
            what = f"version {event.version} published"
        case "withdraw":
            what = f"version {event.version} withdrawn"
        case "promote":
            before = f", before {event.previous}" if event.previous else ""
            what = f"{event.alias} is version {event.version}{before}"
        case "rollback":
            what = f"{event.alias} rolled back from {event.previous} to {event.version}"
    return what


def show_time(ts_ns: int) -> str:
    """Return a time in UTC to the minute: ``2024-01-31 12:30``."""
    return iso(ts_ns)[:16].replace("T", " ")


def show_day(ts_ns: int) -> str:
    """Return a day in UTC: ``2024-01-31``."""
    return iso(ts_ns)[:10]
