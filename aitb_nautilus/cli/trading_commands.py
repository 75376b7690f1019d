"""What ``aitb halt``, ``resume`` and ``flatten`` share: scope, reason, the node, the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.markup import escape

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import UsageError
from aitb_nautilus.risk.trading_states import TRADER, StateScope
from aitb_nautilus.run.command_client import give
from aitb_nautilus.run.command_messages import Answer, Command
from aitb_nautilus.run.state_place import StatePlace

__all__ = ["command_options", "order", "scope_of"]


def command_options[F: Callable[..., Any]](
    *, reason: str, timeout_s: float, until: str
) -> Callable[[F], F]:
    """Return what adds CONFIG and the options that all commands have to a verb.

    Parameters
    ----------
    reason
        What is asked of a reason.
    timeout_s, until
        How long is waited by default, in s, and for what.
    """
    seconds = click.FloatRange(0.1, 600)

    def add_all(function: F) -> F:
        for add in (
            json_option,
            click.option(
                "--timeout", default=timeout_s, type=seconds, help=f"Seconds to wait {until}."
            ),
            click.option("--reason", default="", help=reason),
            click.option(
                "--instrument", metavar="ID", help="Only this one, such as BTCUSDT.BINANCE."
            ),
            click.option("--strategy", metavar="ID", help="Only this one, as the config names it."),
            click.argument("config", type=click.Path(path_type=Path)),
        ):
            function = add(function)
        return function

    return add_all


def order(config: Path, command: Command, as_json: bool) -> int:
    """Give a command, print the answer, and return the exit code."""
    place = StatePlace.read(config)
    answer, by_node = give(place, command)
    if answer.exit_code == 2:
        raise UsageError(f"aitb {command.verb} {config}", answer.said)
    plain = {
        "verb": command.verb,
        "trader_id": place.trader_id,
        "scope": {"kind": command.scope.kind, "id": command.scope.id},
        "node": by_node,
        "state_file": place.file,
        **msgspec.to_builtins(answer),
    }
    emit(plain, as_json, lambda: _show(answer))
    return answer.exit_code


def scope_of(verb: str, strategy: str | None, instrument: str | None) -> StateScope:
    """Return the scope that the options name.

    Raises
    ------
    UsageError
        If they name two.
    """
    if strategy and instrument:
        raise UsageError(
            f"aitb {verb}",
            "got --strategy and --instrument",
            "takes one of them: a strategy everywhere, or an instrument for all strategies",
            "Give two commands to halt both",
        )
    if strategy:
        return StateScope.strategy(strategy)
    return StateScope.instrument(instrument) if instrument else TRADER


def _show(answer: Answer) -> None:
    out = console()
    colour, mark = ("green", "done") if answer.done else ("bold red", "not done")
    out.print(f"[{colour}]{mark}[/] {escape(answer.said)}.", soft_wrap=not out.is_terminal)
    for line in answer.left:
        out.print(f"  {escape(line)}")
    if answer.todo:
        out.print(f"{escape(answer.todo)}.")
