"""Plain facts and wishes that travel between components.

Facts (`BarClosed`, `Quote`, `Prediction`, `Fill`, `OrderUpdate`, `FundingRate`) come from the
engine and from actors; wishes (`OrderIntent`, `CloseIntent`, `CancelIntent`, `ModifyIntent`) are a
strategy's answer to them. Both are frozen structs without any engine object in them, so that a
recorded day can be decided again without an engine (decision 11).

Times are int nanoseconds UTC. Prices are float64 in quote currency, equal to the decimal of the
venue; quantities are exact `Decimal` in base currency. Sides are ``"BUY"`` and ``"SELL"``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

__all__ = [
    "LATE_PREDICTION",
    "ORDER_SENT",
    "BarClosed",
    "CancelIntent",
    "CloseIntent",
    "Fill",
    "FundingRate",
    "Intent",
    "LatePrediction",
    "ModifyIntent",
    "OrderIntent",
    "OrderKind",
    "OrderSent",
    "OrderStatus",
    "OrderUpdate",
    "Prediction",
    "Quote",
    "Side",
    "opposite",
    "prediction_topic",
]

Side = Literal["BUY", "SELL"]
OrderKind = Literal[
    "MARKET",
    "LIMIT",
    "STOP_MARKET",
    "STOP_LIMIT",
    "MARKET_IF_TOUCHED",
    "LIMIT_IF_TOUCHED",
    "MARKET_TO_LIMIT",
    "TRAILING_STOP_MARKET",
    "TRAILING_STOP_LIMIT",
]
OrderStatus = Literal[
    "SENT",
    "ACCEPTED",
    "FILLED",
    "CANCELED",
    "EXPIRED",
    "REJECTED",
    "DENIED",
]

ORDER_SENT = "aitb.order.sent"
"""Bus topic of `OrderSent`."""
LATE_PREDICTION = "aitb.late_prediction"
"""Bus topic of `LatePrediction`."""


def prediction_topic(model: str, instrument_id: str) -> str:
    """Return the bus topic of a model's predictions for an instrument."""
    return f"aitb.prediction.{model}.{instrument_id}"


def opposite(side: Side) -> Side:
    """Return the other side."""
    return "SELL" if side == "BUY" else "BUY"


