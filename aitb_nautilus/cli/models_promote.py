"""``aitb models promote``: let an alias point to a version."""

from __future__ import annotations

from pathlib import Path

import click

from aitb_nautilus.cli.models_options import models_option, plain_event, spell_event
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.models.references import Reference
from aitb_nautilus.models.registry import Registry

__all__ = ["command"]


@click.command("promote")
@click.argument("reference", metavar="MODEL[@VERSION|@ALIAS]")
@click.argument("alias")
@click.option("--why", default="", help="Kept in the history.")
@models_option
@json_option
def command(reference: str, alias: str, why: str, models: Path, as_json: bool) -> None:
    """Let an alias such as production point to a version.

    The version is verified first. A node that runs keeps the version with which it started; the
    next start takes this one.
    """
    event = Registry(models).promote(reference, alias, why)
    model_id = Reference.parse(reference).id
    if event is None:
        unchanged = {"model": model_id, "alias": alias, "changed": False}
        emit(unchanged, as_json, lambda: console().print("Nothing changed: it is that already."))
        return
    answer = {**plain_event(model_id, event), "changed": True}
    emit(answer, as_json, lambda: console().print(f"{model_id}: {spell_event(event)}."))
