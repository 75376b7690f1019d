"""Limits of what is held and pending together: position, gross, net, leverage, concentration.

What is pending counts as if it were filled, and nothing that an exit may take away is set off, so
that no order of fills leads above a limit. Prices that move may; then nothing more opens.
"""

from __future__ import annotations

from decimal import Decimal

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
from aitb_nautilus.risk.one_sided import one_sided_amount, one_sided_quantity

__all__ = [
    "MaxConcentration",
    "MaxGrossNotional",
    "MaxLeverage",
    "MaxNetNotional",
    "MaxPositionNotional",
]


class MaxPositionNotional(Limit):
    """Cap the value on one side of an instrument: positions of all strategies and open orders.

    Orders that are reduce-only cannot add to it. What strategies hold on the other side is not set
    off, since it may be closed before the order fills.
    """

    name = "max_position_notional"
    shrinks = True

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what the cap leaves."""
        side, instrument_id, replaces = proposal.side, proposal.instrument_id, proposal.replaces
        nearly, everything = self.maximum * NEARLY, proposal.whole
        if everything is not None:
            amount = everything.one_sided_amount(side, instrument_id) + proposal.amount
            if amount * proposal.price < nearly:
                return PASS  # Nothing in scope is more than the whole.
        amount = one_sided_amount(ledger, self.scope, side, instrument_id, replaces)
        if (amount + proposal.amount) * proposal.price < nearly:
            return PASS
        there = one_sided_quantity(ledger, self.scope, side, instrument_id, replaces)
        whole = there + proposal.quantity
        price, maximum = Decimal(repr(proposal.price)), Decimal(repr(self.maximum))
        after = whole * price
        if after <= maximum:
            return PASS
        return Verdict(
            max(maximum / price - there, ZERO),
            f"position would be {after:,.2f}, above max_position_notional {self.maximum:,.2f}; "
            f"reduce the position or raise {self.key}",
        )


class MaxGrossNotional(Limit):
    """Cap the value of everything that is held or pending, longs and shorts added up."""

    name = "max_gross_notional"
    shrinks = True

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what the cap leaves."""
        whole = proposal.whole or proposal.holdings(ledger)
        if whole.gross + proposal.value < self.maximum * NEARLY:
            return PASS  # Nothing in scope is more than the whole.
        gross = proposal.holdings(ledger, self.scope).gross
        after = gross + proposal.value
        if after <= self.maximum * (1 + ROUNDING):
            return PASS
        return Verdict(
            quantity_of(self.maximum - gross, proposal.price),
            f"gross exposure would be {after:,.2f}, above max_gross_notional "
            f"{self.maximum:,.2f}; close something or raise {self.key}",
        )


class MaxNetNotional(Limit):
    """Cap the value of longs minus shorts, and of shorts minus longs.

    Held positions of both sides are set off, pending orders are not: those of the other side may
    never fill. A later exit of the other side may lead above the cap, since no exit is refused.
    """

    name = "max_net_notional"
    shrinks = True

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what the cap leaves."""
        holdings, side = proposal.holdings(ledger, self.scope), proposal.side
        net = holdings.net if side == "BUY" else -holdings.net
        net += holdings.waiting[side]
        after = net + proposal.value
        if after <= self.maximum * (1 + ROUNDING):
            return PASS
        return Verdict(
            quantity_of(self.maximum - net, proposal.price),
            f"net {'long' if side == 'BUY' else 'short'} exposure would be {after:,.2f}, above "
            f"max_net_notional {self.maximum:,.2f}; close something on that side or raise "
            f"{self.key}",
        )


class MaxLeverage(Limit):
    """Cap the value of everything that is held or pending in scope, as a multiple of all equity."""

    name = "max_leverage"
    shrinks = True

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what equity carries."""
        whole = proposal.whole or proposal.holdings(ledger)
        carried = self.maximum * whole.equity
        if whole.gross + proposal.value < carried * NEARLY:
            return PASS  # Nothing in scope is more than the whole.
        equity = whole.equity
        gross = proposal.holdings(ledger, self.scope).gross
        carried, after = max(carried, 0.0), gross + proposal.value
        if after <= carried * (1 + ROUNDING):
            return PASS
        return Verdict(
            quantity_of(carried - gross, proposal.price),
            f"gross exposure would be {after:,.2f} on equity of {equity:,.2f}, above "
            f"max_leverage {self.maximum:g}; close something or raise {self.key}",
        )


class MaxConcentration(Limit):
    """Cap one instrument's part of everything that is held or pending.

    As long as that is worth less than the equity, its part of the equity counts: the first position
    is always all there is.
    """

    name = "max_concentration_frac"
    shrinks = True

    def __init__(self, maximum_frac: float) -> None:
        self.maximum_frac = maximum_frac

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what the instrument may still have."""
        holdings, part = proposal.whole or proposal.holdings(ledger), self.maximum_frac
        own, value = holdings.of_instrument(proposal.instrument_id), proposal.value
        if own + value < part * holdings.equity * NEARLY:
            return PASS
        gross = holdings.gross
        whole = max(gross + value, holdings.equity)
        if own + value <= part * whole * (1 + ROUNDING):
            return PASS
        # own + x = part * (gross + x), or part * equity where that is more.
        room = max(part * holdings.equity - own, (part * gross - own) / (1 - part))
        return Verdict(
            quantity_of(room, proposal.price),
            f"{proposal.instrument_id} would have {(own + value) / whole:.2%} of all exposure, "
            f"above max_concentration_frac {part:.2%}; reduce it, open others, or raise {self.key}",
        )
