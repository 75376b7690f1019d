"""What the node gives to every component when it builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.settings import nearest

__all__ = ["Context"]


class Context(msgspec.Struct, frozen=True):
    """What a node's components share.

    Attributes
    ----------
    run_state
        First failure and the wish to stop.
    ledger
        Orders, positions and marks of the trader.
    guard
        The one guard that every order passes.
    instruments
        The engine's instruments by id text.
    listeners
        The running strategies that listen to a bar type, in the order of the config.
    heard_at
        When a venue hears a command that is sent at a time, ns UTC, by instrument id: at once, or
        when the market opens again, where the data of a back-test have a gap. Absent: at once.
    waiting
        What leaves when a market opens again, by that time.
    aside
        Ids of orders that a simulated venue holds aside for a moment. Strategies are not told: the
        order keeps its terms for them.
    """

    run_state: RunState
    ledger: Ledger
    guard: Guard
    instruments: Mapping[str, Any]
    listeners: dict[Any, list[Any]] = msgspec.field(default_factory=dict)
    heard_at: dict[str, Callable[[int], int]] = msgspec.field(default_factory=dict)
    waiting: dict[int, list[Callable[[], None]]] = msgspec.field(default_factory=dict)
    aside: set[str] = msgspec.field(default_factory=set)

    def tick_size(self, instrument_id: str) -> float:
        """Return the step of an instrument's prices, quote currency.

        Raises
        ------
        ConfigError
            If the run has no such instrument.
        """
        instrument = self.instruments.get(instrument_id)
        if instrument is None:
            close = nearest(instrument_id, list(self.instruments))
            raise ConfigError(
                f"instrument {instrument_id}",
                "is not part of this run",
                f"did you mean {close}?" if close else f"the run has {', '.join(self.instruments)}",
            )
        return float(instrument.price_increment.as_decimal())
