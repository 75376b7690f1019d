"""Which trades earned what: by strategy, instrument, reason to exit, hour and weekday."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from aitb_nautilus.observe.risk_record import Attribution
from aitb_nautilus.observe.run_tables import ended

__all__ = ["WEEKDAYS", "attribute"]

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOUR_NS = 3_600 * 10**9
_THURSDAY = 3  # 1970-01-01

type _By = Literal["strategy", "instrument", "exit", "hour", "weekday"]


def attribute(positions: pa.Table) -> list[Attribution]:
    """Return what the round trips that ended earned, by every key.

    Parameters
    ----------
    positions
        Following `run_tables.TABLES`. Hour and weekday are those of the entry, UTC.
    """
    trips = ended(positions)
    opened = trips.column("ts_open").cast(pa.int64()).to_numpy()
    hours = opened // _HOUR_NS
    keys: list[tuple[_By, Sequence[str]]] = [
        ("strategy", trips.column("strategy_id").to_pylist()),
        ("instrument", trips.column("instrument_id").to_pylist()),
        ("exit", [purpose or "" for purpose in trips.column("exit_purpose").to_pylist()]),
        ("hour", [f"{hour:02d}" for hour in (hours % 24).tolist()]),
        ("weekday", [WEEKDAYS[day] for day in ((hours // 24 + _THURSDAY) % 7).tolist()]),
    ]
    columns = {
        name: trips.column(name).to_numpy() for name in ("pnl", "fees", "slippage", "funding")
    }
    found = []
    for by, labels in keys:
        names, which = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
        trades = np.bincount(which, minlength=len(names))
        won = np.bincount(which, weights=columns["pnl"] > 0, minlength=len(names))
        sums = {n: np.bincount(which, weights=c, minlength=len(names)) for n, c in columns.items()}
        rows = [
            Attribution(
                by=by,
                key=str(name),
                trades=int(trades[i]),
                won=int(won[i]),
                **{column: float(values[i]) for column, values in sums.items()},
            )
            for i, name in enumerate(names)
        ]
        if by == "weekday":
            rows.sort(key=lambda row: WEEKDAYS.index(row.key))
        elif by != "hour":
            rows.sort(key=lambda row: (-abs(row.pnl), row.key))
        found += rows
    return found
