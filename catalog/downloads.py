"""What every download shares: patience with a server, and a picture of what is still missing.

Retries follow the server: a ``Retry-After`` is obeyed, by every request to that server; without one
the wait doubles from attempt to attempt. What a server refuses for good is an error at once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from aitb_nautilus.errors import DataError
from aitb_nautilus.settings import Settings
from catalog.places import Gap

__all__ = [
    "DownloadReport",
    "DownloadResult",
    "Patience",
    "RetrySettings",
    "TransientError",
    "Watcher",
    "parse_retry_after",
]


class RetrySettings(Settings, frozen=True):
    """How long to put up with a server that does not answer.

    Parameters
    ----------
    attempts
        Requests for one thing before it is given up.
    first_wait_s
        Wait after the first failure; doubles with each further one.
    longest_wait_s
        The doubling stops here. A server that asks for more with Retry-After is given up at once.
    timeout_s
        An answer that takes longer counts as a failure.
    """

    attempts: Annotated[int, Meta(ge=1)] = 8
    first_wait_s: Annotated[float, Meta(gt=0)] = 1.0
    longest_wait_s: Annotated[float, Meta(gt=0)] = 120.0
    timeout_s: Annotated[float, Meta(gt=0)] = 30.0


class Watcher:
    """Is told how a download goes; this one does not listen."""

    def progress(self, name: str, fraction: float, bars: int) -> None:
        """Hear how far one symbol or file is: 0 to 1, and the bars that it brought so far."""

    def notice(self, text: str) -> None:
        """Hear what is worth telling: a wait, an answer that is asked for again."""


class DownloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one series looked like after a download.

    Parameters
    ----------
    name
        The symbol as it was asked for.
    instrument_id, bar_type
        As the catalog names them.
    start_ns, end_ns
        First and last close time that was asked for, ns UTC.
    bars_added
        Bars that this download brought.
    bars_held
        Bars of the asked period that the catalog now holds, old and new.
    gaps
        Bars of the asked period that the source does not have.
    notes
        Sentences that a person should read.
    """

    name: str
    instrument_id: str
    bar_type: str
    start_ns: int
    end_ns: int
    bars_added: int
    bars_held: int
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...] = ()

    @property
    def bars_missing(self) -> int:
        """Bars in all gaps."""
        return sum(gap.bars for gap in self.gaps)


class DownloadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a download did.

    Parameters
    ----------
    reports
        One a series.
    requests, retries
        Answers that were asked for, and how many of them again.
    seconds
        Wall clock.
    """

    reports: tuple[DownloadReport, ...]
    requests: int
    retries: int
    seconds: float


class TransientError(Exception):
    """An answer that may be better next time.

    Parameters
    ----------
    reason
        What happened, in a few words.
    retry_after_s
        What the server asked to wait, in seconds, if it said so.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Patience:
    """Ask one server again and again, and hold everybody back when it says so.

    Parameters
    ----------
    settings
        How often and how long.
    server
        Name for errors.
    watcher
        Is told when a wait begins.
    """

    def __init__(self, settings: RetrySettings, server: str, watcher: Watcher) -> None:
        self.settings = settings
        self.server = server
        self.watcher = watcher
        self.requests = 0
        self.retries = 0
        self._closed_until = 0.0

    async def ask[T](self, name: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return the first good answer.

        Parameters
        ----------
        name
            What is asked for; for notices and errors.
        attempt
            Asks once; raises `TransientError` if it is worth asking again.

        Raises
        ------
        DataError
            If all attempts failed, or the server wants a longer wait than the settings allow.
        """
        wait = self.settings.first_wait_s
        for left in reversed(range(self.settings.attempts)):
            await self._until_open()
            self.requests += 1
            try:
                return await attempt()
            except TransientError as e:
                asked = e.retry_after_s
                if asked is not None and asked > self.settings.longest_wait_s:
                    raise DataError(
                        f"{self.server}: {name}",
                        f"{e.reason}; the server asks to wait {asked:,.0f} s",
                        f"waits up to {self.settings.longest_wait_s:,.0f} s are accepted",
                        "What came before is kept. Run the same command again later",
                    ) from e
                if not left:
                    raise DataError(
                        f"{self.server}: {name}",
                        f"no usable answer in {self.settings.attempts} attempts ({e.reason})",
                        todo="What came before is kept. Check the connection, then run the same "
                        "command again",
                    ) from e
                self.retries += 1
                pause = wait if asked is None else asked
                self.watcher.notice(f"{self.server}: {name}: {e.reason}; waiting {pause:.3g} s")
                if asked is None:
                    await asyncio.sleep(pause)
                else:
                    self._hold(asked)
                wait = min(2 * wait, self.settings.longest_wait_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _hold(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self._closed_until = max(self._closed_until, until)

    async def _until_open(self) -> None:
        while (pause := self._closed_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(pause)


def parse_retry_after(text: str | None, now: dt.datetime) -> float | None:
    """Return the seconds in a Retry-After header: a number, or a date after `now`.

    Returns
    -------
    float or None
        Seconds >= 0; None if there is no header, or nothing that can be understood.

    References
    ----------
    RFC 9110, section 10.2.3.
    """
    if text is None:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max((moment - now).total_seconds(), 0.0)
