"""A desk with one strategy that trades predictions, and a venue that the test plays by hand.

The venue takes and cancels resting orders at once, and fills market orders when it is told to, at
the last close. A reduce-only order fills no more than is held, as at a real venue.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderStatus,
    OrderUpdate,
    Prediction,
    opposite,
)
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.settings import decode
from strategies.threshold import Threshold, ThresholdSettings
from tests.risk.rig import BTC, LATENCY_NS, MINUTE, close_of, make_context

__all__ = ["MODEL", "HandDesk", "predict", "settings"]

MODEL = "direction"
PRICE = 30_000.0


def settings(**changes: Any) -> ThresholdSettings:
    """Return settings of one instrument and entries of 3,000."""
    data = {
        "instruments": [BTC],
        "interval": "1m",
        "model": MODEL,
        "sizing": {"method": "fixed_notional", "notional": 3_000},
    }
    return decode(data | changes, ThresholdSettings, "desk.toml: strategies[0].params")


def predict(probability: float, ts: int, **terms: Any) -> Prediction:
    """Return a prediction for the bar that closed at `ts`, valid for an hour."""
    facts = {
        "instrument_id": BTC,
        "model": MODEL,
        "version": "3",
        "score": 2 * probability - 1,
        "probability": probability,
        "expected_return": None,
        "confidence": None,
        "horizon_ns": 60 * MINUTE.ns,
        "ts_event": ts,
        "ts_features": ts,
        "ts_inference": ts,
        "expires_ns": ts + 60 * MINUTE.ns,
    }
    return Prediction(**(facts | terms))


class HandDesk:
    """One strategy, bar by bar."""

    def __init__(self, **changes: Any) -> None:
        self.context = make_context()
        self.ledger = self.context.ledger
        self.strategy = Threshold(settings(**changes), self.context, "threshold-001")
        self.bars = 0
        self.price = PRICE

    def bar(self, close: float = PRICE) -> list[str]:
        """Close a bar without wicks, and return what was answered."""
        self.bars += 1
        self.price = close
        bar = BarClosed(BTC, close_of(self.bars), close, close, close, close, 1.0)
        self.ledger.apply_bar(bar)
        return self._carry_out(self.strategy.decide_on_bar(bar))

    def predict(self, probability: float, **terms: Any) -> list[str]:
        """Tell a prediction for the last bar, and return what was answered."""
        prediction = predict(probability, close_of(self.bars), **terms)
        return self._carry_out(self.strategy.decide_on_prediction(prediction))

    def step(self, probability: float, **terms: Any) -> list[str]:
        """Fill what is on its way, close a bar, tell a prediction, and return all answers."""
        self.fill()
        return self.bar() + self.predict(probability, **terms)

    def hold(self, probability: float) -> None:
        """Get into a position on the side of a probability."""
        self.step(probability)
        self.fill()
        assert self.held

    @property
    def held(self) -> Decimal:
        """Signed quantity."""
        return self.strategy.view.quantity(BTC)

    @property
    def side(self) -> int:
        """Return +1 while long, -1 while short, 0 while flat."""
        return (self.held > 0) - (self.held < 0)

    def open(self) -> list[Order]:
        """Return the open orders, oldest first."""
        return self.strategy.view.open_orders(BTC)

    def resting(self) -> list[str]:
        """Return the purposes of the open orders, oldest first."""
        return [order.purpose for order in self.open()]

    def order(self, purpose: str) -> Order:
        """Return the one open order of a purpose."""
        (found,) = [order for order in self.open() if order.purpose == purpose]
        return found

    def fill(self) -> list[str]:
        """Fill all market orders, in the order in which they were sent."""
        answers = []
        for order in self.open():
            if order.kind == "MARKET":
                answers += self.fill_order(order)
        return answers

    def fill_order(self, order: Order, quantity: Decimal | None = None) -> list[str]:
        """Fill an order, or a part of it."""
        amount = order.leaves if quantity is None else quantity
        if order.reduce_only:
            against = self.held if order.side == "SELL" else -self.held
            amount = min(amount, max(against, ZERO))
        if not amount:
            return self.update(order, "EXPIRED")
        ts = close_of(self.bars) + LATENCY_NS
        id_ = order.client_order_id
        trade = f"T-{len(self.ledger.fills)}"
        fill = Fill(
            "threshold-001", BTC, id_, trade, ts, order.side, self.price, amount, 0, "TAKER"
        )
        self.ledger.apply_fill(fill)
        return self._carry_out(self.strategy.decide_on_fill(fill))

    def update(self, order: Order, status: OrderStatus | None, **terms: Any) -> list[str]:
        """Let the venue say something of an order."""
        update = OrderUpdate(order.client_order_id, BTC, close_of(self.bars), status, **terms)
        self.ledger.apply_update(update)
        return self._carry_out(self.strategy.decide_on_order(order, update))

    def _carry_out(self, intents: Iterable[Intent]) -> list[str]:
        """Do what is wished at once, wish by wish, as the base class does; return it in words."""
        words = []
        for intent in intents:
            match intent:
                case OrderIntent():
                    entry = intent.purpose == "entry"
                    words.append(intent.side if entry else f"place {intent.purpose}")
                    words += self._send(intent)
                case CloseIntent():
                    words.append(f"close {intent.purpose}")
                    words += self._send_close(intent)
                case CancelIntent():
                    order = self.ledger.orders[intent.client_order_id]
                    words.append(f"cancel {order.purpose}")
                    order.ask_end(by_exits=intent.by_exits)
                    words += self.update(order, "CANCELED")
                case ModifyIntent():
                    order = self.ledger.orders[intent.client_order_id]
                    words.append(f"change {order.purpose}")
                    terms = {k: getattr(intent, k) for k in ("quantity", "price", "trigger_price")}
                    words += self.update(order, None, **terms)
        return words

    def _send_close(self, intent: CloseIntent) -> list[str]:
        assert self.held, "nothing to close"
        closing = OrderIntent(
            instrument_id=BTC,
            side=opposite("BUY" if self.held > 0 else "SELL"),
            quantity=abs(self.held),
            reduce_only=True,
            purpose=intent.purpose,
        )
        return self._send(closing)

    def _send(self, intent: OrderIntent) -> list[str]:
        quantity = intent.quantity
        if quantity is None:
            quantity = self.strategy.size(intent)
        order = Order(
            client_order_id=f"O-{len(self.ledger.orders) + 1}",
            strategy_id="threshold-001",
            instrument_id=BTC,
            side=intent.side,
            kind=intent.kind,
            quantity=quantity,
            price=intent.price,
            trigger_price=intent.trigger_price,
            reduce_only=intent.reduce_only,
            purpose=intent.purpose,
            ts_sent=close_of(max(self.bars, 1)),
        )
        self.ledger.apply_order(order)
        return self.update(order, "ACCEPTED") if intent.kind != "MARKET" else []
