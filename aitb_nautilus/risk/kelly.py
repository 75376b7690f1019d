"""The Kelly fraction: how much of capital a bet deserves, from its odds or from its record.

A position of value ``f * equity`` that gains the fraction `a` of its value with probability `p`,
and else loses `b` of it, makes the mean logarithm of capital grow fastest with
``f = p / b - (1 - p) / a`` (Kelly 1956, A New Interpretation of Information Rate, Bell System
Technical Journal 35; in this form Thorp 2006, The Kelly Criterion in Blackjack, Sports Betting and
the Stock Market, Handbook of Asset and Liability Management 1, ch. 9). For returns spread evenly
around a mean `m` with variance `v` it is ``f = m / v`` (Thorp, section 7; Merton 1969).

The odds must be right for that: a probability of the model's label is not the probability that the
target is reached before the stop, unless the label was made so. That is what `multiplier` and
`max_fraction` are for.
"""

from __future__ import annotations

import copy

import msgspec

from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.book import Position

__all__ = ["TradeRecord", "TradeState", "kelly_of_odds", "kelly_of_returns"]


def kelly_of_odds(probability: float, win: float, loss: float) -> float:
    """Return the Kelly fraction of a bet with two outcomes.

    Parameters
    ----------
    probability
        Of winning, in [0, 1].
    win, loss
        What is gained or lost of the position's value, as fractions; `loss` > 0.

    Returns
    -------
    float
        Value of the position as a fraction of equity, >= 0; 0 if the edge is not positive.

    Examples
    --------
    A fair coin that wins twice what it loses: 0.5 / 0.02 - 0.5 / 0.04.

    >>> kelly_of_odds(0.5, 0.04, 0.02)
    12.5
    >>> kelly_of_odds(0.3, 0.04, 0.02)
    0.0
    """
    if win <= 0:
        return 0.0
    return max(probability / loss - (1 - probability) / win, 0.0)


def kelly_of_returns(mean: float, variance: float) -> float:
    """Return the Kelly fraction of a return with a mean and a variance > 0, over the same time.

    >>> kelly_of_returns(0.25, 0.0625)
    4.0
    >>> kelly_of_returns(-0.01, 0.04)
    0.0
    """
    return max(mean / variance, 0.0)


class OpenTrade(msgspec.Struct):
    """A trade that goes on.

    Attributes
    ----------
    value
        Of all that was opened, at the price of its fills, quote currency.
    before
        Profit of the position, after fees and funding, when the trade began, quote currency.
    """

    value: float
    before: float


class TradeState(msgspec.Struct):
    """What a `TradeRecord` remembers.

    Attributes
    ----------
    returns
        Of the last closed trades: profit after fees and funding, as a fraction of what was opened.
    open
        Trades that go on, by instrument id.
    """

    returns: list[float] = msgspec.field(default_factory=list)
    open: dict[str, OpenTrade] = msgspec.field(default_factory=dict)


class TradeRecord:
    """Measure what a strategy's own trades won and lost, in all of its instruments.

    Parameters
    ----------
    trades
        Last closed trades that count.
    min_trades
        Closed trades before which nothing is said.
    """

    def __init__(self, trades: int, min_trades: int) -> None:
        self._trades = trades
        self._min_trades = min_trades
        self._state = TradeState()

    def save(self) -> TradeState:
        """Return what a restart must bring back."""
        return copy.deepcopy(self._state)

    def restore(self, state: TradeState) -> None:
        """Go on from what was saved, as far back as this record looks."""
        self._state = copy.deepcopy(state)
        del self._state.returns[: -self._trades]

    def hear_fill(self, fill: Fill, position: Position) -> None:
        """Take in a fill that the position holds already; one that turns it closes a trade."""
        after, before = position.quantity, position.before
        if before == 0 and after == 0:
            return  # Dust: it opens nothing, and a trade that ended has its result.
        total = position.closed
        trade = self._state.open.get(fill.instrument_id)
        turned = before != 0 and after != 0 and (before > 0) != (after > 0)
        if trade is not None and (after == 0 or turned):
            self._state.returns.append((total - trade.before) / trade.value)
            del self._state.returns[: -self._trades]
            del self._state.open[fill.instrument_id]
        if before == 0 or turned:
            began = total + fill.fee if before == 0 else total
            self._state.open[fill.instrument_id] = OpenTrade(float(abs(after)) * fill.price, began)
        elif trade is not None and after != 0 and abs(after) > abs(before):
            trade.value += float(abs(fill.change)) * fill.price

    def odds(self) -> tuple[float, float, float] | None:
        """Return the share of trades that won, the mean win and the mean loss, as fractions.

        The share is ``(won + 1) / (n + 2)`` (Laplace's rule of succession), so that a short record
        is never certain. None before `min_trades`, and while none was won or none was lost.
        """
        returns = self._state.returns
        won = [one for one in returns if one > 0]
        lost = [-one for one in returns if one < 0]
        if len(returns) < self._min_trades or not won or not lost:
            return None
        share = (len(won) + 1) / (len(returns) + 2)
        return share, sum(won) / len(won), sum(lost) / len(lost)
