"""A recorded run once more through the back-test engine, and why the two results differ."""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame, Interval
from aitb_nautilus.market.times import iso
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.observe.economics import Economics, attribute
from aitb_nautilus.observe.run_folder import Run, texts
from aitb_nautilus.risk.tape_file import INPUTS_NAME
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.config import DeskConfig, VenueSettings
from aitb_nautilus.run.killed import finish_killed
from aitb_nautilus.run.load import load_config, resolve
from aitb_nautilus.run.paid_latency import run_of
from aitb_nautilus.run.recorded_run import RecordedRun
from aitb_nautilus.run.replay import header_of, with_models

__all__ = ["economic", "economic_against"]

_FEWEST_BARS = 2


def economic_against(path: Path, against: Path) -> Economics:
    """Attribute the difference of two finished runs; see `attribute`.

    Raises
    ------
    DataError
        If a folder cannot be read, its run has no results, or its bars are joined ones.
    ConfigError
        If the runs are in different currencies.
    """
    for folder in (path, against):
        finish_killed(folder)
    run, other = Run(path), Run(against)
    for one in (run, other):
        if one.record.costs is None:
            raise DataError(
                str(one.path),
                f"the run is {one.record.status} and has no results",
                "must have ended well, so that it can be priced",
            )
    if run.record.currency != other.record.currency:
        raise ConfigError(
            str(against),
            f"is in {other.record.currency}",
            f"must be in {run.record.currency}, as {path} is",
        )
    return attribute(run, other)


def economic(path: Path) -> Economics:
    """Run the config of a recorded run through the back-test engine on its bars, and compare.

    The back-test's folder is left in ``economic/`` of the run folder.

    Raises
    ------
    DataError
        If the run had too few bars to be run again.
    AitbError
        As of `backtest` and `economic_against`.
    """
    finish_killed(path)
    recorded = RecordedRun(path)
    folder = recorded.run.path
    _refuse_short(recorded.run)
    header = header_of(folder / INPUTS_NAME)
    desk = with_models(load_config(folder / "config.toml"), header.sources)
    with tempfile.TemporaryDirectory(prefix="aitb-economic-") as place:
        begins = _write_catalog(recorded, Path(place))
        config = replace(
            desk.config,
            catalog=replace(desk.config.catalog, path=place),
            instruments=tuple(recorded.specs),
            venues=tuple(_elsewhere(venue, desk.config) for venue in desk.config.venues),
            backtest=replace(
                desk.config.backtest,
                start=iso(begins).removesuffix("Z"),
                end=None,
                fills="bars",  # a recording has no quotes of the whole time
                runs=str(folder / "economic"),
            ),
        )
        record = backtest(replace(desk, path=Path("economic.toml"), config=config))
    return economic_against(folder, Path(record.run_dir))


def _refuse_short(run: Run) -> None:
    """Refuse a run in which a back-test could fill nothing."""
    bars = Counter(texts(run.bars, "instrument_id"))
    for instrument_id in run.record.instruments:
        if bars[instrument_id] < _FEWEST_BARS:
            some = {0: "no bar", 1: "one bar"}[bars[instrument_id]]
            raise DataError(
                str(run.path),
                f"has {some} of {instrument_id}",
                f"must have at least {_FEWEST_BARS}: in a back-test what is decided on a bar fills "
                f"when the next one opens, so that there is nothing to compare before",
                f"What was decided can be taken again, and what was traded be shown: aitb replay "
                f"{run.path}, aitb report {run.path}",
            )


def _elsewhere(venue: VenueSettings, config: DeskConfig) -> VenueSettings:
    """Return a venue whose latency is found from another folder of runs."""
    if venue.latency is None:
        return venue
    return replace(venue, latency=f"run:{run_of(venue.latency, config)}")


def _write_catalog(recorded: RecordedRun, folder: Path) -> int:
    """Write the bars and funding rates that a run had; return when its first bar opened, ns UTC."""
    store = resolve("catalog.store:BarStore", "catalog")(folder)
    rows: dict[str, list[BarClosed]] = {}
    for bar in recorded.bars():
        rows.setdefault(bar.instrument_id, []).append(bar)
    record = recorded.run.record
    types = record.bar_types
    types = record.bar_types
    lengths = {Interval.instrument_of_bar_type(text): Interval.of_bar_type(text) for text in types}
    specs = {spec.id: spec for spec in recorded.specs}
    for instrument_id, bars in rows.items():
        columns = [np.array([getattr(b, name) for b in bars], np.float64) for name in VALUE_COLUMNS]
        frame = BarFrame(np.array([b.ts for b in bars], np.int64), *columns)
        store.write(
            specs[instrument_id],
            lengths[instrument_id],
            frame,
            source=f"recording of {record.run_id}",
            simulated=record.simulated,
        )
    rates = recorded.rates()
    for instrument_id in {rate.instrument_id for rate in rates}:
        own = [rate for rate in rates if rate.instrument_id == instrument_id]
        settled = np.array([rate.ts_settle for rate in own], np.int64)
        values = np.array([rate.rate for rate in own], np.float64)
        store.write_funding(instrument_id, settled, values, f"recording of {record.run_id}")
    # The warm-up ends with the bar before the run's first one.
    past = recorded.run.past.num_rows
    first = next(islice(recorded.bars(), past, None), None)
    if first is None:
        raise DataError(str(recorded.run.path), "has no bars", "must have some to be run again")
    return first.ts - lengths[first.instrument_id].ns
