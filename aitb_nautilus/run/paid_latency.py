"""What a run measured of the way of its orders, paid by a back-test: ``latency = "run:ID"``."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import random
from collections.abc import Callable, Container
from pathlib import Path

import msgspec

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.histogram import Histogram
from aitb_nautilus.observe.latency_record import histogram_of
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.run_record import PaidRecord
from aitb_nautilus.run.config import DeskConfig, VenueSettings
from aitb_nautilus.run.load import Desk
from aitb_nautilus.settings import nearest

__all__ = ["ARRIVAL_NS", "FEWEST_ORDERS", "PaidLatency", "paid_latencies", "paid_latency", "run_of"]

FEWEST_ORDERS = 30
"""Of fewer orders nothing is known of the slow ones."""
_SKEWED = 0.05
"""If a larger share of times is below zero, the clocks differ by more than what is measured."""
ARRIVAL_NS = 1_000
"""What is left to the engine's own model: it wants more than nothing."""


class PaidLatency(msgspec.Struct, frozen=True):
    """The measured way of orders at one venue.

    Attributes
    ----------
    record
        What the run folder says of it.
    histogram
        From the close of the bar that an order answered to the arrival of the venue's yes, ns.
    """

    record: PaidRecord
    histogram: Histogram

    def draws(self, seed: int) -> Callable[[], int]:
        """Return what draws one latency after the other, ns, evenly within a bucket.

        Parameters
        ----------
        seed
            The same seed gives the same latencies.
        """
        buckets = list(self.histogram.buckets())
        totals = list(itertools.accumulate(bucket.number for bucket in buckets))
        longest, chance = self.histogram.longest, random.Random(seed)  # noqa: S311 - no secret

        def draw() -> int:
            bucket = buckets[bisect.bisect_right(totals, chance.randrange(totals[-1]))]
            drawn = chance.randint(bucket.low, min(bucket.high, max(longest, bucket.low)))
            return max(drawn, 2 * ARRIVAL_NS)

        return draw


def paid_latencies(desk: Desk, used: Container[str] | None = None) -> dict[str, PaidLatency]:
    """Return what a back-test pays at the venues that name a run, by venue name.

    Parameters
    ----------
    used
        Names of the venues that are asked about; absent: all of the desk.

    Raises
    ------
    ConfigError, DataError
        As of `paid_latency`.
    """
    return {
        venue.name: paid
        for venue in desk.config.venues
        if (used is None or venue.name in used) and (paid := paid_latency(desk, venue)) is not None
    }


def paid_latency(desk: Desk, venue: VenueSettings) -> PaidLatency | None:
    """Return what a back-test pays at a venue; None if the config names no run.

    Raises
    ------
    ConfigError
        If there is no such run, or it has measured nothing that can be paid.
    DataError
        If its folder cannot be read.
    """
    if venue.latency is None:
        return None
    where = f"{desk.path}: venues {venue.name}.latency"
    run = Run(_found(where, venue.latency, desk.config))
    record = run.record
    if record.mode == "backtest":
        raise ConfigError(
            where,
            f"was {venue.latency!r}, a back-test: its venue answered as its config said",
            "must be a run on paper or live, which has measured something",
            "Name another run, or write what you assume as latency_ms",
        )
    at = [one.name for one in record.venues]
    if venue.name not in at:
        raise ConfigError(
            where,
            f"was {venue.latency!r}, a run at {', '.join(at)}",
            f"must be a run at {venue.name}: another venue answers in another time",
        )
    figures = next((one for one in record.latency if one.stage == "order"), None)
    count = 0 if figures is None else figures.count
    if figures is None or count < FEWEST_ORDERS:
        measured = "no order" if not count else "1 order" if count == 1 else f"{count} orders"
        raise ConfigError(
            where,
            f"was {venue.latency!r}, which measured {measured} from the bar to the venue's yes",
            f"must have measured at least {FEWEST_ORDERS}: of fewer nothing is known of the slow "
            f"ones",
            f"Let it trade longer, name another run, or write latency_ms; "
            f"aitb report {run.path} shows what it measured",
        )
    ages = next((one for one in record.latency if one.stage == "bar age"), figures)
    skewed = max((figures, ages), key=lambda one: one.below_zero / one.count)
    if skewed.below_zero > _SKEWED * skewed.count:
        raise ConfigError(
            where,
            f"was {venue.latency!r}, where {skewed.below_zero} of {skewed.count} times fell below "
            f"zero",
            "must have measured by a clock that is not behind the venue's: all its times are too "
            "short",
            "Set this machine's clock by a time server, and measure again",
        )
    try:
        histogram = histogram_of(run.latency, figures)
    except ValueError as e:
        raise DataError(
            str(run.path / "latency.parquet"), str(e), "must be as the run wrote it"
        ) from e
    return PaidLatency(
        PaidRecord(
            run_id=record.run_id,
            mode=record.mode,
            orders=count,
            below_zero=figures.below_zero,
            p50_ns=figures.p50_ns,
            p99_ns=figures.p99_ns,
            max_ns=figures.max_ns,
            sha256=_sha256(histogram),
        ),
        histogram,
    )


def run_of(latency: str, config: DeskConfig) -> Path:
    """Return where the run lies that a config names: a folder, or an id under its runs."""
    named = latency.removeprefix("run:")
    return Path(named) if Path(named).is_dir() else Path(config.backtest.runs) / named


def _found(where: str, latency: str, config: DeskConfig) -> Path:
    path = run_of(latency, config)
    if path.is_dir():
        return path
    runs = Path(config.backtest.runs)
    there = [one.name for one in runs.iterdir()] if runs.is_dir() else []
    close = nearest(path.name, there)
    raise ConfigError(
        where,
        f"was {latency!r}, and there is no such run in {runs}",
        f"did you mean 'run:{close}'?" if close else "must be run: and the id of a run",
        "The folders under backtest.runs are the runs; the folder of one may be written as well",
    )


def _sha256(histogram: Histogram) -> str:
    return hashlib.sha256(repr([tuple(one) for one in histogram.buckets()]).encode()).hexdigest()
