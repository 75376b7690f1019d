"""Signed requests to Binance's USD-M futures and spot market, beside the engine's own client.

References
----------
Binance, USDⓈ-M futures, General Info: SIGNED endpoint security
(https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info). Spot, REST
API, Request security.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Final, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import msgspec

from aitb_nautilus.run.config import VenueSettings

__all__ = ["BINANCE_WINDOW_NS", "AskError", "BinanceRest", "symbol_of", "understood"]

_SPOT_HOSTS = {
    "live": "https://api.binance.com",
    "testnet": "https://testnet.binance.vision",
    "demo": "https://demo-api.binance.com",
}
_HOSTS = {
    "live": "https://fapi.binance.com",
    "testnet": "https://testnet.binancefuture.com",
    "demo": "https://demo-fapi.binance.com",
}
_SPOT_TIME, _TIME = "/api/v3/time", "/fapi/v1/time"
_UNKNOWN = (-2011, -2013)
"""The venue's numbers for an order that does not exist."""
_NO_SYMBOL = (-1121,)
_ANSWER_S: Final = 5.0
_BUSY = (418, 429)
_LEFT_ALONE_S: Final = 2.0
"""So long a venue is left alone that refuses for too many requests, and does not say how long."""


BINANCE_WINDOW_NS: Final = 5_000_000_000
"""A command is refused that the venue gets so long after it was sent (``recvWindow``; its default,
which the engine's adapter sends as well)."""


class AskError(Exception):
    """The venue did not answer, or refused what it was asked.

    Attributes
    ----------
    status, code, words
        HTTP status, and the venue's own number and words of a refusal; 0 and empty if it gave none.
    """

    def __init__(self, line: str, status: int = 0, code: int = 0, words: str = "") -> None:
        self.status = status
        self.code = code
        self.words = words
        super().__init__(line)


@contextmanager
def understood() -> Iterator[None]:
    """Read an answer while the block runs; one that is otherwise than documented is no answer.

    Raises
    ------
    AskError
        If something is missing in it, or of another type.
    """
    try:
        yield
    except (KeyError, ValueError, ArithmeticError, TypeError) as e:
        raise AskError(f"an answer of the venue is not understood: {e!r}") from e


class BinanceRest:
    """Ask by HTTP; a call blocks for seconds at most, so it belongs onto a thread of its own.

    Parameters
    ----------
    venue
        With its keys.
    """

    def __init__(self, venue: VenueSettings) -> None:
        if venue.api_key is None or venue.api_secret is None:
            raise ValueError("signed requests need the keys of the account")
        hosts = _SPOT_HOSTS if venue.account == "cash" else _HOSTS
        self._base = (venue.base_url_http or hosts[venue.environment]).rstrip("/")
        self._time_path = _SPOT_TIME if venue.account == "cash" else _TIME
        self._key = venue.api_key.reveal()
        self._secret = venue.api_secret.reveal().encode()
        self._quiet_until = 0.0
        self._quiet = ""

    def ask(
        self,
        method: Literal["GET", "POST", "DELETE"],
        path: str,
        params: dict[str, Any],
        timeout_s: float = _ANSWER_S,
    ) -> Any:
        """Return an answer; None if it is that there is no such order.

        Raises
        ------
        AskError
            If there was no answer within `timeout_s`, or a refusal. After one for too many requests
            nothing is sent before the time that the venue has named: else it bans the address.
        """
        query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()
        return self._answer(method, path, f"{query}&signature={signature}", timeout_s, _UNKNOWN)

    def look_up(self, path: str, params: dict[str, Any], timeout_s: float = _ANSWER_S) -> Any:
        """Return what anybody may ask, which must not be signed; None if there is no such symbol.

        Raises
        ------
        AskError
            As `ask`.
        """
        return self._answer("GET", path, urlencode(params), timeout_s, _NO_SYMBOL)

    def clock_ahead(self) -> tuple[int, int]:
        """Return by how much the venue's clock is ahead of this machine's; ns, below 0 if behind.

        Returns
        -------
        tuple[int, int]
            That, and how far off it may be, since nobody knows when in between the venue looked.

        Raises
        ------
        AskError
            As `ask`, or if the answer is not understood.
        """
        before = time.time_ns()
        answer = self.look_up(self._time_path, {})
        after = time.time_ns()
        with understood():
            theirs = int(answer["serverTime"]) * 1_000_000
        return theirs - (before + after) // 2, (after - before) // 2 + 1_000_000

    def _answer(
        self, method: str, path: str, query: str, timeout_s: float, unknown: Sequence[int]
    ) -> Any:
        if time.monotonic() < self._quiet_until:
            raise AskError(self._quiet)
        url, head = f"{self._base}{path}?{query}", {"X-MBX-APIKEY": self._key}
        request = Request(url, headers=head, method=method)  # noqa: S310 # the config's
        try:
            with urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
                return msgspec.json.decode(answer.read())
        except HTTPError as e:
            body = e.read().decode(errors="replace")
            code, words = _refusal(body)
            if code in unknown:
                return None
            if e.code in _BUSY:
                self._leave_alone(e.headers.get("Retry-After", ""))
            line = f"HTTP {e.code} for {path}: {body[:200]}"
            raise AskError(line, e.code, code, words) from e
        except (URLError, HTTPException, TimeoutError, OSError, msgspec.MsgspecError) as e:
            raise AskError(f"{path}: {e}") from e

    def _leave_alone(self, retry_after: str) -> None:
        wait_s = float(retry_after) if retry_after.isdigit() else _LEFT_ALONE_S
        until = time.strftime("%H:%M:%S", time.gmtime(time.time() + wait_s))
        self._quiet = f"the venue has had too many requests, and is left alone until {until}"
        self._quiet_until = time.monotonic() + wait_s


def symbol_of(instrument_id: str) -> str:
    """Return Binance's name of a perpetual or a pair.

    Examples
    --------
    >>> symbol_of("BTCUSDT-PERP.BINANCE")
    'BTCUSDT'
    """
    return instrument_id.partition(".")[0].removesuffix("-PERP")


def _refusal(body: str) -> tuple[int, str]:
    """Return the venue's number and words; 0 and what there is if it is no answer of the venue."""
    try:
        told = msgspec.json.decode(body)
        return int(told["code"]), str(told["msg"])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return 0, body[:200]
