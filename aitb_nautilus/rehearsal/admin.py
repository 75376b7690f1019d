"""What a rehearsal is told over HTTP, beside what Binance knows: faults, restarts, what happened.

All paths begin with ``/rehearsal/``; bodies and answers are JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.rehearsal.clock import MS, SteppedClock
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.rehearsal.status import Told, status
from aitb_nautilus.settings import Settings, decode

__all__ = ["Admin"]


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
            "GET address": lambda _body: self._told.address(),
            "GET status": lambda _body: status(self._told),
            "GET fills": self._fills,
            "GET orders": self._orders,
            "GET events": self._events,
            "POST faults": self._arm,
            "DELETE faults": self._clear,
            "POST advance": self._advance,
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

    def _fills(self, _body: bytes) -> Any:
        venue = self._told.exchange.venue
        return [
            venue.describe_fill(fill) | {"clientOrderId": fill.client_id} for fill in venue.fills
        ]

    def _orders(self, _body: bytes) -> Any:
        venue = self._told.exchange.venue
        return [venue.describe_order(order) for order in venue.orders]

    def _events(self, _body: bytes) -> Any:
        return list(self._told.server.user_stream.sent)

    def _arm(self, body: bytes) -> Any:
        self._told.inject(_read(body, Fault))
        return {"armed": len(self._told.exchange.faults.armed())}

    def _clear(self, _body: bytes) -> Any:
        self._told.clear_faults()
        return {"armed": 0}

    def _advance(self, body: bytes) -> Any:
        if not isinstance(self._told.clock, SteppedClock):
            raise ConfigError("advance", "the clock goes by itself", "must be stepped")
        return {"events": self._told.advance(_read(body, _Advance).until_ms * MS)}


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
