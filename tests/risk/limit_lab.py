"""A desk without an engine for the tests of limits, and one scenario for every limit.

In each scenario one limit acts, and nothing else: prices are 100 at the question, equity starts
at 10,000, lots are 0.001, it is 1970-01-02. All figures are worked out by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from aitb_nautilus.messages import BarClosed, Fill, OrderIntent, Prediction, Quote, Side
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.guard import Decision, Guard, LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import RiskSettings, build_limits
from aitb_nautilus.settings import decode

X, Y, Z = "X.V", "Y.V", "Z.W"
R = "R.W"
"""An instrument that is only looked at."""
LOT = Decimal("0.001")
SECOND = 10**9
MINUTE = 60 * SECOND
DAY = 1_440 * MINUTE
YEAR = 365 * DAY
LOOSE: dict[str, Any] = {
    "max_order_notional": 1e9,
    "max_position_notional": 1e9,
    "price_band_frac": 1.0,
    "max_open_orders": 10**6,
    "max_orders_per_minute": 10**6,
}
ZIGZAG = (100.0, 110.0, 100.0)
"""Closes a year apart: yearly volatility is log(1.1) at whatever half-life."""
ZAGZIG = (100.0, 100 / 1.1, 100.0)
"""The same the other way round: correlation -1 with the above."""


class Desk:
    """A guard and its ledger, driven by hand."""

    def __init__(self, risk: RiskSettings) -> None:
        self.ledger = Ledger(10_000.0)
        self.guard = Guard(self.ledger, build_limits(risk), dict.fromkeys((X, Y, Z), LotRules(LOT)))
        self.now = DAY
        self.count = 0

    def bar(self, close: float, after: int = 0, instrument: str = X, volume: float = 1.0) -> None:
        """Let time pass and close a bar."""
        self.now += after
        bar = BarClosed(instrument, self.now, close, close, close, close, volume)
        self.ledger.apply_bar(bar)
        self.guard.hear_bar(bar)

    def quote(
        self,
        bid: float,
        ask: float,
        instrument: str = X,
        bid_size: float = 10.0,
        ask_size: float = 10.0,
    ) -> None:
        """See the top of a book."""
        self.guard.hearing.quote(Quote(instrument, self.now, bid, ask, bid_size, ask_size))

    def predict(self, instrument: str = X, model: str = "m", valid: int = DAY) -> None:
        """Hear a prediction of this moment."""
        self.guard.hearing.prediction(
            Prediction(
                instrument_id=instrument, model=model, version="1", score=0.0, probability=0.5,
                expected_return=None, confidence=None, horizon_ns=MINUTE, ts_event=self.now,
                ts_features=self.now, ts_inference=self.now, expires_ns=self.now + valid,
            )
        )  # fmt: skip

    def trade(
        self,
        quantity: str,
        price: float = 100.0,
        instrument: str = X,
        strategy: str = "S-001",
        *,
        fee: float = 0.0,
        purpose: str = "entry",
    ) -> None:
        """Fill a market order."""
        amount = Decimal(quantity)
        order = self.rest(
            str(abs(amount)), "BUY" if amount > 0 else "SELL", instrument, strategy,
            kind="MARKET", price=None, purpose=purpose,
        )  # fmt: skip
        fill = Fill(
            strategy, instrument, order.client_order_id, f"T-{self.count}", self.now, order.side,
            price, abs(amount), fee, "TAKER",
        )  # fmt: skip
        self.ledger.apply_fill(fill)
        self.guard.hear_fill(fill)

    def rest(
        self,
        quantity: str,
        side: Side = "BUY",
        instrument: str = X,
        strategy: str = "S-001",
        **changes: Any,
    ) -> Order:
        """Leave an order open."""
        self.count += 1
        terms: dict[str, Any] = {
            "client_order_id": f"O-{self.count}",
            "strategy_id": strategy,
            "instrument_id": instrument,
            "side": side,
            "kind": "LIMIT",
            "quantity": Decimal(quantity),
            "price": 100.0,
            "trigger_price": None,
            "reduce_only": False,
            "purpose": "entry",
            "ts_sent": self.now,
        }
        order = Order(**(terms | changes))
        self.ledger.apply_order(order)
        return order

    def ask(
        self,
        quantity: str,
        side: Side = "BUY",
        instrument: str = X,
        strategy: str = "S-001",
        **changes: Any,
    ) -> Decision:
        """Wish for an order at this moment; nothing is sent."""
        intent = OrderIntent(
            instrument_id=instrument, side=side, quantity=Decimal(quantity), **changes
        )
        return self.guard.judge(intent, strategy, self.now)


class Scenario(NamedTuple):
    """One limit that acts.

    Attributes
    ----------
    limit
        Its name.
    risk
        What the config sets beside `LOOSE`.
    before
        What happens first.
    wish
        Arguments of `Desk.ask`.
    quantity
        What may be sent of it.
    words
        What the line must hold.
    """

    limit: str
    risk: dict[str, Any]
    before: Callable[[Desk], object]
    wish: tuple[Any, ...]
    quantity: str
    words: tuple[str, ...]
    terms: Mapping[str, Any] = MappingProxyType({})


def settings(**risk: Any) -> RiskSettings:
    """Return a section that limits next to nothing but what is named."""
    return decode(LOOSE | risk, RiskSettings, "desk.toml")


def start(scenario: Scenario) -> Desk:
    """Return a desk to which all has happened that comes before the question."""
    desk = Desk(settings(**scenario.risk))
    desk.bar(100.0)
    scenario.before(desk)
    return desk


def _nothing(desk: Desk) -> None:
    pass


def long_and_short(desk: Desk) -> None:
    """Hold 300 of X and -200 of Y, and offer 110 of X."""
    desk.bar(100.0, instrument=Y)
    desk.trade("3")
    desk.trade("-2", instrument=Y)
    desk.rest("1", "SELL", price=110.0)


def _yearly(*second: float) -> Callable[[Desk], None]:
    """X zigzags; Y closes as given, and 5 of it are held."""

    def happen(desk: Desk) -> None:
        if second:
            desk.bar(second[0], instrument=Y)
        for i in (1, 2):
            desk.bar(ZIGZAG[i], YEAR)
            if second:
                desk.bar(second[i], instrument=Y)
        if second:
            desk.trade("5", instrument=Y)

    return happen


def _losing(desk: Desk, loss: float, *, instrument: str = X, purpose: str = "exit:signal") -> None:
    desk.trade("1", 100.0, instrument)
    desk.trade("-1", 100.0 - loss, instrument, purpose=purpose)


def _losses(*losses: float, **terms: Any) -> Callable[[Desk], None]:
    def happen(desk: Desk) -> None:
        for loss in losses:
            _losing(desk, loss, **terms)

    return happen


def _fall(quantity: str, *closes: float) -> Callable[[Desk], None]:
    """Hold something and see its price move, minute by minute."""

    def happen(desk: Desk) -> None:
        desk.trade(quantity)
        for close in closes:
            desk.bar(close, MINUTE)

    return happen


def _volumes(desk: Desk) -> None:
    desk.bar(100.0, MINUTE, volume=10.0)
    desk.bar(100.0, MINUTE, volume=30.0)


def _later(desk: Desk) -> None:
    desk.bar(100.0, MINUTE)
    desk.now += 2 * MINUTE + 1


def _sent_one(desk: Desk) -> None:
    desk.ask("1")


def _ahead(desk: Desk) -> None:
    desk.bar(100.0, SECOND)
    desk.now -= 600_000_000


def _quote(*quote: float) -> Callable[[Desk], None]:
    return lambda desk: desk.quote(quote[0], quote[1], X, *quote[2:])


def _book(**bounds: float) -> dict[str, Any]:
    return {"book": {"max_quote_age_ms": 1_000} | bounds}


def _old_quote(desk: Desk) -> None:
    desk.quote(99.9, 100.1)
    desk.now += 501_000_000


def _old_prediction(desk: Desk) -> None:
    desk.guard.hearing.expect("S-001", [("m", X)])
    desk.predict()
    desk.now += 3 * MINUTE


def _refer(close: float) -> Callable[[Desk], None]:
    def happen(desk: Desk) -> None:
        desk.guard.hearing.reference(BarClosed(R, desk.now, *[close] * 4, 1.0))
        desk.now += MINUTE

    return happen


_REFERENCE = {"rules": [{"scope": {"instrument": X}, "reference": {
    "instrument": R, "max_divergence_frac": 0.02, "max_age_minutes": 1}}]}  # fmt: skip
_VOL = {"max_volatility_frac": 0.01, "min_bars": 2}
_STEPS = {"shrink_frac": 0.01, "shrink_factor": 0.25, "reduce_frac": 0.05, "halt_frac": 0.1}

SCENARIOS = [
    Scenario("max_order_notional", {"max_order_notional": 250.0}, _nothing, ("4",), "2.5",
             ("order of 400.00", "250.00", "raise risk.max_order_notional")),
    Scenario("max_position_notional", {"max_position_notional": 1000.0},
             lambda d: (d.trade("3"), d.rest("2")), ("6",), "5",
             ("position would be 1,100.00", "1,000.00", "raise risk.max_position_notional")),
    # 300 long, 200 short, 110 on offer: 390 are left.
    Scenario("max_gross_notional", {"max_gross_notional": 1000.0}, long_and_short, ("5",), "3.9",
             ("gross exposure would be 1,110.00", "1,000.00", "raise risk.max_gross_notional")),
    # 300 long less 200 short; what is on offer is not set off.
    Scenario("max_net_notional", {"max_net_notional": 500.0}, long_and_short, ("5",), "4",
             ("net long exposure would be 600.00", "500.00", "raise risk.max_net_notional")),
    # 200 short less 300 long, and 110 on offer: 490 are left.
    Scenario("max_net_notional", {"max_net_notional": 500.0}, long_and_short,
             ("6", "SELL", Y), "4.9", ("net short exposure would be 610.00",)),
    Scenario("max_leverage", {"max_leverage": 0.1}, long_and_short, ("5",), "3.9",
             ("gross exposure would be 1,110.00 on equity of 10,000.00", "0.1",
              "raise risk.max_leverage")),
    # A tenth of equity, since all together is worth less than that.
    Scenario("max_concentration_frac", {"max_concentration_frac": 0.1}, lambda d: d.trade("3"),
             ("9",), "7", ("X.V would have 12.00% of all exposure", "10.00%",
                           "raise risk.max_concentration_frac")),
    # 30,000 of Y: X may be a fourth of the whole, 10,000 of 40,000.
    Scenario("max_concentration_frac", {"max_concentration_frac": 0.25},
             lambda d: (d.bar(100.0, instrument=Y), d.trade("300", instrument=Y)),
             ("101",), "100", ("X.V would have 25.19%",)),
    Scenario("max_open_orders", {"max_open_orders": 2}, lambda d: (d.rest("1"), d.rest("1")),
             ("1",), "0", ("2 orders are open", "max_open_orders is 2", "risk.max_open_orders")),
    Scenario("max_orders_per_minute", {"max_orders_per_minute": 1}, _sent_one, ("1",), "0",
             ("1 opening orders", "max_orders_per_minute", "in 60.0 s")),
    Scenario("max_orders_per_day", {"max_orders_per_day": 1}, _sent_one, ("1",), "0",
             ("1 opening orders were sent today", "max_orders_per_day is 1", "1970-01-03 00:00:00",
              "raise risk.max_orders_per_day")),
    Scenario("max_turnover_per_day", {"max_turnover_per_day": 500.0},
             lambda d: (d.trade("1"), d.trade("-1", 90.0), d.rest("1")), ("3",), "2.1",
             ("turnover would be 590.00", "500.00", "raise risk.max_turnover_per_day")),
    Scenario("price_band_frac", {"price_band_frac": 0.1}, _nothing, ("1",), "0",
             ("price 89 lies 11.00%", "10.00%", "raise risk.price_band_frac"),
             {"kind": "LIMIT", "price": 89.0}),
    Scenario("max_stale_bars", {"max_stale_bars": 2}, _later, ("1",), "0",
             ("2.0 intervals of 60 s", "max_stale_bars is 2", "raise risk.max_stale_bars")),
    Scenario("max_clock_skew_ms", {"max_clock_skew_ms": 500}, _ahead, ("1",), "0",
             ("600 ms ahead", "max_clock_skew_ms is 500", "raise risk.max_clock_skew_ms")),
    Scenario("max_quote_age_ms", {"book": {"max_quote_age_ms": 500}}, _old_quote, ("1",), "0",
             ("the last quote of X.V is 501 ms old", "max_quote_age_ms is 500",
              "raise risk.book.max_quote_age_ms")),
    # 0.4 between 99.8 and 100.2.
    Scenario("max_spread_frac", _book(max_spread_frac=0.0039), _quote(99.8, 100.2), ("1",),
             "0", ("the spread of X.V is 0.400% (99.8 to 100.2)", "0.390%",
                   "raise risk.book.max_spread_frac")),
    # 99 * 5 on one side, 101 * 10 on the other.
    Scenario("min_book_notional", _book(min_book_notional=496.0), _quote(99, 101, 5, 10),
             ("1",), "0", ("only 495.00 stand at the best prices of X.V", "496.00",
                           "lower risk.book.min_book_notional")),
    Scenario("min_book_notional", _book(min_book_notional=506.0), _quote(99, 101, 10, 5),
             ("1",), "0", ("only 505.00 stand",)),
    # 108 lies 8 % from the last price, and 20 % from the middle of 89 and 91.
    Scenario("book_band_frac", _book(book_band_frac=0.19), _quote(89, 91), ("1",), "0",
             ("price 108 lies 20.00% from the middle of the book 90", "19.00%",
              "raise risk.book.book_band_frac"), {"kind": "LIMIT", "price": 108.0}),
    Scenario("max_divergence_frac", _book(max_divergence_frac=0.2), _quote(79, 81), ("1",),
             "0", ("the last price 100 of X.V lies 25.00% from the middle of its book 80",
                   "20.00%", "raise risk.book.max_divergence_frac")),
    # 100 against 97: 3.09 %.
    Scenario("reference", _REFERENCE, _refer(97.0), ("1",), "0",
             ("the last price 100 of X.V lies 3.09% from 97, which R.W says", "2.00%",
              "raise risk.rules[0].reference.max_divergence_frac")),
    Scenario("max_prediction_age_minutes", {"max_prediction_age_minutes": 2}, _old_prediction,
             ("1",), "0", ("what m said of X.V is 3.0 minutes old",
                           "max_prediction_age_minutes is 2",
                           "raise risk.max_prediction_age_minutes")),
    # 1 bought at 100, worth 99 at the end of the day, 98.5 now.
    Scenario("max_daily_loss", {"max_daily_loss": 1.5}, _fall("1", 99.0, 98.5, 100.0), ("1",), "0",
             ("the day has lost 1.50, and max_daily_loss is 1.50", "1970-01-03 00:00:00",
              "raise risk.max_daily_loss")),
    Scenario("cooldown_minutes", {"cooldown_minutes": 30}, _losses(-1), ("1",), "0",
             ("a trade in X.V was closed", "00:30:00", "risk.cooldown_minutes")),
    Scenario("liquidity", {"liquidity": {"max_volume_frac": 0.1, "bars": 2}}, _volumes, ("3",),
             "2", ("order of 3", "10.00%", "which is 2", "raise risk.liquidity.max_volume_frac")),
    Scenario("liquidity", {"liquidity": {"min_bar_value": 2001.0, "bars": 2}}, _volumes, ("1",),
             "0", ("traded 2,000.00 on average", "2,001.00", "lower risk.liquidity.min_bar_value")),
    Scenario("loss_streak", {"loss_streak": {"losses": 2, "pause_minutes": 60}}, _losses(1, 2),
             ("1",), "0", ("2 trades in a row lost", "1970-01-02 01:00:00", "risk.loss_streak")),
    Scenario("loss_cooldown_minutes", {"loss_cooldown_minutes": 30}, _losses(1.5), ("1",), "0",
             ("the last trade in X.V lost 1.50", "00:30:00", "risk.loss_cooldown_minutes")),
    Scenario("low_profit", {"low_profit": {"trades": 2, "min_pnl": 1.0, "pause_minutes": 60}},
             _losses(-2, 1.5), ("1",), "0",
             ("the last 2 trades in X.V brought 0.50", "min_pnl 1.00", "risk.low_profit")),
    Scenario("stop_guard", {"stop_guard": {"stops": 2, "window_minutes": 5, "pause_minutes": 60}},
             _losses(1, 1, purpose="exit:stop"), ("1",), "0",
             ("2 stops lost within 5 minutes", "01:00:00", "risk.stop_guard")),
    # 10 held, 100 -> 80 -> 100: the day lost 2 % at its worst.
    Scenario("max_daily_loss_frac", {"max_daily_loss_frac": 0.015}, _fall("10", 80.0, 100.0),
             ("1",), "0", ("the day has lost 2.00% of 10,000.00", "1.50%", "1970-01-03 00:00:00",
                           "raise risk.max_daily_loss_frac")),
    # value * log(1.1) = 100.
    Scenario("max_volatility_frac", {"correlation": _VOL}, _yearly(), ("20",),
             str(math.floor(1000 / math.log(1.1)) / 1000),
             ("volatility would be 1.91% of equity", "1.00%",
              "raise risk.correlation.max_volatility_frac")),
    Scenario("max_volatility_frac", {"correlation": _VOL}, _yearly(*ZIGZAG), ("20",), "5.492",
             ("volatility would be 2.38%",)),
    # What moves the other way makes room.
    Scenario("max_volatility_frac", {"correlation": _VOL | {"shrinkage": 0.0}}, _yearly(*ZAGZIG),
             ("20",), "15.492", ("volatility would be 1.43%",)),
    Scenario("max_risk_share_frac",
             {"correlation": {"max_volatility_frac": 0.05, "max_risk_share_frac": 0.2,
                              "min_bars": 2}},
             _yearly(), ("20",), "10.492",
             ("X.V would use up 38.12% of the volatility budget", "20.00%",
              "raise risk.correlation.max_risk_share_frac")),
    Scenario("max_cluster_notional", {"correlation": {"max_cluster_notional": 800.0,
                                                      "min_bars": 2}},
             _yearly(*ZIGZAG), ("4",), "3",
             ("longs of what moves together (X.V, Y.V) would be 900.00", "800.00",
              "raise risk.correlation.max_cluster_notional")),
    Scenario("drawdown", {"drawdown": _STEPS}, _fall("20", 90.0), ("4",), "1",
             ("equity 9,800.00 lies 2.00% below its peak 10,000.00", "from 1.00% on",
              "0.25 of what is wished", "raise risk.drawdown")),
    Scenario("drawdown", {"drawdown": _STEPS}, _fall("20", 70.0), ("4",), "0",
             ("equity 9,400.00 lies 6.00% below", "from 5.00% on only exits pass")),
]  # fmt: skip
