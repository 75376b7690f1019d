"""What the page's charts draw: thinned curves, bars and trades of a run.

Every list of texts here is user-supplied; the page shows it with `textContent` only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.report_columns import ColumnWriter, exact_decimals
from aitb_nautilus.observe.report_thin import join_bars, thin_curves
from aitb_nautilus.observe.returns import running_peak
from aitb_nautilus.observe.run_folder import Run, floats, texts, times
from aitb_nautilus.observe.run_tables import by

__all__ = ["MAX_TRADES", "comparison_payload", "run_payload"]

MAX_CURVE_ROWS = 24_000
MAX_COMPARED_ROWS = 24_000  # of all runs together
MAX_BARS = 40_000  # of all instruments together
MAX_TRADES = 10_000

_OHLC = ("open", "high", "low", "close")


def run_payload(run: Run) -> dict[str, Any]:
    """Return the data of one run's page, ready for JSON."""
    columns = ColumnWriter()
    record = run.record
    shown, total = _shown_trades(run.positions)
    payload = {
        "kind": "run",
        "currency": record.currency,
        "decimals": formats.money_decimals(record.starting_equity),
        "start": record.starting_equity,
        "curve": _curve(run, columns, MAX_CURVE_ROWS),
        "instruments": _instruments(run, columns),
        "trades": _trades(shown, total, columns),
    }
    return payload | {"blob": columns.blob()}


def comparison_payload(runs: list[Run], names: list[str]) -> dict[str, Any]:
    """Return the data of a comparison page, ready for JSON."""
    columns = ColumnWriter()
    rows = MAX_COMPARED_ROWS // len(runs)
    curves = [
        _curve(run, columns, rows)
        | {"name": name, "place": place, "start": run.record.starting_equity}
        for place, (run, name) in enumerate(zip(runs, names, strict=True), start=1)
    ]
    return {"kind": "comparison", "runs": curves, "blob": columns.blob()}


def _curve(run: Run, columns: ColumnWriter, max_rows: int) -> dict[str, Any]:
    table = run.equity
    if table.num_rows == 0:
        return {"rows": 0, "of": 0}
    start = run.record.starting_equity
    decimals = formats.money_decimals(start) + 1
    ts, equity, market = times(table, "ts"), floats(table, "equity"), floats(table, "market")
    exposure = floats(table, "exposure")
    peak, market_peak = running_peak(equity, start), running_peak(market, start)
    deepest = [int(np.argmax(1 - equity / peak)), int(np.argmax(1 - market / market_peak))]
    rows = thin_curves([equity, market], max_rows, deepest)
    return {
        "rows": len(rows),
        "of": len(ts),
        "ts": columns.times(ts[rows]),
        "equity": columns.numbers(equity[rows], decimals),
        "market": columns.numbers(market[rows], decimals),
        "peak": columns.numbers(peak[rows], decimals),
        "market_peak": columns.numbers(market_peak[rows], decimals),
        "exposure": columns.numbers(exposure[rows], decimals - 1),
    }


def _instruments(run: Run, columns: ColumnWriter) -> list[dict[str, Any]]:
    ids = run.record.instruments
    most = MAX_BARS // max(1, len(ids))
    bars = by(run.bars, "ts")
    owner = np.asarray(texts(bars, "instrument_id"), dtype=object)
    drawn = [_bars(bars, instrument, owner == instrument, most, columns) for instrument in ids]
    return [own for own in drawn if own is not None]


def _bars(
    bars: pa.Table,
    instrument: str,
    own: npt.NDArray[np.bool_],
    most: int,
    columns: ColumnWriter,
) -> dict[str, Any] | None:
    if not own.any():
        return None
    given = times(bars, "ts")[own]
    open_, high, low, close = (floats(bars, name)[own] for name in _OHLC)
    step_ns = int(np.median(np.diff(given))) if len(given) > 1 else 0
    ts, joined, factor = join_bars(given, (open_, high, low, close), most)
    decimals = max(exact_decimals(series) for series in joined)
    return {
        "id": instrument,
        "rows": len(ts),
        "step": step_ns * factor // 1_000_000,
        "ts": columns.times(ts),
    } | {
        name: columns.numbers(series, decimals) for name, series in zip(_OHLC, joined, strict=True)
    }


def _shown_trades(positions: pa.Table) -> tuple[pa.Table, int]:
    """Return the round trips that the page shows, in order of time, and how many there are."""
    total = positions.num_rows
    if total > MAX_TRADES:
        size = np.abs(floats(positions, "pnl"))
        largest = np.sort(np.argsort(-size, kind="stable")[:MAX_TRADES])
        positions = positions.take(pa.array(largest))
    return by(positions, "ts_open", "position_id"), total


def _trades(shown: pa.Table, total: int, columns: ColumnWriter) -> dict[str, Any]:
    lists = {
        name: sorted(set(texts(shown, name)))
        for name in ("instrument_id", "strategy_id", "side", "exit_purpose")
    }
    ts_close = times(shown, "ts_close")
    is_open = ts_close < 0
    ts_open = times(shown, "ts_open")
    result: dict[str, Any] = {
        "rows": shown.num_rows,
        "of": total,
        "texts": lists,
        "is_open": columns.whole(is_open.astype(np.int64)),
        "ts_open": columns.times(ts_open),
        "ts_close": columns.times(np.where(is_open, ts_open, ts_close)),
        "bars_held": columns.whole(floats(shown, "bars_held").astype(np.int64)),
    }
    for name, known in lists.items():
        result[name] = columns.codes(texts(shown, name), known)
    for name in ("quantity", "open_price", "close_price", "return_frac"):
        values = _without_nan(floats(shown, name))
        result[name] = columns.numbers(values, min(8, exact_decimals(values)))
    result["pnl"] = columns.numbers(floats(shown, "pnl"), 4)
    return result


def _without_nan(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.nan_to_num(values, nan=0.0)
