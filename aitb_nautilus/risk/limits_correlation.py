"""Limits that know which instruments move together: portfolio volatility, risk shares, clusters.

All look at the portfolio as it is held, and as it would be with every open order filled; the worse
one counts. What is not known yet is not trusted: no order passes in an instrument, or beside a
position, of which too few returns were seen, and such an instrument belongs to every cluster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import sqrt

from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import (
    NEARLY,
    PASS,
    ROUNDING,
    Limit,
    Proposal,
    Verdict,
    quantity_of,
)
from aitb_nautilus.risk.portfolio_risk import PortfolioRisk

__all__ = ["MaxCluster", "MaxRiskShare", "MaxVolatility"]

_HALVINGS = 60
_NAMES_SHOWN = 4


class _Correlated(Limit):
    """A limit that shares one look at the portfolio with its sisters."""

    shrinks = True
    relearns = True

    def __init__(self, portfolio: PortfolioRisk) -> None:
        self.portfolio = portfolio

    def hear_bar(self, bar: BarClosed) -> None:
        """Take a bar into the covariance; it is taken once, whoever brings it."""
        self.portfolio.covariance.hear_bar(bar)

    @property
    def key(self) -> str:
        """Return where in the config it can be changed."""
        return f"{self.place}.correlation.{self.name}"

    def refusal(self, unknown: str) -> Verdict:
        """Refuse an order since too little is known of an instrument that counts."""
        seen = self.portfolio.covariance.seen(unknown)
        return Verdict(
            ZERO,
            f"{seen} returns of {unknown} were seen, and {self.name} needs "
            f"{self.portfolio.min_bars} (risk.correlation.min_bars); wait for more bars",
        )


class MaxVolatility(_Correlated):
    """Cap the yearly standard deviation of the portfolio's return, as a fraction of equity.

    With values `w` and covariance `C` it is ``sqrt(w' C w) / equity``. Above the cap, only what
    makes it smaller passes.
    """

    name = "max_volatility_frac"

    def __init__(self, maximum_frac: float, portfolio: PortfolioRisk) -> None:
        super().__init__(portfolio)
        self.maximum_frac = maximum_frac

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what the cap leaves."""
        holdings = proposal.whole or proposal.holdings(ledger)
        sight = self.portfolio.sight(proposal.instrument_id, holdings)
        if sight.unknown:
            return self.refusal(sight.unknown)
        sign = 1.0 if proposal.side == "BUY" else -1.0
        budget = self.maximum_frac * max(holdings.equity, 0.0)
        room, worst = math.inf, 0.0
        x, a, cap = sign * proposal.value, sight.own_variance, budget**2
        nearly = cap * (1 + ROUNDING)
        for _, risk, before in sight.portfolios:
            # The variance with x more is before + 2 b x + a x^2, and may be `most`.
            after = before + x * (2 * risk + a * x)
            if after <= nearly:
                continue
            most, b = max(cap, before), sign * risk
            if after > most * (1 + ROUNDING):
                worst = max(worst, after)
                room = min(room, (sqrt(max(b * b + a * (most - before), 0.0)) - b) / a)
        if room == math.inf:
            return PASS
        deviation = sqrt(worst)
        share = f"{deviation / holdings.equity:.2%}" if holdings.equity > 0 else "more than 100%"
        return Verdict(
            quantity_of(room, proposal.price),
            f"the portfolio's yearly volatility would be {share} of equity, above "
            f"max_volatility_frac {self.maximum_frac:.2%}; close something that moves with "
            f"{proposal.instrument_id} or raise {self.key}",
        )


class MaxRiskShare(_Correlated):
    """Cap the part of the volatility budget that the order's instrument uses up.

    Its contribution to the portfolio's volatility is ``w[i] * (C w)[i] / sqrt(w' C w)``; all of
    them add up to the whole (Euler's rule; Litterman 1996, Hot Spots and Hedges). The budget is
    ``max_volatility_frac * equity``, whether it is used up or not: the first position is always all
    the risk there is.

    Parameters
    ----------
    maximum_frac
        Of the budget.
    budget_frac
        The budget as a fraction of equity.
    """

    name = "max_risk_share_frac"

    def __init__(self, maximum_frac: float, budget_frac: float, portfolio: PortfolioRisk) -> None:
        super().__init__(portfolio)
        self.maximum_frac = maximum_frac
        self.budget_frac = budget_frac

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what its instrument may still use up."""
        holdings = proposal.whole or proposal.holdings(ledger)
        sight = self.portfolio.sight(proposal.instrument_id, holdings)
        if sight.unknown:
            return self.refusal(sight.unknown)
        sign = 1.0 if proposal.side == "BUY" else -1.0
        budget = self.budget_frac * max(holdings.equity, 0.0)
        room, worst = math.inf, 0.0
        x, a, cap = sign * proposal.value, sight.own_variance, self.maximum_frac * budget
        nearly = cap * (1 + ROUNDING)
        for own, risk, variance in sight.portfolios:
            # What `_contribution` says, written out: this is asked at every order.
            total = variance + x * (2 * risk + a * x)
            after = (own + x) * (risk + a * x) / sqrt(total) if total > 0 else 0.0
            if after <= nearly:
                continue
            value, terms = proposal.value, (sign * own, sign * risk, variance, a)
            most = max(cap, _contribution(0.0, *terms))
            if after <= most * (1 + ROUNDING):
                continue
            worst = max(worst, after)
            low, high = 0.0, value
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                if _contribution(middle, *terms) <= most:
                    low = middle
                else:
                    high = middle
            room = min(room, low)
        if room == math.inf:
            return PASS
        share = f"{worst / budget:.2%}" if budget > 0 else "more than 100%"
        return Verdict(
            quantity_of(room, proposal.price),
            f"{proposal.instrument_id} would use up {share} of the volatility budget, above "
            f"max_risk_share_frac {self.maximum_frac:.2%}; reduce it or raise {self.key}",
        )


def _contribution(x: float, own: float, risk: float, variance: float, a: float) -> float:
    """Return an instrument's contribution to volatility once `x` more of it is held.

    It grows with `x` wherever it is above zero and the position on the order's side, so that
    anything less than what is allowed is allowed as well.
    """
    total = variance + x * (2 * risk + a * x)
    return (own + x) * (risk + a * x) / sqrt(total) if total > 0 else 0.0


class MaxCluster(_Correlated):
    """Cap the value on one side of all instruments that move with the order's.

    A cluster holds what is correlated at least as much as `threshold`, directly or through others
    (single linkage). Only what moves the same way is joined.
    """

    name = "max_cluster_notional"

    def __init__(self, maximum: float, threshold: float, portfolio: PortfolioRisk) -> None:
        super().__init__(portfolio)
        self.maximum = maximum
        self.threshold = threshold
        self._version = self._count = -1
        self._clusters: dict[str, Sequence[str]] = {}

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what its cluster may still hold."""
        holdings, side = proposal.whole or proposal.holdings(ledger), proposal.side
        value = proposal.value
        if holdings.side[side] + value < self.maximum * NEARLY:
            return PASS  # Even if everything moved together.
        cluster = self.cluster(proposal.instrument_id, ledger)
        there = holdings.side[side] if cluster is None else holdings.one_sided(side, cluster)
        after = there + value
        if after <= self.maximum * (1 + ROUNDING):
            return PASS
        names = "everything" if cluster is None else _some(proposal.instrument_id, cluster)
        return Verdict(
            quantity_of(self.maximum - there, proposal.price),
            f"{'longs' if side == 'BUY' else 'shorts'} of what moves together ({names}) would be "
            f"{after:,.2f}, above max_cluster_notional {self.maximum:,.2f}; close some or raise "
            f"{self.key}",
        )

    def cluster(self, instrument_id: str, ledger: Ledger) -> Sequence[str] | None:
        """Return what moves with an instrument, itself and all that is not known yet included.

        They stand in the order of their names, since sums of float64 depend on their order. None:
        everything, since too little is known of the instrument itself.
        """
        covariance = self.portfolio.covariance
        version, count = covariance.settle(), len(ledger.revisions)
        if version != self._version or count != self._count:
            knows = self.portfolio.knows
            found = clusters(list(covariance.index), covariance.correlation(), self.threshold)
            unknown = frozenset(name for name in ledger.revisions if not knows(name))
            self._clusters = {
                name: tuple(sorted(members | unknown))
                for name, members in found.items()
                if knows(name)
            }
            self._version, self._count = version, count
        return self._clusters.get(instrument_id)


def _some(first: str, names: Sequence[str]) -> str:
    """Return names for one line, the one that it is about first."""
    ordered = [first, *(name for name in names if name != first)]
    shown = ordered if len(ordered) <= _NAMES_SHOWN + 1 else ordered[:_NAMES_SHOWN]
    rest = len(ordered) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def clusters(
    names: list[str], correlation: FloatArray, threshold: float
) -> dict[str, frozenset[str]]:
    """Return the cluster of every name, as `MaxCluster` states it.

    Parameters
    ----------
    correlation
        Shape (n_names, n_names), float64.
    """
    near = correlation >= threshold - ROUNDING  # the diagonal is 1: each is near itself
    found: dict[str, frozenset[str]] = {}
    for i, name in enumerate(names):
        if name in found:
            continue
        members, count = near[i], 0
        while count < (size := int(members.sum())):
            members, count = near[members].any(axis=0), size
        cluster = frozenset(n for n, inside in zip(names, members, strict=True) if inside)
        found |= dict.fromkeys(cluster, cluster)
    return found
