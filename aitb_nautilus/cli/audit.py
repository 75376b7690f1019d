"""``aitb audit``: prove a journal whole, and read what it says."""

from __future__ import annotations

import click

from aitb_nautilus.cli import VerbGroup

__all__ = ["VERBS", "command"]

VERBS = {
    "verify": "Prove a journal whole, or name the first record that breaks it.",
    "show": "Show what was wished, decided, sent and answered.",
}


@click.command(
    "audit",
    cls=VerbGroup,
    verbs=VERBS,
    prefix="audit_",
    no_args_is_help=True,
    subcommand_metavar="VERB [ARGUMENTS]",
)
def command() -> None:
    """Prove a journal of decisions whole, and read it.

    A run keeps its journal in journal.sqlite: every wish, decision, order, answer and fill, each
    chained to the one before by its hash. Both verbs also read the journal of a node that runs.
    """
