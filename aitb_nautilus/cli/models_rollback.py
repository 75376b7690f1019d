"""``aitb models rollback``: let an alias point to the version before."""

from __future__ import annotations

from pathlib import Path

import click

from aitb_nautilus.cli.models_options import models_option, plain_event, spell_event
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.models.registry import Registry

__all__ = ["command"]


@click.command("rollback")
@click.argument("model")
@click.argument("alias")
@click.option("--why", default="", help="Kept in the history.")
@models_option
@json_option
def command(model: str, alias: str, why: str, models: Path, as_json: bool) -> None:
    """Let an alias point to the version before.

    That version is verified first; withdrawn ones are passed over. Rolling back again goes one
    further back.
    """
    event = Registry(models).rollback(model, alias, why)
    answer = plain_event(model, event)
    emit(answer, as_json, lambda: console().print(f"{model}: {spell_event(event)}."))
