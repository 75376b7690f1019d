"""What a rehearsal is told over HTTP, beside what Binance knows: faults, restarts, what happened.

All paths begin with ``/rehearsal/``; bodies and answers are JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from aiohttp import web

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.rehearsal.clock import MS, Clock, SteppedClock, WallClock
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.rehearsal.feed import Timeline
from aitb_nautilus.rehearsal.order_routes import all_fills, all_orders_of
from aitb_nautilus.rehearsal.server import Server
from aitb_nautilus.settings import Settings, decode

__all__ = ["Admin", "Told"]


class Told(Protocol):
    """The rehearsal that is told."""

    @property
    def clock(self) -> Clock:
        """The exchange's time."""

    @property
    def exchange(self) -> Exchange:
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

    def restart(self, down_s: float) -> None:
        """Be away for a while."""


class _Sockets(Settings, frozen=True):
    kind: str = ""


class _Restart(Settings, frozen=True):
    down_s: float = 1.0


class _Skew(Settings, frozen=True):
    ms: int


class _Advance(Settings, frozen=True):
    until_ms: int


class Admin:
    """Answers the paths below ``/rehearsal/``.

    Parameters
    ----------
    told
        The rehearsal.
    """

    def __init__(self, told: Told) -> None:
        self._told = told
        self._routes: dict[str, Callable[[bytes], Any]] = {
            "GET status": self._status,
            "GET fills": self._fills,
            "GET orders": self._orders,
            "GET events": self._events,
            "POST faults": self._arm,
            "DELETE faults": self._clear,
            "POST disconnect": self._disconnect,
            "POST restart": self._restart,
            "POST skew": self._skew,
            "POST advance": self._advance,
            "POST expire-listen-key": self._expire,
        }

    async def answer(self, request: web.Request) -> web.Response:
        """Do what a request says."""
        what = f"{request.method} {request.path.removeprefix('/rehearsal/')}"
        if what not in self._routes:
            return _json({"error": f"{what} is not known", "known": list(self._routes)}, 404)
        try:
            return _json(self._routes[what](await request.read()))
        except ConfigError as e:
            return _json({"error": e.paragraph()}, 400)

    def _status(self, _body: bytes) -> Any:
        exchange, server, timeline = self._told.exchange, self._told.server, self._told.timeline
        venue = exchange.venue
        return {
            "now_ms": venue.now_ms(),
            "recorded_ns": timeline.recorded_ns,
            "exchange_ns": timeline.exchange_ns,
            "speed": timeline.speed,
            "finished": self._told.finished,
            "symbols": list(venue.markets),
            "sockets": [socket.kind for socket in server.sockets],
            "published": exchange.hub.published,
            "orders": len(venue.orders),
            "open_orders": len(venue.orders.open()),
            "waiting_conditionals": len(exchange.triggers.waiting()),
            "fills": len(venue.fills),
            "wallet": {asset: str(amount) for asset, amount in venue.account.wallet.items()},
            "positions": {
                symbol: venue.markets[symbol].rules.size_text(position.amount)
                for symbol, position in venue.account.positions.items()
            },
            "faults_armed": exchange.faults.armed(),
            "faults_happened": exchange.faults.happened,
        }

    def _fills(self, _body: bytes) -> Any:
        return all_fills(self._told.exchange)

    def _orders(self, _body: bytes) -> Any:
        return all_orders_of(self._told.exchange)

    def _events(self, _body: bytes) -> Any:
        return list(self._told.server.user_stream.sent)

    def _arm(self, body: bytes) -> Any:
        self._told.exchange.faults.arm(_read(body, Fault))
        return {"armed": len(self._told.exchange.faults.armed())}

    def _clear(self, _body: bytes) -> Any:
        self._told.exchange.faults.clear()
        return {"armed": 0}

    def _disconnect(self, body: bytes) -> Any:
        return {"disconnected": self._told.server.disconnect(_read(body, _Sockets).kind)}

    def _restart(self, body: bytes) -> Any:
        down_s = _read(body, _Restart).down_s
        self._told.restart(down_s)
        return {"down_s": down_s}

    def _skew(self, body: bytes) -> Any:
        clock = self._told.exchange.signing_clock
        if not isinstance(clock, WallClock):
            raise ConfigError("skew", "the clock is stepped", "must be a wall clock")
        clock.skew_ns = _read(body, _Skew).ms * MS
        return {"ms": clock.skew_ns // MS}

    def _advance(self, body: bytes) -> Any:
        if not isinstance(self._told.clock, SteppedClock):
            raise ConfigError("advance", "the clock goes by itself", "must be stepped")
        return {"events": self._told.advance(_read(body, _Advance).until_ms * MS)}

    def _expire(self, _body: bytes) -> Any:
        self._told.exchange.end_listen_key(expired=True)
        return {}


def _read[T: Settings](body: bytes, kind: type[T]) -> T:
    try:
        data = msgspec.json.decode(body or b"{}")
    except msgspec.DecodeError as e:
        raise ConfigError("request body", f"is no JSON ({e})", "must be a JSON object") from e
    made: T = decode(data, kind, "request body")
    return made


def _json(answer: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(answer), status=status, content_type="application/json"
    )
