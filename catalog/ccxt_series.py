"""Fill one series of the catalog from an exchange, page by page, where bars are missing.

The asked period is a row of places, one a bar. A place is held (the catalog has the bar), absent
(the exchange was asked and has none) or wanted. Pages are asked for at the first wanted place until
none is left.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.intervals import Interval, close_of_open_ns
from aitb_nautilus.market.times import iso
from catalog.ccxt_exchange import CcxtExchange
from catalog.cleaning import round_to_grid
from catalog.downloads import DownloadReport, Watcher
from catalog.instruments import remember_instrument, widened
from catalog.known_gaps import KnownGaps
from catalog.places import places_held, runs
from catalog.store import BarStore

__all__ = ["CcxtSeries"]

_MS_NS = 1_000_000
_DAY = Interval.parse("1d")
_FLUSH_SECONDS = 15.0


class CcxtSeries:
    """One symbol's way from the exchange into the catalog.

    Parameters
    ----------
    exchange, market
        Who is asked, and for which market.
    instrument, interval
        How the catalog names it.
    learnt
        Whether the instrument is described by the exchange alone: the catalog then remembers it,
        with as many decimals as the bars need.
    store
        Where to.
    period_ns
        First and last close time, both included and on the grid of the interval, ns UTC.
    symbol
        As the user wrote it.
    source
        What the catalog notes as the origin of the bars.
    rules
        Repairs that may be done: ``round-prices``, ``round-volumes``.
    chunk_bars
        Write at the latest after so many bars.
    ask_gaps_again
        Forget what the exchange did not have last time.
    watcher
        Is told how it goes.
    """

    def __init__(
        self,
        exchange: CcxtExchange,
        market: Mapping[str, Any],
        instrument: InstrumentSettings,
        interval: Interval,
        store: BarStore,
        *,
        learnt: bool,
        period_ns: tuple[int, int],
        symbol: str,
        source: str,
        rules: frozenset[str],
        chunk_bars: int,
        ask_gaps_again: bool,
        watcher: Watcher,
    ) -> None:
        self.exchange = exchange
        self.market = market
        self.instrument = instrument
        self.learnt = learnt
        self.interval = interval
        self.store = store
        self.symbol = symbol
        self.bar_type = interval.bar_type(instrument.id)
        self.source = source
        self.rules = rules
        self.chunk_bars = chunk_bars
        self.watcher = watcher
        self._step = interval.ns
        self._first, self._last = period_ns
        self._gaps = KnownGaps(store.path, self.bar_type, exchange.name)
        self._held = places_held(store, self.bar_type, *period_ns, self._step)
        self._count = len(self._held)
        self._absent = np.zeros(self._count, np.bool_)
        if not ask_gaps_again:
            for gap in self._gaps.read():
                first = max((gap.first_ns - self._first) // self._step, 0)
                self._absent[first : max((gap.last_ns - self._first) // self._step + 1, 0)] = True
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        self._added = 0
        self._written_at = time.monotonic()

    async def fill(self) -> DownloadReport:
        """Ask for what is wanted, store it, and report.

        Raises
        ------
        DataError
            If the exchange refuses or does not answer, or gives bars that cannot be stored. Pages
            that came before are stored.
        """
        place = self._next_wanted(0)
        try:
            while place < self._count:
                place = self._next_wanted(await self._advance(place))
                waiting = sum(len(places) for places, _ in self._waiting)
                late = time.monotonic() - self._written_at > _FLUSH_SECONDS
                if waiting >= self.chunk_bars or late:
                    self._write()
                self.watcher.progress(self.symbol, place / self._count, self._added + waiting)
        finally:
            self._write()
        self.watcher.progress(self.symbol, 1.0, self._added)
        return self._report()

    def _next_wanted(self, place: int) -> int:
        """Return the first wanted place from `place` on, or the number of places."""
        wanted = ~(self._held[place:] | self._absent[place:])
        return place + int(np.argmax(wanted)) if wanted.any() else self._count

    async def _advance(self, place: int) -> int:
        """Ask for one page at a wanted place and return the place after it."""
        open_ns = self._first + (place - 1) * self._step
        places, values = self._placed(await self._page(self.interval, open_ns), place)
        if not len(places):
            return self._settle_absent(place, await self._end_of_nothing(place, open_ns))
        inside = places < self._count
        places, values = places[inside], values[inside]
        new = ~self._held[places]
        if new.any():
            self._waiting.append((places[new], values[new]))
            self._held[places[new]] = True
        return self._settle_absent(place, int(places[-1]) + 1 if inside.all() else self._count)

    async def _page(self, interval: Interval, since_ns: int) -> NDArray[np.float64]:
        """Ask for a page; an empty one is asked for twice before it is believed."""
        page = await self.exchange.page(self.market, interval, since_ns)
        if not len(page):
            page = await self.exchange.page(self.market, interval, since_ns)
        return page

    def _placed(
        self, page: NDArray[np.float64], place: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the places, from `place` on and each once, and the values of a page's bars."""
        opens = np.rint(page[:, 0]).astype(np.int64) * _MS_NS
        try:
            closes = close_of_open_ns(opens, self._step)
        except ValueError as e:
            raise self._bad_bars(f"gave a bar that is none of {self.interval.text}: {e}") from e
        all_places = (closes - self._first) // self._step
        wanted = all_places >= place
        places, first, of = np.unique(all_places[wanted], return_index=True, return_inverse=True)
        rows = page[wanted, 1:]
        differing = (rows != rows[first][of]).any(axis=1)
        if differing.any():
            close_ns = self._first + int(places[of[differing.argmax()]]) * self._step
            raise self._bad_bars(f"gave two different bars that close {iso(close_ns)}")
        return places, rows[first]

    def _bad_bars(self, found: str) -> DataError:
        return DataError(
            f"exchange {self.exchange.name}: {self.symbol}",
            found,
            "must give each bar once, on the grid of its size",
            "What came before is kept. Run the same command again later",
        )

    async def _end_of_nothing(self, place: int, open_ns: int) -> int:
        """Return the place up to which there is nothing, after an empty page at `place`.

        Some exchanges look only into the window of one page. Daily bars show where the market
        begins, or goes on, without a request for each window of years before.
        """
        after = place + self.exchange.page_bars(self.market)
        if self._step >= _DAY.ns or not self.exchange.has_interval(_DAY):
            return after
        since = open_ns // _DAY.ns * _DAY.ns
        days = np.rint((await self._page(_DAY, since))[:, 0]).astype(np.int64) * _MS_NS
        after_ns = self._first + (after - 1) * self._step
        going_on = days[days + _DAY.ns > after_ns]
        # A venue's day may begin at another hour than the UTC day; one day early is safe.
        if len(going_on):
            next_ns = int(going_on.min()) - _DAY.ns
        else:
            next_ns = since + self.exchange.page_bars(self.market) * _DAY.ns
        return max(after, (next_ns - self._first) // self._step + 1)

    def _settle_absent(self, place: int, stop: int) -> int:
        """Note that what is not held between two places is not to be had."""
        stop = min(stop, self._count)
        self._absent[place:stop] = ~self._held[place:stop]
        return stop

    def _write(self) -> None:
        """Store the bars that wait, then the gaps; in this order, so that a kill loses none."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            places = np.concatenate([places for places, _ in waiting])
            values = np.concatenate([values for _, values in waiting])
            order = np.argsort(places)
            columns = np.ascontiguousarray(values[order].T)
            bars = BarFrame(self._first + places[order] * self._step, *columns)
            if self.learnt:
                self.instrument = widened(self.instrument, bars)
                remember_instrument(self.store.path, self.instrument)
            bars, repairs = round_to_grid(bars, self.instrument, self.rules, self.source)
            result = self.store.write(
                self.instrument, self.interval, bars, source=self.source, repairs=repairs
            )
            self._added += result.rows_added
        # What happened in the last day may still be booked late.
        old_ns = self.exchange.settled_ns() - _DAY.ns
        gaps = runs(self._absent, self._first, self._step)
        old = [gap for gap in gaps if gap.last_ns <= old_ns]
        self._gaps.replace(self._first, self._last, old, self._step)
        self._written_at = time.monotonic()

    def _report(self) -> DownloadReport:
        missing = runs(~self._held, self._first, self._step)
        notes = []
        if missing and missing[0].first_ns == self._first and missing[0].last_ns != self._last:
            notes.append(
                f"{self.exchange.name} has no bars of {self.symbol} before "
                f"{iso(missing[0].last_ns)}: the market is younger, or the exchange keeps only its "
                "newest bars"
            )
        if self.learnt:
            notes.append(
                f"{self.instrument.id} is not in the package's table; tick and lot are those of "
                f"{self.exchange.name}, written to {self.store.path / 'instruments.toml'}"
            )
        size = self.market.get("contractSize")
        if self.market.get("swap") and size not in (None, 1, 1.0):
            notes.append(
                f"one contract is {size} {self.instrument.base}; the volumes of some exchanges "
                "come in contracts"
            )
        return DownloadReport(
            name=self.symbol,
            instrument_id=self.instrument.id,
            bar_type=self.bar_type,
            start_ns=self._first,
            end_ns=self._last,
            bars_added=self._added,
            bars_held=int(self._held.sum()),
            gaps=tuple(missing),
            notes=tuple(notes),
        )
