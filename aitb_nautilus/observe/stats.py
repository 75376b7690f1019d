"""All figures of a run, made once at its end.

`compute_stats` gives the object that run.json holds under ``stats``; its fields, with their units,
are those of `Stats`. Whatever is not defined is None.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe import formats, returns, trades
from aitb_nautilus.observe.luck import Bootstrap, block_bootstrap
from aitb_nautilus.observe.run_tables import ended

__all__ = ["Stats", "compute_stats"]

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a run; returns, rates and shares are fractions, money is in account currency.

    Ratios and volatility are of daily UTC returns, 365 days a year, risk-free rate zero.

    Attributes
    ----------
    trades, open_trades
        Round trips that ended, and those still open at the last bar.
    max_drawdown, market_max_drawdown
        >= 0: 0.25 is a fall by a quarter. Times are ISO 8601 UTC; `max_drawdown_recovery` is None
        if the old peak was not reached again.
    fees, slippage, funding
        Costs: positive was paid, negative was received.
    win_rate, profit_factor, average_win, average_loss, expectancy, best_trade, worst_trade
        Of ended round trips, net of all costs.
    average_bars_held
        Mean length of ended round trips, in bars.
    exposure_share
        Share of bar closes at which a position was held.
    turnover
        Traded notional in multiples of the mean equity.
    days
        Length of the run in days of 24 hours; `daily_returns` is the number of UTC days touched.
    bootstrap
        Bounds of the mean daily net return; None below 30 days.
    notes
        What a reader must know before trusting the figures.
    """

    total_return: float
    market_return: float
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    profit_factor: float | None
    win_rate: float | None
    trades: int
    fees: float
    slippage: float
    funding: float

    annual_return: float | None
    annual_volatility: float | None
    skew: float | None
    kurtosis: float | None
    best_day: float
    worst_day: float
    market_annual_return: float | None
    market_annual_volatility: float | None
    market_sharpe: float | None
    market_max_drawdown: float
    max_drawdown_start: str | None
    max_drawdown_trough: str | None
    max_drawdown_recovery: str | None
    open_trades: int
    average_win: float | None
    average_loss: float | None
    expectancy: float | None
    best_trade: float | None
    worst_trade: float | None
    longest_losing_streak: int
    average_bars_held: float | None
    exposure_share: float
    turnover: float | None
    days: float
    daily_returns: int
    monthly_returns: dict[str, float]
    bootstrap: Bootstrap | None
    notes: list[str]


def compute_stats(
    ts: Ints,
    equity: Floats,
    market: Floats,
    positions: pa.Table,
    fills: pa.Table,
    *,
    starting_equity: float,
    start_ns: int,
    exposure: Floats,
    funding: float = 0.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what run.json holds under ``stats``, as plain data.

    Parameters
    ----------
    ts, equity, market, exposure
        The columns of the equity table, (n_bars,) int64 ns and float64.
    positions, fills
        The tables of the run folder, following `run_tables.TABLES`.
    starting_equity
        Equity before the first bar, > 0.
    start_ns
        The first bar's open, earlier than ``ts[0]``.
    funding
        Sum of funding payments: positive was paid, negative was received.
    seed
        Of the bootstrap.

    Raises
    ------
    DataError
        If the curve is empty, out of order, not finite, or starts after its first row.

    Notes
    -----
    Deterministic: same input, same figures.
    """
    if len(ts) and start_ns >= int(ts[0]):
        raise DataError("equity curve", "begins before its start", "start_ns must be before ts[0]")
    daily = returns.daily_equity(ts, equity, starting_equity)
    market_daily = returns.daily_equity(ts, market, starting_equity)
    days = (int(ts[-1]) - start_ns) / returns.DAY_NS
    total = returns.total_return(equity, starting_equity)
    market_total = returns.total_return(market, starting_equity)
    fall = returns.max_drawdown(ts, equity, starting_equity, start_ns)
    annual = returns.annual_return(total, days)

    closed = ended(positions)
    pnl = closed.column("pnl").to_numpy()
    held = closed.column("bars_held").to_numpy()
    return msgspec.to_builtins(  # type: ignore[no-any-return]
        Stats(
            total_return=total,
            market_return=market_total,
            sharpe=returns.sharpe(daily.returns),
            sortino=returns.sortino(daily.returns),
            calmar=returns.calmar(annual, fall.fraction),
            max_drawdown=fall.fraction,
            profit_factor=trades.profit_factor(pnl),
            win_rate=trades.win_rate(pnl),
            trades=len(pnl),
            fees=float(fills.column("fee").to_numpy().sum()),
            slippage=float(fills.column("slippage").to_numpy().sum()),
            funding=funding,
            annual_return=annual,
            annual_volatility=returns.annual_volatility(daily.returns),
            skew=returns.skew(daily.returns),
            kurtosis=returns.kurtosis(daily.returns),
            best_day=float(daily.returns.max()),
            worst_day=float(daily.returns.min()),
            market_annual_return=returns.annual_return(market_total, days),
            market_annual_volatility=returns.annual_volatility(market_daily.returns),
            market_sharpe=returns.sharpe(market_daily.returns),
            market_max_drawdown=returns.max_drawdown(
                ts, market, starting_equity, start_ns
            ).fraction,
            max_drawdown_start=_iso(fall.start_ns),
            max_drawdown_trough=_iso(fall.trough_ns),
            max_drawdown_recovery=_iso(fall.recovery_ns),
            open_trades=positions.num_rows - len(pnl),
            average_win=trades.average_win(pnl),
            average_loss=trades.average_loss(pnl),
            expectancy=trades.expectancy(pnl),
            best_trade=float(pnl.max()) if len(pnl) else None,
            worst_trade=float(pnl.min()) if len(pnl) else None,
            longest_losing_streak=trades.longest_losing_streak(pnl),
            average_bars_held=float(held.mean()) if len(held) else None,
            exposure_share=float(np.mean(exposure != 0.0)),
            turnover=trades.turnover(
                fills.column("price").to_numpy(),
                fills.column("quantity").to_numpy(),
                float(equity.mean()),
            ),
            days=days,
            daily_returns=len(daily.returns),
            monthly_returns=returns.monthly_returns(daily),
            bootstrap=block_bootstrap(daily.returns, seed),
            notes=_notes(daily, days, positions.num_rows - len(pnl)),
        )
    )


def _notes(daily: returns.DailyEquity, days: float, open_trades: int) -> list[str]:
    notes = []
    touched = len(daily.returns)
    if touched < returns.MIN_DAYS:
        notes.append(
            f"The run covers {formats.days(days)}, on {touched} UTC "
            f"{'day' if touched == 1 else 'days'}, fewer than {returns.MIN_DAYS}: yearly figures "
            f"and ratios of so short a run mean little."
        )
    if daily.ruined:
        notes.append("Equity fell to zero or below: figures after that time have no meaning.")
    if open_trades:
        notes.append(
            f"{open_trades} {'position is' if open_trades == 1 else 'positions are'} still open at "
            "the last bar; valued at its close in equity, not counted as trades."
        )
    return notes


def _iso(ns: int | None) -> str | None:
    return None if ns is None else iso(ns)
