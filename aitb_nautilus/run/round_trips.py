"""From fills to round trips: what each position cost and earned, from zero back to zero.

A fill that turns a position around ends one trip and begins the next; its fee and slippage are
split by quantity.

What a spot market leaves of a position that was closed, and is too little to be sold, goes into the
next trip at what it cost. What that is the ledger has told at each fill.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.dust import Dust, Split
from aitb_nautilus.risk.journal_carried import CARRIED
from aitb_nautilus.run.accounting import FundingPayment

__all__ = ["RoundTrip", "round_trips"]

type _Key = tuple[str, str]


class _Rest(NamedTuple):
    """What is held, base currency, what one unit of it cost, and fees that no trip has paid."""

    held: Decimal = Decimal(0)
    price: float = 0.0
    fees: float = 0.0

    def and_more(self, fill: Fill) -> _Rest:
        """Return it with a fill that left all of it too little to be sold."""
        held = self.held + fill.change
        value = float(self.held) * self.price + float(fill.change) * fill.price
        return _Rest(held, value / float(held), self.fees + fill.fee)

    def less(self, fill: Fill) -> _Rest:
        """Return it without what a fill has sold of it."""
        return _Rest(self.held + fill.change, self.price, self.fees + fill.fee)


_NOTHING = _Rest()


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
        self.funding_before = 0.0
        self._opened = self._opened_value = 0.0
        self._closed = self._closed_value = 0.0
        self.take_rest(rest)

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

    @property
    def has_closed(self) -> bool:
        """Return whether anything of it was closed."""
        return self._closed > 0

    def take_rest(self, rest: _Rest) -> None:
        """Hold what another trip has left, or what this one has left itself and still sells."""
        self.held = rest.held
        self._opened += float(rest.held)
        self._opened_value += float(rest.held) * rest.price
        self.trip.fees += rest.fees

    def leave_rest(self) -> _Rest:
        """Take out what is still held, and return how much it is and what one unit of it cost."""
        price, rest = self._opened_value / self._opened, float(self.held)
        self._opened -= rest
        self._opened_value -= rest * price
        left, self.held = self.held, _NOTHING.held
        return _Rest(left, price)

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
    slippage: Mapping[tuple[str, str], float],
    purposes: Mapping[str, str],
    last_prices: Mapping[str, float],
    interval_ns: Mapping[str, int],
    end: int,
    dust: Dust | None = None,
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
        Cost of each fill against its reference price, quote currency, by `Fill.key`.
    purposes
        What each order was for, by client order id.
    last_prices, interval_ns
        Last close and length of bars, by instrument id.
    end
        Close of the last bar, ns UTC.
    dust
        Of the ledger that has taken the fills.
    carried_funding
        What a trade that was taken over from the run before had been paid there, by strategy and
        instrument.
    """
    trips = _Trips(payments, slippage, purposes, interval_ns, Dust() if dust is None else dust)
    trips.carried_funding = carried_funding or {}
    for fill in fills:
        trips.take(fill)
    trips.end(last_prices, end)
    return sorted(trips.finished, key=lambda t: (t.ts_open, t.position_id))


class _Trips:
    """Take fills one by one, and know the trips that are open."""

    def __init__(
        self,
        payments: Sequence[FundingPayment],
        slippage: Mapping[tuple[str, str], float],
        purposes: Mapping[str, str],
        interval_ns: Mapping[str, int],
        dust: Dust,
    ) -> None:
        self._payments: dict[_Key, list[FundingPayment]] = defaultdict(list)
        for payment in payments:
            self._payments[payment.strategy_id, payment.instrument_id].append(payment)
        self._slippage = slippage
        self._purposes = purposes
        self._interval_ns = interval_ns
        self._dust = dust
        self._given_up = _times_of(dust)
        self._builders: dict[_Key, _Builder] = {}
        self._ended: dict[_Key, _Builder] = {}
        self._rests: dict[_Key, _Rest] = {}
        self._begun = 0
        self.carried_funding: Mapping[_Key, float] = {}
        self.finished: list[RoundTrip] = []

    def take(self, fill: Fill) -> None:
        """Take the next fill, and end and begin what it ends and begins."""
        key = (fill.strategy_id, fill.instrument_id)
        left = traded = abs(fill.change)
        split = self._dust.split(fill)
        if split is not None and not split.before and self._take_dust(key, fill, split):
            return
        builder = self._builders.get(key)
        cost = self._slippage.get(fill.key, 0.0)
        if builder is not None and (fill.side == "BUY") != (builder.trip.side == "LONG"):
            part = min(left, builder.held)
            builder.add(fill, part, float(part / traded), cost)
            left -= part
            if not builder.held or (split is not None and not split.after):
                builder.trip.exit_purpose = self._purposes.get(fill.client_order_id)
                self._close(key, fill.ts)
                builder = None
        if left > 0:
            if builder is None:
                builder = self._begin(key, fill)
                if self._purposes.get(fill.client_order_id) == CARRIED:
                    builder.funding_before = self.carried_funding.get(key, 0.0)
            builder.add(fill, left, float(left / traded), cost)

    def end(self, last_prices: Mapping[str, float], end: int) -> None:
        """End what was given up, and value what is open at the last prices."""
        for key, builder in self._builders.items():
            if self._given_up[key]:
                self._leave(key, builder, self._given_up[key][-1])
                continue
            self._pay(key, builder, end)
            mark = last_prices[key[1]]
            self.finished.append(builder.finish(self._interval_ns[key[1]], end, mark))

    def _begin(self, key: _Key, fill: Fill) -> _Builder:
        self._begun += 1
        rest = self._rests.pop(key, _NOTHING)
        builder = self._builders[key] = _Builder(fill, f"P-{self._begun:06d}", rest)
        return builder

    def _take_dust(self, key: _Key, fill: Fill, split: Split) -> bool:
        """Take a fill before which only dust was held; return whether no trip knows of it."""
        if key in self._builders:
            self._close(key, self._given_up[key].pop(0))
        rest = self._rests.get(key, _NOTHING)
        if fill.side == "BUY":
            if not split.after:
                self._rests[key] = rest.and_more(fill)
            return not split.after
        # Nothing but a sale that was on its way sells dust: it belongs to the trip before.
        before = self._ended.pop(key, None)
        if before is None:
            self._rests[key] = rest.less(fill)
            return True
        before.take_rest(self._rests.pop(key))
        if before.trip in self.finished:
            self.finished.remove(before.trip)
        self._builders[key] = before
        return False

    def _close(self, key: _Key, ts: int) -> None:
        self._leave(key, self._builders.pop(key), ts)

    def _leave(self, key: _Key, builder: _Builder, ts: int) -> None:
        """End a trip; what it still holds goes into the next one."""
        if builder.held:
            self._rests[key] = builder.leave_rest()
        self._ended[key] = builder
        if builder.has_closed:
            builder.trip.ts_close = ts
            self._pay(key, builder, ts - 1)
            self.finished.append(builder.finish(self._interval_ns[key[1]], ts, None))

    def _pay(self, key: _Key, builder: _Builder, until: int) -> None:
        """Count the funding of a trip, that of its last moment among it."""
        began = builder.trip.ts_open
        paid = sum(p.amount for p in self._payments[key] if began <= p.ts <= until)
        builder.trip.funding = paid + builder.funding_before


def _times_of(dust: Dust) -> dict[_Key, list[int]]:
    """Return when what was held was given up, by strategy and instrument, oldest first."""
    times: dict[_Key, list[int]] = defaultdict(list)
    for rest in dust.given_up:
        times[rest.strategy_id, rest.instrument_id].append(rest.ts)
    return times
