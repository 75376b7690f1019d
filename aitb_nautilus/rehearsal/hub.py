"""Who listens to which stream, and the one encoding of a message for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from aitb_nautilus.rehearsal.frames import text_frame

__all__ = ["Hub", "Listener"]

_encode = msgspec.json.Encoder().encode


class Listener(Protocol):
    """A socket that may have subscribed to streams."""

    @property
    def combined(self) -> bool:
        """Whether messages are wrapped with the name of their stream."""

    def send(self, frame: bytes) -> None:
        """Take a message as a frame; must not wait."""


class Hub:
    """The subscriptions of all sockets.

    References
    ----------
    Binance, USDⓈ-M futures, WebSocket Market Streams: raw streams carry the event, combined ones
    ``{"stream": name, "data": event}``.
    """

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}
        self.published = 0
        """Messages handed to listeners since the start."""

    def subscribe(self, stream: str, listener: Listener) -> None:
        """Send a stream's messages to a listener from now on."""
        self._listeners.setdefault(stream, {})[listener] = None

    def unsubscribe(self, stream: str, listener: Listener) -> None:
        """Stop sending a stream's messages to a listener."""
        listeners = self._listeners.get(stream)
        if listeners is not None:
            listeners.pop(listener, None)
            if not listeners:
                del self._listeners[stream]

    def forget(self, listener: Listener) -> None:
        """Stop sending anything to a listener."""
        for stream in list(self._listeners):
            self.unsubscribe(stream, listener)

    def wanted(self, stream: str) -> bool:
        """Return whether anybody listens to a stream."""
        return stream in self._listeners

    def publish(self, stream: str, build: Callable[[], Any]) -> None:
        """Send an event to a stream's listeners; `build` is called only if there are any."""
        listeners = self._listeners.get(stream)
        if not listeners:
            return
        event = _encode(build())
        raw = wrapped = b""
        for listener in tuple(listeners):
            self.published += 1
            if listener.combined:
                wrapped = wrapped or text_frame(
                    b'{"stream":"%b","data":%b}' % (stream.encode(), event)
                )
                listener.send(wrapped)
            else:
                raw = raw or text_frame(event)
                listener.send(raw)
