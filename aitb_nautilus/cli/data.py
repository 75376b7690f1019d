"""``aitb data``: fill, list and check the catalog of bars."""

from __future__ import annotations

import click

from aitb_nautilus.cli import VerbGroup

__all__ = ["VERBS", "command"]

VERBS = {
    "import": "Import files of bars, trades, quotes or funding rates: CSV, gzip, zip, Parquet.",
    "download": "Download bars into the catalog.",
    "simulate": "Make bars of a simulated market and store them, labelled as simulated.",
    "list": "Show what the catalog holds.",
    "check": "Look for gaps, broken bars, mixed intervals, zero runs and outliers.",
}


@click.command(
    "data",
    cls=VerbGroup,
    verbs=VERBS,
    prefix="data_",
    no_args_is_help=True,
    subcommand_metavar="VERB [ARGUMENTS]",
)
def command() -> None:
    """Fill, list and check the catalog of bars.

    The catalog is a folder of Parquet files, by default data. Every bar is stamped with its close,
    in UTC; prices and volumes are stored exactly.
    """
