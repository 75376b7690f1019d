"""``aitb models``: look at trained models, verify them, and say which one trades."""

from __future__ import annotations

import click

from aitb_nautilus.cli import VerbGroup

__all__ = ["VERBS", "command"]

VERBS = {
    "list": "List the versions of all models, or of one.",
    "show": "Show what one version is, was trained on, and how it did.",
    "verify": "Check every byte of some versions, and run them.",
    "promote": "Let an alias such as production point to a version.",
    "rollback": "Let an alias point to the version before.",
    "withdraw": "Make a version refuse to load, for good.",
    "trust": "List the keys whose models load, or trust another publisher.",
}


@click.command(
    "models",
    cls=VerbGroup,
    verbs=VERBS,
    prefix="models_",
    no_args_is_help=True,
    subcommand_metavar="VERB [ARGUMENTS]",
)
def command() -> None:
    """Look at trained models, verify them, and say which one trades.

    A model is named btc_up@3 (a version), btc_up@production (an alias) or btc_up (the newest
    version). Models lie in signed bundles, by default in the folder models; a bundle that anyone
    has touched does not load.
    """
