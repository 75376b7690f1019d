"""Tell a recording to the desk again, entry by entry, and compare what it says.

Facts are told in the order in which they came. What the desk asks on the way (the time, whether the
engine knows an order) is answered as it was answered then; what it says (features, predictions,
commands) must stand next in the recording. What the engine said at once to a command was noted one
level deeper, and is told before the command returns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    FundingRate,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderUpdate,
    Quote,
)
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.listening import Audience
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.replay_compare import LAYERS, Findings, JournalAgain, layer_of_kind
from aitb_nautilus.risk.replay_node import NodeAgain
from aitb_nautilus.risk.replay_stage import ReplayStage, TimeEvent
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_recorder import GAP

__all__ = ["RecordingPlayer"]

_SAID = ("features", "prediction", "late", "command")
_ASKED = ("reading", "known", "hear", "full", "collected", "opening", "asked")
_CLOCK = "late_ns"
"""What a decision says of the clock."""
_NODE = ("reference", "restrict", "resume", "obey", "halted", "quote", "failed")
"""What the node's own actors may do with a bar before the desk hears it."""
_INTENTS: dict[str, type[Intent]] = {
    one.__name__: one for one in (OrderIntent, CloseIntent, CancelIntent, ModifyIntent)
}


class RecordingPlayer:
    """Play a recording.

    Parameters
    ----------
    entries
        Of the recording.
    context
        Of the desk that decides again.
    components
        Its strategies and actors by id.
    stage
        Where they stand.
    findings
        Is told what is equal and what differs.
    journal
        Compares the records of the journal.
    check_bar
        Told of each bar before the desk hears it, and whether it is of the past.

    Attributes
    ----------
    is_whole
        Whether the recording says that the run ended.
    gap
        How many entries could not be recorded at the point where the playing ended.
    at
        When the last entry came, ns UTC.
    """

    def __init__(
        self,
        entries: Iterator[Entry],
        context: Context,
        *,
        components: Mapping[str, Any],
        stage: ReplayStage,
        findings: Findings,
        journal: JournalAgain,
        check_bar: Callable[[BarClosed, bool], None],
    ) -> None:
        self._entries = entries
        self._head: Entry | None = next(entries, None)
        self._ahead: deque[Entry] = deque()
        self._context = context
        self._components = components
        self._stage = stage
        self._findings = findings
        self._journal = journal
        self._check_bar = check_bar
        self._node = NodeAgain(context, components)
        self._last_reading = 0
        self._unsaid: Entry | None = None
        self._audiences: dict[str, Audience] = {}
        self.is_whole = False
        self.gap = 0
        self.at = 0
        stage.listeners = self._next_listener
        self._tell: dict[str, Callable[[Entry], None]] = {
            "bar": self._bar,
            "past": self._bar,
            "told": self._told,
            "start": self._start,
            "stop": self._stop,
            "timer": self._timer,
            "alert": self._alert,
            "act": self._act,
            "rate": lambda e: context.ledger.apply_funding_rate(FundingRate(*e.what)),
            "quote": lambda e: context.guard.hearing.quote(Quote(*e.what)),
            "reference": lambda e: context.guard.hearing.reference(BarClosed(*e.what)),
            "exiting": lambda e: context.guard.permits.announce_exit(e.who),
            "exited": lambda e: context.guard.permits.end_exit(e.who),
        }

    def play(self) -> None:
        """Tell all entries, until one differs or the recording ends."""
        while self._head is not None and not self._findings.is_done:
            self._tell_one(self._next())
        if self._head is not None and self._head.kind == GAP:
            self._next()
        self._look_for_cause()

    def _look_for_cause(self) -> None:
        """Name what was not said, where the clock was asked instead: what differs follows."""
        found, unsaid = self._findings.divergence, self._unsaid
        if found is None:
            return
        if unsaid is None and found.what == _CLOCK:
            # The clock was asked less often than it was, up to something that was not said.
            ahead = map(self._peek, count())
            unsaid = next(e for e in ahead if e is None or e.kind not in _ASKED)
        if unsaid is None or unsaid.kind not in _SAID:
            return
        layer = layer_of_kind(unsaid.kind)
        if unsaid.kind == "command":
            is_cause = self._journal.owed(*unsaid.what[:2]) is None
        else:
            is_cause = LAYERS.index(layer) < LAYERS.index(found.layer)
        if is_cause:
            recorded = _spelled(unsaid)
            self._findings.differ_before(
                layer, unsaid.at, unsaid.kind, who=unsaid.who, recorded=recorded
            )

    def rest(self) -> Iterator[Entry]:
        """Yield the entries that were not told."""
        if self._head is not None:
            yield self._head
        yield from self._ahead
        yield from self._entries

    # What the tape asks

    def reading(self, value: int) -> int:
        """Return what the clock said."""
        if not self._is_over() and self._head is not None and self._head.kind == "reading":
            self._last_reading = int(self._next().what[0])
            return self._last_reading
        if self._unsaid is None and self._head is not None and self._head.kind in _SAID:
            self._unsaid = self._head
        return self._last_reading or value

    def known(self) -> bool:
        """Return whether the engine knew an order."""
        if self._head is not None and self._head.kind == "known":
            self._next()
            return True
        return False

    def recalled(self, kind: str) -> Any:
        """Return what happened in another thread at this point."""
        if self._head is not None and self._head.kind == kind:
            return self._next().what[0]
        return None

    def said(self, kind: str, depth: int, who: str, what: tuple[Any, ...], names: Any) -> None:
        """Compare what the desk says with what stands next."""
        if self._findings.is_done:
            return
        while self._head is not None and self._head.kind in _ASKED:
            self._next()
        head = self._head
        if head is None or self._is_over():
            return
        if (head.kind, head.who, head.depth) != (kind, who, depth):
            recorded = _spelled(head) if head.kind in _SAID else ""
            replayed = _spelled(Entry(kind, depth, 0, who, what))
            layer = layer_of_kind(kind)
            self._findings.differ(
                layer, self._stage.time, kind, who=who, recorded=recorded, replayed=replayed
            )
            return
        self._next()
        if head is self._unsaid:
            self._unsaid = None
        if kind == "command":
            self._journal.left(*what[:2])
        self._findings.compare_said(head, what, names)

    def answers(self, depth: int) -> None:
        """Tell what came while a command was carried out."""
        while self._head is not None and self._head.depth >= depth and not self._findings.is_done:
            self._tell_one(self._next())

    def injected(self) -> None:
        """Tell what the node's own actors did with a bar."""
        while self._head is not None and self._head.kind in _NODE:
            self._tell_one(self._next())

    def _next_listener(self) -> str | None:
        place = 0
        while (entry := self._peek(place)) is not None and entry.kind in ("reading", "known"):
            place += 1
        if entry is None or entry.kind != "hear":
            # What stands between belongs to those who wait for their bar with what they heard.
            return None
        for _ in range(place):
            self._next()
        return None if self._is_over() else self._next().who

    def _is_over(self) -> bool:
        """Return whether the recording ends here, in the middle of a fact."""
        if self._head is None or self._head.kind == GAP:
            self._findings.is_over = True
        return self._findings.is_over

    # Telling

    def _next(self) -> Entry:
        entry = self._head
        assert entry is not None  # noqa: S101 - every caller has looked
        if entry.kind == GAP:
            self.gap = entry.what[0]
            self._findings.is_over = True
        self._head = self._ahead.popleft() if self._ahead else next(self._entries, None)
        self.at = entry.at
        return entry

    def _peek(self, place: int) -> Entry | None:
        """Return the entry so many places behind the head, without taking any."""
        while len(self._ahead) < place:
            entry = next(self._entries, None)
            if entry is None:
                return None
            self._ahead.append(entry)
        return self._ahead[place - 1] if place else self._head

    def _tell_one(self, entry: Entry) -> None:
        kind = entry.kind
        if kind in _ASKED:
            return  # The desk asked less often than it did.
        self._stage.time = entry.at
        if kind == "command" and (owed := self._journal.owed(*entry.what[:2])) is not None:
            # What is written before a command leaves comes first.
            self._journal.miss(owed)
        elif kind in _SAID:
            layer = layer_of_kind(kind)
            self._findings.differ(layer, entry.at, kind, who=entry.who, recorded=_spelled(entry))
        elif kind == "ended":
            self.is_whole = True
        elif kind in self._tell:
            self._tell[kind](entry)
        elif not self._node.tell(entry) and entry.who in self._components:
            self._tell_of_order(entry)

    def _bar(self, entry: Entry) -> None:
        context, bar, is_past = self._context, BarClosed(*entry.what), entry.kind == "past"
        self._check_bar(bar, is_past)
        if self._findings.is_done:
            return
        context.warming.move_on(bar.ts if is_past else 0)
        audience = self._audiences.get(bar.instrument_id) or self._audience(bar.instrument_id)
        if audience is not None:
            audience.tell(bar)

    def _told(self, _: Entry) -> None:
        """End a piece of the past."""
        self._context.warming.move_on(0)
        self._context.guard.hearing.foretold = 0

    def _audience(self, instrument_id: str) -> Audience | None:
        for audience in self._context.audiences.values():
            self._audiences[audience.instrument_id] = audience
        return self._audiences.get(instrument_id)

    def _start(self, entry: Entry) -> None:
        self._components[entry.who].on_start()

    def _stop(self, entry: Entry) -> None:
        component = self._components[entry.who]
        if entry.what:
            component.answering.move_on(entry.what[0])
        component.on_stop()

    def _timer(self, entry: Entry) -> None:
        name, ts_event, ts_init = entry.what
        callback = self._stage.timers.get((entry.who, name))
        if callback is not None:
            callback(TimeEvent(name, ts_event, ts_init))

    def _alert(self, entry: Entry) -> None:
        callback = self._stage.alerts.pop((entry.who, entry.what[0]), None)
        if callback is not None:
            callback()

    def _act(self, entry: Entry) -> None:
        now, _, rows = entry.what
        answering = self._components[entry.who].answering
        answering.move_on(now)
        answering.act([_fact(_INTENTS[name], values) for name, *values in rows])

    def _tell_of_order(self, entry: Entry) -> None:
        now, *what = entry.what
        answering = self._components[entry.who].answering
        answering.move_on(now)
        match entry.kind:
            case "fill":
                answering.fill(_fact(Fill, what))
            case "update":
                answering.update(_fact(OrderUpdate, what))
            case "unknown" | "again":
                getattr(answering, entry.kind)(_fact(OrderUpdate, what))
            case "created":
                id_, instrument_id, side, quantity, reduce_only = what
                permit = Permit(instrument_id, side, Decimal(quantity), reduce_only)
                answering.created(id_, permit)
            case "obey":
                answering.obey(*what)
            case "emulated" | "left" | "cancelling" | "changing":
                getattr(answering, entry.kind)(*what)


def _fact[T](type_: type[T], values: Any) -> T:
    fields = type_.__struct_fields__  # type: ignore[attr-defined]  # all of them are structs
    # A recording may be from before the last fields were there; they have defaults.
    return msgspec.convert(dict(zip(fields, values, strict=False)), type_)


def _spelled(entry: Entry) -> str:
    values = [f"{len(v)} bytes" if isinstance(v, bytes) else str(v) for v in entry.what]
    return f"{entry.kind} {' '.join(values)}"