class BarClosed(msgspec.Struct, frozen=True, gc=False):
    """One closed bar.

    Attributes
    ----------
    instrument_id
        Such as ``BTCUSDT-PERP.BINANCE``.
    ts
        Close of the bar: open plus interval.
    open, high, low, close
        In quote currency.
    volume
        In base currency.
    """

    instrument_id: str
    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The top of an instrument's book.

    Attributes
    ----------
    ts
        When the venue says that it was so.
    bid, ask
        Best prices, quote currency.
    bid_size, ask_size
        What stands there, base currency.
    """

    instrument_id: str
    ts: int
    bid: float
    ask: float
    bid_size: float
    ask_size: float


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """What a model foresees for one instrument at the close of one bar.

    Attributes
    ----------
    model, version
        The name that it is published under: a model's id, or an ensemble's; and its version.
    score
        ``2 * probability - 1``, in [-1, 1].
    probability
        Of up, calibrated, in [0, 1]. What up means is the label that the model was taught.
    expected_return
        Over the horizon, as a fraction; None if the model gives none.
    confidence
        How much the members of an ensemble agree, in [0, 1]; None of a single model.
    horizon_ns
        How far ahead it looks.
    ts_event
        Close of the bar that it answers.
    ts_features, ts_inference
        When its features and when its answer were there.
    expires_ns
        From then on nobody may act on it.
    """

    instrument_id: str
    model: str
    version: str
    score: float
    probability: float
    expected_return: float | None
    confidence: float | None
    horizon_ns: int
    ts_event: int
    ts_features: int
    ts_inference: int
    expires_ns: int


class LatePrediction(msgspec.Struct, frozen=True, gc=False):
    """An answer that was not there in time. It is told, and never traded.

    Its deadline has passed, or it still waited for the model's thread when the next bar of its
    instrument closed: that one is answered in its place.

    Attributes
    ----------
    ts_event
        Close of the bar that it would have answered.
    ts
        When it was given up.
    deadline_ns
        How long it had.
    """

    instrument_id: str
    model: str
    version: str
    ts_event: int
    ts: int
    deadline_ns: int


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One fill of one of our orders.

    Attributes
    ----------
    quantity
        What was traded, base currency.
    fee
        What it cost, in the instrument's quote currency; positive is paid.
    liquidity
        ``"MAKER"`` or ``"TAKER"``.
    base_fee
        What of the base currency the venue has kept as the fee; `fee` is its value then. Spot
        markets do so with what is bought.
    fee_elsewhere
        Whether the fee was paid with a third coin; `fee` is its value then.
    """

    strategy_id: str
    instrument_id: str
    client_order_id: str
    trade_id: str
    ts: int
    side: Side
    price: float
    quantity: Decimal
    fee: float
    liquidity: str
    base_fee: Decimal = Decimal(0)
    fee_elsewhere: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Return order and trade. A venue counts the trades of each instrument by themselves."""
        return self.client_order_id, self.trade_id

    @property
    def change(self) -> Decimal:
        """Return by how much it changes what is held, base currency; signed."""
        return (self.quantity if self.side == "BUY" else -self.quantity) - self.base_fee


class OrderUpdate(msgspec.Struct, frozen=True, gc=False):
    """An order changed without a fill: accepted, changed at the venue, ended, or refused a change.

    Attributes
    ----------
    status
        The order's status from now on, or None if that did not change.
    quantity, price, trigger_price
        New terms where they changed, else None.
    reason
        What the engine or the venue said, or empty.
    answers_change
        Whether it answers a change that was asked for, or that the venue made by itself.
    """

    client_order_id: str
    instrument_id: str
    ts: int
    status: OrderStatus | None
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None
    reason: str = ""
    answers_change: bool = False


class FundingRate(msgspec.Struct, frozen=True, gc=False):
    """A funding rate that will be settled.

    Attributes
    ----------
    rate
        Fraction of the position's value; positive: longs pay shorts.
    ts_settle
        When it is settled.
    """

    instrument_id: str
    rate: float
    ts_settle: int


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A wish for one order.

    Attributes
    ----------
    quantity
        In base currency, or None: the strategy's sizing decides.
    price
        Limit price in quote currency, where the kind has one.
    trigger_price
        In quote currency, where the kind has one.
    reduce_only
        The venue must refuse what would open or increase a position.
    purpose
        What it is for: ``"entry"``, ``"exit:signal"``, ``"exit:stop"``, ``"exit:trailing"``,
        ``"exit:chandelier"``, ``"exit:break_even"``, ``"exit:target"`` (of several,
        ``"exit:target_1"`` and so on), ``"exit:time"``, ``"exit:flatten"``, or a strategy's own
        word.
    """

    instrument_id: str
    side: Side
    kind: OrderKind = "MARKET"
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None
    reduce_only: bool = False
    post_only: bool = False
    purpose: str = "entry"


class CloseIntent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A wish to close the strategy's whole position in one instrument at the market."""

    instrument_id: str
    purpose: str = "exit:signal"


class CancelIntent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A wish to cancel one resting order.

    Attributes
    ----------
    by_exits
        Whether the exits of a position wish it, and see to what follows themselves.
    """

    client_order_id: str
    by_exits: bool = False


class ModifyIntent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A wish to change a resting order; None leaves a term as it is.

    Attributes
    ----------
    purpose
        What the order is for from now on.
    """

    client_order_id: str
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None
    purpose: str | None = None


type Intent = OrderIntent | CloseIntent | CancelIntent | ModifyIntent


class OrderSent(msgspec.Struct, frozen=True, gc=False):
    """Published on `ORDER_SENT` right after a command left for the venue."""

    strategy_id: str
    instrument_id: str
    client_order_id: str
    action: Literal["submit", "modify", "cancel"]
    ts: int
