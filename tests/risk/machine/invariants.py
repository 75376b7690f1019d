"""What every limit promises, worked out anew from all that happened, as slowly as it takes.

Nothing here calls a limit, the guard, or its ledger. Each function gets the value from the config,
a scope, and a `Case`: an order that was just let through, beside what the venue has, what the node
was told, and all bars. It returns what is broken, or nothing.

`INVARIANTS` names one function for every key of ``[risk]``; a test fails if a key has none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import Prediction, Quote, Side
from tests.risk.machine.desks import ETH
from tests.risk.machine.venue import STOPS, Trade, VenueOrder

__all__ = ["INVARIANTS", "Area", "Case", "History", "RoundTrip", "Seen", "broken", "only_reduces"]

DAY = 86_400 * 10**9
MINUTE = 60 * 10**9
YEAR = 365 * DAY
SLACK = 1e-9
"""Of a limit: sums of float64 may come out differently in another order."""
LEAST_SALE = 5.0
"""Quote currency: the spot market takes no order for less."""
ZERO = Decimal(0)
LOOSE_CENT = 1e-7
"""A profit nearer to zero is neither gain nor loss here."""


class Area(NamedTuple):
    """What a rule is for; empty: all."""

    venue: str = ""
    strategy: str = ""
    instrument: str = ""

    def holds(self, strategy_id: str, instrument_id: str) -> bool:
        return (
            self.venue in ("", venue_name(instrument_id))
            and self.strategy in ("", strategy_id.rsplit("-", 1)[0])
            and self.instrument in ("", instrument_id)
        )


class Seen(NamedTuple):
    """One bar that the node was told of."""

    ts: int
    close: float
    volume: float


class RoundTrip(NamedTuple):
    """A position that went back to zero, or through it."""

    strategy_id: str
    instrument_id: str
    ts: int
    pnl: float
    by_stop: bool


class History:
    """All that the node was told, in the order in which it was told.

    Attributes
    ----------
    closes
        Whenever all bars of one time had been told: the time, and what each position had brought.
    openings
        Strategy, instrument and the node's clock of every opening order or change that left.
    resumed
        How many closes there were, and what equity was, when a person last resumed the trader.
    """

    def __init__(self, equity: float) -> None:
        self.start = equity
        self.bars: dict[str, list[Seen]] = {}
        self.quotes: dict[str, Quote] = {}
        self.predictions: dict[str, Prediction] = {}
        self.trades: list[Trade] = []
        self.trips: list[RoundTrip] = []
        self.closes: list[tuple[int, dict[tuple[str, str], float]]] = []
        self.openings: list[tuple[str, str, int]] = []
        self.resumed = (0, equity)
        self.held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self._paid: dict[tuple[str, str], float] = defaultdict(float)
        self._since_flat: dict[tuple[str, str], float] = defaultdict(float)
        self._priced: dict[tuple[str, str], float] = {}

    def is_dust(self, strategy_id: str, instrument_id: str) -> bool:
        """Return whether a spot market takes no order for what its last trade has left."""
        key = strategy_id, instrument_id
        if instrument_id != ETH or key not in self._priced:
            return False
        return float(self.held[key]) * self._priced[key] < LEAST_SALE

    def after_a_restart(self, trades: Iterable[tuple[Trade, bool]]) -> History:
        """Return what a node knows that starts anew: all bars, and the trades of its journal.

        Beside each trade stands whether the journal knows its order: if it left while nothing could
        be written, nobody knows that it was a stop.

        What equity was at each close is no record, and this node keeps no limits' memory beside
        its journal: the day's loss begins anew with the first close, and drawdowns with what the
        trader had in the beginning.
        """
        anew = History(self.start)
        anew.bars, anew.openings = self.bars, self.openings
        for trade, is_known in trades:
            anew.hear(trade, is_known=is_known)
        return anew

    def mark(self, instrument_id: str) -> float:
        return self.bars[instrument_id][-1].close

    def brought(self) -> dict[tuple[str, str], float]:
        """Return what each position has brought: money back, and what is held at the last close."""
        return {
            key: float(held) * self.mark(key[1]) - self._paid[key] if held else -self._paid[key]
            for key, held in self.held.items()
        }

    def equity(self) -> float:
        return self.start + sum(self.brought().values())

    def close(self, ts: int) -> None:
        """Note that all bars of one time were told."""
        self.closes.append((ts, self.brought()))

    def equities(self) -> list[tuple[int, float]]:
        """Return time and equity of every close."""
        return [(ts, self.start + sum(brought.values())) for ts, brought in self.closes]

    def resume(self) -> None:
        """Note that a person resumes the trader: drawdowns count from now."""
        self.resumed = (len(self.closes), self.equity())

    def falls(self) -> tuple[float, float, float]:
        """Return how far equity lies below its peak: now, at the last close, at the worst one."""
        first, peak = self.resumed
        last = worst = 0.0
        for _, equity in self.equities()[first:]:
            peak = max(peak, equity)
            last = 1 - equity / peak
            worst = max(worst, last)
        return 1 - self.equity() / peak, last, worst

    def hear(self, trade: Trade, *, is_known: bool = True) -> None:
        """Add a trade: money goes one way, goods the other."""
        order = trade.order
        key = order.strategy_id, order.instrument_id
        signed = trade.quantity if trade.side == "BUY" else -trade.quantity
        before, after = self.held[key], self.held[key] + signed
        paid = float(signed) * trade.price
        self.trades.append(trade)
        self.held[key] = after
        self._priced[key] = trade.price
        self._paid[key] += paid + trade.fee
        if before and (not after or (after > 0) != (before > 0)):
            through = float(after) * trade.price
            pnl = self._since_flat[key] - (paid - through) - trade.fee
            by_stop = order.kind in (*STOPS, "TRAILING_STOP_MARKET") or order.purpose.startswith(
                ("exit:stop", "exit:trailing")
            )
            self.trips.append(RoundTrip(*key, trade.ts, pnl, is_known and by_stop))
            self._since_flat[key] = -through
        else:
            self._since_flat[key] -= paid + trade.fee


class Case(NamedTuple):
    """An opening order that was let through, or a change of one.

    Attributes
    ----------
    order
        The order as it is from now on.
    quantity
        What may still be filled of it.
    wanted
        What was wished; None if nobody knows.
    price, trigger_price
        Its prices.
    change
        Whether it was there before.
    clock
        The node's clock, which may be later than the fact that is answered.
    listens
        Instruments of whose predictions a strategy is told.
    """

    now: int
    clock: int
    order: VenueOrder
    quantity: Decimal
    wanted: Decimal | None
    price: float | None
    trigger_price: float | None
    change: bool
    orders: Mapping[str, VenueOrder]
    history: History
    whole_bars: bool
    listens: Mapping[str, Sequence[str]]

    @property
    def instrument(self) -> str:
        return self.order.instrument_id

    @property
    def side(self) -> Side:
        return self.order.side

    @property
    def unit(self) -> float:
        return worth(self.side, self.price, self.trigger_price, self.history.mark(self.instrument))

    @property
    def value(self) -> float:
        return float(self.quantity) * self.unit

    def others(self, area: Area) -> Iterator[tuple[VenueOrder, Decimal]]:
        """Yield other orders that may open, and what may still come of each."""
        for order in self.orders.values():
            if (
                order is not self.order
                and not order.reduce_only
                and area.holds(order.strategy_id, order.instrument_id)
                and (comes := order.may_come) > 0
            ):
                yield order, comes

    def pending(self, area: Area, side: Side | None = None, instrument: str = "") -> float:
        """Return the value of what may still come."""
        return sum(
            float(q) * self.worth_of(o)
            for o, q in self.others(area)
            if side in (None, o.side) and instrument in ("", o.instrument_id)
        )

    def worth_of(self, order: VenueOrder) -> float:
        mark = self.history.mark(order.instrument_id)
        return worth(order.side, order.price, order.trigger_price, mark)

    def holding(self, area: Area, sign: int = 0, instrument: str = "") -> float:
        """Return the value of what is held: of longs, of shorts, or of both."""
        return sum(
            abs(float(q)) * self.history.mark(i)
            for (s, i), q in self.history.held.items()
            if q
            and area.holds(s, i)
            and instrument in ("", i)
            and (not sign or (q > 0) == (sign > 0))
        )


def worth(side: Side, price: float | None, trigger: float | None, mark: float) -> float:
    """Return what one unit of an order may come to."""
    if price is not None and side == "BUY":
        return price
    return max(p for p in (price, trigger, mark) if p is not None)


def only_reduces(
    order: VenueOrder, quantity: Decimal, held: Decimal, orders: Iterable[VenueOrder]
) -> bool:
    """Return whether an order can only reduce a position, whatever fills before it.

    Exits that rest and are reduce-only end with the position; all others are counted as filled.
    """
    if order.reduce_only:
        return True
    if not held or (held > 0) == (order.side == "BUY"):
        return False
    before = sum(
        o.known_leaves
        for o in orders
        if o is not order
        and (o.strategy_id, o.instrument_id) == (order.strategy_id, order.instrument_id)
        and o.side == order.side
        and (o.kind == "MARKET" or not o.reduce_only)
    )
    return quantity + before <= abs(held)


def over(value: float, most: float, what: str) -> str:
    return f"{what} {value:,.6f} is above {most:,.6f}" if value > most * (1 + SLACK) else ""


# One order, and how many


def order_notional(most: float, area: Area, case: Case) -> str:
    whole = case.quantity + (case.order.heard if case.change else ZERO)
    return over(float(whole) * case.unit, most, "order")


def open_orders(most: int, area: Area, case: Case) -> str:
    if case.change:
        return ""
    others = sum(
        o.state in ("flying", "open") and area.holds(o.strategy_id, o.instrument_id)
        for o in case.orders.values()
        if o is not case.order
    )
    return f"{others} orders are open beside it" if others >= most else ""


def orders_per_minute(most: int, area: Area, case: Case) -> str:
    count = sum(
        case.clock - left < MINUTE and area.holds(s, i) for s, i, left in case.history.openings
    )
    return f"{count} left in the minute before it" if count >= most else ""


def orders_per_day(most: int, area: Area, case: Case) -> str:
    count = sum(
        left // DAY == case.clock // DAY and area.holds(s, i)
        for s, i, left in case.history.openings
    )
    return f"{count} left on its day before it" if count >= most else ""


def turnover(most: float, area: Area, case: Case) -> str:
    traded = sum(
        float(t.quantity) * t.price
        for t in case.history.trades
        if t.ts // DAY == case.now // DAY and area.holds(t.order.strategy_id, t.order.instrument_id)
    )
    return over(traded + case.pending(area) + case.value, most, "turnover")


def price_band(most: float, area: Area, case: Case) -> str:
    mark = case.history.mark(case.instrument)
    for price in (case.price, case.trigger_price):
        if price is not None and abs(price / mark - 1) > most + SLACK:
            return f"price {price} is too far from {mark}"
    return ""


# What is held


def position_notional(most: float, area: Area, case: Case) -> str:
    sign = 1 if case.side == "BUY" else -1
    held = sum(
        max(sign * q, ZERO)
        for (s, i), q in case.history.held.items()
        if i == case.instrument and area.holds(s, i)
    )
    comes = sum(
        q
        for o, q in case.others(area)
        if o.side == case.side and o.instrument_id == case.instrument
    )
    return over(float(held + comes + case.quantity) * case.unit, most, "position")


def gross(area: Area, case: Case) -> float:
    return case.holding(area) + case.pending(area) + case.value


def gross_notional(most: float, area: Area, case: Case) -> str:
    return over(gross(area, case), most, "gross")


def net_notional(most: float, area: Area, case: Case) -> str:
    sign = 1 if case.side == "BUY" else -1
    net = case.holding(area, sign) - case.holding(area, -sign)
    return over(net + case.pending(area, case.side) + case.value, most, "net")


def leverage(most: float, area: Area, case: Case) -> str:
    return over(gross(area, case), most * max(case.history.equity(), 0.0), "gross on equity")


def concentration(most: float, area: Area, case: Case) -> str:
    own = case.holding(area, 0, case.instrument) + case.pending(area, None, case.instrument)
    # What others may still come to makes the whole larger: a guard may count those of which it
    # was not yet told that they have ended.
    known = sum(
        float(o.known_leaves) * case.worth_of(o)
        for o in case.orders.values()
        if o is not case.order and not o.reduce_only
    )
    whole = max(case.holding(area) + known + case.value, case.history.equity())
    return over(own + case.value, most * whole, "its part")


# The market


def stale_bars(most: float, area: Area, case: Case) -> str:
    bars = case.history.bars[case.instrument]
    apart = [b.ts - a.ts for a, b in pairwise(bars) if b.ts > a.ts]
    if not apart:
        return ""
    age = (case.clock - bars[-1].ts) / min(apart)
    return over(age, most, "age of the last bar")


def clock_skew(most_ms: float, area: Area, case: Case) -> str:
    latest = case.history.bars[case.instrument][-1].ts
    quote = case.history.quotes.get(case.instrument)
    if quote is not None and quote.bid > 0 and quote.ask >= quote.bid:  # else it is no book
        latest = max(latest, quote.ts)
    ahead = (latest - case.clock) / 1e6
    return f"the last fact is {ahead} ms ahead" if ahead > most_ms + SLACK else ""


def book(settings: Any, area: Area, case: Case) -> str:
    quote = case.history.quotes.get(case.instrument)
    if quote is None:
        return "there is no quote"
    if not (quote.bid > 0 and quote.ask >= quote.bid):
        return f"{quote} is no book"
    middle = (quote.bid + quote.ask) / 2
    prices = [p for p in (case.price, case.trigger_price) if p is not None]
    mark = case.history.mark(case.instrument)
    depth = min(quote.bid * quote.bid_size, quote.ask * quote.ask_size)
    for bound, value, what in (
        (settings.max_quote_age_ms, (case.clock - quote.ts) / 1e6, "age of the quote"),
        (settings.max_spread_frac, (quote.ask - quote.bid) / middle, "spread"),
        (settings.max_divergence_frac, abs(mark / middle - 1), "distance of the last price"),
        *((settings.book_band_frac, abs(p / middle - 1), "distance of a price") for p in prices),
    ):
        if bound is not None and not value <= bound + SLACK:
            return f"{what} {value} is above {bound}"
    least = settings.min_book_notional
    if least is not None and not depth >= least * (1 - SLACK):
        return f"{depth} stand in the book"
    return ""


def reference(settings: Any, area: Area, case: Case) -> str:
    bars = case.history.bars.get(settings.instrument)
    if not bars:
        return "nothing is known of the reference"
    if case.clock - bars[-1].ts > settings.max_age_minutes * MINUTE * (1 + SLACK):
        return f"the reference is of {bars[-1].ts}, and it is {case.clock}"
    wanted = bars[-1].close * settings.scale
    return over(
        abs(case.history.mark(case.instrument) / wanted - 1),
        settings.max_divergence_frac + SLACK,
        "distance from the reference",
    )


def prediction_age(minutes: float, area: Area, case: Case) -> str:
    listens = case.listens.get(case.order.strategy_id, ())
    for instrument in [i for i in listens if i == case.instrument] or listens:
        last = case.history.predictions.get(instrument)
        if last is None or case.clock >= last.expires_ns:
            return f"no prediction of {instrument} holds"
        if case.clock - last.ts_event > minutes * MINUTE * (1 + SLACK):
            return f"the prediction of {instrument} answers {last.ts_event}, it is {case.clock}"
    return ""


def liquidity(settings: Any, area: Area, case: Case) -> str:
    last = case.history.bars[case.instrument][-settings.bars :]
    if settings.min_bar_value is not None:
        mean = sum(b.volume * b.close for b in last) / len(last)
        if mean < settings.min_bar_value * (1 - SLACK):
            return f"bars trade {mean}"
    if settings.max_volume_frac is not None:
        most = settings.max_volume_frac * sum(b.volume for b in last) / len(last)
        return over(float(case.quantity), most, "part of the volume")
    return ""


# Losses


def trips(area: Area, case: Case) -> list[RoundTrip]:
    return [t for t in case.history.trips if area.holds(t.strategy_id, t.instrument_id)]


def is_clear(some: list[RoundTrip]) -> bool:
    """Return whether rounding cannot turn a gain into a loss."""
    return all(abs(t.pnl) > LOOSE_CENT for t in some)


def paused(until: int, case: Case) -> str:
    return f"nothing may open before {until}, and it is {case.now}" if case.now < until else ""


def loss_streak(settings: Any, area: Area, case: Case) -> str:
    streak = until = 0
    some = trips(area, case)
    if not is_clear(some):
        return ""
    for trip in some:
        streak = streak + 1 if trip.pnl < 0 else 0
        if streak == settings.losses:
            streak, until = 0, trip.ts + round(settings.pause_minutes * MINUTE)
    return paused(until, case)


def cooldown(minutes: float, area: Area, case: Case) -> str:
    closed = [t.ts for t in trips(area, case) if t.instrument_id == case.instrument]
    return paused(closed[-1] + round(minutes * MINUTE), case) if closed else ""


def loss_cooldown(minutes: float, area: Area, case: Case) -> str:
    lost = [
        t.ts
        for t in trips(area, case)
        if t.instrument_id == case.instrument and t.pnl < -LOOSE_CENT
    ]
    return paused(lost[-1] + round(minutes * MINUTE), case) if lost else ""


def low_profit(settings: Any, area: Area, case: Case) -> str:
    last: list[RoundTrip] = []
    until = 0
    for trip in trips(area, case):
        if trip.instrument_id != case.instrument:
            continue
        last = [*last, trip][-settings.trades :]
        if len(last) < settings.trades:
            continue
        if last[-1].ts - last[0].ts > round(settings.window_minutes * MINUTE):
            continue
        pnl = sum(t.pnl for t in last)
        if abs(pnl - settings.min_pnl) < LOOSE_CENT:
            return ""
        if pnl < settings.min_pnl:
            last, until = [], trip.ts + round(settings.pause_minutes * MINUTE)
    return paused(until, case)


def stop_guard(settings: Any, area: Area, case: Case) -> str:
    some = [t for t in trips(area, case) if t.by_stop]
    if not is_clear(some):
        return ""
    stops = [t.ts for t in some if t.pnl < 0]
    until = 0
    for i, ts in enumerate(stops, 1):
        first = stops[i - settings.stops] if i >= settings.stops else None
        if first is not None and ts - first <= round(settings.window_minutes * MINUTE):
            until = ts + round(settings.pause_minutes * MINUTE)
    return paused(until, case)


def of_the_day(now: int, worth: float, closes: list[tuple[int, float]]) -> tuple[float, float]:
    """Return with what a day began, and the largest loss since.

    It begins with the close at midnight, or with the last one before.
    """
    today = [(ts, w) for ts, w in closes if ts // DAY == now // DAY]
    before = [w for ts, w in closes if ts // DAY < now // DAY]
    if today and (not before or today[0][0] % DAY == 0):
        first = today[0][1]
    else:
        first = before[-1] if before else worth
    return first, max(first - w for w in (worth, *(w for _, w in today)))


def daily_loss_frac(most: float, area: Area, case: Case) -> str:
    if not case.whole_bars:
        return ""
    history = case.history
    first, lost = of_the_day(case.now, history.equity(), history.equities())
    return f"the day has lost {lost} of {first}" if lost >= (most + SLACK) * first else ""


def daily_loss(most: float, area: Area, case: Case) -> str:
    if not case.whole_bars:
        return ""

    def within(brought: dict[tuple[str, str], float]) -> float:
        return sum(worth for key, worth in brought.items() if area.holds(*key))

    closes = [(ts, within(brought)) for ts, brought in case.history.closes]
    _, lost = of_the_day(case.now, within(case.history.brought()), closes)
    return f"the day has lost {lost}" if lost >= most + LOOSE_CENT else ""


def drawdown(settings: Any, area: Area, case: Case) -> str:
    if not case.whole_bars:
        return ""
    fall, _, _ = case.history.falls()
    steps = [s for s in (settings.reduce_frac, settings.halt_frac) if s is not None]
    if steps and fall >= min(steps) + SLACK:
        return f"equity lies {fall} below its peak"
    shrinks = settings.shrink_frac is not None and fall >= settings.shrink_frac + SLACK
    if shrinks and not case.change and case.wanted is not None:
        most = float(case.wanted) * settings.shrink_factor
        return over(float(case.quantity), most, "order in a drawdown")
    return ""


# What moves together


def covariance(settings: Any, history: History) -> tuple[list[str], np.ndarray, list[int]]:
    """Return instruments, the shrunk covariance of yearly returns, and how many each has."""
    names = list(history.bars)
    table = _returns(history, names)
    size = len(names)
    d = 2.0 ** (-1.0 / settings.half_life_bars)
    c = np.zeros((size, size))
    for i, j in product(range(size), repeat=2):
        both = table[:, i] * table[:, j]
        both = both[~np.isnan(both)]
        if len(both):
            weights = d ** np.arange(len(both))[::-1]
            c[i, j] = (weights @ both) / weights.sum()
    seen = [int((~np.isnan(table[:, i])).sum()) for i in range(size)]
    sigma = np.sqrt(np.diag(c))
    rho = np.eye(size)
    pairs = [(i, j) for i, j in product(range(size), repeat=2) if i != j]
    for i, j in pairs:
        if sigma[i] > 0 and sigma[j] > 0:
            rho[i, j] = min(max(c[i, j] / (sigma[i] * sigma[j]), -1.0), 1.0)
    mean = sum(rho[i, j] for i, j in pairs) / len(pairs) if pairs else 0.0
    for i, j in pairs:
        rho[i, j] = (1 - settings.shrinkage) * rho[i, j] + settings.shrinkage * mean
    return names, rho * np.outer(sigma, sigma), seen


def _returns(history: History, names: list[str]) -> np.ndarray:
    """Return yearly returns by time and instrument; what is missing is no number.

    The last time counts once all bars of it are there.
    """
    returns: dict[int, dict[str, float]] = defaultdict(dict)
    for name, bars in history.bars.items():
        before: Seen | None = None
        for bar in bars:
            if before is not None and bar.ts > before.ts:
                years = (bar.ts - before.ts) / YEAR
                returns[bar.ts][name] = math.log(bar.close / before.close) / math.sqrt(years)
            if before is None or bar.ts > before.ts:
                before = bar
    times = sorted(returns)
    if times and any(bars[-1].ts != times[-1] for bars in history.bars.values()):
        times.pop()
    table = [[returns[t].get(n, np.nan) for n in names] for t in times]
    return np.array(table).reshape(len(times), len(names))


def correlation(settings: Any, area: Area, case: Case) -> str:
    """Check portfolio volatility, risk shares and clusters."""
    names, c, seen = covariance(settings, case.history)
    history = case.history
    held = dict.fromkeys(names, 0.0)
    for (_, i), q in history.held.items():
        if q:
            held[i] += float(q) * history.mark(i)
    filled = dict(held)
    known = [
        o
        for o in case.orders.values()
        if o is not case.order and not o.reduce_only and o.known_leaves > 0
    ]
    for o in known:
        sign = 1.0 if o.side == "BUY" else -1.0
        mark = history.mark(o.instrument_id)
        unit = max(worth(o.side, *p, mark) for p in (o.known_prices, *o.asked_prices))
        filled[o.instrument_id] += sign * float(o.known_leaves) * unit
    there = {i for (_, i), q in history.held.items() if q}
    there |= {o.instrument_id for o, _ in case.others(area)} | {case.instrument}
    blind = [n for n in there if seen[names.index(n)] < settings.min_bars]
    if settings.max_volatility_frac is not None:
        if blind:
            return f"too little is known of {blind}"
        own = names.index(case.instrument)
        x = case.value if case.side == "BUY" else -case.value
        equity = max(history.equity(), 0.0)
        for values in [held, filled] if known else [held]:
            w = np.array([values[n] for n in names])
            more = w.copy()
            more[own] += x
            problem = _volatility(settings, c, w, more, own, equity)
            if problem:
                return problem
    if settings.max_cluster_notional is not None:
        return _cluster(settings, names, c, seen, area, case)
    return ""


def _volatility(
    settings: Any, c: np.ndarray, w: np.ndarray, more: np.ndarray, own: int, equity: float
) -> str:
    slack = 1e-6
    before, after = (math.sqrt(max(float(v @ c @ v), 0.0)) for v in (w, more))
    budget = settings.max_volatility_frac * equity
    if after > max(budget, before) * (1 + slack) + slack:
        return f"volatility {after} is above {budget}, and was {before}"
    if settings.max_risk_share_frac is None:
        return ""
    parts = [
        float(v[own] * (c @ v)[own]) / deviation if deviation else 0.0
        for v, deviation in ((w, before), (more, after))
    ]
    most = settings.max_risk_share_frac * budget
    if parts[1] > max(most, parts[0]) * (1 + slack) + slack:
        return f"its share of risk {parts[1]} is above {most}, and was {parts[0]}"
    return ""


def _cluster(
    settings: Any, names: list[str], c: np.ndarray, seen: list[int], area: Area, case: Case
) -> str:
    unknown = {n for n, count in zip(names, seen, strict=True) if count < settings.min_bars}
    sigma = np.sqrt(np.diag(c))
    inside = set(names) if case.instrument in unknown else {case.instrument}
    grown = True
    while grown:
        grown = False
        for a in sorted(inside):
            for b in set(names) - inside:
                i, j = names.index(a), names.index(b)
                scale = sigma[i] * sigma[j]
                # A hair's breadth of the threshold is left to either side.
                if scale > 0 and c[i, j] / scale >= settings.cluster_correlation + SLACK:
                    inside.add(b)
                    grown = True
    inside |= unknown
    sign = 1 if case.side == "BUY" else -1
    there = sum(case.holding(area, sign, n) + case.pending(area, case.side, n) for n in inside)
    return over(there + case.value, settings.max_cluster_notional, "cluster")


INVARIANTS: dict[str, Callable[[Any, Area, Case], str]] = {
    "max_order_notional": order_notional,
    "max_position_notional": position_notional,
    "max_gross_notional": gross_notional,
    "max_net_notional": net_notional,
    "max_open_orders": open_orders,
    "max_orders_per_minute": orders_per_minute,
    "max_orders_per_day": orders_per_day,
    "max_turnover_per_day": turnover,
    "price_band_frac": price_band,
    "max_stale_bars": stale_bars,
    "max_clock_skew_ms": clock_skew,
    "max_prediction_age_minutes": prediction_age,
    "book": book,
    "reference": reference,
    "liquidity": liquidity,
    "loss_streak": loss_streak,
    "loss_cooldown_minutes": loss_cooldown,
    "low_profit": low_profit,
    "stop_guard": stop_guard,
    "max_leverage": leverage,
    "max_concentration_frac": concentration,
    "max_daily_loss_frac": daily_loss_frac,
    "max_daily_loss": daily_loss,
    "cooldown_minutes": cooldown,
    "correlation": correlation,
    "drawdown": drawdown,
}


def broken(risk: Any, case: Case, tally: dict[str, int]) -> list[str]:
    """Return every promise of a ``[risk]`` section that is broken, and count what was asked."""
    found: list[str] = []
    places: list[tuple[str, Any, Area]] = [("risk", risk, Area())]
    for i, rule in enumerate(risk.rules):
        scope = rule.scope
        area = Area(scope.venue or "", scope.strategy or "", scope.instrument or "")
        if area.holds(case.order.strategy_id, case.instrument):
            places.append((f"risk.rules[{i}]", rule, area))
    for place, settings, area in places:
        for name, check in INVARIANTS.items():
            value = getattr(settings, name, None)
            if value is None:
                continue
            tally[name] = tally.get(name, 0) + 1
            why = check(value, area, case)
            if why:
                found.append(f"{place}.{name} {value}: {why}")
    return found
