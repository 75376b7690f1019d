"""What the covariance says of what is held: worked out once for all limits that ask."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from aitb_nautilus.risk.covariance import EwmaCovariance
from aitb_nautilus.risk.holdings import Holdings

__all__ = ["Portfolio", "PortfolioRisk", "Sight"]


class Portfolio:
    """The variance of one portfolio, kept up to date instrument by instrument.

    A value `w[i]` that grows by `d` makes the variance ``w' C w`` grow by
    ``d * (2 * (C w)[i] + d * C[i, i])``. It is added up anew with every new covariance.

    Attributes
    ----------
    values
        Signed value `w` by instrument, quote currency, in the order of the covariance's index.
    variance
        ``w' C w``, >= 0.
    """

    def __init__(self, rows: list[list[float]], values: list[float]) -> None:
        self._rows = rows
        self.values = values
        weights = np.array(values)
        self.variance = max(float(weights @ np.array(rows) @ weights), 0.0)

    def move(self, i: int, value: float) -> None:
        """Give an instrument a new value."""
        values = self.values
        change = value - values[i]
        if change:
            row = self._rows[i]
            grown = self.variance + change * (2 * math.sumprod(row, values) + change * row[i])
            self.variance = grown if grown > 0 else 0.0
            values[i] = value


class Sight(msgspec.Struct, frozen=True, gc=False):
    """An instrument in the portfolio, as held and, if orders are open, with all of them filled.

    Attributes
    ----------
    unknown
        The instrument of which too little is known to say anything; empty if there is none.
    own_variance
        Yearly variance of the instrument's return.
    portfolios
        Of each: the instrument's signed value, its ``(C w)[i]``, and the variance ``w' C w``.
    """

    unknown: str
    own_variance: float = 0.0
    portfolios: tuple[tuple[float, float, float], ...] = ()


class PortfolioRisk:
    """The portfolio as it is held, and as it would be with every open order filled.

    Parameters
    ----------
    covariance
        Of yearly returns.
    min_bars
        Returns of an instrument without which nothing is known of it.
    """

    def __init__(self, covariance: EwmaCovariance, min_bars: int) -> None:
        self.covariance = covariance
        self.min_bars = min_bars
        self._holdings: Holdings | None = None
        self._version = -1
        self._rows: list[list[float]] = []
        self._held: Portfolio | None = None
        self._filled: Portfolio | None = None
        self._all_known: tuple[Holdings, int] | None = None
        self._sight: Sight | None = None
        self._seen: tuple[Holdings, str, int, int] | None = None

    def sight(self, instrument_id: str, holdings: Holdings) -> Sight:
        """Return an instrument in the portfolio; worked out once for all limits that ask."""
        version = self.covariance.settle()
        seen = (holdings, instrument_id, holdings.revision, version)
        if self._sight is None or seen != self._seen:
            self._sight, self._seen = self._look(instrument_id, holdings, version), seen
        return self._sight

    def _look(self, instrument_id: str, holdings: Holdings, version: int) -> Sight:
        unknown = self._unknown(holdings)
        if unknown or not self.knows(instrument_id):
            return Sight(unknown or instrument_id)
        if self._version != version:
            self._rows, self._version = self.covariance.matrix().tolist(), version
            self._held = self._filled = None
        i = self.covariance.index[instrument_id]
        row, seen = self._rows[i], []
        for portfolio in self._portfolios(holdings):
            values = portfolio.values
            seen.append((values[i], math.sumprod(row, values), portfolio.variance))
        return Sight("", row[i], tuple(seen))

    def knows(self, instrument_id: str) -> bool:
        """Return whether enough returns of an instrument were seen."""
        return self.covariance.seen(instrument_id) >= self.min_bars

    def _unknown(self, holdings: Holdings) -> str:
        """Return the instrument that is held or pending and least known; empty if all are."""
        # No instrument leaves `signed`, and none is forgotten: what was known stays so.
        seen = (holdings, len(holdings.signed))
        if seen == self._all_known:
            return ""
        if self.covariance.knows(holdings.signed.keys(), self.min_bars):
            self._all_known = seen
            return ""
        there = holdings.instruments()
        if self.covariance.knows(there, self.min_bars):
            return ""
        return min((self.covariance.seen(name), name) for name in there)[1]

    def _portfolios(self, holdings: Holdings) -> tuple[Portfolio, ...]:
        """Return the portfolio as held, and with every open order filled if there are any.

        All instruments in it must be known.
        """
        rows, index = self._rows, self.covariance.index
        held, filled = self._held, self._filled
        if holdings is not self._holdings or held is None or filled is None:
            held = self._held = Portfolio(rows, _ordered(holdings.signed, index))
            filled = self._filled = Portfolio(rows, _ordered(holdings.filled, index))
            self._holdings = holdings
        else:
            news = holdings.news
            for name in sorted(news) if len(news) > 1 else news:
                i = index.get(name)
                if i is None:
                    continue  # It has no price yet, so nothing of it is held or pending.
                held.move(i, holdings.signed.get(name, 0.0))
                filled.move(i, holdings.filled.get(name, 0.0))
        holdings.news.clear()
        pending = holdings.pending
        return (held, filled) if pending["BUY"] or pending["SELL"] else (held,)


def _ordered(values: Mapping[str, float], index: Mapping[str, int]) -> list[float]:
    """Return values in the order of an index; its keys stand in that order."""
    return [values.get(name, 0.0) for name in index]
