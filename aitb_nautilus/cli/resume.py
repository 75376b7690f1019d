"""``aitb resume CONFIG``: let trading go on after a halt."""

from __future__ import annotations

from pathlib import Path

import click

from aitb_nautilus.cli.trading_commands import command_options, order, scope_of
from aitb_nautilus.errors import UsageError
from aitb_nautilus.run.command_messages import Command

__all__ = ["command"]


@click.command("resume")
@click.option("--reducing", is_flag=True, help="Only as far as that: nothing opens yet.")
@command_options(reason="Why it may trade again. Needed.", timeout_s=10.0, until="for the node")
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
    """Let trading go on after a halt.

    Whoever or whatever halted it. Lifts what holds for that very scope: a strategy that was halted
    by itself stays halted when the trader is resumed. After a halt by the drawdown ladder, the
    drawdown counts anew from the equity of this moment.
    """
    if not reason.strip():
        raise UsageError(
            f"aitb resume {config}",
            "got no reason",
            "needs one: it lets positions be opened again",
            'Say why: --reason "..."',
        )
    wanted = Command(
        verb="resume",
        scope=scope_of("resume", strategy, instrument),
        level="reducing" if reducing else "active",
        reason=reason,
        timeout_s=timeout,
    )
    return order(config, wanted, as_json)
