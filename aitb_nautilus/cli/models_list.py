"""``aitb models list``: the versions of all models, or of one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from aitb_nautilus.cli.models_options import models_option, show_day
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.market.times import iso
from aitb_nautilus.models.index import Entry, entries
from aitb_nautilus.models.registry import Registry

__all__ = ["command"]

_WIDE = 110
_COLOURS = {"ok": "green", "expired": "yellow", "withdrawn": "yellow"}


@click.command("list")
@click.argument("model", required=False)
@models_option
@json_option
def command(model: str | None, models: Path, as_json: bool) -> None:
    """List the versions of all models, or of one.

    The figures are means over the folds of the training. They say how well a model foresaw, not
    what it would have earned.
    """
    registry = Registry(models)
    if model is not None:
        registry.versions(model)  # says which models there are if this is none
    found = [e for e in entries(registry, time.time_ns()) if model in (None, e.id)]
    answer = {"models": models, "versions": [_plain(e) for e in found]}
    emit(answer, as_json, lambda: _show(models, found))


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "model": entry.id,
        "version": entry.version,
        "state": entry.state,
        "aliases": list(entry.aliases),
        "signer": entry.signer,
        "created": None if entry.created_ns is None else iso(entry.created_ns),
        "expires": None if entry.expires_ns is None else iso(entry.expires_ns),
        "algorithm": entry.algorithm,
        "label": entry.label,
        "interval": entry.interval,
        "horizon_bars": entry.horizon_bars,
        "horizon_ns": entry.horizon_ns,
        "features": entry.features,
        "instruments": list(entry.instruments),
        "simulated": entry.simulated,
        "trials": entry.trials,
        "metrics": dict(entry.metrics),
        "model_sha256": entry.model_sha256,
        "manifest_sha256": entry.manifest_sha256,
        "size": entry.size,
        "problem": entry.problem,
    }


def _show(models: Path, found: Sequence[Entry]) -> None:
    out = console()
    if not found:
        out.print(f"The folder {models} holds no models. Train one:", markup=False)
        out.print("  aitb train CONFIG")
        return
    wide = out.width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", overflow="fold")
    table.add_column("alias", overflow="fold", min_width=10)
    table.add_column("state", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("AUC", justify="right", no_wrap=True)
    table.add_column("log loss", justify="right", no_wrap=True)
    table.add_column("created", no_wrap=True)
    if wide:
        table.add_column("bars", no_wrap=True)
        table.add_column("data", no_wrap=True)
        table.add_column("trials", justify="right", no_wrap=True)
        table.add_column("signed by", overflow="ellipsis", no_wrap=True)
    for e in found:
        colour = _COLOURS.get(e.state, "bold red")
        cells = [
            f"{e.id}@{e.version}",
            ", ".join(e.aliases),
            f"[{colour}]{e.state}[/]",
            e.algorithm or "",
            _figure(e, "auc"),
            _figure(e, "log_loss"),
            "" if e.created_ns is None else show_day(e.created_ns),
        ]
        if wide:
            data = {True: "[magenta]simulated[/]", False: "recorded", None: ""}[e.simulated]
            trials = "" if e.trials is None else str(e.trials)
            bars = "" if e.interval is None else f"{e.interval} +{e.horizon_bars}"
            cells += [bars, data, trials, escape(e.signer or "")]
        table.add_row(*cells)
    out.print(table)
    for e in found:
        if e.problem is not None and e.state != "withdrawn":
            out.print(f"[bold red]{e.id}@{e.version}[/] {escape(e.problem)}")
    if any(e.simulated for e in found):
        out.print("Models of simulated data say nothing about a real market.", style="magenta")


def _figure(entry: Entry, metric: str) -> str:
    value = entry.metrics.get(metric)
    return "" if value is None else f"{value:.4f}"
