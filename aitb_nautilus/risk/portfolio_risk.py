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
        values, row = self.values, self._rows[i]
        change = value - values[i]
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
        self._kept: tuple[Portfolio, Portfolio] | None = None
        self._all_known: tuple[Holdings | None, int] = None, 0
        self._known: set[str] = set()
        self._sight = Sight("")
        self._seen: tuple[Holdings | None, int, str, int] = None, 0, "", 0

    def sight(self, instrument_id: str, holdings: Holdings) -> Sight:
        """Return an instrument in the portfolio; worked out once for all limits that ask."""
        version, seen = self.covariance.settle(), self._seen
        if (
            seen[0] is not holdings
            or seen[1] != holdings.revision
            or seen[2] != instrument_id
            or seen[3] != version
        ):
            self._sight = self._look(instrument_id, holdings, version)
            self._seen = holdings, holdings.revision, instrument_id, version
        return self._sight

    def _look(self, instrument_id: str, holdings: Holdings, version: int) -> Sight:
        # No instrument leaves `signed`, and none is forgotten: what was known stays so.
        known, count = self._all_known
        if known is not holdings or count != len(holdings.signed):
            unknown = self._unknown(holdings)
            if unknown:
                return Sight(unknown)
        if instrument_id not in self._known and not self.knows(instrument_id):
            return Sight(instrument_id)
        if self._version != version:
            self._rows, self._version = self.covariance.matrix().tolist(), version
            self._kept = None
        held, filled = self._portfolios(holdings)
        i = self.covariance.index[instrument_id]
        row, values, pending = self._rows[i], held.values, holdings.pending
        first = values[i], math.sumprod(row, values), held.variance
        if not (pending["BUY"] or pending["SELL"]):
            return Sight("", row[i], (first,))
        values = filled.values
        second = values[i], math.sumprod(row, values), filled.variance
        return Sight("", row[i], (first, second))

    def knows(self, instrument_id: str) -> bool:
        """Return whether enough returns of an instrument were seen; then they always were."""
        if instrument_id in self._known:
            return True
        if self.covariance.seen(instrument_id) < self.min_bars:
            return False
        self._known.add(instrument_id)
        return True

    def _unknown(self, holdings: Holdings) -> str:
        """Return the instrument that is held or pending and least known; empty if all are."""
        if self.covariance.knows(holdings.signed.keys(), self.min_bars):
            self._all_known = holdings, len(holdings.signed)
            return ""
        there = holdings.instruments()
        if self.covariance.knows(there, self.min_bars):
            return ""
        return min((self.covariance.seen(name), name) for name in there)[1]

    def _portfolios(self, holdings: Holdings) -> tuple[Portfolio, Portfolio]:
        """Return the portfolio as held, and with every open order filled.

        All instruments in it must be known.
        """
        index, news, kept = self.covariance.index, holdings.news, self._kept
        if kept is None or holdings is not self._holdings:
            held = Portfolio(self._rows, _ordered(holdings.signed, index))
            filled = Portfolio(self._rows, _ordered(holdings.filled, index))
            self._holdings, self._kept = holdings, (held, filled)
        else:
            held, filled = kept
            for name in sorted(news) if len(news) > 1 else news:
                i = index.get(name)
                if i is None:
                    continue  # It has no price yet, so nothing of it is held or pending.
                value = holdings.signed.get(name, 0.0)
                if value != held.values[i]:
                    held.move(i, value)
                value = holdings.filled.get(name, 0.0)
                if value != filled.values[i]:
                    filled.move(i, value)
        news.clear()
        return held, filled


def _ordered(values: Mapping[str, float], index: Mapping[str, int]) -> list[float]:
    """Return values in the order of an index; its keys stand in that order."""
    return [values.get(name, 0.0) for name in index]
