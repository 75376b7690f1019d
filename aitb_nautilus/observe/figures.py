"""The figures that are shown, in their order: label, unit and meaning of each.

Terminal, page and comparison all go through this list, so that a figure has one name and one text.
"""

from __future__ import annotations

from dataclasses import dataclass

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.stats import Stats

__all__ = ["FIGURES", "GROUPS", "Figure", "difference", "text"]

GROUPS = ("Return", "Risk", "Trades", "Costs")


@dataclass(frozen=True)
class Figure:
    """One figure of `Stats`.

    Attributes
    ----------
    key
        Its field in `Stats`.
    label, group, meaning
        What people read.
    unit
        ``percent`` (a fraction), ``change`` (a fraction with its sign), ``fall`` (a fraction, shown
        negative), ``ratio``, ``money``, ``gain`` (money with its sign), ``count`` or ``times``.
    """

    key: str
    label: str
    group: str
    unit: str
    meaning: str


FIGURES = (
    Figure("total_return", "Total return", "Return", "change", "Net of all costs."),
    Figure("market_return", "Market return", "Return", "change", "The instruments, held."),
    Figure("annual_return", "Annual return", "Return", "change", "Compounded; from 30 days on."),
    Figure("market_annual_return", "Market annual return", "Return", "change", "The same, held."),
    Figure("best_day", "Best day", "Return", "change", "Highest return of a UTC day."),
    Figure("worst_day", "Worst day", "Return", "change", "Lowest return of a UTC day."),
    Figure("exposure_share", "Time in market", "Return", "percent", "Bar closes with a position."),
    Figure("max_drawdown", "Max drawdown", "Risk", "fall", "Deepest fall from a peak of equity."),
    Figure("market_max_drawdown", "Market max drawdown", "Risk", "fall", "The same, held."),
    Figure("annual_volatility", "Annual volatility", "Risk", "percent", "Of daily returns."),
    Figure("sharpe", "Sharpe", "Risk", "ratio", "Mean over deviation of daily returns, a year."),
    Figure("market_sharpe", "Market Sharpe", "Risk", "ratio", "The same, held."),
    Figure("sortino", "Sortino", "Risk", "ratio", "As Sharpe, counting losing days only."),
    Figure("calmar", "Calmar", "Risk", "ratio", "Annual return over max drawdown."),
    Figure("skew", "Skew", "Risk", "ratio", "Of daily returns; below 0, losses have the tail."),
    Figure("kurtosis", "Excess kurtosis", "Risk", "ratio", "Of daily returns; 0 for a normal law."),
    Figure("trades", "Trades", "Trades", "count", "Round trips that ended."),
    Figure("open_trades", "Still open", "Trades", "count", "Positions open at the last bar."),
    Figure("win_rate", "Win rate", "Trades", "percent", "Trades that won, net of costs."),
    Figure("profit_factor", "Profit factor", "Trades", "ratio", "Money won over money lost."),
    Figure("expectancy", "Mean trade", "Trades", "gain", "Mean net result of a trade."),
    Figure("average_win", "Mean win", "Trades", "gain", "Mean net result of the wins."),
    Figure("average_loss", "Mean loss", "Trades", "gain", "Mean net result of the losses."),
    Figure("best_trade", "Best trade", "Trades", "gain", "Highest net result."),
    Figure("worst_trade", "Worst trade", "Trades", "gain", "Lowest net result."),
    Figure("longest_losing_streak", "Losses in a row", "Trades", "count", "Longest such series."),
    Figure("average_bars_held", "Mean length", "Trades", "ratio", "Bars from entry to exit."),
    Figure("fees", "Fees", "Costs", "money", "Paid to the venue."),
    Figure("slippage", "Slippage", "Costs", "money", "Fills worse than the reference price."),
    Figure("funding", "Funding", "Costs", "money", "Paid on perpetuals; negative: received."),
    Figure("turnover", "Turnover", "Costs", "times", "Traded notional over mean equity."),
)


def text(figure: Figure, stats: Stats, decimals: int) -> str:
    """Return a figure as text; a dash where it is not defined."""
    value = getattr(stats, figure.key)
    if value is None:
        return formats.DASH
    match figure.unit:
        case "percent":
            shown = formats.percent(value)
        case "change":
            shown = formats.percent(value, signed=True)
        case "fall":
            shown = formats.percent(-value)
        case "money":
            shown = formats.money(value, decimals)
        case "gain":
            shown = formats.money(value, decimals, signed=True)
        case "count":
            shown = formats.count(value)
        case "times":
            shown = f"{formats.ratio(value, digits=1)}x"
        case _:
            shown = formats.ratio(value)
    return shown


def difference(figure: Figure, stats: Stats, base: Stats, decimals: int) -> str:
    """Return by how much a figure differs from another run's, with its sign; a dash if undefined.

    Differences of fractions are in percentage points.
    """
    here, there = getattr(stats, figure.key), getattr(base, figure.key)
    if here is None or there is None:
        return formats.DASH
    delta = there - here if figure.unit == "fall" else here - there
    match figure.unit:
        case "percent" | "change" | "fall":
            return formats.ratio(delta * 100, signed=True) + " pp"
        case "money" | "gain":
            return formats.money(delta, decimals, signed=True)
        case "count":
            return f"{delta:+,}" if delta else "0"
        case _:
            return formats.ratio(delta, signed=True)
