"""Figures of round trips: a position from flat to flat, net of fees and funding.

A trade with a net result above zero is a win, below zero a loss; exactly zero is neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "Group",
    "average_loss",
    "average_win",
    "expectancy",
    "group_trades",
    "longest_losing_streak",
    "profit_factor",
    "turnover",
    "win_rate",
]

_MEASURED = ("pnl", "return_frac", "bars_held", "fees", "slippage", "funding")

type Floats = npt.NDArray[np.float64]


def win_rate(pnl: Floats) -> float | None:
    """Return the share of trades with a net result above zero, in [0, 1]; None without trades."""
    return float(np.mean(pnl > 0)) if len(pnl) else None


def profit_factor(pnl: Floats) -> float | None:
    """Return the sum of wins over the sum of losses, >= 0; None where nothing was lost."""
    lost = -float(pnl[pnl < 0].sum())
    return float(pnl[pnl > 0].sum()) / lost if lost > 0 else None


def average_win(pnl: Floats) -> float | None:
    """Return the mean net result of the wins, in account currency, > 0; None without wins."""
    wins = pnl[pnl > 0]
    return float(wins.mean()) if len(wins) else None


def average_loss(pnl: Floats) -> float | None:
    """Return the mean net result of the losses, in account currency, < 0; None without losses."""
    losses = pnl[pnl < 0]
    return float(losses.mean()) if len(losses) else None


def expectancy(pnl: Floats) -> float | None:
    """Return the mean net result of a trade, in account currency; None without trades."""
    return float(pnl.mean()) if len(pnl) else None


def longest_losing_streak(pnl: Floats) -> int:
    """Return the largest number of losses in a row, in the order given."""
    longest = current = 0
    for lost in (pnl < 0).tolist():
        current = current + 1 if lost else 0
        longest = max(longest, current)
    return longest


def turnover(price: Floats, quantity: Floats, mean_equity: float) -> float | None:
    """Return the traded notional, ``sum(price * quantity)``, in multiples of the mean equity.

    None if the mean equity is not above zero.
    """
    if mean_equity <= 0:
        return None
    return float(np.dot(price, quantity)) / mean_equity


@dataclass(frozen=True)
class Group:
    """Round trips that share a key (an instrument, a strategy, a reason to exit).

    Money is in account currency, shares and returns are fractions.
    """

    key: str
    trades: int
    win_rate: float
    pnl: float
    average_return: float
    average_bars_held: float
    fees: float
    slippage: float
    funding: float


def group_trades(ended: pa.Table, column: str) -> list[Group]:
    """Return the figures of each value of a column, the most frequent first, equal ones by name.

    Parameters
    ----------
    ended
        Round trips that have ended, following `run_tables.TABLES`.
    column
        What to group by: ``instrument_id``, ``strategy_id``, ``side`` or ``exit_purpose``.
    """
    labels = np.asarray([key or "" for key in ended.column(column).to_pylist()], dtype=object)
    numbers = {name: ended.column(name).to_numpy() for name in _MEASURED}
    groups = []
    for key in sorted(set(labels.tolist())):
        rows = labels == key
        of = {name: values[rows] for name, values in numbers.items()}
        groups.append(
            Group(
                key=key,
                trades=int(rows.sum()),
                win_rate=float(np.mean(of["pnl"] > 0)),
                pnl=float(of["pnl"].sum()),
                average_return=float(of["return_frac"].mean()),
                average_bars_held=float(of["bars_held"].mean()),
                fees=float(of["fees"].sum()),
                slippage=float(of["slippage"].sum()),
                funding=float(of["funding"].sum()),
            )
        )
    return sorted(groups, key=lambda group: (-group.trades, group.key))
