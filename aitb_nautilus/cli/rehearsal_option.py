"""``--rehearsal URL``: the same desk at a running ``aitb rehearse`` in place of its exchange."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aitb_nautilus.run.load import Desk, load_config
from aitb_nautilus.run.rehearsed import at_rehearsal

__all__ = ["desk_at", "rehearsal_option"]


def rehearsal_option[F: Callable[..., Any]](function: F) -> F:
    """Add ``--rehearsal`` to a verb; it arrives as the argument ``rehearsal: str | None``."""
    return click.option(
        "--rehearsal",
        metavar="URL",
        help="Reach a running aitb rehearse in place of the exchange: what it printed as "
        "base_url_http. Nothing else of the config changes.",
    )(function)


def desk_at(config: Path, rehearsal: str | None) -> Desk:
    """Return the desk of a config file, pointed at a rehearsal if there is one.

    Raises
    ------
    ConfigError
        If the config is wrong, or not for that rehearsal.
    RunError
        If no rehearsal answers there.
    """
    desk = load_config(config)
    return desk if rehearsal is None else at_rehearsal(desk, rehearsal)
