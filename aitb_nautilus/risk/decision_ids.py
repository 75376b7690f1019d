"""The id of an order is a hash of the decision that it comes from.

So the same decision, taken again after a crash, has the same id, and is found in the journal
instead of being sent twice. A decision is: who decided, what fact was answered, how many orders
were wished at that fact before, and the wish.

An id is a UUID of version 8 without hyphens: 32 hexadecimal digits, of which 122 bits are the hash
(SHA-256, cut off). That is the one form that passes every venue as it is: OKX takes up to 32
letters and digits, Bybit 36 characters, Kraken's spot market UUIDs but else only 18 characters,
Binance 36, of which the engine's adapter uses 12 for itself and packs a UUID into the rest.

References
----------
RFC 9562, section 5.8: UUID version 8, whose content is ours to define.
"""

from __future__ import annotations

import hashlib

import msgspec

from aitb_nautilus.messages import (
    BarClosed,
    CloseIntent,
    Fill,
    OrderIntent,
    OrderUpdate,
    Prediction,
)

__all__ = ["DecisionIds", "Fact", "Place", "decision_id"]

type Fact = BarClosed | Prediction | Fill | OrderUpdate | None
"""What a strategy answers; None: a call of its own, such as a timer's."""

_FACTS = 64
"""So many facts are counted at once: one may be answered while another one still is."""

_VARIANT = {digit: "89ab"[int(digit, 16) & 0b11] for digit in "0123456789abcdef"}
"""Of a digit its last two bits, after those that name the variant."""
_encode = msgspec.json.Encoder(order="deterministic").encode


class Place(msgspec.Struct, frozen=True):
    """Where a decision stands.

    Attributes
    ----------
    fact
        Kind, subject and time of what is answered.
    number
        Of the orders that were wished at this fact before, refused ones among them.
    """

    fact: tuple[str, ...]
    number: int


def decision_id(
    trader: str, strategy_id: str, place: Place, wish: OrderIntent | CloseIntent, attempt: int = 0
) -> str:
    """Return the id of an order.

    Parameters
    ----------
    trader, strategy_id
        Who decides.
    place
        What it answers, and after how many orders.
    wish
        The intent as the strategy gave it, before sizing and limits.
    attempt
        How often the same was sent before, and came to nothing.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    text = _encode([trader, strategy_id, place, attempt, type(wish).__name__, wish])
    digits = hashlib.sha256(text).hexdigest()
    return f"{digits[:12]}8{digits[13:16]}{_VARIANT[digits[16]]}{digits[17:32]}"


class DecisionIds:
    """Name one strategy's orders, and count what it wishes at each fact.

    Parameters
    ----------
    trader, strategy_id
        Who decides.
    """

    def __init__(self, trader: str, strategy_id: str) -> None:
        self._trader = trader
        self._strategy_id = strategy_id
        self._numbers: dict[tuple[str, ...], int] = {}

    def place(self, fact: Fact, now: int) -> Place:
        """Count one more order that is wished.

        Parameters
        ----------
        fact
            What is being answered. Counting goes on for as long as its answer takes, whatever the
            clock says: between two orders of one answer a node's time moves, a back-test's does
            not.
        now
            Time of the strategy, ns UTC: the name of a call of its own.
        """
        key = _key(fact, now)
        number = self._numbers.pop(key, 0)
        self._numbers[key] = number + 1
        if len(self._numbers) > _FACTS:
            del self._numbers[next(iter(self._numbers))]
        return Place(key, number)

    def name(self, place: Place, wish: OrderIntent | CloseIntent, attempt: int = 0) -> str:
        """Return the id of an order; see `decision_id`."""
        return decision_id(self._trader, self._strategy_id, place, wish, attempt)


def _key(fact: Fact, now: int) -> tuple[str, ...]:
    """Return what makes a fact the same one when it is told again: nothing that a clock adds."""
    match fact:
        case BarClosed():
            return "bar", fact.instrument_id, str(fact.ts)
        case Prediction():
            return "prediction", fact.model, fact.instrument_id, str(fact.ts_event)
        case Fill():
            return "fill", fact.instrument_id, fact.trade_id, str(fact.ts)
        case OrderUpdate():
            return "order", fact.client_order_id, fact.status or "", str(fact.ts)
        case None:
            return "call", str(now)
