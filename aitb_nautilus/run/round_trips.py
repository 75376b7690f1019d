"""From fills to round trips: what each position cost and earned, from zero back to zero.

A fill that turns a position around ends one trip and begins the next; its fee and slippage are
split by quantity.

What a spot market leaves of a position that was closed, and is too little to be sold, goes into the
next trip at what it cost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.journal_carried import CARRIED
from aitb_nautilus.run.accounting import FundingPayment

__all__ = ["RoundTrip", "round_trips"]

type _Rest = tuple[Decimal, float]
"""What is held, base currency, and what one unit of it cost."""
_NOTHING: _Rest = (Decimal(0), 0.0)


class RoundTrip(msgspec.Struct, kw_only=True):
    """One position from its first fill to its last.

    Attributes
    ----------
    quantity
        Largest quantity held, base currency, > 0.
    ts_close
        None while it is open.
    open_price, close_price
        Average of all opening and of all closing fills, quote currency; an open trip's close price
        is the last price.
    pnl
        Net of fees and funding, quote currency. Slippage is already in the prices.
    return_frac
        `pnl` over the value of all opening fills.
    """

    position_id: str
    strategy_id: str
    instrument_id: str
    side: Literal["LONG", "SHORT"]
    ts_open: int
    ts_close: int | None = None
    quantity: float = 0.0
    open_price: float = 0.0
    close_price: float = 0.0
    pnl: float = 0.0
    fees: float = 0.0
    slippage: float = 0.0
    funding: float = 0.0
    return_frac: float = 0.0
    bars_held: int = 0
    exit_purpose: str | None = None


class _Builder:
    """Collect the fills of one trip."""

    def __init__(self, fill: Fill, position_id: str, rest: _Rest) -> None:
        self.trip = RoundTrip(
            position_id=position_id,
            strategy_id=fill.strategy_id,
            instrument_id=fill.instrument_id,
            side="LONG" if fill.side == "BUY" else "SHORT",
            ts_open=fill.ts,
        )
        self.held, price = rest
        self.funding_before = 0.0
        self._opened = float(self.held)
        self._opened_value = self._opened * price
        self._closed = 0.0
        self._closed_value = 0.0

    @property
    def direction(self) -> int:
        return 1 if self.trip.side == "LONG" else -1

    def add(self, fill: Fill, quantity: Decimal, share: float, slippage: float) -> None:
        """Take in a fill, or the part of it that belongs to this trip."""
        opens = (fill.side == "BUY") == (self.trip.side == "LONG")
        amount = float(quantity)
        if opens:
            self._opened += amount
            self._opened_value += amount * fill.price
            self.held += quantity
            self.trip.quantity = max(self.trip.quantity, float(self.held))
        else:
            self._closed += amount
            self._closed_value += amount * fill.price
            self.held -= quantity
        self.trip.fees += fill.fee * share
        self.trip.slippage += slippage * share

    def leave_rest(self) -> _Rest:
        """Take out what is still held, and return how much it is and what one unit of it cost."""
        price, rest = self._opened_value / self._opened, float(self.held)
        self._opened -= rest
        self._opened_value -= rest * price
        return self.held, price

    def finish(self, interval_ns: int, end: int, last_price: float | None) -> RoundTrip:
        """Return the trip; `last_price` values what is still held."""
        trip = self.trip
        if last_price is not None:
            self._closed_value += float(self.held) * last_price
            self._closed += float(self.held)
        trip.open_price = self._opened_value / self._opened
        trip.close_price = self._closed_value / self._closed
        gross = self.direction * (self._closed_value - self._opened_value)
        trip.pnl = gross - trip.fees + trip.funding
        trip.return_frac = trip.pnl / self._opened_value
        trip.bars_held = round((end - trip.ts_open) / interval_ns)
        return trip


def round_trips(
    fills: Sequence[Fill],
    payments: Sequence[FundingPayment],
    *,
    slippage: Mapping[str, float],
    purposes: Mapping[str, str],
    last_prices: Mapping[str, float],
    interval_ns: Mapping[str, int],
    end: int,
    lots: Mapping[str, LotRules] | None = None,
    carried_funding: Mapping[tuple[str, str], float] | None = None,
) -> list[RoundTrip]:
    """Return all round trips, by time of their opening.

    Parameters
    ----------
    fills
        In the order of time.
    payments
        Funding; belongs to the trip that was open then.
    slippage
        Cost of each fill against its reference price, quote currency, by trade id.
    purposes
        What each order was for, by client order id.
    last_prices, interval_ns
        Last close and length of bars, by instrument id.
    end
        Close of the last bar, ns UTC.
    lots
        Rounding rules by instrument id.
    carried_funding
        What a trade that was taken over from the run before had been paid there, by strategy and
        instrument.
    """
    funding: dict[tuple[str, str], list[FundingPayment]] = defaultdict(list)
    for payment in payments:
        funding[payment.strategy_id, payment.instrument_id].append(payment)
    builders: dict[tuple[str, str], _Builder] = {}
    rests: dict[tuple[str, str], _Rest] = {}
    finished: list[RoundTrip] = []

    def close(key: tuple[str, str], ts: int, *, is_open: bool) -> None:
        builder = builders.pop(key)
        trip = builder.trip
        trip.funding = sum(p.amount for p in funding[key] if trip.ts_open <= p.ts < ts)
        trip.funding += builder.funding_before
        if is_open:
            trip.funding += sum(p.amount for p in funding[key] if p.ts == ts)
        mark = last_prices[key[1]] if is_open else None
        finished.append(builder.finish(interval_ns[key[1]], ts, mark))

    for fill in fills:
        key = (fill.strategy_id, fill.instrument_id)
        left = traded = abs(fill.change)
        cost = slippage.get(fill.trade_id, 0.0)
        rules = None if lots is None else lots.get(fill.instrument_id)
        builder = builders.get(key)
        if builder is not None and (fill.side == "BUY") != (builder.trip.side == "LONG"):
            part = min(left, builder.held)
            builder.add(fill, part, float(part / traded), cost)
            left -= part
            rest = builder.held if rules is None else rules.sellable(builder.held, fill.price)
            if rest == 0:
                if builder.held:
                    rests[key] = builder.leave_rest()
                builder.trip.ts_close = fill.ts
                builder.trip.exit_purpose = purposes.get(fill.client_order_id)
                close(key, fill.ts, is_open=False)
                builder = None
        if left > 0:
            if builder is None:
                count = len(finished) + len(builders) + 1
                rest_before = rests.pop(key, _NOTHING)
                if rules is not None and _is_carried_dust(fill, rest_before, rules):
                    rests[key] = _with(rest_before, left, fill.price)
                    continue
                builder = builders[key] = _Builder(fill, f"P-{count:06d}", rest_before)
                if carried_funding and purposes.get(fill.client_order_id) == CARRIED:
                    builder.funding_before = carried_funding.get(key, 0.0)
            builder.add(fill, left, float(left / traded), cost)
    for key in list(builders):
        close(key, end, is_open=True)
    return sorted(finished, key=lambda t: (t.ts_open, t.position_id))


def _is_carried_dust(fill: Fill, before: _Rest, rules: LotRules) -> bool:
    """Return whether a fill stands for dust that an earlier run left: no trip begins with it."""
    return not fill.fee and not rules.sellable(before[0] + abs(fill.change), fill.price)


def _with(rest: _Rest, more: Decimal, price: float) -> _Rest:
    held = rest[0] + more
    return held, (float(rest[0]) * rest[1] + float(more) * price) / float(held)
