"""``aitb halt CONFIG``: let nothing open any more."""

from __future__ import annotations

from pathlib import Path

import click

from aitb_nautilus.cli.trading_commands import command_options, order, scope_of
from aitb_nautilus.run.command_messages import Command

__all__ = ["command"]


@click.command("halt")
@click.option("--reducing", is_flag=True, help="Leave resting opening orders where they are.")
@command_options(
    reason="Why; kept, and shown at every refusal.", timeout_s=10.0, until="for the node"
)
def command(
    config: Path,
    *,
    strategy: str | None,
    instrument: str | None,
    reducing: bool,
    reason: str,
    timeout: float,
    as_json: bool,
) -> int:
    """Let nothing open any more, until somebody resumes.

    Resting opening orders are cancelled, with --reducing they stay; what is held, its stops and its
    targets stay in any case, and exits pass. Works on the node that runs for the config's trader;
    if none does, it holds from the next start.
    """
    wanted = Command(
        verb="halt",
        scope=scope_of("halt", strategy, instrument),
        level="reducing" if reducing else "halted",
        reason=reason,
        timeout_s=timeout,
    )
    return order(config, wanted, as_json)
