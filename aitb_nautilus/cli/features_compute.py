"""``aitb features compute``: features of bars in the catalog, summed up or into a file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from rich.markup import escape
from rich.table import Table

from aitb_nautilus.cli.data_options import catalog_option, show_time, split_pairs
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.features.engine import FeatureEngine, FeatureRows
from aitb_nautilus.features.feature_set import FeatureSet, parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.market.times import iso, parse_time
from catalog.staging import Staging
from catalog.store import BarStore

__all__ = ["command"]

_FIGURES = ("mean", "std", "min", "median", "max")


@click.command("compute")
@click.argument("columns", nargs=-1, required=True, metavar="FEATURE...")
@click.option(
    "--bars",
    "bar_type",
    required=True,
    metavar="BAR_TYPE",
    help="Such as BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL; see aitb data list.",
)
@click.option(
    "--short",
    multiple=True,
    metavar="NAME=ID",
    help="A short name for an instrument, such as eth=ETHUSDT.BINANCE.",
)
@click.option("--start", metavar="TIME", help="Rows of bars that close from then on, UTC.")
@click.option("--end", metavar="TIME", help="Rows of bars that close up to then, UTC.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.parquet",
    help="Write the rows here: ts, then one float32 column a feature.",
)
@catalog_option
@json_option
def command(
    *,
    columns: Sequence[str],
    bar_type: str,
    short: Sequence[str],
    start: str | None,
    end: str | None,
    output: Path | None,
    catalog: Path,
    as_json: bool,
) -> None:
    """Compute features of bars in the catalog.

    A FEATURE is written as in a config: "rsi(14)", "zscore(volume,50)@1h", "beta(eth,60)". Bars
    before --start are read as well, as many as the warm-up takes. Rows that are not valid are left
    out.
    """
    if output is not None and output.suffix != ".parquet":
        raise UsageError(f"--output {output}", "is no Parquet file", "must end with .parquet")
    start_ns, end_ns = _time("--start", start), _time("--end", end)
    try:
        interval = Interval.of_bar_type(bar_type)
    except ValueError as e:
        raise UsageError(f"--bars {bar_type}", str(e), todo="See: aitb data list") from e
    features = parse_features(
        columns,
        interval=interval,
        instruments=split_pairs("--short", short),
        where="aitb features compute",
    )
    own = Interval.instrument_of_bar_type(bar_type)
    others = {i: f"{i}{bar_type.removeprefix(own)}" for i in features.others if i != own}
    bar_types = {own: bar_type} | others
    store = BarStore(catalog)
    began = time.perf_counter()
    frames = _read(store, features, bar_types, start_ns, end_ns)
    loaded = time.perf_counter()
    engine = FeatureEngine(features, own)
    compiled = time.perf_counter()
    rows = _within(engine.batch(frames), start_ns, end_ns)
    computed = time.perf_counter()
    ts, values = rows.ts_close[rows.valid], rows.values[rows.valid]
    if not len(ts):
        raise DataError(
            f"catalog {catalog}: {bar_type}",
            f"has {len(frames[own]):,} bars here, none of them after the warm-up",
            f"the features warm up in {features.warmup:,} bars without a long gap",
            "Choose another time, shorter windows, or import more bars",
        )
    simulated = any(store.series(name).simulated for name in bar_types.values())
    answer = {
        "bars": bar_types,
        "simulated": simulated,
        "interval": interval.text,
        "fingerprint": features.fingerprint,
        "warmup_bars": features.warmup,
        "bars_read": len(frames[own]),
        "rows": len(ts),
        "rows_not_valid": len(rows) - len(ts),
        "first": iso(int(ts[0])),
        "last": iso(int(ts[-1])),
        "features": [
            {"name": name} | _figures(values[:, i]) for i, name in enumerate(features.names)
        ],
        "output": output,
        "seconds": {
            "load": loaded - began,
            "compile": compiled - loaded,
            "compute": computed - compiled,
        },
    }
    if output is not None:
        _write(output, ts, values, features, {"bars": bar_type, "simulated": str(simulated)})
    emit(answer, as_json, lambda: _show(answer, ts))


def _read(
    store: BarStore,
    features: FeatureSet,
    bar_types: Mapping[str, str],
    start_ns: int | None,
    end_ns: int | None,
) -> dict[str, BarFrame]:
    """Return the bars of each instrument, with those that the warm-up takes."""
    first = None
    if start_ns is not None:
        # A bar may be missing where the warm-up would begin.
        before = features.warmup - 1 + features.longest_gap_bars
        first = start_ns - before * features.interval.ns
    return {id_: store.read(name, first, end_ns) for id_, name in bar_types.items()}


def _within(rows: FeatureRows, start_ns: int | None, end_ns: int | None) -> FeatureRows:
    kept = np.ones(len(rows), np.bool_)
    if start_ns is not None:
        kept &= rows.ts_close >= start_ns
    if end_ns is not None:
        kept &= rows.ts_close <= end_ns
    return FeatureRows(rows.ts_close[kept], rows.values[kept], rows.valid[kept])


def _figures(values: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, float]:
    exact = values.astype(np.float64)
    found = (exact.mean(), exact.std(), exact.min(), np.median(exact), exact.max())
    return {name: float(value) for name, value in zip(_FIGURES, found, strict=True)}


def _write(
    path: Path,
    ts: np.ndarray[Any, np.dtype[np.int64]],
    values: np.ndarray[Any, np.dtype[np.float32]],
    features: FeatureSet,
    facts: Mapping[str, str],
) -> None:
    """Write rows to a Parquet file, whole or not at all."""
    columns = [pa.array(values[:, i]) for i in range(len(features.names))]
    table = pa.table(
        [pa.array(ts, pa.timestamp("ns", "UTC")), *columns], names=["ts", *features.names]
    ).replace_schema_metadata({"fingerprint": features.fingerprint} | dict(facts))
    staging = Staging()
    try:
        staging.stage(path, table, compression="zstd")
        staging.commit()
    finally:
        staging.discard()


def _show(answer: Mapping[str, Any], ts: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    out = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("feature", overflow="fold")
    for name in _FIGURES:
        table.add_column(name, justify="right", no_wrap=True)
    for feature in answer["features"]:
        table.add_row(escape(feature["name"]), *(f"{feature[figure]:.4g}" for figure in _FIGURES))
    out.print(table)
    label = "[magenta]simulated[/] " if answer["simulated"] else ""
    own = next(iter(answer["bars"].values()))
    out.print(f"{answer['rows']:,} rows of {label}{escape(own)},")
    out.print(f"from {show_time(int(ts[0]))} to {show_time(int(ts[-1]))} UTC.")
    if answer["rows_not_valid"]:
        out.print(
            f"{answer['rows_not_valid']:,} rows before the end of a warm-up of "
            f"{answer['warmup_bars']:,} bars are left out."
        )
    seconds = answer["seconds"]
    out.print(f"Loaded in {seconds['load']:.1f} s, computed in {seconds['compute']:.2f} s.")
    if answer["output"] is not None:
        out.print(f"Written to {answer['output']}", markup=False, soft_wrap=True)


def _time(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as e:
        raise UsageError(f"{option} {text}", str(e)) from e
