"""The tables of a run folder: one Arrow schema each, for the writer and for the reader.

Times are ns UTC. Prices, quantities and money are exact values rounded once to float64. `fee`,
`fees`, `slippage`, `funding` and funding's `amount` are costs: positive was paid, negative was
received.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["MAX_BAR_ROWS", "TABLES", "by", "ended"]

MAX_BAR_ROWS = 20_000  # rows an instrument in bars.parquet; of more, neighbours are joined

_TIME = pa.timestamp("ns", tz="UTC")
_TEXT = pa.string()
_FLOAT = pa.float64()
_NAME = pa.dictionary(pa.int32(), _TEXT)


def _always(kind: pa.DataType, *names: str) -> list[pa.Field]:
    return [pa.field(name, kind, nullable=False) for name in names]


def _maybe(kind: pa.DataType, *names: str) -> list[pa.Field]:
    return [pa.field(name, kind, nullable=True) for name in names]


# One row a bar close of the run's finest interval. `market` is the starting equity held in the
# run's instruments in equal parts, bought at the first open, without costs; `exposure` is the net
# value of all positions in account currency.
_EQUITY = pa.schema([*_always(_TIME, "ts"), *_always(_FLOAT, "equity", "market", "exposure")])

# `slippage` is what the fill cost against `reference_price`, in account currency; `fee` as well,
# and `base_fee` is what of the base currency the venue has kept for it. `purpose` is
# "entry", or "exit:" and the reason: signal, stop, trailing, chandelier, break_even, target (or
# target_1, target_2, of several), time, flatten, or a strategy's own word.
_FILLS = pa.schema(
    [
        *_always(_TIME, "ts"),
        *_always(_TEXT, "instrument_id", "strategy_id", "client_order_id", "trade_id", "side"),
        *_always(_FLOAT, "price", "quantity", "fee"),
        *_always(_TEXT, "liquidity"),
        *_maybe(_FLOAT, "reference_price"),
        *_always(_FLOAT, "slippage"),
        *_always(_TEXT, "purpose"),
        *_maybe(_FLOAT, "base_fee"),
    ]
)

_ORDERS = pa.schema(
    [
        *_always(_TIME, "ts"),
        *_always(_TEXT, "client_order_id", "strategy_id", "instrument_id", "side", "type"),
        *_always(_FLOAT, "quantity"),
        *_maybe(_FLOAT, "price", "trigger_price"),
        *_always(pa.bool_(), "reduce_only"),
        *_always(_TEXT, "status"),
        *_always(_FLOAT, "filled_quantity"),
        *_maybe(_FLOAT, "average_price"),
        *_maybe(_TEXT, "purpose", "reason"),
        *_maybe(_TIME, "ts_last"),
    ]
)

# Round trips. Of one that is still open, what is known only at its close is null, and its `pnl` is
# what it has earned by the last bar.
_POSITIONS = pa.schema(
    [
        *_always(_TEXT, "position_id", "strategy_id", "instrument_id", "side"),
        *_always(_FLOAT, "quantity"),
        *_always(_TIME, "ts_open"),
        *_maybe(_TIME, "ts_close"),
        *_always(_FLOAT, "open_price"),
        *_maybe(_FLOAT, "close_price"),
        *_always(_FLOAT, "pnl", "fees", "slippage", "funding"),
        *_maybe(_FLOAT, "return_frac"),
        *_always(pa.int64(), "bars_held"),
        *_maybe(_TEXT, "exit_purpose"),
    ]
)

_FUNDING = pa.schema(
    [
        *_always(_TIME, "ts"),
        *_always(_TEXT, "instrument_id"),
        *_always(_FLOAT, "rate", "quantity", "price", "amount"),
    ]
)

# In the order in which they were heard. `volume` is in base currency.
_BARS = pa.schema(
    [
        *_always(_TIME, "ts"),
        *_always(_TEXT, "instrument_id"),
        *_always(_FLOAT, "open", "high", "low", "close"),
        *_maybe(_FLOAT, "volume"),
    ]
)

# One row a stretch of time (`RiskRecord.stretch`), named by its end. `gross`, `net`, `long` and
# `short` are values of what was held, in account currency: `gross` the largest of the stretch, the
# others at its end. `leverage` is gross over equity and `drawdown_frac` the fall below the peak,
# both the largest. Volatilities are of a year, at the end; null where too few steps were seen.
_RISK = pa.schema(
    [
        *_always(_TIME, "ts"),
        *_always(_FLOAT, "gross", "net", "long", "short", "leverage", "drawdown_frac"),
        *_maybe(_FLOAT, "volatility", "ewma_volatility"),
    ]
)

# The same stretches: signed value at the end of an instrument, and the largest usage of a limit as
# a fraction of it.
_RISK_PARTS = pa.schema(
    [*_always(_TIME, "ts"), *_always(_NAME, "kind", "name"), *_always(_FLOAT, "value")]
)

# Steps of the longest horizon that could be foretold: the return, and each forecast of it.
_TAILS = pa.schema(
    [
        *_always(_TIME, "ts"),
        *_always(_FLOAT, "return_frac"),
        *_always(_FLOAT, "historical_95", "historical_99", "ewma_95", "ewma_99"),
    ]
)

# What the guard refused or let pass in part, the first 10,000. `quantity` is what was left.
_REFUSALS = pa.schema(
    [
        *_always(_TIME, "ts"),
        *_always(_NAME, "strategy_id", "instrument_id", "limit", "outcome"),
        *_always(_FLOAT, "quantity"),
        *_always(_TEXT, "line"),
    ]
)

# In order of model, instrument and time. `ts` is the close of the bar that is answered, `expires`
# when nobody may act on the answer any more. `forward_return` (before costs) and `up` are what
# happened over the label's horizon; null where that has not ended or a gap lies in it.
_PREDICTIONS = pa.schema(
    [
        *_always(_TIME, "ts"),
        *_always(_NAME, "instrument_id", "model", "version"),
        *_always(_FLOAT, "probability", "score"),
        *_maybe(_FLOAT, "expected_return", "confidence"),
        *_always(_TIME, "ts_inference", "expires"),
        *_maybe(_FLOAT, "forward_return"),
        *_maybe(pa.bool_(), "up"),
    ]
)

# Histograms of how long each stage took, see `aitb_nautilus.latency`: how many values lay from
# `low_ns` to `high_ns`, both included. `clock` is wall, monotonic or simulated.
_LATENCY = pa.schema(
    [
        *_always(_NAME, "stage", "clock"),
        *_always(pa.int64(), "low_ns", "high_ns", "count"),
    ]
)

TABLES: Final[dict[str, pa.Schema]] = {
    "equity": _EQUITY,
    "fills": _FILLS,
    "orders": _ORDERS,
    "positions": _POSITIONS,
    "funding": _FUNDING,
    "bars": _BARS,
    "past": _BARS,  # before the run: they warmed it up; each of them
    "predictions": _PREDICTIONS,
    "risk": _RISK,
    "risk_parts": _RISK_PARTS,
    "tails": _TAILS,
    "refusals": _REFUSALS,
    "latency": _LATENCY,
}


def by(table: pa.Table, *columns: str) -> pa.Table:
    """Return a table's rows in ascending order of columns."""
    keys = [(column, "ascending") for column in columns]
    return table.take(pc.sort_indices(table, sort_keys=keys))


def ended(positions: pa.Table) -> pa.Table:
    """Return the round trips that have ended, in the order in which they ended."""
    closed = positions.filter(pc.is_valid(positions.column("ts_close")))
    return by(closed, "ts_close", "position_id")
