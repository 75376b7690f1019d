"""``aitb flatten CONFIG``: close everything, and let nothing open any more."""

from __future__ import annotations

from pathlib import Path

import click

from aitb_nautilus.cli.trading_commands import command_options, order, scope_of
from aitb_nautilus.run.command_messages import Command

__all__ = ["command"]


@click.command("flatten")
@command_options(
    reason="Why; kept, and shown at every refusal.", timeout_s=30.0, until="until flat"
)
def command(
    config: Path,
    *,
    strategy: str | None,
    instrument: str | None,
    reason: str,
    timeout: float,
    as_json: bool,
) -> int:
    """Close everything, and let nothing open any more.

    Opening orders are cancelled, positions closed at the market; stops stay until the position is
    gone. Answers once everything is flat, and stays halted until somebody resumes. Needs a node
    that runs.
    """
    wanted = Command(
        verb="flatten",
        scope=scope_of("flatten", strategy, instrument),
        reason=reason,
        timeout_s=timeout,
    )
    return order(config, wanted, as_json)
