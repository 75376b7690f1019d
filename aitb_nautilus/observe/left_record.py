"""What a node's run left when it ended: what is halted, what is held, and which orders rest."""

from __future__ import annotations

import msgspec

__all__ = ["HeldLeft", "LeftRecord", "OrderLeft", "StillHalted"]


class StillHalted(msgspec.Struct, frozen=True, kw_only=True):
    """What may be sent less than usual until a person resumes it.

    Attributes
    ----------
    scope
        ``the trader``, or which strategy or instrument.
    state
        ``reducing`` or ``halted``.
    ts
        Since when, ISO 8601 UTC.
    """

    scope: str
    state: str
    ts: str
    who: str
    reason: str


class HeldLeft(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy held in an instrument.

    Attributes
    ----------
    quantity
        Signed, base currency, in plain decimals.
    dust
        What was held beside it and is too little to be sold, in plain decimals.
    price
        Average entry, quote currency.
    is_coin
        Whether it is a coin of a spot market, and no contract.
    """

    strategy_id: str
    instrument_id: str
    quantity: str
    dust: str
    price: float
    is_coin: bool


class OrderLeft(msgspec.Struct, frozen=True, kw_only=True):
    """An order that could still be filled.

    Attributes
    ----------
    quantity
        What was still to be filled, base currency, in plain decimals.
    is_stop, is_exit
        Whether it waits for a price that moves against its position, and whether it only reduces.
    """

    client_order_id: str
    strategy_id: str
    instrument_id: str
    side: str
    kind: str
    quantity: str
    price: float | None
    trigger_price: float | None
    purpose: str
    is_stop: bool
    is_exit: bool


class LeftRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was left at one moment, `ts`, ISO 8601 UTC."""

    ts: str
    halts: list[StillHalted]
    held: list[HeldLeft]
    orders: list[OrderLeft]
