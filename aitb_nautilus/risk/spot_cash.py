"""On a spot market nothing is bought for money that is not there.

A venue refuses such an order, and so does the engine's own check; but that sees neither the fee nor
that the price may be dearer by the time of the fill, and a simulated account that has come below
zero is broken. So the guard itself lets pass what can be paid.
"""

from __future__ import annotations

from collections.abc import Mapping

from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import PASS, Proposal, Verdict, quantity_of

__all__ = ["SpotCash"]


class SpotCash:
    """Cap what is bought on spot markets by the money of the account.

    What waits to be bought counts as paid, each at its dearest price, and all of it with what a
    buy costs beyond that; see `LotRules`. What other venues of the trader hold as a margin is not
    known here: there the venue has the last word.

    Parameters
    ----------
    lots
        By instrument id.
    """

    name = "cash"
    counts = False

    def __init__(self, lots: Mapping[str, LotRules]) -> None:
        self._lots = lots

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what can be paid."""
        price = proposal.price * (1 + self._lots[proposal.instrument_id].cost_frac)
        free = ledger.balance()
        for name, value in proposal.holdings(ledger).pending["BUY"].items():
            rules = self._lots[name]
            if rules.long_only:
                free -= value * (1 + rules.cost_frac)
        cost = proposal.amount * price
        if cost <= free:
            return PASS
        return Verdict(
            quantity_of(free, price),
            f"the order may cost {cost:,.2f} with its fee and a dearer price, and the account has "
            f"{max(free, 0.0):,.2f} that nothing else is waiting for; sell something, or buy less",
        )
