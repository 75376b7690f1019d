"""``aitb models trust``: the keys whose models load."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.markup import escape
from rich.table import Table

from aitb_nautilus.cli.models_options import show_day
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import UsageError
from aitb_nautilus.market.times import iso
from aitb_nautilus.models.trust import Keyring, TrustedKey

__all__ = ["command"]


@click.command("trust")
@click.argument("key", required=False)
@click.option("--name", help="Whose key it is.")
@click.option("--remove", metavar="NAME", help="Trust this publisher no longer.")
@json_option
def command(key: str | None, name: str | None, remove: str | None, as_json: bool) -> None:
    """List the keys whose models load, or trust another publisher.

    Give your own key to those who want to run your models; it is no secret. Trust a key only if you
    know from its owner that it is theirs.
    """
    keyring = Keyring()
    if (key is None) != (name is None) or (key is not None and remove is not None):
        raise UsageError(
            "aitb models trust", "needs KEY and --name together, --remove alone, or nothing"
        )
    if key is not None and name is not None:
        keyring.trust(key, name)
    if remove is not None:
        keyring.distrust(remove)
    own, trusted = keyring.own(), keyring.trusted()
    answer = {
        "folder": keyring.folder,
        "own": None if own is None else own.public,
        "trusted": [{"name": t.name, "key": t.key, "added": iso(t.added_ns)} for t in trusted],
    }
    emit(answer, as_json, lambda: _show(None if own is None else own.public, trusted))


def _show(own: str | None, trusted: Sequence[TrustedKey]) -> None:
    out = console()
    if own is None:
        out.print("You have no key yet; it is made with your first model.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("whose", overflow="fold")
    table.add_column("since", no_wrap=True)
    table.add_column("key", overflow="fold")
    if own is not None:
        table.add_row("[green]own[/]", "", own)
    for known in trusted:
        table.add_row(escape(known.name), show_day(known.added_ns), known.key)
    if table.row_count:
        out.print(table)
