"""What ``aitb train`` tells a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aitb_nautilus.training.metrics import METRICS, CalibrationBin, Spread
from aitb_nautilus.training.train import TrainingReport
from aitb_nautilus.training.walk_forward import WalkForwardReport

__all__ = ["print_training", "print_walk_forward"]

_NAMES = {
    "auc": "AUC",
    "log_loss": "log loss",
    "brier": "Brier",
    "ic": "IC",
    "rank_ic": "rank IC",
    "hit_rate": "hit rate",
}
_SHOWN_FEATURES = 10
_WIDE = 100


def print_training(report: TrainingReport, out: Console) -> None:
    """Print what a training came to."""
    model, judgement = report.model, report.judgement
    out.print(f"[bold]{model.id}@{model.version}[/] {_description(report)}")
    out.print(
        f"{report.rows:,} rows of {len(report.features)} features, "
        f"{_day(report.span.first_ns)} to {_day(report.span.last_ns)}; "
        f"{report.up_share:.1%} of the labels are up"
    )
    _simulated(report.simulated, out)
    out.print()
    _metrics_table(
        f"{len(judgement.folds)} folds in time order: mean ± standard deviation",
        {name: {k: _spread(v) for k, v in row.items()} for name, row in judgement.summary.items()},
        out,
    )
    _verdict(judgement.useful, judgement.verdict, out)
    out.print()
    _calibration_table(judgement.calibration, out)
    out.print()
    table = Table(
        title="What is lost when a feature is shuffled", title_justify="left", box=box.SIMPLE_HEAD
    )
    table.add_column("feature", no_wrap=True)
    table.add_column("log loss", justify="right", no_wrap=True)
    for row in judgement.importance[:_SHOWN_FEATURES]:
        table.add_row(Text(row.feature), f"{row.mean:+.5f} ± {row.deviation:.5f}")
    left = len(judgement.importance) - _SHOWN_FEATURES
    if left > 0:
        table.add_row(f"[dim]and {left} more[/]", "")
    out.print(table)
    held = []
    if report.validation_rows:
        held.append(f"{report.validation_rows:,} rows to stop early")
    if report.calibration_rows:
        held.append(f"{report.calibration_rows:,} to calibrate")
    out.print(
        f"Final fit: {report.rounds:,} rounds"
        + (f", {' and '.join(held)} held out" if held else "")
        + f"; ONNX Runtime within {report.export_difference:.1e} of the library"
    )
    out.print(_seconds(report.seconds))
    state = "published" if model.new else "this very model was published before"
    out.print(f"{state}: ", Text(model.path), sep="", soft_wrap=True)
    out.print(
        f"Let it trade under a name: aitb models promote {model.id}@{model.version} production"
    )


def print_walk_forward(report: WalkForwardReport, out: Console) -> None:
    """Print what a walk-forward came to."""
    windows = report.windows
    out.print(
        f"[bold]{report.id}[/] {report.algorithm}, trained anew {len(windows)} times; "
        f"{report.rows:,} predictions out of sample, {_day(windows[0].test_first_ns)} to "
        f"{_day(windows[-1].test_last_ns)}"
    )
    _simulated(report.simulated, out)
    out.print()
    _metrics_table(
        "The whole out-of-sample stream",
        {name: {k: _number(v) for k, v in row.items()} for name, row in report.summary.items()},
        out,
    )
    _verdict(report.useful, report.verdict, out)
    out.print()
    _calibration_table(report.calibration, out)
    out.print(_seconds(report.seconds))
    out.print("written: ", Text(report.path), sep="", soft_wrap=True)


def _description(report: TrainingReport) -> str:
    label = report.label
    return (
        f"{report.algorithm}, label {label.kind} over {label.horizon_bars} bars of "
        f"{report.interval}, {', '.join(report.instruments)}"
    )


def _metrics_table(title: str, rows: Mapping[str, Mapping[str, str]], out: Console) -> None:
    """Print metrics beside those of the baselines; on a narrow screen, a line for each metric."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    if out.width >= _WIDE:
        table.add_column("", no_wrap=True)
        for name in METRICS:
            table.add_column(_NAMES[name], justify="right", no_wrap=True)
        for who, values in rows.items():
            style = "bold" if who == "model" else ""
            table.add_row(who, *(values[name] for name in METRICS), style=style)
    else:
        table.add_column("")
        for who in rows:
            table.add_column(who, justify="right")
        for name in METRICS:
            table.add_row(_NAMES[name], *(values[name] for values in rows.values()))
    out.print(table)


def _calibration_table(bins: Sequence[CalibrationBin], out: Console) -> None:
    table = Table(
        title="Calibration, out of sample",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for name in ("rows", "foretold", "went up", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in bins:
        table.add_row(
            f"{row.rows:,}",
            f"{row.probability:.3f}",
            f"{row.up_share:.3f}",
            f"{row.up_share - row.probability:+.3f}",
        )
    out.print(table)


def _verdict(useful: bool, verdict: str, out: Console) -> None:
    out.print(Text(verdict, style="" if useful else "yellow"))


def _simulated(simulated: bool, out: Console) -> None:
    if simulated:
        out.print("[yellow]simulated data: this says nothing about any real market[/]")


def _spread(value: Spread) -> str:
    if value.mean is None:
        return "-"
    if value.deviation is None:
        return f"{value.mean:.4f}"
    return f"{value.mean:.4f} ± {value.deviation:.4f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _seconds(seconds: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items() if name != "total")
    return f"{seconds['total']:.1f} s: {parts}"


def _day(ts_ns: int) -> str:
    return str(np.datetime64(ts_ns, "ns").astype("datetime64[m]")).replace("T", " ")
