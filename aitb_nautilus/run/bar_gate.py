"""The way of bars into a live node: on one time, in one order, with no hole, warm before trading.

The engine's stream ends here, and nobody else subscribes to bars. First the catalog's past is told,
then the venue's history up to now, then the stream; wherever bars are missing, on the way or later,
the venue's history is asked before anything is decided on what came after. Every bar gets its
canonical close (native streams stamp it a millisecond early) and its exact prices.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic_ns

import msgspec
from nautilus_trader.model import Bar, BarType

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import BarFrame, Interval, canonical_close_ns
from aitb_nautilus.market.times import iso
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.translate import bar_fact
from aitb_nautilus.risk.warming import WARM_UP
from aitb_nautilus.run.bar_order import BarOrder, Hole
from aitb_nautilus.run.config import LiveSettings
from aitb_nautilus.run.enough_bars import FEW_BARS, EnoughBars
from aitb_nautilus.run.inquiries import Inquiries
from aitb_nautilus.run.told_bars import ToldBars
from aitb_nautilus.run.venue_bars import CLOSED_STREAM, VenueBars
from aitb_nautilus.run.warm_up import in_order, tell_past
from aitb_nautilus.settings import Settings

__all__ = ["CATCHING_UP", "BarGate", "GatePlan"]

CATCHING_UP = "catching-up"
"""Name of the refusal that an opening order gets on a bar after which another has closed."""

_LOOK = dt.timedelta(milliseconds=100)
_SECOND_NS = 1_000_000_000
_PAGE = 300
"""Bars asked for at once: no venue answers with fewer."""
_HISTORY_WAIT_NS = 2_000_000_000
"""So long after its close a bar is asked of the history: while warming up, and at a venue whose
stream brings none."""


class GatePlan(msgspec.Struct, frozen=True):
    """What a gate brings.

    Attributes
    ----------
    bar_types
        Each once.
    begins
        Close of the last bar before the first one wanted, by instrument id, ns UTC.
    past
        Bars of the catalog from there on, by instrument id.
    bars
        How many bars before the first one that trades, of each instrument.
    ways
        How bars come, by instrument id; what is not named has closed bars in its stream.
    """

    bar_types: Sequence[str]
    begins: Mapping[str, int]
    past: Mapping[str, BarFrame]
    bars: int
    ways: Mapping[str, VenueBars] = {}


class BarGate(GuardedActor):
    """Bring bars to everybody who listens.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    plan
        What to bring.
    live
        How long to wait for what, and what to do about holes.
    note
        Called with a level and a line for the log of the run.
    on_warm
        Called once the past is told, before any bar is told that trades.

    Attributes
    ----------
    told
        Bars since the warm-up.
    ignored
        Bars that were not told, by the reason.
    is_warm
        Whether the past has been told.
    came_ns
        When a bar came last, monotonic.
    past
        Bars that warmed the node up.
    holds_back
        Whether nothing is told before the next `begin`.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        *,
        plan: GatePlan,
        live: LiveSettings,
        note: Callable[[str, str], None],
        on_warm: Callable[[], None],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._plan = plan
        self._live = live
        self._note = note
        self._on_warm = on_warm
        self._types = {
            Interval.instrument_of_bar_type(text): BarType.from_str(text) for text in plan.bar_types
        }
        self._ids = {bar_type: name for name, bar_type in self._types.items()}
        self._interval_ns = {
            Interval.instrument_of_bar_type(text): Interval.of_bar_type(text).ns
            for text in plan.bar_types
        }
        self._ways = {name: plan.ways.get(name, CLOSED_STREAM) for name in self._types}
        late_ns = round(live.late_bar_secs * 1e9)
        self._late_ns = {
            name: late_ns if way.streams else _HISTORY_WAIT_NS for name, way in self._ways.items()
        }
        self._start_wait_ns = dict.fromkeys(self._types, _HISTORY_WAIT_NS)
        self._order = BarOrder(self._interval_ns, plan.begins)
        self._enough = EnoughBars(plan.bars, self._interval_ns)
        self._inquiries = Inquiries()
        self._past_told = False
        self.told = ToldBars()
        self.ignored: Counter[str] = Counter()
        self.is_warm = self.holds_back = False
        self.came_ns = 0
        self.past = ToldBars()
        context.brought.update(plan.bar_types)
        context.guard.withheld[WARM_UP] = "warming up: the past has not been told yet"

    def on_start(self) -> None:
        """Subscribe; the past is told once every component has started."""
        for name, bar_type in self._types.items():
            if self._ways[name].streams:
                self.subscribe_bars(bar_type)
        self.clock.set_timer("look", _LOOK, callback=self._look)

    def begin(self) -> None:
        """Tell what was held back, from the next moment on."""
        self.holds_back = False
        self.clock.set_time_alert_ns("first look", self.now() + 1, callback=self._look)

    def ask_price(self, instrument_id: str) -> None:
        """Let the engine know an instrument's price before its first bar comes.

        It denies an order at the market while it knows none, exits among them.
        """
        bar_type = self._types.get(instrument_id)
        if bar_type is not None:
            self.subscribe_quotes(bar_type.instrument_id)

    def on_bar(self, bar: Bar) -> None:
        """Take a bar of the stream."""
        self.came_ns = monotonic_ns()
        name = self._ids.get(bar.bar_type)
        if name is not None:
            fact = self._canonical(bar, name, is_open=self._ways[name].stream_opens)
            self.context.latencies.bar_came(name, bar.ts_init - fact.ts if self.is_warm else None)
            self._take(fact)
            self._tell()

    def on_historical_bars(self, bars: Sequence[Bar]) -> None:
        """Take what the venue's history answered."""
        asked = self._inquiries.answered(self._ids.get(bars[0].bar_type) if bars else None)
        if asked is None:
            return  # an answer that came after it was given up, or nobody's
        name = asked.instrument_id
        is_open = self._ways[name].history_opens
        own = [bar for bar in bars if bar.bar_type == self._types[name]]
        found = [self._canonical(bar, name, is_open=is_open) for bar in own]
        wanted = [bar for bar in found if asked.first <= bar.ts <= asked.last]
        self.context.latencies.bar_came(name)
        for bar in sorted(wanted, key=lambda one: one.ts):
            self._take(bar)
        if any(bar.ts == asked.first for bar in wanted):
            self._inquiries.found(name)
        else:
            self._missed(asked, wanted)
        self._tell()
        self._ask()

    def is_awaiting(self, ts: int) -> bool:
        """Return whether a bar is still to come that closes until a time, ns UTC."""
        return self._order.owes(ts)

    def _canonical(self, bar: Bar, name: str, *, is_open: bool) -> BarClosed:
        length, stamp = self._interval_ns[name], bar.ts_event
        try:
            ts = canonical_close_ns(stamp + length if is_open else stamp, length)
        except ValueError as e:
            raise DataError(
                f"bar of {name} at {iso(stamp)}",
                "closes beside the grid of its interval",
                f"must be a close of {bar.bar_type}",
                "The venue's adapter stamps its bars in a way that AITB does not know",
            ) from e
        return bar_fact(bar, name, ts)

    def _take(self, bar: BarClosed) -> None:
        why = self._order.take(bar)
        if why:
            self.ignored[why] += 1
            if why != "came twice":
                self._note("WARNING", f"{bar.instrument_id}: the bar of {iso(bar.ts)} {why}")

    def _look(self, _: object) -> None:
        if self.holds_back:
            return
        if not self._past_told:
            self._past_told = True
            self._tell_catalog()
        self._tell()
        self._ask()

    def _tell_catalog(self) -> None:
        self._tell_past(in_order(self._plan.past))
        for name, frame in self._plan.past.items():
            if len(frame):
                self._order.skip(name, int(frame.ts_close[-1]))

    # Telling

    def _tell(self) -> None:
        """Tell every bar whose turn it is; the past as the past, until nothing is missing."""
        if not self._past_told or self.holds_back:
            return
        if not self.is_warm:
            # As a whole: the order of the past is no matter of whose history answers first.
            self._tell_past(self._whole())
            if not self._inquiries and self._order.hole(self.now(), self._start_wait_ns) is None:
                self._become_warm()
            return
        while not self.run_state.stop_reason and (bar := self._order.next()) is not None:
            self._tell_one(bar)

    def _tell_past(self, bars: Iterator[BarClosed]) -> None:
        tell_past(self.context, self._kept(bars), self._plan.bar_types)

    def _kept(self, bars: Iterator[BarClosed]) -> Iterator[BarClosed]:
        for bar in bars:
            self.past.add(bar)
            self._enough.take(bar.instrument_id)
            yield bar

    def _whole(self) -> Iterator[BarClosed]:
        while not self.run_state.stop_reason:
            bar = self._order.next(whole=True)
            if bar is None:
                return
            yield bar

    def _tell_one(self, bar: BarClosed) -> None:
        audience = self.context.audiences.get(self._types[bar.instrument_id])
        behind = self.now() >= bar.ts + self._interval_ns[bar.instrument_id]
        withheld = self.context.guard.withheld
        if behind:
            withheld[CATCHING_UP] = (
                f"the bar of {iso(bar.ts)} is told late, another has closed since; nothing is "
                f"opened on it"
            )
        try:
            if audience is not None:
                audience.tell(bar)
        finally:
            self.told.add(bar)  # after all that may wait for an order
            withheld.pop(CATCHING_UP, None)
        if FEW_BARS in withheld:
            self._enough.take(bar.instrument_id)
            self._look_for_more()

    def _become_warm(self) -> None:
        self.is_warm = True
        del self.context.guard.withheld[WARM_UP]
        if why := self._enough.missing(self._order.last):
            self.context.guard.withheld[FEW_BARS] = why
            self._note("WARNING", f"not warm: {why}; nothing opens before")
        else:
            self._say_warm(len(self.past))
        self._on_warm()

    def _look_for_more(self) -> None:
        """Let orders open once the stream has brought what the history lacked."""
        withheld = self.context.guard.withheld
        if why := self._enough.missing(self._order.last):
            withheld[FEW_BARS] = why
        else:
            del withheld[FEW_BARS]
            self._say_warm(len(self.past) + len(self.told))

    def _say_warm(self, bars: int) -> None:
        lasts = ", ".join(f"{name} until {iso(ts)}" for name, ts in self._order.last.items())
        self._note("INFO", f"warm after {bars:,} bars: {lasts}")

    # Asking the venue's history

    def _ask(self) -> None:
        now = self.now()
        self._give_up_if_silent(now)
        holes = list(self._order.holes(now, self._late_ns if self.is_warm else self._start_wait_ns))
        if not holes:
            self._inquiries.all_is_there()
        for hole in holes:
            if self._inquiries.may_ask(hole.instrument_id, now):
                self._ask_for(hole, now)

    def _ask_for(self, hole: Hole, now: int) -> None:
        """Ask for one page, and the bar before it: an answer says by its bars whose it is."""
        name, way = hole.instrument_id, self._ways[hole.instrument_id]
        length = self._interval_ns[name]
        last = hole.last if way.up_to_now else min(hole.last, hole.first + (_PAGE - 1) * length)
        self._inquiries.asked(hole._replace(last=last), now)
        if self.is_warm and way.streams:
            line = f"{name}: no bar of {iso(hole.first)}; asking the venue's history"
            self._note("WARNING", line)
        start = hole.first - 2 * length
        if way.reach is not None:
            start = max(start, now - way.reach * length)
        # A second more: some adapters take the end for a time that is not included. The engine
        # refuses one that lies ahead.
        has_end = not way.up_to_now and last + _SECOND_NS < now
        self.request_bars(
            self._types[name],
            start=_moment(start),
            end=_moment(last + _SECOND_NS) if has_end else None,
            limit=None if way.up_to_now else _PAGE + 3,
        )

    def _give_up_if_silent(self, now: int) -> None:
        """Ask again after a while, and halt if the venue stays silent."""
        for asked in self._inquiries.give_up(now):
            silence_ns = self._inquiries.silence_ns(asked.instrument_id, now)
            if silence_ns < self._live.history_secs * 1e9:
                continue
            self._inquiries.begin_silence()
            reason = (
                f"the venue's history has not answered for {self._live.history_secs:g} s, and the "
                f"bar of {iso(asked.first)} of {asked.instrument_id} is missing"
            )
            if not self.is_warm:
                raise DataError(
                    f"warm-up of {asked.instrument_id}",
                    reason,
                    "must answer before anything is traded",
                    "Look at the connection, and at the venue's addresses in the config",
                )
            self._halt(reason, now)

    def _missed(self, asked: Hole, found: Sequence[BarClosed]) -> None:
        """Decide about bars that the history lacks: ask again, or go on without them."""
        now, name = self.now(), asked.instrument_id
        until = min((bar.ts for bar in found), default=asked.last + 1)
        length = self._interval_ns[name]
        lacking = Hole(name, asked.first, until - 1 - (until - 1) % length)
        if not self._inquiries.lacks(lacking, now, round(self._live.late_bar_secs * 1e9)):
            return
        self._order.skip(name, lacking.last)
        count = (lacking.last - lacking.first) // length + 1
        line = f"{name}: the venue has no bars from {iso(lacking.first)} to {iso(lacking.last)}"
        self._note("WARNING", f"{line} ({count} of them)")
        if self.is_warm and self._live.holes == "halt":
            self._halt(line, now)

    def _halt(self, reason: str, now: int) -> None:
        self.context.halt_from_node(reason, now)


def _moment(ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ns // 1_000_000_000, dt.UTC)
