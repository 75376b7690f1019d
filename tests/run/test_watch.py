"""Quotes and bars of references on their way from the real engine to the guard."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import InstrumentId, Price, Quantity, QuoteTick

from aitb_nautilus.messages import BarClosed, Intent, OrderIntent
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.run.watch import QuoteWatch, ReferenceWatch
from aitb_nautilus.settings import Settings, decode
from tests.risk.rig import BTC, MINUTE, Scripted, close_of, flat_bars, make_context, run
from tests.risk.test_listening import Diary, Hearer, Speaker, prediction

LOOSE = {"max_order_notional": 1e9, "max_position_notional": 1e9}


def context_with(**risk: Any) -> Context:
    return make_context(decode(LOOSE | risk, RiskSettings, "desk.toml"))


def quote(ts: int, bid: float, ask: float) -> QuoteTick:
    sizes = Quantity.from_str("2.000"), Quantity.from_str("3.000")
    return QuoteTick(InstrumentId.from_str(BTC), Price(bid, 2), Price(ask, 2), *sizes, ts, ts)


def buy(_: Any) -> Iterable[Intent]:
    return [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.01"))]


def test_limit_of_the_book_refuses_until_a_narrow_quote_has_come() -> None:
    context = context_with(book={"max_spread_frac": 0.001, "max_quote_age_ms": 61_000})
    strategy = Scripted(Settings(), context, "S-001")
    strategy.steps = dict.fromkeys((1, 2, 3, 4), buy)
    watch = QuoteWatch(Settings(), context, "aitb_quotes-001", [BTC])
    quotes = [quote(close_of(2) - 1, 29_000, 31_000), quote(close_of(3) - 1, 29_999.99, 30_000.01)]
    run([strategy], context, flat_bars(6), extra=quotes, actors=[watch])
    assert [d.limit for d in strategy.refusals] == ["max_quote_age_ms", "max_spread_frac"]
    assert next(f.ts for f in strategy.fills) >= close_of(3)
    assert len(strategy.fills) == 2
    heard = context.guard.hearing.quotes[BTC]
    assert (heard.bid, heard.ask_size, heard.ts) == (29_999.99, 3.0, close_of(3) - 1)


def test_bars_of_a_reference_reach_its_limit_and_nobody_else() -> None:
    reference = {"instrument": BTC, "max_divergence_frac": 0.02, "max_age_minutes": 1}
    rule = {"scope": {"instrument": "ETHUSDT-PERP.BINANCE"}, "reference": reference}
    context = context_with(rules=[rule])
    watch = ReferenceWatch(Settings(), context, "aitb_references-001", [MINUTE.bar_type(BTC)])
    run([], context, flat_bars(3), actors=[watch])
    (limit,) = [one for one in context.guard.limits if one.name == "reference"]
    assert (limit._price, limit._ts) == (30_000.0, close_of(3))  # type: ignore[attr-defined]
    assert not context.ledger.marks


@pytest.mark.parametrize(("lasts", "sent"), [(2, 1), (9, 2)])
def test_strategy_opens_nothing_once_its_last_prediction_is_too_old(lasts: int, sent: int) -> None:
    class Late(Hearer):
        def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
            super().decide_on_bar(bar)
            return buy(self) if self.heard > 1 else ()

    context = context_with(max_prediction_age_minutes=2)
    speaker, hearer = Speaker(context, "A-001", Diary()), Late(context, "S-001", Diary())
    speaker.script = {1: [prediction(1, bars=lasts)]}
    run([hearer], context, flat_bars(8), actors=[speaker])
    # Bars 2 to 8 ask; the prediction is of bar 1 and may be two minutes old.
    assert context.guard.refused == 7 - sent
    assert context.guard.refusals[0].limit == "max_prediction_age_minutes"
