"""``aitb features``: what features there are, what one says, and their values on bars."""

from __future__ import annotations

import click

from aitb_nautilus.cli import VerbGroup

__all__ = ["VERBS", "command"]

VERBS = {
    "list": "Show every feature: arguments, warm-up, range.",
    "show": "Show one feature: formula, source, arguments, values.",
    "compute": "Compute features of bars in the catalog.",
}


@click.command(
    "features",
    cls=VerbGroup,
    verbs=VERBS,
    prefix="features_",
    no_args_is_help=True,
    subcommand_metavar="VERB [ARGUMENTS]",
)
def command() -> None:
    """Show features and compute them.

    A model sees rows of features, one row a bar. The same code computes them for training,
    back-test and live.
    """
