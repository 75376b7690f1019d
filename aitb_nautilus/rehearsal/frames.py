"""A message as the bytes of a WebSocket, made once for all who listen."""

from __future__ import annotations

__all__ = ["binary_frame", "text_frame"]

_TEXT, _BINARY = 0x81, 0x82  # the whole message in one frame
_SHORT, _LONG = 126, 127


def text_frame(payload: bytes) -> bytes:
    """Return the frame of a text message from a server, which is not masked.

    References
    ----------
    RFC 6455, section 5.2, Base Framing Protocol.
    """
    return _frame(_TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """Return the frame of a binary message from a server."""
    return _frame(_BINARY, payload)


def _frame(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < _SHORT:
        head = bytes((kind, size))
    elif size < 1 << 16:
        head = bytes((kind, _SHORT)) + size.to_bytes(2)
    else:
        head = bytes((kind, _LONG)) + size.to_bytes(8)
    return head + payload
