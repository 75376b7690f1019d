"""The past that a run hears before its first bar: how much of it, from the catalog, and told when.

Features, indicators, sizing and limits are brought to where they would stand if the run had begun
earlier. Every bar of the past is told as one of the present is, at its own time and in the same
order; what is decided on it is refused, since nothing can be opened in the past.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from nautilus_trader.model import BarType

from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.risk.warming import WARM_UP
from aitb_nautilus.run.assembly import Assembly
from aitb_nautilus.run.load import Desk
from aitb_nautilus.settings import Settings

__all__ = ["Past", "bars_before", "in_order", "past_in_catalog", "tell_past"]

_HALF_LIVES = 10
"""After so many half-lives a bar counts for less than a thousandth."""


def bars_before(desk: Desk, assembly: Assembly) -> int:
    """Return how many bars before the run are told.

    What the config says; else what the components and the limits ask for.
    """
    wanted = desk.config.warm_up.bars
    if wanted is not None:
        return wanted
    asked = [one.bars_before() for one in assembly.actors]
    asked += [one.bars_before() for one in assembly.strategies]
    return max([*asked, _limits_ask(desk.config.risk)])


def past_in_catalog(source: Any, bar_type: str, until_ns: int, bars: int) -> BarFrame:
    """Return the bars that close in the last so many intervals until a time, that time included.

    Empty where the catalog has none, or not the series at all.

    Parameters
    ----------
    source
        The catalog.
    until_ns
        Close of the last bar wanted, ns UTC.
    """
    if not bars or not any(known.bar_type == bar_type for known in source.list()):
        return BarFrame.empty()
    interval_ns = Interval.of_bar_type(bar_type).ns
    frame: BarFrame = source.read(bar_type, until_ns - (bars - 1) * interval_ns, until_ns)
    return frame


def in_order(frames: Mapping[str, BarFrame]) -> Iterator[BarClosed]:
    """Yield bars of several instruments in the order of time, and of their names at one time."""
    names = sorted(frames)
    if not names:
        return
    times = np.concatenate([frames[name].ts_close for name in names])
    whose = np.repeat(np.arange(len(names)), [len(frames[name]) for name in names])
    columns = [
        np.concatenate([getattr(frames[name], column) for name in names])
        for column in ("open", "high", "low", "close", "volume")
    ]
    order = np.lexsort((whose, times))
    rows = zip(
        whose[order].tolist(),
        times[order].tolist(),
        *(column[order].tolist() for column in columns),
        strict=True,
    )
    for place, *values in rows:
        yield BarClosed(names[place], *values)


def tell_past(context: Context, bars: Iterator[BarClosed], bar_types: Sequence[str]) -> int:
    """Tell bars of the past to everybody who listens; return how many.

    Until it returns, an opening order is refused as ``warm-up``.
    """
    audiences = {
        Interval.instrument_of_bar_type(text): context.audiences.get(BarType.from_str(text))
        for text in bar_types
    }
    count = 0
    before = context.guard.withheld.get(WARM_UP)
    context.guard.withheld[WARM_UP] = before or "warming up: bars of the past are being told"
    try:
        for bar in bars:
            audience = audiences[bar.instrument_id]
            if audience is not None:
                context.warming.move_on(bar.ts)
                audience.tell(bar)
                count += 1
    finally:
        context.tape.heard("told", "")
        context.warming.move_on(0)
        context.guard.hearing.foretold = 0  # What foretells the past is not recorded.
        if before is None:
            del context.guard.withheld[WARM_UP]
    return count


class Past(GuardedActor):
    """Tell the past to the components of a back-test once all of them have started.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    frames
        The past, by instrument id.
    bar_types
        Of the run.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        *,
        frames: Mapping[str, BarFrame],
        bar_types: Sequence[str],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._frames = frames
        self._bar_types = bar_types

    def on_start(self) -> None:
        """Wait for the engine's first moment: every component listens by then, and no bar came."""
        if self._frames:
            self.clock.set_time_alert_ns("past", self.now() + 1, callback=self._tell)

    def _tell(self, _: object) -> None:
        tell_past(self.context, in_order(self._frames), self._bar_types)


def _limits_ask(risk: RiskSettings) -> int:
    """Return how many bars the limits of a config want to have heard."""
    asked = [0]
    if risk.correlation is not None:
        asked += [
            _HALF_LIVES * risk.correlation.half_life_bars,
            risk.correlation.min_bars + 1,
        ]
    for scope in (risk, *risk.rules):
        if scope.liquidity is not None:
            asked.append(scope.liquidity.bars)
    return max(asked)
