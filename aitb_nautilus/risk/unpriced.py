"""Fills that wait until the coin in which their fee was paid has a price.

A venue may take its fee in a coin of its own, of which the run knows no price before somebody has
asked for it. The fill waits for that, and behind it all that the venue says of its order later.
What passes is then told as if the venue had been slow. Nobody waits for what nobody can say.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

__all__ = ["Pair", "Unpriced"]

type Pair = tuple[str, str]
"""A coin, and the currency in which it is priced."""


class _Held(msgspec.Struct):
    pair: Pair
    events: list[Callable[[], None]]


class Unpriced:
    """Hold events back.

    Attributes
    ----------
    ask
        Asks the venue of an instrument, by its id, for the price of a pair, and returns whether it
        does so; `told` must follow.
    held
        What waits, by the id of its order.
    """

    def __init__(self) -> None:
        self.ask: Callable[[str, Pair], bool] = lambda *_: False
        self.held: dict[str, _Held] = {}
        self._told: set[Pair] = set()

    def take(
        self, client_order_id: str, instrument_id: str, pair: Pair, tell: Callable[[], None]
    ) -> bool:
        """Hold a fill back whose fee has no value yet; return whether it waits.

        Parameters
        ----------
        tell
            Tells it.
        """
        if pair in self._told or not self.ask(instrument_id, pair):
            return False
        self.held[client_order_id] = _Held(pair, [tell])
        return True

    def follow(self, client_order_id: str, tell: Callable[[], None]) -> bool:
        """Hold an event back if one of its order waits; return whether it does."""
        held = self.held.get(client_order_id)
        if held is None:
            return False
        held.events.append(tell)
        return True

    def told(self, pair: Pair) -> None:
        """Tell what has waited for a price: it is known by now, or will not be."""
        self._told.add(pair)
        ready = [name for name, held in self.held.items() if held.pair == pair]
        for name in ready:
            for tell in self.held.pop(name).events:
                tell()
