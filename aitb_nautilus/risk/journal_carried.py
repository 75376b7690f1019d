"""What a node takes over from the one before it: the second record of its journal.

Each run writes a journal of its own. So that the last one alone tells what a trader holds, a run
begins with what the run before it left: positions, open orders, and which ids were sent lately.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import msgspec

from aitb_nautilus.messages import Fill, OrderKind, OrderStatus, Side
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.journal_node_records import Body
from aitb_nautilus.risk.kelly import TradeState
from aitb_nautilus.risk.ledger import Ledger

__all__ = [
    "CARRIED",
    "Account",
    "Carried",
    "CarriedOrder",
    "CarriedPosition",
    "begin_with",
    "carry",
    "take_over",
]

CARRIED = "carried"
"""Purpose of the order that stands for a position of the run before."""
_REMEMBERED_NS = 8 * 86_400 * 10**9
"""How long an id counts as sent: no node takes a decision of the last week again."""


class CarriedOrder(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An order that was open; `filled` of it was filled by the trades named."""

    client_order_id: str
    strategy_id: str
    instrument_id: str
    side: Side
    kind: OrderKind
    quantity: Decimal
    status: OrderStatus
    ts_sent: int
    purpose: str
    filled: Decimal = Decimal(0)
    price: float | None = None
    trigger_price: float | None = None
    reduce_only: bool = False
    is_exit: bool = False
    trades: tuple[str, ...] = ()


class CarriedPosition(msgspec.Struct, frozen=True, gc=False):
    """What is held, dust among it; signed, in base currency, its price in quote currency.

    `dust` is what of it is too little to be sold; None, in a journal of an earlier release: its
    price tells. Of dust alone `ts_opened` is when it was carried. `funding` is what the open trade
    was paid for it so far, quote currency; the balance has it already.
    """

    strategy_id: str
    instrument_id: str
    quantity: Decimal
    average_price: float
    ts_opened: int
    funding: float = 0.0
    dust: Decimal | None = None


class Carried(Body, frozen=True):
    """What the run before left.

    Attributes
    ----------
    from_run
        Its name; empty if there was none.
    balance
        What its account came to, without unrealized profit, in the trader's currency; None if
        that is not known.
    fees_elsewhere
        What the runs before have paid of fees with a third coin, likewise; it is in no balance.
    sent
        When each order of the last days was sent, ns UTC, by its id.
    own_trades
        What each strategy won and lost in its own trades, by its id.
    """

    kind: ClassVar[str] = "carried"
    from_run: str = ""
    balance: float | None = None
    positions: tuple[CarriedPosition, ...] = ()
    orders: tuple[CarriedOrder, ...] = ()
    sent: Mapping[str, int] = {}
    own_trades: Mapping[str, TradeState] = {}
    fees_elsewhere: float = 0.0


class Account(Body, frozen=True):
    """With what the ledger's account began, once the venue has said it or a person accepted it.

    Attributes
    ----------
    began_with
        In the trader's currency.
    heard
        Bars that the node had heard by then.
    """

    kind: ClassVar[str] = "account"
    began_with: float
    reason: str
    heard: int = 0


def carry(
    ledger: Ledger, from_run: str, balance: float | None, sent: Mapping[str, int], now: int
) -> Carried:
    """Return what a ledger holds, for the next run's journal.

    Parameters
    ----------
    ledger
        Rebuilt from the journal of the run before.
    balance, sent
        As in `Carried`; ids that are too old are left out.
    now
        ns UTC.
    """
    trades: dict[str, list[str]] = {}
    for order_id, trade_id in ledger.trades():
        trades.setdefault(order_id, []).append(trade_id)
    return Carried(
        from_run=from_run,
        balance=balance,
        positions=tuple(
            CarriedPosition(
                owner, name, p.held, p.average_price, p.ts_opened or now, p.trade_funding, p.dust
            )
            for (owner, name), p in ledger.positions.items()
            if p.held
        ),
        orders=tuple(
            CarriedOrder(
                client_order_id=o.client_order_id,
                strategy_id=o.strategy_id,
                instrument_id=o.instrument_id,
                side=o.side,
                kind=o.kind,
                quantity=o.quantity,
                status=o.status,
                ts_sent=o.ts_sent,
                purpose=o.purpose,
                filled=o.filled,
                price=o.price,
                trigger_price=o.trigger_price,
                reduce_only=o.reduce_only,
                is_exit=o.is_exit,
                trades=tuple(sorted(trades.get(o.client_order_id, ()))),
            )
            for o in ledger.every_open_order()
        ),
        fees_elsewhere=ledger.fees_elsewhere
        + sum(p.fees_elsewhere for p in ledger.positions.values()),
        sent={name: ts for name, ts in sent.items() if now - ts < _REMEMBERED_NS},
    )


def begin_with(begun: Carried | Account, ledger: Ledger) -> None:
    """Let a ledger begin with what a journal says of the time before it."""
    match begun:
        case Carried():
            take_over(begun, ledger)
        case Account():
            ledger.begin_with(begun.began_with)


def take_over(carried: Carried, ledger: Ledger) -> None:
    """Let a ledger that holds nothing begin with what was carried over.

    A position becomes one fill at its average price, at the time at which it was opened and
    without a fee: what it cost was paid in the run before. What of it is dust was told by the price
    of the last fill there, which is not known here.
    """
    for one in carried.positions:
        name = f"{CARRIED}-{one.strategy_id}-{one.instrument_id}"
        side: Side = "BUY" if one.quantity > 0 else "SELL"
        quantity = abs(one.quantity)
        ledger.apply_order(
            Order(
                client_order_id=name,
                strategy_id=one.strategy_id,
                instrument_id=one.instrument_id,
                side=side,
                kind="MARKET",
                quantity=quantity,
                price=None,
                trigger_price=None,
                reduce_only=False,
                purpose=CARRIED,
                ts_sent=one.ts_opened,
            )
        )
        ledger.apply_fill(
            Fill(
                one.strategy_id,
                one.instrument_id,
                name,
                name,
                one.ts_opened,
                side,
                one.average_price,
                quantity,
                0.0,
                "",
            ),
            one.dust,
        )
        ledger.position(one.strategy_id, one.instrument_id).carry_funding(one.funding)
    ledger.fees_elsewhere = carried.fees_elsewhere
    if carried.balance is not None:
        ledger.settle_on(carried.balance)  # after the fills: a coin that is held was paid for
    for left in carried.orders:
        order = Order(
            client_order_id=left.client_order_id,
            strategy_id=left.strategy_id,
            instrument_id=left.instrument_id,
            side=left.side,
            kind=left.kind,
            quantity=left.quantity,
            price=left.price,
            trigger_price=left.trigger_price,
            reduce_only=left.reduce_only,
            purpose=left.purpose,
            ts_sent=left.ts_sent,
            is_exit=left.is_exit,
        )
        order.filled, order.status = left.filled, left.status
        ledger.apply_order(order)
        ledger.remember_trades(left.client_order_id, left.trades)
