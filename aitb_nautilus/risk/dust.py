"""What of a holding could be sold after each fill, and which rests were given up.

On a spot market a rest is left that is too little to be sold. Whoever counts trades must end one
where only such a rest is left; the ledger notes here what it made of each fill, so that nobody has
to work it out a second time.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from aitb_nautilus.messages import Fill

__all__ = ["Dust", "GivenUp", "Split"]


class Split(NamedTuple):
    """What could be sold of a holding before a fill, and after it; signed, base currency."""

    before: Decimal
    after: Decimal


class GivenUp(NamedTuple):
    """A rest that a venue takes no order for; it is dust since `ts`, ns UTC.

    Attributes
    ----------
    quantity
        What could be sold of it before, base currency.
    why
        In one line.
    """

    strategy_id: str
    instrument_id: str
    ts: int
    quantity: Decimal
    why: str


class Dust:
    """What the ledger has made of fills where something can be dust.

    Attributes
    ----------
    given_up
        Oldest first.
    """

    def __init__(self) -> None:
        self._splits: dict[tuple[str, str], Split] = {}
        self.given_up: list[GivenUp] = []

    def note(self, fill: Fill, before: Decimal, after: Decimal) -> None:
        """Note what could be sold before and after a fill."""
        self._splits[fill.key] = Split(before, after)

    def split(self, fill: Fill) -> Split | None:
        """Return the same; None: all that is held could be sold."""
        return self._splits.get(fill.key)
