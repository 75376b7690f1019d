"""What every limit is: the order that it looks at, what it answers, and what it may hear.

A limit looks at a `Proposal` and answers with a `Verdict`: pass, shrink, or refuse, in one line
that says what it saw, what it allows, and what would lift it. A limit that needs history overrides
one of the ``hear_*`` methods; the guard calls only those that are overridden.

What it then remembers must survive a restart: it names its `Memory` and overrides `save` and
`restore`, or says that it `relearns` all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from aitb_nautilus.messages import BarClosed, Fill, Prediction, Quote, Side
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.holdings import EVERYTHING, Holdings, Looks, Scope
from aitb_nautilus.risk.ledger import Ledger

__all__ = [
    "DAY_NS",
    "MINUTE_NS",
    "NEARLY",
    "PASS",
    "ROUNDING",
    "ClosedTrade",
    "Limit",
    "Memory",
    "Proposal",
    "Verdict",
    "quantity_of",
    "utc",
]

MINUTE_NS = 60_000_000_000
DAY_NS = 1_440 * MINUTE_NS
ROUNDING = 1e-12
"""What lies right on a limit lies within it, whatever float64 makes of sums and quotients."""

NEARLY = 1 - 1e-9
"""What lies below this part of a limit in float64 needs no exact account."""


_set = msgspec.structs.force_setattr


class Proposal(msgspec.Struct, frozen=True, gc=False):
    """An opening order as the limits see it.

    Attributes
    ----------
    quantity
        What may still be filled, base currency, > 0.
    price
        What one unit is worth at most when it fills: the limit price of a buy order, else the
        highest of limit, trigger and last price.
    quoted_price
        Limit or trigger price of the order, the one farther from the last price; None for a market
        order.
    mark
        Last price of the instrument.
    ts
        When the strategy decided, ns UTC: the time of what it answers.
    replaces
        The resting order that would be changed into this one, or None.
    seen
        Gives what is held and pending, worked out once for all limits; None: each works it out.
    clock
        The node's clock, ns UTC, which tells how old a fact is; if it is not given, `ts`.
    quote
        The last quote of the instrument; None: none was seen.
    amount, value
        Its quantity as float64, and what it is worth at most, quote currency. Both are worked out,
        never given.
    whole
        What is held and pending everywhere, once a limit has asked for it.
    """

    strategy_id: str
    instrument_id: str
    side: Side
    quantity: Decimal
    price: float
    quoted_price: float | None
    mark: float
    ts: int
    replaces: Order | None = None
    seen: Looks | None = None
    clock: int = -1
    quote: Quote | None = None
    amount: float = 0.0
    value: float = 0.0
    whole: Holdings | None = None

    def __post_init__(self) -> None:
        """Work out once what nearly every limit asks for; a `Decimal` is slow to turn."""
        amount = float(self.quantity)
        _set(self, "amount", amount)
        _set(self, "value", amount * self.price)
        if self.clock < 0:
            _set(self, "clock", self.ts)

    def holdings(self, ledger: Ledger, scope: Scope = EVERYTHING) -> Holdings:
        """Return what is held and pending in a scope, without the order that is replaced."""
        if scope is EVERYTHING and self.whole is not None:
            return self.whole
        if self.seen is None:
            found = Holdings(ledger, scope, self.replaces)
        else:
            found = self.seen.at(scope, self.replaces)
        if scope is EVERYTHING:
            _set(self, "whole", found)
        return found


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a limit answers.

    Attributes
    ----------
    allowed
        Quantity that may be sent; 0 refuses the order, more than was asked lets it pass.
    line
        What it saw, what it allows, what would lift it; empty if the order passes untouched.
    """

    allowed: Decimal
    line: str = ""


PASS = Verdict(Decimal("Infinity"))
"""The answer to an order that passes untouched."""


class ClosedTrade(msgspec.Struct, frozen=True, gc=False):
    """A strategy's position that came back to zero.

    Attributes
    ----------
    pnl
        Profit since it left zero, after fees and funding, quote currency.
    by_stop
        Whether the order that closed it was a stop.
    """

    strategy_id: str
    instrument_id: str
    ts: int
    pnl: float
    by_stop: bool


class Memory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a limit remembers, as plain data. Base of one struct for each kind of limit."""


class Limit:
    """One rule for opening orders.

    Attributes
    ----------
    name
        Key in the config.
    shrinks
        Whether it may let part of an order pass; those that only refuse are asked first.
    counts
        Whether it takes note of what was sent.
    scope
        Which orders it looks at, and which orders and positions it counts.
    place
        Where in the config it stands: ``risk``, or a rule of it.
    needs_quotes
        Whether it cannot judge without quotes.
    memory
        What it remembers, if that must survive a restart.
    relearns
        Whether all that it remembers comes back with bars of the warm-up, quotes, predictions.
    """

    name: str
    shrinks = False
    counts = False
    scope: Scope = EVERYTHING
    place = "risk"
    needs_quotes = False
    memory: type[Memory] | None = None
    relearns = False

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Return how much of the proposal may be sent. Changes nothing."""
        raise NotImplementedError

    def sent(self, proposal: Proposal) -> None:
        """Take note that the proposal was sent; called if `counts`."""

    def hear_bar(self, bar: BarClosed) -> None:
        """Take note of a bar; the ledger holds it already."""

    def hear_reference(self, bar: BarClosed) -> None:
        """Take note of a bar of an instrument that is only looked at, and never traded."""

    def expect_predictions(self, strategy_id: str, listens: Sequence[tuple[str, str]]) -> None:
        """Take note of what a strategy listens to: models, each with an instrument id."""

    def hear_prediction(self, prediction: Prediction) -> None:
        """Take note of a prediction that some strategy is told."""

    def hear_close(self, ts: int, looks: Looks) -> str:  # noqa: ARG002
        """Take note that all bars of one time are there; return why to halt, or nothing."""
        return ""

    def hear_start(self, ts: int, looks: Looks) -> None:
        """Take note that a node begins: what the account is worth and what is held is known."""

    def hear_resume(self, ts: int, equity: float) -> None:
        """Take note that a person let the trader go on; what halted it before counts no more."""

    def hear_fill(self, fill: Fill) -> None:
        """Take note of a fill in scope; the ledger holds it already."""

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Take note that a position in scope came back to zero."""

    def save(self, looks: Looks) -> Memory:
        """Return what it remembers; called if it has a `memory`."""
        raise NotImplementedError

    def restore(self, memory: Any, looks: Looks) -> None:
        """Go on from what another one saved, perhaps under other settings.

        What is remembered is judged anew under its own settings as far as it goes. Called before
        anything is heard; the ledger holds what was brought back of orders and positions.
        """
        raise NotImplementedError

    def move(self, factor: float) -> None:
        """Take note that money came into the account: equity is so many times what it was, > 1."""

    def terms(self) -> dict[str, Any]:
        """Return the settings that it judges by."""
        plain = {k: v for k, v in vars(self).items() if k[0] != "_" and k not in ("scope", "place")}
        return {k: v for k, v in plain.items() if v is None or isinstance(v, int | float | str)}

    @property
    def key(self) -> str:
        """Return where in the config it can be changed."""
        return f"{self.place}.{self.name}"


def quantity_of(room: float, price: float) -> Decimal:
    """Return how much fits into `room`, quote currency, at a price; nothing if there is none."""
    return Decimal(repr(max(room, 0.0) * (1 + ROUNDING) / price))


def utc(ts: int) -> str:
    """Return a time, ns UTC, as people write it."""
    return datetime.fromtimestamp(ts // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
