"""What a run earned, computed from its fills alone, and compared with the engine's balances.

Equity at a bar's close is starting equity plus the cash flow of all fills until then, minus fees,
plus funding, plus the value of what is held at the last close. It needs nothing from the engine but
its fills; that it ends where the engine's own accounts end is checked in every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame, FloatArray, TimeArray
from aitb_nautilus.messages import Fill

__all__ = [
    "Curve",
    "FundingPayment",
    "equity_curve",
    "from_before",
    "funding_payments",
    "held_at",
    "last_at",
    "signed_cash",
    "standing_still",
]


class FundingPayment(msgspec.Struct, frozen=True):
    """Funding paid or received at one settlement.

    Attributes
    ----------
    quantity
        Signed position at the settlement, base currency.
    price
        Last price then: the close of the bar that ends at the settlement, or the open of the one
        that it falls into, quote currency.
    amount
        Positive is received, quote currency.
    """

    ts: int
    strategy_id: str
    instrument_id: str
    rate: float
    quantity: float
    price: float
    amount: float


class Curve(msgspec.Struct, frozen=True):
    """Equity over time.

    Attributes
    ----------
    ts
        Close times of all bars of the run, int64 (n,), ns UTC, each once.
    equity
        float64 (n,), quote currency.
    market
        The starting equity held in the run's instruments in equal parts, float64 (n,).
    exposure
        Net value of all positions, float64 (n,).
    gross
        Sum of the positions' absolute values, float64 (n,).
    """

    ts: TimeArray
    equity: FloatArray
    market: FloatArray
    exposure: FloatArray
    gross: FloatArray


def funding_payments(
    fills: Sequence[Fill],
    frames: Mapping[str, BarFrame],
    funding: Mapping[str, tuple[TimeArray, FloatArray]],
    *,
    tick_offset_ns: Mapping[str, int],
    until: int | None = None,
) -> list[FundingPayment]:
    """Return what each position paid or received: minus quantity times price times rate.

    Follows the venue's rule: who holds at the settlement pays on the value at that moment. Source:
    Binance, "Introduction to Binance Futures Funding Rates".

    Parameters
    ----------
    fills
        In the order of time.
    frames
        Bars by instrument id.
    funding
        Settlement times (ns) and rates by instrument id.
    tick_offset_ns
        From a bar's close back to the tick that tells the venue its open, ns, by instrument id.
    until
        Last settlement that counts, ns UTC; None for all.
    """
    payments = []
    for instrument_id, (times, rates) in funding.items():
        frame = frames[instrument_id]
        prices = _last_prices(frame, times, tick_offset_ns[instrument_id])
        end = frame.ts_close[-1] if until is None else min(until, int(frame.ts_close[-1]))
        for strategy_id in sorted({f.strategy_id for f in fills}):
            own = _of(fills, instrument_id, strategy_id)
            if not own:
                continue
            held = held_at(own, np.array([f.ts for f in own], np.int64), times)
            for ts, rate, quantity, price in zip(times, rates, held, prices, strict=True):
                if quantity and frame.ts_close[0] <= ts <= end:
                    amount = -float(quantity) * float(price) * float(rate)
                    payments.append(
                        FundingPayment(
                            int(ts),
                            strategy_id,
                            instrument_id,
                            float(rate),
                            float(quantity),
                            float(price),
                            amount,
                        )
                    )
    return sorted(payments, key=lambda p: (p.ts, p.instrument_id, p.strategy_id))


def from_before(frame: BarFrame, past: BarFrame | None) -> BarFrame:
    """Return bars with the last one before them: what was carried over is held from there on."""
    if past is None or not len(past) or not len(frame) or past.ts_close[-1] >= frame.ts_close[0]:
        return frame
    names = ("ts_close", *VALUE_COLUMNS)
    return BarFrame(
        *(np.concatenate([getattr(past, name)[-1:], getattr(frame, name)]) for name in names)
    )


def standing_still(
    fills: Sequence[Fill], frames: Mapping[str, BarFrame], past: Mapping[str, BarFrame]
) -> dict[str, BarFrame]:
    """Return a bar for each instrument that was traded, or carried over, and has none yet.

    It stands at the first close of all, and where the last bar before the run has left the price:
    what is held of an instrument of long bars has a value until its first one has closed.

    Parameters
    ----------
    fills
        In the order of time.
    frames, past
        Bars of the run, at least of one instrument, and those before it, by instrument id.
    """
    first = np.array([min(int(frame.ts_close[0]) for frame in frames.values())], np.int64)
    still = {}
    for fill in fills:
        name = fill.instrument_id
        if name not in frames:
            before = past.get(name)
            price = fill.price if before is None or not len(before) else before.close[-1]
            at = np.array([price], np.float64)
            still[name] = BarFrame(first, at, at, at, at, np.zeros(1))
    return still


def equity_curve(
    starting_equity: float,
    fills: Sequence[Fill],
    payments: Sequence[FundingPayment],
    frames: Mapping[str, BarFrame],
    until: int | None = None,
) -> Curve:
    """Return equity, market and exposure at every bar's close.

    Parameters
    ----------
    starting_equity
        Quote currency.
    fills
        In the order of time.
    payments
        Funding.
    frames
        Bars by instrument id; each has at least one.
    until
        Last bar that counts, ns UTC, not before the first one; None for all. What was filled later
        counts with it.
    """
    ts = np.unique(np.concatenate([f.ts_close for f in frames.values()]))
    if until is not None:
        ts = ts[ts <= until]
    equity = np.full(len(ts), starting_equity)
    market = np.zeros(len(ts))
    exposure = np.zeros(len(ts))
    gross = np.zeros(len(ts))
    part = starting_equity / len(frames)
    for instrument_id, frame in frames.items():
        closes = last_at(frame.ts_close, frame.close, ts, frame.open[0])
        own = _of(fills, instrument_id)
        if own:
            times = np.minimum(np.array([f.ts for f in own], np.int64), ts[-1])
            flows = np.array([signed_cash(f) - f.fee for f in own])
            quantity = held_at(own, times, ts)
            equity += _cumulative_at(times, flows, ts) + quantity * closes
            exposure += quantity * closes
            gross += np.abs(quantity * closes)
        market += part * closes / frame.open[0]
    if payments:
        times = np.array([p.ts for p in payments], np.int64)
        amounts = np.array([p.amount for p in payments])
        equity += _cumulative_at(times, amounts, ts)
    return Curve(ts, equity, market, exposure, gross)


def signed_cash(fill: Fill) -> float:
    """Return what a fill pays out (negative) or brings in, before its fee, quote currency.

    What the venue has kept of a coin that was bought is not received, and counts as the fee.
    """
    value = float(abs(fill.change)) * fill.price
    return -value if fill.side == "BUY" else value


def _of(fills: Sequence[Fill], instrument_id: str, strategy_id: str | None = None) -> list[Fill]:
    return [
        f
        for f in fills
        if f.instrument_id == instrument_id
        and (strategy_id is None or f.strategy_id == strategy_id)
    ]


def _last_prices(frame: BarFrame, ts: TimeArray, tick_offset_ns: int) -> FloatArray:
    """Return what the venue last saw at each time: a close, or the open of the bar after it."""
    last = np.maximum(np.searchsorted(frame.ts_close, ts, side="right") - 1, 0)
    running = np.minimum(last + 1, len(frame) - 1)
    is_open = (running > last) & (frame.ts_close[running] + tick_offset_ns <= ts)
    prices: FloatArray = np.where(is_open, frame.open[running], frame.close[last])
    return prices


def held_at(fills: Sequence[Fill], times: TimeArray, ts: TimeArray) -> FloatArray:
    """Return the signed quantity after all fills until each time, exact before rounding.

    `times` are those at which the fills count.
    """
    held = []
    total = fills[0].quantity * 0
    for fill in fills:
        total += fill.change
        held.append(float(total))
    steps = np.array([0.0, *held])
    at: FloatArray = steps[np.searchsorted(times, ts, side="right")]
    return at


def _cumulative_at(times: TimeArray, amounts: FloatArray, ts: TimeArray) -> FloatArray:
    """Return the sum of all amounts until each time."""
    sums = np.concatenate([[0.0], np.cumsum(amounts)])
    at: FloatArray = sums[np.searchsorted(times, ts, side="right")]
    return at


def last_at(times: TimeArray, values: FloatArray, ts: TimeArray, before: float) -> FloatArray:
    """Return the last value until each time; `before` where there is none yet."""
    index = np.searchsorted(times, ts, side="right") - 1
    at: FloatArray = np.where(index >= 0, values[np.maximum(index, 0)], before)
    return at
