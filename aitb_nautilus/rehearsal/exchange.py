"""All that a request can reach: the venue, keys, limits and faults."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.api import Api
from aitb_nautilus.rehearsal.clock import MS, Clock, WallClock
from aitb_nautilus.rehearsal.faults import Faults
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.limits import RateLimits
from aitb_nautilus.rehearsal.signing import ApiKey
from aitb_nautilus.rehearsal.user_events import listen_key_expired
from aitb_nautilus.rehearsal.venue import Venue

__all__ = ["LISTEN_KEY_MS", "Exchange"]

_KEY = re.compile(r"[A-Za-z0-9]{64}")
LISTEN_KEY_MS = 60 * 60_000
"""Validity of a listen key after its last keep-alive, ms."""


@dataclass
class Exchange[V: Venue]:
    """The exchange that a server offers.

    Parameters
    ----------
    venue
        Markets, orders and account.
    hub
        The subscriptions of all sockets.
    keys
        The API keys that it knows, by name.
    api
        What can be asked of it, and how it answers.
    signing_clock
        The clock that signed requests are held against: the machine's, because the client signs
        with that, whatever clock the events carry.
    """

    venue: V
    hub: Hub
    keys: dict[str, ApiKey]
    api: Api
    signing_clock: Clock = field(default_factory=WallClock)
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.limits = RateLimits(self.api.limits)
        self.listen_key: str | None = None
        self.listen_key_until_ms = 0
        self._listen_keys = 0

    def now_ms(self) -> int:
        """Return the time that events carry, ms."""
        return self.venue.now_ms()

    def signing_ms(self) -> int:
        """Return the time that signed requests are held against, ms."""
        return self.signing_clock.now_ns() // MS

    def key(self, name: str | None) -> ApiKey:
        """Return a known key; refuse what has not the form of one with -2014, others with -2015."""
        if name in self.keys:
            return self.keys[name]
        raise VenueError.of(-2015 if name and _KEY.fullmatch(name) else -2014)

    def open_listen_key(self) -> str:
        """Return the active listen key, or a new one, valid for an hour from now."""
        if self.listen_key is None:
            self._listen_keys += 1
            self.listen_key = f"rehearsal{self._listen_keys:055d}"
        self.listen_key_until_ms = self.now_ms() + LISTEN_KEY_MS
        return self.listen_key

    def keep_listen_key(self) -> str:
        """Extend the active listen key, or refuse with -1125."""
        if self.listen_key is None:
            raise VenueError.of(-1125)
        return self.open_listen_key()

    def end_listen_key(self, *, expired: bool) -> None:
        """End the active listen key; an expired one is told to its stream."""
        if self.listen_key is None:
            return
        if expired:
            self.venue.on_user_event(listen_key_expired(self.listen_key, self.now_ms()))
        self.listen_key = None

    def tick(self) -> None:
        """Let happen what only the time brings: expiries, the end of a listen key."""
        self.venue.expire_due()
        if self.listen_key is not None and self.listen_key_until_ms <= self.now_ms():
            self.end_listen_key(expired=True)

    def waiting(self) -> int:
        """Return how many conditional orders have not woken."""
        return 0
