"""The command line: ``aitb VERB``, also ``python -m aitb_nautilus VERB``.

One module a verb, imported only when that verb runs, so that ``aitb --help`` answers at once. Each
module holds a click command named ``command``; its one-line help stands here as well, for the
overview. To add a verb, write ``aitb_nautilus/cli/<verb>.py`` and add its line to `VERBS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click

from aitb_nautilus import __version__
from aitb_nautilus.allocators import use_one_arena
from aitb_nautilus.cli.plumbing import run

__all__ = ["VERBS", "VerbGroup", "aitb", "main"]

VERBS = {
    "quickstart": "Simulate a market, train a model, back-test it, and report.",
    "data": "Fill, list and check the catalog of bars.",
    "train": "Train the model of one config file on recorded bars.",
    "features": "Show features and compute them.",
    "models": "Look at trained models, verify them, and say which one trades.",
    "backtest": "Run the desk of one config file on recorded bars.",
    "rehearse": "Serve a local exchange for the desk of one config file.",
    "paper": "Run the desk of one config file live, with simulated orders.",
    "live": "Trade the desk of one config file at its venue, in steps.",
    "report": "Show one run, or compare several with the first of them.",
    "replay": "Take everything that a recorded run decided once more.",
    "risk": "Take a run's decisions again, under other limits.",
    "status": "Show how the node of a config stands, and what holds it up.",
    "follow": "Follow a node from another process, through Redis.",
    "halt": "Let nothing open any more, until somebody resumes.",
    "resume": "Let trading go on after a halt.",
    "flatten": "Close everything, and let nothing open any more.",
    "firewall": "Show and answer what a venue holds and no journal explains.",
    "audit": "Prove a journal of decisions whole, and read it.",
    "show-config": "Print a config as the program understands it.",
}

_NODES = ("paper", "live")


class VerbGroup(click.Group):
    """A group whose verbs are modules, imported when they are used.

    Parameters
    ----------
    verbs
        Verb to one-line help. The verb ``show-config`` is the module ``show_config`` of this
        package.
    prefix
        What the modules' names begin with: ``data_`` for the verbs of ``aitb data``.
    """

    def __init__(
        self, *args: Any, verbs: Mapping[str, str], prefix: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs
        self.prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which a newcomer meets them."""
        del ctx
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one verb and return its command."""
        del ctx
        if cmd_name not in self.verbs:
            return None
        if cmd_name in _NODES:
            use_one_arena()
        name = f"{self.prefix}{cmd_name.replace('-', '_')}"
        module = importlib.import_module(f"{__name__}.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing a verb."""
        del ctx
        with formatter.section("Verbs"):
            formatter.write_dl(list(self.verbs.items()))


@click.command(
    cls=VerbGroup,
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    subcommand_metavar="VERB [ARGUMENTS]",
    epilog=(
        "Every verb has --help, and --json for one JSON object on stdout.\n\n"
        "Exit codes: 0 done, 1 failed, 2 usage, 3 config, 4 data, 5 model, 6 halted by risk, "
        "130 stopped by Ctrl-C before a run had begun.\n\n"
        "Start with: aitb quickstart"
    ),
)
@click.version_option(__version__, message="aitb-nautilus %(version)s")
@click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    help="Show the traceback of an error; also accepted after the verb.",
)
def aitb() -> None:
    """AITB Nautilus: back-test trading strategies on NautilusTrader, honestly.

    One TOML file describes a desk: venues and their costs, instruments, models,
    strategies and limits.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    argv
        The words after ``aitb``; by default those of the process.

    Returns
    -------
    int
        0 done, 1 failed, 2 usage, 3 config, 4 data, 5 model, 6 halted by risk, 130 stopped by
        Ctrl-C before a run had begun.
    """
    return run(aitb, argv)
