"""``aitb models show``: what one version is, was trained on, and how it did."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aitb_nautilus.cli.models_options import (
    models_option,
    plain_event,
    show_day,
    show_time,
    spell_event,
)
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.market.intervals import spell_ns
from aitb_nautilus.models.bundle import Bundle
from aitb_nautilus.models.history import Event
from aitb_nautilus.models.manifest import Fold, Manifest
from aitb_nautilus.models.registry import Registry

__all__ = ["command"]

_FEATURES_SHOWN = 12


@click.command("show")
@click.argument("reference", metavar="MODEL[@VERSION|@ALIAS]")
@models_option
@json_option
def command(reference: str, models: Path, as_json: bool) -> None:
    """Show what one version is, was trained on, and how it did.

    Its signature and hashes are checked first. A withdrawn or expired version is shown too.
    """
    registry = Registry(models)
    bundle = registry.read(reference, withdrawn_too=True)
    manifest = bundle.manifest
    history = registry.history(manifest.id)
    aliases = sorted(a for a in history.aliases if history.current(a) == manifest.version)
    withdrawn = history.withdrawn.get(manifest.version)
    events = [e for e in history.events if manifest.version in (e.version, e.previous)]
    answer = {
        "model": manifest.id,
        "version": manifest.version,
        "path": bundle.path,
        "aliases": aliases,
        "withdrawn": withdrawn is not None,
        "expired": manifest.expires_ns is not None and time.time_ns() >= manifest.expires_ns,
        "signer": bundle.signer,
        "key": bundle.key,
        "manifest_sha256": bundle.manifest_sha256,
        "manifest": msgspec.to_builtins(manifest),
        "history": [plain_event(manifest.id, event) for event in events],
    }
    emit(answer, as_json, lambda: _show(bundle, aliases, withdrawn, events))


def _show(
    bundle: Bundle, aliases: Sequence[str], withdrawn: Event | None, events: Sequence[Event]
) -> None:
    out = console()
    manifest = bundle.manifest
    title = f"[bold]{manifest.reference}[/]"
    if aliases:
        title += f" [green]{', '.join(aliases)}[/]"
    out.print(title)
    if withdrawn is not None:
        out.print(f"[bold red]withdrawn[/] by {escape(withdrawn.who)}: {escape(withdrawn.why)}")
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in _facts(bundle, manifest):
        grid.add_row(name, escape(text))
    out.print(grid)
    if manifest.training.simulated:
        out.print("Trained on simulated data: says nothing about a real market.", style="magenta")
    _show_features(out, manifest)
    _show_folds(out, manifest.training.folds)
    if events:
        out.print("\n[bold]History[/]")
        for event in events:
            why = f": {event.why}" if event.why else ""
            line = f"  {show_time(event.ts_ns)}  {spell_event(event)} ({event.who}){why}"
            out.print(line, markup=False)


def _facts(bundle: Bundle, manifest: Manifest) -> list[tuple[str, str]]:
    contract, training, model = manifest.contract, manifest.training, manifest.model
    label = contract.label
    parameters = ", ".join(f"{key} {value:g}" for key, value in label.parameters.items())
    facts = [
        ("kind", training.algorithm),
        (
            "foresees",
            f"{label.kind.replace('_', ' ')} over {label.horizon_bars} bars "
            f"({spell_ns(label.horizon_ns)})" + (f", {parameters}" if parameters else ""),
        ),
        ("bars", f"{contract.interval} of {', '.join(contract.instruments)}"),
        (
            "trained on",
            f"{training.rows:,} rows, {show_day(training.span.first_ns)} to "
            f"{show_day(training.span.last_ns)}",
        ),
        (
            "folds",
            f"{len(training.folds)}, purge {_span(training.purge_ns)}, embargo "
            f"{_span(training.embargo_ns)}",
        ),
        (
            "trials",
            f"{training.trials:,} {'model was' if training.trials == 1 else 'models were'} tried, "
            f"this one chosen",
        ),
    ]
    if training.calibration is not None:
        facts.append(
            ("calibrated", f"{training.calibration.method}, on {training.calibration.rows:,} rows")
        )
    facts.append(("created", show_time(manifest.created_ns)))
    if manifest.expires_ns is not None:
        facts.append(("expires", show_time(manifest.expires_ns)))
    if manifest.parent is not None:
        facts.append(("replaces", f"version {manifest.parent}"))
    facts += [
        ("signed by", f"{bundle.signer} ({bundle.key})"),
        ("file", f"{model.size:,} bytes, sha256 {model.sha256}"),
        ("seeds", ", ".join(f"{k} {v}" for k, v in training.seeds.items()) or "none"),
        ("libraries", ", ".join(f"{k} {v}" for k, v in training.libraries.items())),
    ]
    if manifest.notes:
        facts.append(("notes", manifest.notes))
    return facts


def _show_features(out: Console, manifest: Manifest) -> None:
    features = manifest.contract.features
    shown = ", ".join(features[:_FEATURES_SHOWN])
    more = len(features) - _FEATURES_SHOWN
    rest = f" and {more} more (--json shows all)" if more > 0 else ""
    out.print(f"\n[bold]{len(features)} features[/] {escape(shown + rest)}")


def _show_folds(out: Console, folds: Sequence[Fold]) -> None:
    """Print a row a fold, then mean and spread of each metric; of baselines, the log loss alone."""
    every = dict.fromkeys(name for fold in folds for name in fold.metrics)
    names = [name for name in every if ": " not in name or name.endswith(": log_loss")]
    if not names:
        return
    out.print("\n[bold]Folds[/], each judged on bars after those that it was trained on")
    most = max(1, (out.width - 24) // 11)
    for start in range(0, len(names), most):
        some = names[start : start + most]
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("tested from")
        for name in some:
            table.add_column(name.replace("_", " "), justify="right", max_width=10)
        for fold in folds:
            cells = [_number(fold.metrics.get(name)) for name in some]
            table.add_row(show_day(fold.test.first_ns), *cells)
        for title, of in (("mean", statistics.fmean), ("spread", _spread)):
            cells = []
            for name in some:
                values = [v for f in folds if (v := f.metrics.get(name)) is not None]
                cells.append(_number(of(values) if values else None))
            table.add_row(f"[bold]{title}[/]", *cells)
        out.print(table)


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _span(ns: int) -> str:
    return spell_ns(ns) if ns else "none"
