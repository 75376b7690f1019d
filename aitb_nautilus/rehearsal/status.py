"""How a rehearsal stands."""

from __future__ import annotations

from typing import Any, Protocol

from aitb_nautilus.rehearsal.clock import Clock
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.rehearsal.feed import Timeline
from aitb_nautilus.rehearsal.server import Server

__all__ = ["Told", "status"]


class Told(Protocol):
    """The rehearsal that is told."""

    @property
    def clock(self) -> Clock:
        """The exchange's time."""

    @property
    def exchange(self) -> Exchange[Any]:
        """The exchange."""

    @property
    def server(self) -> Server:
        """Its sockets."""

    @property
    def timeline(self) -> Timeline:
        """Where recorded times lie."""

    @property
    def finished(self) -> bool:
        """Whether everything has been played."""

    def advance(self, until_ns: int) -> int:
        """Play everything up to a time."""

    def address(self) -> dict[str, str | int]:
        """Return what a client needs to reach the exchange."""

    def clear_faults(self) -> None:
        """Disarm all faults, and end what still lasts."""

    def inject(self, fault: Fault) -> None:
        """Let a fault happen, or wait for what it fits."""


def status(told: Told) -> dict[str, Any]:
    """Return times, sockets, orders, account and faults as plain data."""
    exchange, server, timeline = told.exchange, told.server, told.timeline
    venue = exchange.venue
    return {
        "now_ms": venue.now_ms(),
        "recorded_ns": timeline.recorded_ns,
        "exchange_ns": timeline.exchange_ns,
        "speed": timeline.speed,
        "finished": told.finished,
        "symbols": list(venue.markets),
        "sockets": [socket.kind for socket in server.sockets],
        "published": exchange.hub.published,
        "orders": len(venue.orders),
        "open_orders": len(venue.orders.open()),
        "waiting_conditionals": exchange.waiting(),
        "fills": len(venue.fills),
        "wallet": {asset: str(amount) for asset, amount in venue.wallet().items()},
        "positions": venue.positions(),
        "faults_armed": exchange.faults.armed(),
        "faults_happened": exchange.faults.happened,
    }
