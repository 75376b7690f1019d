"""What the guard hears beside the strategies' bars: quotes, and the bars of references.

A run has these actors only if a limit wants what they bring. They never trade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import astuple
from nautilus_trader.model import Bar, BarType, InstrumentId, QuoteTick

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.translate import bar_fact, quote_fact
from aitb_nautilus.settings import Settings

__all__ = ["QuoteWatch", "RecordedReferences", "ReferenceWatch"]


class QuoteWatch(GuardedActor):
    """Bring the quotes of instruments to the guard.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    instrument_ids
        Of what is traded.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        instrument_ids: Sequence[str],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._ids = {InstrumentId.from_str(text): text for text in instrument_ids}
        self._hearing = context.guard.hearing

    def starting(self) -> None:
        """Subscribe to the quotes."""
        for instrument_id in self._ids:
            self.subscribe_quotes(instrument_id)

    def on_quote(self, quote: QuoteTick) -> None:
        """Hand a quote to the guard."""
        fact = quote_fact(quote, self._ids[quote.instrument_id])
        self.context.latencies.spent("quote age", quote.ts_init - quote.ts_event)
        self.context.tape.heard("quote", "", *astuple(fact))
        self._hearing.quote(fact)


class ReferenceWatch(GuardedActor):
    """Bring the bars of references to the guard as the engine gives them.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    reference_bar_types
        Of instruments that are only looked at.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        reference_bar_types: Sequence[str],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._types = {BarType.from_str(text) for text in reference_bar_types}

    def starting(self) -> None:
        """Subscribe to the bars."""
        for bar_type in self._types:
            self.subscribe_bars(bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Hand a bar to the guard."""
        fact = bar_fact(bar, str(bar.bar_type.instrument_id))
        self.context.tape.heard("reference", "", *astuple(fact))
        self.context.guard.hearing.reference(fact)


class RecordedReferences(GuardedActor):
    """Bring recorded bars of references to the guard, each once its close is reached.

    The engine of a back-test never sees these bars: it would want a venue and an account for an
    instrument that nobody trades.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    references
        Bars by the reference's instrument id.
    compared
        Bar types of the instruments that are compared with them.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        references: Mapping[str, BarFrame],
        compared: Sequence[str],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._references = references
        self._compared = compared
        self._told = dict.fromkeys(references, 0)

    def bar_types(self) -> Sequence[str]:
        """Listen to what is compared."""
        return self._compared

    def hear_bar(self, bar: BarClosed) -> None:
        """Tell of the references' last bars at this time, before any strategy hears the bar."""
        for instrument_id, frame in self._references.items():
            count = int(np.searchsorted(frame.ts_close, bar.ts, side="right"))
            if count > self._told[instrument_id]:
                self._told[instrument_id] = count
                fact = _row(frame, count - 1, instrument_id)
                self.context.tape.heard("reference", "", *astuple(fact))
                self.context.guard.hearing.reference(fact)


def _row(frame: BarFrame, i: int, instrument_id: str) -> BarClosed:
    columns: list[Any] = [frame.open, frame.high, frame.low, frame.close, frame.volume]
    return BarClosed(instrument_id, int(frame.ts_close[i]), *(float(c[i]) for c in columns))
