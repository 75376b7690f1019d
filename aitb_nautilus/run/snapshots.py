"""The tables of a node's run folder, written while it runs, beside its loop.

Everything is handed over as plain facts: no object of the engine leaves its thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import pyarrow as pa

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import Fill
from aitb_nautilus.observe.run_record import ModelRecord
from aitb_nautilus.risk.book import Order
from aitb_nautilus.run.interpreter import give_back
from aitb_nautilus.run.node_preparation import with_bars
from aitb_nautilus.run.node_traded import traded_in_node
from aitb_nautilus.run.prediction_figures import model_records, resolve_outcomes
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.results import Results, collect
from aitb_nautilus.run.run_writer import RunWriter

__all__ = ["Facts", "Snapshots", "Standing", "stand"]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a node has heard and done so far.

    Attributes
    ----------
    told, past
        Bars of the run and before it, by instrument id.
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
    predictions: pa.Table
    models: Sequence[ModelRecord]


def stand(run: Preparation, facts: Facts) -> Standing:
    """Compute tables and figures from what a node has heard and done.

    Raises
    ------
    RunError
        If our accounts and the sandbox's do not agree.
    """
    preparation = with_bars(run, facts.told, facts.past, facts.equity)
    sources = preparation.context.sources
    predictions = resolve_outcomes(facts.predictions, sources, preparation.frames)
    models = model_records(sources, predictions, facts.late, preparation.first_open_ns)
    results = None
    if preparation.frames:
        traded = traded_in_node(preparation, facts.orders, facts.fills, facts.balances)
        results = collect(preparation, traded)
    return Standing(preparation, results, predictions, models)


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
        self._pool = ThreadPoolExecutor(1, "snapshots")
        self._last: Future[None] | None = None

    def take(self, facts: Facts) -> None:
        """Write what there is, unless the last time is not over yet; raise what it raised."""
        if self._last is not None:
            if not self._last.done():
                return
            self._last.result()
        self._last = self._pool.submit(self._write, facts)

    def close(self) -> None:
        """Wait until the last one is written."""
        self._pool.shutdown(wait=True)

    def _write(self, facts: Facts) -> None:
        self._write_tables(facts)
        give_back()  # the next ones are a minute away

    def _write_tables(self, facts: Facts) -> None:
        standing = stand(self._run, facts)
        if standing.results is not None:
            for name, table in standing.results.tables.items():
                self._writer.table(name, table)
        self._writer.table("predictions", standing.predictions)
