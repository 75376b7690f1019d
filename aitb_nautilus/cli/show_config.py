"""``aitb show-config``: a config as the program understands it, or its JSON schema."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.syntax import Syntax

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import UsageError
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.schema import desk_schema

__all__ = ["command"]


@click.command("show-config")
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--schema", "show_schema", is_flag=True, help="Print the JSON schema for editors.")
@json_option
def command(config: Path | None, show_schema: bool, as_json: bool) -> None:
    """Print a config as the program understands it.

    Every default is written out; secrets stay references. With --schema: the JSON schema that lets
    an editor complete and check a config, with the settings of all shipped components, and of those
    that CONFIG names.
    """
    if show_schema:
        whole = desk_schema(None if config is None else load_config(config))
        click.echo(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
        return
    if config is None:
        raise UsageError("aitb show-config", "no config was given", "must be a TOML file")
    desk = load_config(config)
    plain = desk.plain()

    def human() -> None:
        screen = console()
        if screen.is_terminal:
            screen.print(Syntax(desk.toml(), "toml", background_color="default", word_wrap=True))
        else:
            click.echo(desk.toml(), nl=False)

    emit({"path": str(desk.path), "sha256": desk.sha256(), "config": plain}, as_json, human)
