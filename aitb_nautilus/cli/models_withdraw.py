"""``aitb models withdraw``: make a version refuse to load."""

from __future__ import annotations

from pathlib import Path

import click

from aitb_nautilus.cli.models_options import models_option, plain_event, spell_event
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import UsageError
from aitb_nautilus.models.references import Reference
from aitb_nautilus.models.registry import Registry

__all__ = ["command"]


@click.command("withdraw")
@click.argument("reference", metavar="MODEL@VERSION")
@click.option("--why", required=True, help="What those who find it should know.")
@models_option
@json_option
def command(reference: str, why: str, models: Path, as_json: bool) -> None:
    """Make a version refuse to load, for good.

    Its files stay. Aliases that point to it stay too, and refuse to load until they are rolled back
    or another version is promoted.
    """
    if not why.strip():
        raise UsageError("aitb models withdraw --why", "was empty", "must say why")
    registry = Registry(models)
    event = registry.withdraw(reference, why)
    model_id = Reference.parse(reference).id
    history = registry.history(model_id)
    aliases = sorted(a for a in history.aliases if history.current(a) == event.version)

    def human() -> None:
        out = console()
        out.print(f"{model_id}: {spell_event(event)}.")
        for alias in aliases:
            out.print(f"{alias} points to it. Roll back: aitb models rollback {model_id} {alias}")

    emit({**plain_event(model_id, event), "aliases": aliases}, as_json, human)
