"""What a run folder says of how long everything took: figures in run.json, histograms in a table.

The stages and their meaning stand in `aitb_nautilus.latency`.
"""

from __future__ import annotations

import msgspec
import pyarrow as pa

from aitb_nautilus.histogram import Bucket, Histogram
from aitb_nautilus.latency import Clock, Latencies
from aitb_nautilus.observe.run_tables import TABLES

__all__ = ["StageLatency", "histogram_of", "latency_records", "latency_table"]


class StageLatency(msgspec.Struct, frozen=True, kw_only=True):
    """How long a stage took; times in ns.

    Attributes
    ----------
    count
        How often it was measured, > 0.
    below_zero
        How often the venue's clock was ahead of ours: such an age counts as 0.
    p50_ns, p90_ns, p99_ns
        Half of the values, nine of ten, and 99 of a hundred, are not larger; at most 1/128 too
        large.
    max_ns
        The largest, exact.
    """

    stage: str
    clock: Clock
    count: int
    below_zero: int
    p50_ns: int
    p90_ns: int
    p99_ns: int
    max_ns: int


def latency_records(latencies: Latencies) -> list[StageLatency]:
    """Return the figures of each stage that was measured, in the order of the stages."""
    return [
        StageLatency(
            stage=stage,
            clock=latencies.clock_of(stage),
            count=one.count,
            below_zero=one.below_zero,
            p50_ns=one.quantile(0.5),
            p90_ns=one.quantile(0.9),
            p99_ns=one.quantile(0.99),
            max_ns=one.longest,
        )
        for stage, one in latencies.of.items()
        if one.count
    ]


def latency_table(latencies: Latencies) -> pa.Table:
    """Return the histograms, following ``TABLES["latency"]``."""
    schema = TABLES["latency"]
    parts = [schema.empty_table()]
    for stage, one in latencies.of.items():
        # A stage after the other: a node asks once a minute, and Python keeps what it once needed.
        rows = [(stage, latencies.clock_of(stage), *bucket) for bucket in one.buckets()]
        columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
        arrays = [pa.array(c, _storage(f.type)) for c, f in zip(columns, schema, strict=True)]
        arrays = [a.cast(f.type) for a, f in zip(arrays, schema, strict=True)]
        parts.append(pa.Table.from_arrays(arrays, schema=schema))
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def histogram_of(table: pa.Table, figures: StageLatency) -> Histogram:
    """Return the histogram of a stage.

    Parameters
    ----------
    table
        Following ``TABLES["latency"]``.
    figures
        Of the stage.

    Raises
    ------
    ValueError
        If the table does not have what the figures say.
    """
    buckets = [
        Bucket(row["low_ns"], row["high_ns"], row["count"])
        for row in table.to_pylist()
        if row["stage"] == figures.stage
    ]
    made = Histogram.of_buckets(buckets, below_zero=figures.below_zero, longest=figures.max_ns)
    if made.count != figures.count:
        raise ValueError(
            f"{figures.stage} has {made.count} values, run.json counts {figures.count}"
        )
    return made


def _storage(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_dictionary(kind) else kind
