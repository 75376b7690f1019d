"""What limits hear: bars, the moment when all of one time are there, quotes, fills, closed trades.

Works on the ledger after it has taken the fact, and calls only limits that want it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aitb_nautilus.messages import BarClosed, Fill, Prediction, Quote
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.holdings import Looks
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_memory import HeardFills
from aitb_nautilus.risk.limit_rule import ClosedTrade, Limit, Proposal

__all__ = ["Hearing"]

_STOPS = ("exit:stop", "exit:trailing", "exit:chandelier", "exit:break_even")


class Hearing:
    """Bring facts to the limits of one guard.

    Bars of one time come one after the other, and equity is marked instrument by instrument. A
    time is whole once every instrument has its bar that had one at the time before; should one stay
    out, the next bar of a later time ends it.

    Parameters
    ----------
    limits
        Which may override the ``hear_*`` methods of `Limit`.
    ledger
        The trader's.
    looks
        What is held and pending in it.

    Attributes
    ----------
    quotes
        The last quote by instrument id, where it has both sides.
    wants_quotes
        Whether some limit looks at them.
    references
        The last bar of each instrument that is only looked at, by its id.
    foretold
        Predictions that were told; one that several strategies heard counts once.
    heard
        The last fills, if they are remembered; what is told again changes no limit.
    is_close
        Whether the last bar was the last one of its time.
    """

    def __init__(self, limits: Sequence[Limit], ledger: Ledger, looks: Looks) -> None:
        self._ledger = ledger
        self._looks = looks
        self._bars = [one.hear_bar for one in _who(limits, "hear_bar")]
        self._closes = [one.hear_close for one in _who(limits, "hear_close")]
        self._references = [one.hear_reference for one in _who(limits, "hear_reference")]
        self._expects = [one.expect_predictions for one in _who(limits, "expect_predictions")]
        self._predictions = [one.hear_prediction for one in _who(limits, "hear_prediction")]
        self._fills = _who(limits, "hear_fill")
        self._exits = _who(limits, "hear_exit")
        self._counting = [one for one in limits if one.counts]
        self.wants_bars = bool(self._bars or self._closes)
        self.wants_fills = bool(self._fills or self._exits)
        self.wants_quotes = any(one.needs_quotes for one in limits)
        self.quotes: dict[str, Quote] = {}
        self._quoted: dict[str, int] = {}
        self.references: dict[str, BarClosed] = {}
        self.foretold = 0
        self.heard: HeardFills | None = None
        self.is_close = False
        self._newest: dict[tuple[str, str], Prediction] = {}
        self._now = 0
        self._there: set[str] = set()
        self._awaited: set[str] = set()
        self._told = True
        self._flat_at: dict[tuple[str, str], float] = {}

    def bar(self, bar: BarClosed, *, past: bool = False) -> str:
        """Tell of a bar; return why to halt, or nothing.

        Parameters
        ----------
        past
            Whether the past is told: what the trader is worth now was not its worth then.
        """
        for hear in self._bars:
            hear(bar)
        self.is_close, why = False, ""
        if not (self._closes or self.heard):
            return ""
        if bar.ts != self._now:
            if not self._told:
                why = self._tell(self._now)
            self._awaited, self._there = self._there, set()
            self._now, self._told = bar.ts, past
        self._there.add(bar.instrument_id)
        if self._there >= self._awaited and not past:
            why = self._tell(bar.ts) or why
            self._told = True
        return why

    def quote(self, quote: Quote) -> None:
        """Keep the top of a book for the next order; an older one than is known does not count.

        After one without both sides, or with the higher one to buy, nothing is known of the book.
        """
        instrument_id = quote.instrument_id
        if quote.ts < self._quoted.get(instrument_id, 0):
            return
        self._quoted[instrument_id] = quote.ts
        if 0 < quote.bid <= quote.ask:  # written so that what is no number fails as well
            self.quotes[instrument_id] = quote
        else:
            self.quotes.pop(instrument_id, None)

    def reference(self, bar: BarClosed) -> None:
        """Tell of a bar of an instrument that is only looked at."""
        self.references[bar.instrument_id] = bar
        for hear in self._references:
            hear(bar)

    def expect(self, strategy_id: str, listens: Sequence[tuple[str, str]]) -> None:
        """Tell what a strategy listens to."""
        for expect in self._expects:
            expect(strategy_id, listens)

    def prediction(self, prediction: Prediction) -> None:
        """Tell of a prediction."""
        source = (prediction.model, prediction.instrument_id)
        if self._newest.get(source) is not prediction:
            self._newest[source] = prediction
            self.foretold += 1
        for hear in self._predictions:
            hear(prediction)

    def fill(self, fill: Fill) -> None:
        """Tell of a fill, and of the trade that it closed."""
        strategy_id, instrument_id = fill.strategy_id, fill.instrument_id
        is_news = self.heard is None or self.heard.add(fill)
        for one in self._fills:
            if is_news and one.scope.covers(strategy_id, instrument_id):
                one.hear_fill(fill)
        if not self._exits:
            return
        position = self._ledger.position(strategy_id, instrument_id)
        after, before = position.quantity, position.before
        if before == 0 or (after != 0 and (after > 0) == (before > 0)):
            return
        key, total = (strategy_id, instrument_id), position.closed
        pnl = total - self._flat_at.get(key, 0.0)
        self._flat_at[key] = total
        order = self._ledger.orders.get(fill.client_order_id)
        by_stop = order is not None and (order.is_stop or order.purpose.startswith(_STOPS))
        trade = ClosedTrade(strategy_id, instrument_id, fill.ts, pnl, by_stop)
        for one in self._exits:
            if is_news and one.scope.covers(strategy_id, instrument_id):
                one.hear_exit(trade)

    def sent_before(self, order: Order, ts: int) -> None:
        """Let limits count an opening order, or a change of one, that an earlier node sent.

        Parameters
        ----------
        ts
            When it left, by the node's clock, ns UTC.
        """
        price = order.price or order.trigger_price or 0.0
        for one in self._counting:
            if one.scope.covers(order.strategy_id, order.instrument_id):
                one.sent(
                    Proposal(
                        order.strategy_id,
                        order.instrument_id,
                        order.side,
                        order.quantity,
                        price,
                        None,
                        price,
                        ts,
                    )
                )

    def _tell(self, ts: int) -> str:
        self.is_close = True
        reasons = [hear(ts, self._looks) for hear in self._closes]
        return next(filter(None, reasons), "")


def _who(limits: Sequence[Limit], hears: str) -> list[Limit]:
    """Return the limits that override a method."""
    return [one for one in limits if getattr(type(one), hears) is not getattr(Limit, hears)]
