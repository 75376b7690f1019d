"""What keeping orders out, or making them smaller, cost or saved: shared out over those orders.

A trip is a strategy's position in an instrument from zero back to zero, or over to the other side.
What the recorded trip earned and the smaller one did not is shared out over the orders that were
kept out of it, by the value that each was kept out with.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Literal

import msgspec

from aitb_nautilus.messages import Side
from aitb_nautilus.risk.branch import Branch

__all__ = ["Affected", "Trips"]

type _Key = tuple[str, str]


class Affected(msgspec.Struct, frozen=True):
    """An order, or a change of one, on which the other limits decide otherwise.

    Attributes
    ----------
    outcome
        ``refused`` or ``shrunk``: of what was sent. ``passes`` or ``larger``: the run refused or
        shrank it; what it had led to is not known.
    was, would
        What was sent, and what would be; base currency.
    limit, line
        Of the other limits; where more would pass, of the run's own that held it back.
    value
        Of the difference, at the last price; quote currency, >= 0.
    """

    seq: int
    ts: int
    strategy_id: str
    instrument_id: str
    client_order_id: str
    action: Literal["submit", "modify"]
    side: Side | None
    outcome: Literal["refused", "shrunk", "passes", "larger"]
    was: Decimal
    would: Decimal
    limit: str
    line: str
    value: float


class Trips:
    """Compare the trips of two courses of events.

    Parameters
    ----------
    own, other
        As recorded, and as it would have been.

    Attributes
    ----------
    effect
        By client order id: what the other course earned more than the recorded one, net of costs,
        in the trader's currency.
    rest
        The same of trips from which no order was kept out: what was closed early, and rounding.
    """

    def __init__(self, own: Branch, other: Branch) -> None:
        self._own = own
        self._other = other
        self._kept_out: dict[_Key, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._before: dict[_Key, float] = defaultdict(float)
        self.effect: dict[str, float] = defaultdict(float)
        self.rest = 0.0

    def keep_out(self, key: _Key, client_order_id: str, value: float) -> None:
        """Note that an order's fill, or part of it, does not happen in the other course."""
        self._kept_out[key][client_order_id] += value

    def end(self, key: _Key, saved: float = 0.0) -> None:
        """Share out the trip that has ended, and begin the next.

        Parameters
        ----------
        saved
            Fees that the same fill saved at the beginning of the next.
        """
        self._share_out(key, saved, with_open=False)

    def end_all(self) -> None:
        """Share out what is still held, at the last marks."""
        for key in {*self._own.ledger.positions, *self._other.ledger.positions}:
            self._share_out(key, 0.0, with_open=True)

    def _share_out(self, key: _Key, saved: float, *, with_open: bool) -> None:
        own, other = (b.earned(*key, with_open=with_open) for b in (self._own, self._other))
        apart = other - own - saved
        change = apart - self._before[key]
        self._before[key] = apart
        kept_out = self._kept_out.pop(key, {})
        total = sum(kept_out.values())
        if not total:
            self.rest += change
            return
        for client_order_id, value in kept_out.items():
            self.effect[client_order_id] += change * value / total
