"""What can be asked of an exchange: its requests over REST and over WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aitb_nautilus.rehearsal.limits import LimitNumbers
from aitb_nautilus.rehearsal.request_params import Params

__all__ = ["Api", "Handler", "Routes", "WsMethods"]

type Handler = Callable[[Any, Params], Any]
type Routes = Mapping[str, tuple[int, Handler]]
"""``METHOD /path``: weight and handler."""
type WsMethods = Mapping[str, Handler]


@dataclass(frozen=True)
class Api:
    """The interface of a product.

    Parameters
    ----------
    limits
        How much one client may ask.
    ws_path
        Path of requests over WebSocket.
    public, keyed, signed
        Requests for anybody, with a key, and with a key and a signature.
    ws_public, ws_keyed, ws_signed
        The same over WebSocket.
    sessions
        Whether a WebSocket may log on once, and then hear the account's events.
    binary
        For requests that are answered in binary where the client asks for it: ``METHOD /path`` or
        the method over WebSocket, and the name of the layout.
    encode
        Packs a message by the name of its layout.
    """

    limits: LimitNumbers
    ws_path: str
    public: Routes
    keyed: Routes
    signed: Routes
    ws_public: WsMethods
    ws_keyed: WsMethods
    ws_signed: WsMethods
    sessions: bool = False
    binary: Mapping[str, str] = field(default_factory=dict)
    encode: Callable[[str, Any], bytes] | None = None
