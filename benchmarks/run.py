"""Run every benchmark in its own process and print each figure beside its limit.

The answer is a table, and exit code 1 if a figure misses its limit or a benchmark fails. What a
benchmark prints is described in ``benchmarks/README.md``.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent


def figures_of(script: Path) -> tuple[list[dict[str, Any]], str | None]:
    """Run one benchmark; return its figures, and what went wrong if it failed."""
    done = subprocess.run(
        [sys.executable, script], cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        return [], f"exit code {done.returncode}"
    try:
        figures = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    except json.JSONDecodeError as e:
        return [], f"printed something that is not JSON: {e.doc[:60]!r}"
    if not figures:
        return [], "printed no figure"
    return figures, None


def verdict(figure: dict[str, Any]) -> str:
    """Return how a figure stands to its limit: within, over, under, or shown only."""
    if "skipped" in figure:
        return "skipped"
    if "limit" not in figure:
        return ""
    lower = figure["better"] == "lower"
    if lower and figure["value"] <= figure["limit"]:
        return "within"
    if not lower and figure["value"] >= figure["limit"]:
        return "within"
    return "OVER" if lower else "UNDER"


def row(figure: dict[str, Any], judged: str) -> list[str]:
    """Return the cells of one figure."""
    if judged == "skipped":
        return [figure["figure"], "", "", "[yellow]skipped[/]", figure["skipped"]]
    limit = ""
    if "limit" in figure:
        limit = f"{'<=' if figure['better'] == 'lower' else '>='} {figure['limit']:,.4g}"
    colour = {"within": "green", "": "default"}.get(judged, "bold red")
    value = f"{figure['value']:,.4g} {figure['unit']}"
    return [figure["figure"], value, limit, f"[{colour}]{judged}[/]", figure.get("note", "")]


def main() -> int:
    """Run all benchmarks, or those named on the command line (``help backtest``)."""
    wanted = {f"bench_{name}.py" for name in sys.argv[1:]}
    scripts = [s for s in sorted(HERE.glob("bench_*.py")) if not wanted or s.name in wanted]
    if missing := wanted - {s.name for s in scripts}:
        sys.exit(f"no such benchmark: {', '.join(sorted(missing))}")
    out, err = Console(highlight=False), Console(stderr=True, highlight=False)
    table = Table("figure", "value", "limit", "", "note", box=None, pad_edge=False)
    missed = 0
    for script in scripts:
        start = time.perf_counter()
        err.print(f"[dim]{script.name} ...[/]")
        figures, problem = figures_of(script)
        err.print(f"[dim]{script.name} took {time.perf_counter() - start:.1f} s[/]")
        if problem:
            missed += 1
            table.add_row(script.name, "", "", "[bold red]FAILED[/]", problem)
        for figure in figures:
            judged = verdict(figure)
            missed += judged in {"OVER", "UNDER"}
            table.add_row(*row(figure, judged))
    out.print(table)
    out.print(f"{missed} of the above missed" if missed else "every limit is kept")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
