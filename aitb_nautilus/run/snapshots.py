"""The tables of a node's run folder, written while it runs, beside its loop.

Everything is handed over as plain facts: no object of the engine leaves its thread. Each time they
are computed from the whole run, by what computes them at its end; how often is for `SnapshotPace`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import pyarrow as pa
from msgspec.structs import replace

from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.messages import Fill
from aitb_nautilus.observe.run_record import ModelRecord
from aitb_nautilus.risk.book import Order
from aitb_nautilus.run.interpreter import give_back, give_back_blocks
from aitb_nautilus.run.node_preparation import with_bars
from aitb_nautilus.run.node_traded import traded_in_node
from aitb_nautilus.run.prediction_figures import model_records, resolve_outcomes
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.results import Put, Results, collect
from aitb_nautilus.run.run_writer import RunWriter
from aitb_nautilus.run.snapshot_pace import SnapshotPace

__all__ = ["Facts", "Snapshots", "Standing", "stand"]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a node has heard and done so far.

    Attributes
    ----------
    told, past
        Bars of the run and before it, by instrument id.
    fills
        Of the ledger: one that stands for what was held before may be older than the run.
    predictions
        From the recorder.
    late
        Answers that were not there in time, by model.
    equity
        With which the run started, in the trader's currency.
    balances
        As in `Traded`.
    """

    told: Mapping[str, BarFrame]
    past: Mapping[str, BarFrame]
    orders: Sequence[Order]
    fills: Sequence[Fill]
    predictions: pa.Table
    late: Mapping[str, int]
    equity: float
    balances: Mapping[str, Mapping[str, Any]] | None


class Standing(msgspec.Struct, frozen=True):
    """How a node stands: its preparation with all bars, results (None without any), models."""

    preparation: Preparation
    results: Results | None
    models: Sequence[ModelRecord]


def stand(run: Preparation, facts: Facts, put: Put) -> Standing:
    """Make the tables of what a node has heard and done, and return its figures.

    Parameters
    ----------
    put
        Takes each table, by name, as soon as it is made.

    Raises
    ------
    RunError
        If our accounts and the sandbox's do not agree.
    """
    preparation = with_bars(run, facts.told, facts.past, facts.equity)
    models = _models(preparation, facts, put)
    return Standing(preparation, _results(preparation, facts, put), models)


def _models(preparation: Preparation, facts: Facts, put: Put) -> list[ModelRecord]:
    predictions = _predictions(preparation, facts, put)
    sources = preparation.context.sources
    return model_records(sources, predictions, facts.late, preparation.first_open_ns)


def _predictions(preparation: Preparation, facts: Facts, put: Put) -> pa.Table:
    sources = preparation.context.sources
    predictions = resolve_outcomes(facts.predictions, sources, preparation.frames)
    put("predictions", predictions)
    return predictions


def _results(preparation: Preparation, facts: Facts, put: Put) -> Results | None:
    if not preparation.frames:
        return None
    began_ns = preparation.began_ns
    fills = [f if f.ts >= began_ns else replace(f, ts=began_ns) for f in facts.fills]
    traded = traded_in_node(preparation, facts.orders, fills, facts.balances)
    return collect(preparation, traded, put)


class Snapshots:
    """Write tables now and then, on a thread of their own.

    Parameters
    ----------
    run
        The node's preparation.
    writer
        Of its folder.
    """

    def __init__(self, run: Preparation, writer: RunWriter) -> None:
        self._run = run
        self._writer = writer
        lengths = [Interval.of_bar_type(bar_type).ns for bar_type in run.bar_types]
        self._pace = SnapshotPace(run.desk.config.live.snapshot_secs, lengths)
        self._pool = ThreadPoolExecutor(1, "snapshots")
        self._last: Future[None] | None = None

    @property
    def are_due(self) -> bool:
        """Return whether the last one is over, and it is time for another."""
        is_over = self._last is None or self._last.done()
        return is_over and self._pace.is_due(time.monotonic(), time.time_ns())

    def take(self, facts: Facts) -> None:
        """Write what there is; raise what the last time raised, once that is over."""
        last, self._last = self._last, self._pool.submit(self._write, facts)
        if last is not None:
            last.result()

    def close(self) -> None:
        """Wait until the last one is written."""
        self._pool.shutdown(wait=True)

    def _write(self, facts: Facts) -> None:
        began, processor = time.monotonic(), time.thread_time()
        try:
            self._write_tables(facts)
            give_back()
        finally:
            self._pace.took(
                began,
                processor_s=time.thread_time() - processor,
                seconds=time.monotonic() - began,
            )

    def _write_tables(self, facts: Facts) -> None:
        preparation = with_bars(self._run, facts.told, facts.past, facts.equity)
        _predictions(preparation, facts, self._put)  # what models came to is asked at the end
        _results(preparation, facts, self._put)

    def _put(self, name: str, table: pa.Table) -> None:
        give_back_blocks()  # of the table before
        self._writer.table(name, table)
