"""What a node has left: from its ledger, or from the one that its journal gives."""

from __future__ import annotations

from collections.abc import Iterable

from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.left_record import HeldLeft, LeftRecord, OrderLeft, StillHalted
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.trading_states import Halt

__all__ = ["left_by"]


def left_by(ledger: Ledger, halts: Iterable[Halt], ts: int) -> LeftRecord:
    """Return what is halted, held and open.

    Parameters
    ----------
    halts
        In force.
    ts
        As of when, ns UTC.
    """
    return LeftRecord(
        ts=_second(ts),
        halts=[
            StillHalted(
                scope=str(halt.scope),
                state=halt.level,
                ts=_second(halt.ts),
                who=halt.who,
                reason=halt.reason,
            )
            for halt in halts
        ],
        held=[
            HeldLeft(
                strategy_id=strategy_id,
                instrument_id=instrument_id,
                quantity=f"{position.quantity.normalize():f}",
                dust=f"{position.dust.normalize():f}",
                price=position.average_price,
                is_coin=ledger.is_spot(instrument_id),
            )
            for (strategy_id, instrument_id), position in ledger.positions.items()
            if position.held
        ],
        orders=[
            OrderLeft(
                client_order_id=order.client_order_id,
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                side=order.side,
                kind=order.kind,
                quantity=f"{order.leaves.normalize():f}",
                price=order.price,
                trigger_price=order.trigger_price,
                purpose=order.purpose,
                is_stop=order.is_stop,
                is_exit=order.is_exit or order.reduce_only,
            )
            for order in ledger.every_open_order()
        ],
    )


def _second(ts: int) -> str:
    return iso(ts // 10**9 * 10**9)
