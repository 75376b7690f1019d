"""``aitb report RUN [RUN...]``: show one run, or compare several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.observe.compare import write_comparison
from aitb_nautilus.observe.differences import compare_configs, remarks, run_names, stats_of
from aitb_nautilus.observe.report import write_report
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.summary import print_comparison, print_summary
from aitb_nautilus.observe.verdict import verdict_of
from aitb_nautilus.run.killed import finish_killed

__all__ = ["command"]


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the page; by default report.html in the run folder, or a comparison in "
    "the first run's folder.",
)
@json_option
def command(runs: tuple[Path, ...], output: Path | None, as_json: bool) -> None:
    """Show one run, or compare several with the first of them.

    RUN is a run folder, such as runs/20240301-101530-btc. Writes a page that opens in any browser
    without network, and prints the same figures. Of a run on paper or live that was killed, tables
    and figures are made first, of what it had written.
    """
    for path in runs:
        finish_killed(path)
    opened = [Run(path) for path in runs]
    if len(opened) == 1:
        run = opened[0]
        page = write_report(run.path, output)
        emit(_one(run, page), as_json, lambda: print_summary(run, console(), page))
    else:
        page = write_comparison([run.path for run in opened], output)
        emit(_several(opened, page), as_json, lambda: _show_several(opened, page, console()))


def _one(run: Run, page: Path) -> dict[str, Any]:
    verdict = verdict_of(run.record)
    record: dict[str, Any] = msgspec.to_builtins(run.record)
    return record | {
        "verdict": {"kind": verdict.kind, "sentence": verdict.sentence, "detail": verdict.detail},
        "report": str(page),
    }


def _several(runs: list[Run], page: Path) -> dict[str, Any]:
    return {
        "runs": [
            {
                "run_id": run.record.run_id,
                "name": name,
                "run_dir": str(run.path),
                "fingerprint": run.record.fingerprint,
                "stats": msgspec.to_builtins(stats_of(run)),
            }
            for run, name in zip(runs, run_names(runs), strict=True)
        ],
        "config_differences": compare_configs(runs),
        "remarks": remarks(runs),
        "report": str(page),
    }


def _show_several(runs: list[Run], page: Path, screen: Console) -> None:
    print_comparison(runs, screen)
    screen.print()
    screen.print(Text("Comparison  ").append(str(page), style="bold"), soft_wrap=True)
