"""Streams of a walk-forward made up for tests: whole ones, and broken ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["BTC", "MINUTE_NS", "T0", "about", "row", "write_stream_file"]

BTC = "BTCUSDT-PERP.BINANCE"
MINUTE_NS = 60_000_000_000
T0 = 1_700_000_040_000_000_000
"""Close of the first bar: a whole minute."""
_SCHEMA = pa.schema(
    [
        ("ts", pa.timestamp("ns", tz="UTC")),
        ("instrument_id", pa.string()),
        ("probability", pa.float32()),
        ("expected_return", pa.float32()),
        ("model_version", pa.string()),
    ]
)

type Row = dict[str, Any]


def row(
    number: int,
    probability: float = 0.5,
    window: int = 1,
    *,
    instrument: str = BTC,
    expected: float | None = None,
) -> Row:
    """Return the row of the bar of a number, counted from 1."""
    return {
        "ts": T0 + (number - 1) * MINUTE_NS,
        "instrument_id": instrument,
        "probability": probability,
        "expected_return": expected,
        "model_version": f"btc/window-{window}",
    }


def about(
    rows: Sequence[Row], /, instruments: Sequence[str] = (BTC,), **more: Any
) -> dict[str, Any]:
    """Return the metadata of rows.

    Each window of the rows was trained on the hour up to three minutes before its first row, just
    outside the horizon of two bars.
    """
    spans: dict[str, list[int]] = {}
    for one in rows:
        spans.setdefault(one["model_version"], []).append(one["ts"])
    return {
        "id": "btc",
        "algorithm": "logistic",
        "instruments": list(instruments),
        "features": ["rsi(14)"],
        "feature_fingerprint": "f" * 64,
        "interval": "1m",
        "horizon_ns": 2 * MINUTE_NS,
        "label": {
            "kind": "sign",
            "horizon_bars": 2,
            "horizon_ns": 2 * MINUTE_NS,
            "parameters": {"cost_bps": 5.0},
        },
        "longest_gap_bars": 1,
        "trials": 3,
        "simulated": True,
        "data_sha256": "d" * 64,
        "rows": len(rows),
        "windows": [
            {
                "model_version": version,
                "train_first_ns": min(times) - 63 * MINUTE_NS,
                "train_last_ns": min(times) - 3 * MINUTE_NS,
                "test_first_ns": min(times),
                "test_last_ns": max(times),
                "rounds": 7,
            }
            for version, times in spans.items()
        ],
        "verdict": "what is only for a report is not read",
    } | more


def write_stream_file(
    path: Path,
    rows: Sequence[Row],
    /,
    metadata: Mapping[bytes, bytes] | None = None,
    change: Callable[[pa.Table], pa.Table] = lambda table: table,
    **more: Any,
) -> Path:
    """Write rows as a stream; `more` is laid over what it says of itself.

    Parameters
    ----------
    metadata
        Instead of what `about` gives.
    change
        To the table, before it is written.
    """
    told = {b"aitb": msgspec.json.encode(about(rows, **more))} if metadata is None else metadata
    table = pa.Table.from_pylist(list(rows), _SCHEMA)
    pq.write_table(change(table).replace_schema_metadata(told), path)
    return path
