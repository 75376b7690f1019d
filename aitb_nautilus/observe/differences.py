"""What several runs have in common and what not: names, figures with differences, config keys."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.observe import figures, formats
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.stats import Stats

__all__ = [
    "MAX_RUNS",
    "FigureRow",
    "compare_configs",
    "compare_figures",
    "remarks",
    "run_names",
    "stats_of",
]

MAX_RUNS = 8


@dataclass(frozen=True)
class FigureRow:
    """One figure of all runs.

    Attributes
    ----------
    figure
        Which one.
    texts
        Its text of each run.
    differences
        Against the first run, one for each later run.
    """

    figure: figures.Figure
    texts: list[str]
    differences: list[str]


def stats_of(run: Run) -> Stats:
    """Return the figures of a run that is to be compared.

    Raises
    ------
    DataError
        If the run has none because it did not end well.
    """
    if run.record.stats is None:
        raise DataError(
            str(run.path),
            f"the run is {run.record.status} and has no figures",
            "only runs with figures can be compared",
            "Leave it out, or look at it alone",
        )
    return run.record.stats


def run_names(runs: list[Run]) -> list[str]:
    """Return a name for each run: its own, with the run's id where names are equal.

    Raises
    ------
    UsageError
        If a run is given twice, or there are more than a reader can follow.
    """
    if len(runs) > MAX_RUNS:
        raise UsageError(
            "aitb report",
            f"{len(runs)} runs were given",
            f"at most {MAX_RUNS} can be read side by side",
            "Name those that you want to compare",
        )
    ids = [run.record.run_id for run in runs]
    for id_ in ids:
        if ids.count(id_) > 1:
            raise UsageError("aitb report", f"run {id_} was given twice", "each run once")
    names = [run.record.name for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({id_})"
        for name, id_ in zip(names, ids, strict=True)
    ]


def compare_figures(runs: list[Run]) -> list[FigureRow]:
    """Return every figure of every run, with differences against the first run."""
    stats = [stats_of(run) for run in runs]
    decimals = max(formats.money_decimals(run.record.starting_equity) for run in runs)
    return [
        FigureRow(
            figure,
            [figures.text(figure, own, decimals) for own in stats],
            [figures.difference(figure, own, stats[0], decimals) for own in stats[1:]],
        )
        for figure in figures.FIGURES
    ]


def compare_configs(runs: list[Run]) -> dict[str, list[str | None]]:
    """Return the config keys that differ, by path, with each run's value as text.

    A key that a run does not have is None. ``strategies[0].params.fast`` is such a path.

    Raises
    ------
    DataError
        If a config in a run folder is not TOML.
    """
    flat = [_flat(_config(run)) for run in runs]
    paths = list(dict.fromkeys(path for config in flat for path in config))
    rows = {path: [config.get(path) for config in flat] for path in paths}
    return {path: values for path, values in sorted(rows.items()) if len(set(values)) > 1}


def remarks(runs: list[Run]) -> list[str]:
    """Return what makes runs hard to compare: other data, other times, other money."""
    found = []
    records = [run.record for run in runs]
    if len({record.data_sha256 for record in records}) > 1:
        found.append("The runs did not read the same data.")
    periods = {(r.period.start, r.period.end) for r in records if r.period is not None}
    if len(periods) > 1:
        found.append("The runs cover different times: yearly figures compare, totals do not.")
    if len({record.currency for record in records}) > 1:
        found.append("The runs are in different currencies: money does not compare.")
    elif len({record.starting_equity for record in records}) > 1:
        found.append("The runs began with different equity: money does not compare.")
    if len({record.simulated for record in records}) > 1:
        found.append("Some runs are on simulated data, others on recorded data.")
    elif records[0].simulated:
        found.append("The data are simulated: this says nothing about a real market.")
    broken = [record.run_id for record in records if record.status != "complete"]
    if broken:
        found.append(f"Not complete, figures end early: {', '.join(broken)}.")
    fingerprints = [record.fingerprint for record in records]
    known = [one for one in fingerprints if one is not None]
    if len(set(known)) < len(known):
        found.append("Runs with the same fingerprint made exactly the same trades.")
    return found


def _config(run: Run) -> dict[str, Any]:
    try:
        return tomllib.loads(run.config_text)
    except tomllib.TOMLDecodeError as e:
        raise DataError(str(run.path / "config.toml"), f"is not TOML ({e})") from e


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """Return nested tables and lists of tables as paths with texts."""
    if isinstance(value, Mapping):
        items = [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        items = [(f"{path}[{i}]", item) for i, item in enumerate(value)]
    else:
        return {path: _shown(value)}
    result: dict[str, str] = {}
    for inner, item in items:
        result |= _flat(item, inner)
    return result


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return str(value)
