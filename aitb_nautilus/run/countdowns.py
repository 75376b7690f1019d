"""Countdowns at the venue: unless one is renewed in time, the orders of its symbol are cancelled.

A thread of its own asks for them, so that a venue that does not answer holds up nobody. No engine
here.

References
----------
Binance, USDⓈ-M futures, Auto-Cancel All Open Orders
(https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Auto-Cancel-All-Open-Orders).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aitb_nautilus.run.binance_rest import AskError, BinanceRest, symbol_of

__all__ = ["Countdowns"]

_PATH: Final = "/fapi/v1/countdownCancelAll"
_LONGEST_ANSWER_S: Final = 2.0


@dataclass(slots=True)
class _Countdown:
    rest: BinanceRest
    wanted: bool | None = None
    told: bool | None = None
    next_s: float = 0.0
    holds_until_s: float = 0.0
    failure: str = ""


class Countdowns:
    """Start, renew and end the countdown of each instrument, as it is wanted.

    What is wanted is said again after a third of the countdown, an end as well: an old request may
    have reached the venue late, or somebody else may have begun one.

    Parameters
    ----------
    venues
        Whom to ask, by instrument id.
    secs
        Length of a countdown, s.
    """

    def __init__(self, venues: Mapping[str, BinanceRest], secs: float) -> None:
        self._all = {name: _Countdown(rest) for name, rest in venues.items()}
        self._secs = secs
        self.renew_s = secs / 3
        self._answer_s = min(self.renew_s / 2 / max(1, len(self._all)), _LONGEST_ANSWER_S)
        self._change = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="dead-man", daemon=True)

    def want(self, instrument_id: str, is_on: bool) -> None:
        """Say whether a countdown shall run; the thread begins with the first word."""
        with self._change:
            one = self._all[instrument_id]
            if one.wanted == is_on:
                return
            if one.wanted is not None and is_on:
                # Until then nobody misses it: it has only just become possible.
                one.holds_until_s = time.monotonic() + self._secs
            one.wanted = is_on
            one.next_s = 0.0
            if self._thread.ident is None:
                self._thread.start()
            self._change.notify()

    def missing(self) -> list[str]:
        """Return the instruments whose countdown is wanted, and does not run for all we know."""
        now = time.monotonic()
        with self._change:
            return [n for n, c in self._all.items() if c.wanted and now >= c.holds_until_s]

    def failures(self) -> dict[str, str]:
        """Return why the last request failed, by instrument id; empty if none did."""
        with self._change:
            return {n: c.failure for n, c in self._all.items() if c.failure}

    def close(self, *, end: bool) -> list[str]:
        """Renew nothing any more; with `end`, end what runs. Return what could not be ended."""
        with self._change:
            self._is_over = True
            self._change.notify()
        if self._thread.ident is None:
            return []
        self._thread.join()
        began = time.monotonic()
        left = []
        for name, one in self._all.items():
            if end and one.told is not False:
                late = time.monotonic() - began >= _LONGEST_ANSWER_S
                if late or self._say(name, one.rest, is_on=False):
                    left.append(name)
        return left

    def _run(self) -> None:
        while True:
            with self._change:
                name = self._next()
                if name is None:
                    return
                one = self._all[name]
                is_on = one.wanted is True
                one.next_s = time.monotonic() + self.renew_s
            asked = time.monotonic()
            failure = self._say(name, one.rest, is_on=is_on)
            with self._change:
                one.failure = failure
                if failure:
                    # What was asked may have been done without an answer.
                    one.told = None
                    if one.next_s:
                        one.next_s = time.monotonic() + self.renew_s / 2
                    continue
                one.told = is_on
                if is_on:
                    one.holds_until_s = asked + self._secs

    def _next(self) -> str | None:
        """Wait until a request is due; return for which instrument, None at the end."""
        while not self._is_over:
            now = time.monotonic()
            known = [(c.next_s, n) for n, c in self._all.items() if c.wanted is not None]
            due_s, name = min(known)
            if due_s <= now:
                return name
            self._change.wait(due_s - now)
        return None

    def _say(self, instrument_id: str, rest: BinanceRest, *, is_on: bool) -> str:
        """Ask the venue; return why that failed, empty if it did not."""
        symbol, ms = symbol_of(instrument_id), round(self._secs * 1_000) if is_on else 0
        try:
            told = rest.ask("POST", _PATH, {"symbol": symbol, "countdownTime": ms}, self._answer_s)
            is_answer = told["symbol"] == symbol and int(told["countdownTime"]) == ms
        except AskError as e:
            return str(e)
        except (KeyError, TypeError, ValueError) as e:
            return f"{_PATH}: the answer is not understood: {e!r}"
        return "" if is_answer else f"{_PATH}: the venue answered {told}"
