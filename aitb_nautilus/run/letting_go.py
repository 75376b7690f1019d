"""What a node lets go of while it runs: garbage, and what has ended in the engine.

The engine keeps every order, every turn of a position and every word on an account for as long as
it runs, 6 kB an order. Our ledger remembers what an order came to in 0.9 kB, and nothing of ours
asks the engine for an order that has ended long ago: recovery has its answers within minutes.
"""

from __future__ import annotations

import time
from typing import Any

from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.run.interpreter import GarbageTurns

__all__ = ["LettingGo"]

_EVERY_S = 60.0
_KEPT_S = 600
"""So long after its end was seen the engine has an order still: a venue that comes back repeats
itself, and an order that the engine has not would be made anew, as if it was sent twice."""
_STEP_NS = 60_000_000_000
"""A node that stood still, or a machine that slept, has heard nothing meanwhile: no longer time
passes at once."""
_FLAT_S = 60
"""So long a position is flat before it is let go of, and with it all that it was before: the engine
keeps each of its turns, and one that is opened again has them all."""


class LettingGo:
    """Let go of what nobody needs any more, on the thread that owns the engine.

    Parameters
    ----------
    cache
        The engine's. What it keeps beyond the run, in Redis, stays there.
    ledger
        The trader's; only read.
    """

    def __init__(self, cache: Any, ledger: Ledger) -> None:
        self._cache = cache
        self._ledger = ledger
        self._garbage = GarbageTurns()
        self._due = time.monotonic() + _EVERY_S
        self._now = self._passed = 0
        self._ended: dict[Any, tuple[int, int]] = {}

    def take(self, now: int) -> None:
        """Do what is due; called ten times a second.

        Parameters
        ----------
        now
            ns UTC.
        """
        self._garbage.take()
        # The time of a rehearsal that is stepped runs ahead of the clock.
        now = max(now, self._ledger.now)
        self._passed += min(max(now - self._now, 0), _STEP_NS)
        self._now = now
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_S
        self._cache.purge_closed_orders(self._ended_before(now))
        self._cache.purge_closed_positions(now, _FLAT_S)
        self._cache.purge_account_events(now, _KEPT_S)

    def _ended_before(self, now: int) -> int:
        """Return the venue's time up to which all that has ended was seen long enough ago, ns UTC.

        The venue's time of an end does not tell it: an order may have filled while the venue could
        not be reached, and be asked for still.
        """
        known, self._ended = self._ended, {}
        for name in self._cache.client_order_ids_closed():
            self._ended[name] = known.get(name) or (
                self._passed,
                self._cache.order(name).ts_closed,
            )
        seen_by = self._passed - _KEPT_S * 1_000_000_000
        late = [closed - 1 for seen, closed in self._ended.values() if seen > seen_by]
        return min(late, default=now)
