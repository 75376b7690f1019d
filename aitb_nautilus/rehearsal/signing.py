"""Who may send a request: the API key, the signature and the time it was signed at.

References
----------
Binance, USDⓈ-M futures, General Info, SIGNED Endpoint Security and Timing Security: the request is
taken if ``timestamp < serverTime + 1000 and serverTime - timestamp <= recvWindow``. The signature
is HMAC SHA256 in hexadecimal or Ed25519 in base64, over the query string as it was sent, without
the signature itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from aitb_nautilus.rehearsal.answers import VenueError

__all__ = ["ApiKey", "check_time"]

_DEFAULT_WINDOW_MS = 5_000
_MAX_WINDOW_MS = 60_000
_AHEAD_MS = 1_000


class ApiKey:
    """A key that the exchange knows.

    Parameters
    ----------
    name
        What the client sends in ``X-MBX-APIKEY``.
    secret
        Of an HMAC key.
    public_key
        Of an Ed25519 key, its 32 bytes.

    Raises
    ------
    ValueError
        If neither or both are given.
    """

    def __init__(
        self, name: str, *, secret: str | None = None, public_key: bytes | None = None
    ) -> None:
        if (secret is None) == (public_key is None):
            raise ValueError("an API key has either a secret or a public key")
        self.name = name
        self._secret = secret
        self._public = (
            None if public_key is None else Ed25519PublicKey.from_public_bytes(public_key)
        )

    def check(self, payload: str, signature: str | None) -> None:
        """Raise -1022 unless the signature belongs to the payload."""
        if not signature:
            raise VenueError.malformed("signature")
        if self._public is None:
            expected = hmac.new(str(self._secret).encode(), payload.encode(), hashlib.sha256)
            if not hmac.compare_digest(expected.hexdigest(), signature.lower()):
                raise VenueError.of(-1022)
            return
        try:
            self._public.verify(base64.b64decode(signature, validate=True), payload.encode())
        except (InvalidSignature, binascii.Error) as e:
            raise VenueError.of(-1022) from e


def check_time(timestamp: str | None, window: str | None, now_ms: int) -> None:
    """Raise -1021 unless a request was signed just now."""
    if not timestamp or not timestamp.isdigit():
        raise VenueError.malformed("timestamp")
    if window is not None and not window.isdigit():
        raise VenueError.malformed("recvWindow")
    allowed = min(int(window), _MAX_WINDOW_MS) if window is not None else _DEFAULT_WINDOW_MS
    if int(timestamp) >= now_ms + _AHEAD_MS:
        raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - int(timestamp) > allowed:
        raise VenueError.of(-1021)
