"""How long everything takes, from the market's time of a bar to the venue's yes: one place.

=================  =============================================================================
stage              from ... to
=================  =============================================================================
bar age            the close of a bar ... its arrival from the stream (wall clock)
quote age          the venue's time of a quote ... its arrival, where a limit looks at quotes (wall
                   clock)
feature            a bar ... its row of features, computed
inference          a row ... a model's answer; of a model in a worker, until it was collected
decision           the arrival of a bar ... a strategy's first intent on it, or on what a model
                   said of it: what waits for other bars, features and inference among it
guard              an intent ... what the limits say of it
submit             the guard's yes ... the adapter's word that the order has left, the journal on
                   the disk and the wait for a close before it among it
acknowledgement    the order has left ... the arrival of the venue's yes: accepted, or filled
fill               a market order has left ... the arrival of its first fill
order              the close of the bar that an order answers ... the arrival of the venue's yes
=================  =============================================================================

Ages compare two clocks, that of the venue and that of this machine; what is negative says that
they differ, and counts as 0. All else is measured by the monotonic clock. `order` adds both, and is
what a back-test pays with ``latency = "run:ID"``: a whole way there and back, so never less than
the order took to arrive. A back-test has no ages, and the venue's answers come when the model of
the venue says: its `acknowledgement` and `fill` are simulated times, and so are marked.

Nothing that is measured reaches a decision, or a fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import perf_counter_ns
from typing import Final, Literal

from aitb_nautilus.histogram import Histogram

__all__ = ["STAGES", "Clock", "Latencies"]

Clock = Literal["wall", "monotonic", "simulated"]

STAGES: Final = (
    "bar age",
    "quote age",
    "feature",
    "inference",
    "decision",
    "guard",
    "submit",
    "acknowledgement",
    "fill",
    "order",
)
"""In the order in which they happen."""

_WALL = ("bar age", "quote age", "order")
_VENUE = ("acknowledgement", "fill", "order")
_UNCOUNTED = 1_000
_MOST = 100_000
"""Orders that are waited for at once: of those that are never answered none may fill the memory."""


class _Way:
    """Where an order is on its way."""

    __slots__ = ("age", "allowed", "at_once", "begun", "is_answered", "left", "since")

    def __init__(
        self, allowed: int, begun: int, since: int, age: int | None, *, at_once: bool
    ) -> None:
        self.allowed = allowed
        self.begun = begun
        self.since = since
        self.age = age
        self.at_once = at_once
        self.left: int | None = None
        self.is_answered = False


class Latencies:
    """The histograms of a run, and what is on its way.

    Attributes
    ----------
    of
        Histogram by stage.
    """

    __slots__ = ("_begun", "_entered", "_is_simulated", "_of", "_uncounted", "_venue_ns", "_ways")

    def __init__(self) -> None:
        self._of = {stage: Histogram() for stage in STAGES}
        self._uncounted: list[tuple[str, int]] = []
        self._entered: dict[str, tuple[int, int | None]] = {}
        self._begun: dict[tuple[str, Hashable], int] = {}
        self._ways: dict[str, _Way] = {}
        self._venue_ns: Callable[[], int] = perf_counter_ns
        self._is_simulated = False

    @property
    def of(self) -> dict[str, Histogram]:
        """Return the histograms, with all that was measured."""
        self._count()
        return self._of

    def venue_answers_by(self, simulated_ns: Callable[[], int]) -> None:
        """Measure what the venue takes by a simulated clock, ns."""
        self._venue_ns = simulated_ns
        self._is_simulated = True

    def clock_of(self, stage: str) -> Clock:
        """Return by which clock a stage is measured."""
        if self._is_simulated and stage in _VENUE:
            return "simulated"
        return "wall" if stage in _WALL else "monotonic"

    # What comes in

    def bar_came(self, instrument_id: str, age_ns: int | None = None) -> None:
        """Note that a bar came in.

        Parameters
        ----------
        age_ns
            Since its close; None where it was not sent as soon as it closed.
        """
        self._entered[instrument_id] = perf_counter_ns(), age_ns
        if len(self._uncounted) > _UNCOUNTED:
            self._count()
        if age_ns is not None:
            self._uncounted.append(("bar age", age_ns))

    def spent(self, stage: str, ns: int) -> None:
        """Note how long something took."""
        self._uncounted.append((stage, ns))

    def begins(self, stage: str, what: Hashable) -> None:
        """Note that something begins that `ends` or `breaks_off` later."""
        self._begun[stage, what] = perf_counter_ns()

    def ends(self, stage: str, what: Hashable) -> None:
        """Note how long it took."""
        begun = self._begun.pop((stage, what), None)
        if begun is not None:
            self._uncounted.append((stage, perf_counter_ns() - begun))

    def breaks_off(self, stage: str, what: Hashable) -> None:
        """Note that nobody waits for it any more."""
        self._begun.pop((stage, what), None)

    def decided(self, instrument_id: str) -> None:
        """Note a first intent on a bar of an instrument, or on what was said of it."""
        entered = self._entered.get(instrument_id)
        if entered is not None:
            self._uncounted.append(("decision", perf_counter_ns() - entered[0]))

    # The way of an order

    def allowed(self, client_order_id: str, cause: str | None, *, at_once: bool) -> None:
        """Note that the guard let an order pass.

        Parameters
        ----------
        cause
            Instrument of the bar or prediction that it answers; None: it answers something else.
        at_once
            Whether it fills as soon as it arrives: a market order.
        """
        since, age = self._entered.get(cause or "", (0, None))
        if len(self._ways) >= _MOST:
            self._ways.clear()
        self._ways[client_order_id] = _Way(
            perf_counter_ns(), self._venue_ns(), since, age, at_once=at_once
        )

    def left(self, client_order_id: str) -> None:
        """Note that the adapter took an order."""
        way = self._ways.get(client_order_id)
        if way is not None and way.left is None:
            now = self._venue_ns()
            if not self._is_simulated or now == way.begun:
                self._of["submit"].record(perf_counter_ns() - way.allowed)
            # A simulated way may begin before the order leaves for the engine, see `MeasuredWay`.
            way.left = way.begun if self._is_simulated else now

    def accepted(self, client_order_id: str) -> None:
        """Note the venue's yes to an order."""
        way = self._ways.get(client_order_id)
        if way is not None and way.left is not None:
            self._answered(way, way.left)
            if not way.at_once:
                del self._ways[client_order_id]

    def filled(self, client_order_id: str) -> None:
        """Note a fill."""
        way = self._ways.pop(client_order_id, None)
        if way is not None and way.left is not None:
            self._answered(way, way.left)
            if way.at_once:
                self._of["fill"].record(self._venue_ns() - way.left)

    def ended(self, client_order_id: str) -> None:
        """Note that nothing more is to be expected of an order."""
        self._ways.pop(client_order_id, None)

    def _count(self) -> None:
        """Count what was measured before an order left: then it would have waited for that."""
        for stage, ns in self._uncounted:
            self._of[stage].record(ns)
        self._uncounted.clear()

    def _answered(self, way: _Way, left: int) -> None:
        if way.is_answered:
            return
        way.is_answered = True
        self._of["acknowledgement"].record(self._venue_ns() - left)
        if way.age is not None and not self._is_simulated:
            self._of["order"].record(way.age + perf_counter_ns() - way.since)
