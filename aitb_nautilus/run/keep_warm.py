"""Have in the processor's caches what the next bar needs, at the moment when it comes.

A minute passes between two bars, and after two milliseconds of anything else on the processor, or
of sleep, half of what decides is in its caches no more. So while a bar is due, what can be computed
without any effect is computed again and again, and thrown away: the features of the next row on a
copy of their state, and the models' answers to it. Not the limits, which take in what has come when
they are asked.

A rehearsal that fails costs its actor all further ones, and nothing else: what is wrong is said,
and the bar itself is answered as if nobody had rehearsed, or fails there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from itertools import cycle
from time import monotonic_ns
from typing import Final

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.capture import Failure
from aitb_nautilus.risk.context import Context
from aitb_nautilus.run.bar_gate import BarGate
from aitb_nautilus.settings import Settings

__all__ = ["KeepWarm"]

_PERIOD: Final = dt.timedelta(milliseconds=2)
_EARLY_NS: Final = 20_000_000
"""So long before a close it begins: the venue's clock may be ahead of ours."""
_REST_NS: Final = 10_000_000
"""After a bar: its order must not wait, and what it needed is warm by itself."""


class KeepWarm(GuardedActor):
    """Let actors rehearse while a bar is due.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    gate
        By which the bars come.
    actors
        Of the desk, who rehearse.
    bar_types
        That the gate brings.
    keep_ms
        So long after its close a bar is due at most.
    note
        For the log of the run.

    Attributes
    ----------
    passes
        How often somebody rehearsed so far.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        *,
        gate: BarGate,
        actors: Sequence[GuardedActor],
        bar_types: Sequence[str],
        keep_ms: float,
        note: Callable[[str, str], None],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._gate = gate
        self._keep_ns = round(keep_ms * 1e6)
        self._lengths = {Interval.of_bar_type(text).ns for text in bar_types}
        self._names = cycle(Interval.instrument_of_bar_type(text) for text in bar_types)
        self._actors = [one for one in actors if type(one).rehearse is not GuardedActor.rehearse]
        self._note = note
        self._close = 0
        self._is_on = False
        self.passes = 0

    def on_start(self) -> None:
        """Wait for the first close, if there is anything to rehearse."""
        if self._actors:
            self._wait(self.now())

    def _wait(self, now: int) -> None:
        """Wake up shortly before the next close."""
        self._close = min((now + _EARLY_NS) // one * one + one for one in self._lengths)
        # One name for all: the engine keeps the callback of each name for as long as it runs.
        self.clock.set_time_alert_ns("close", self._close - _EARLY_NS, callback=self._begin)

    def _begin(self, _: object) -> None:
        self._is_on = True
        self.clock.set_timer("rehearse", _PERIOD, callback=self._turn)

    def _turn(self, _: object) -> None:
        if not self._is_on:
            return  # It was on its way when the timer was taken back.
        now = self.now()
        if not self._is_due(now):
            self._is_on = False
            self.clock.cancel_timer("rehearse")
            if self._actors:
                self._wait(now)
        elif monotonic_ns() - self._gate.came_ns >= _REST_NS:
            self.passes += 1
            name = next(self._names)
            for one in tuple(self._actors):
                try:
                    one.rehearse(name)
                except BaseException as e:  # as everywhere: one may end by anything
                    self._leave_out(one, e)

    def _leave_out(self, actor: GuardedActor, error: BaseException) -> None:
        """Let an actor rehearse no more, and say why: no bar has come that it could not answer."""
        self._actors.remove(actor)
        failure = Failure.of(actor.component_id, "rehearse", self.now(), error)
        self._note(
            "ERROR",
            f"{failure.reason}; it is kept warm no more, and answers its bars as if it never was: "
            f"see to its rehearse, or set live.keep_warm_ms = 0\n{failure.trace}",
        )

    def _is_due(self, now: int) -> bool:
        return (
            bool(self._actors)
            and self._gate.is_warm
            and now < self._close + self._keep_ns
            and self._gate.is_awaiting(self._close)
        )
