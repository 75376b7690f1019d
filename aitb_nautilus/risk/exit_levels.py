"""Where the exits of one position stand, and how much each closes: prices and lots, no orders."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal

import msgspec

from aitb_nautilus.messages import BarClosed, Fill
from aitb_nautilus.risk.average_range import AverageRange, RangeState
from aitb_nautilus.risk.book import ZERO, Position
from aitb_nautilus.risk.exit_settings import Exits, Target
from aitb_nautilus.risk.guard import LotRules
from aitb_nautilus.risk.price_grid import on_grid

__all__ = ["ExitLevels", "ExitState", "Rung"]


class ExitState(msgspec.Struct):
    """What the exits of one instrument remember: all that a restart must bring back.

    Attributes
    ----------
    opened
        When the position was opened, ns UTC; 0 if there is none.
    direction
        +1 for a long position, -1 for a short one.
    ts
        Close of the last bar since then, ns UTC; 0 before the first.
    bars_held
        Closed bars since then.
    best_close
        The best close since then, or the first fill's price; quote currency.
    extremes
        Highs of the last bars since then; of a short position, lows.
    entry_range
        The average true range when it was opened, quote currency; None if it was not known.
    stop
        The tightest stop so far, not yet on the grid of prices, quote currency.
    stop_purpose
        Which exit asked for it.
    opened_quantity
        All that was bought (or sold, for a short position) since it was opened, base currency.
    taken
        What each target has closed of it, base currency.
    average_range
        The average true range of the instrument.
    """

    opened: int = 0
    direction: int = 0
    ts: int = 0
    bars_held: int = 0
    best_close: float = 0.0
    extremes: list[float] = msgspec.field(default_factory=list)
    entry_range: float | None = None
    stop: float | None = None
    stop_purpose: str = "exit:stop"
    opened_quantity: Decimal = ZERO
    taken: list[Decimal] = msgspec.field(default_factory=list)
    average_range: RangeState = msgspec.field(default_factory=RangeState)


class Rung(msgspec.Struct, frozen=True):
    """What should rest at one target.

    Attributes
    ----------
    purpose
        Its name, such as ``exit:target`` or ``exit:target_2``.
    price
        On the grid, quote currency.
    quantity
        Base currency, > 0.
    """

    purpose: str
    price: float
    quantity: Decimal


class ExitLevels:
    """Follow one instrument's position, and say where its exits should stand.

    Parameters
    ----------
    exits
        Which exits to keep.
    tick
        Step of prices, quote currency.
    lots
        Steps of quantities.
    """

    def __init__(self, exits: Exits, tick: float, lots: LotRules) -> None:
        self._exits = exits
        self._tick = Decimal(repr(tick))
        self._lots = lots
        self._targets = exits.all_targets
        self._needs_range = exits.needs_atr
        self.state = ExitState()
        self._range = AverageRange(exits.atr_bars, self.state.average_range)

    @property
    def is_ready(self) -> bool:
        """Return whether all that an entry's exits are measured in is known."""
        return not self._needs_range or self._range.value is not None

    def save(self) -> ExitState:
        """Return a copy of what is remembered."""
        return _copy(self.state)

    def restore(self, state: ExitState) -> None:
        """Go on from what another one remembered."""
        self.state = _copy(state)
        self._range = AverageRange(self._exits.atr_bars, self.state.average_range)

    def go_on(self, state: ExitState, position: Position) -> None:
        """Restore what was remembered of a position; its range is the one that is known now."""
        if (state.opened, state.direction) != (
            position.ts_opened,
            1 if position.quantity > 0 else -1,
        ) or len(state.taken) != len(self._targets):
            return
        now = self.state.average_range
        self.state = _copy(state)
        if self._range.value is None:
            self._range = AverageRange(self._exits.atr_bars, self.state.average_range)
        else:
            self.state.average_range = now

    def keep_stop(self, price: float, purpose: str) -> None:
        """Let the stop stand no further from the market than one that rests."""
        state = self.state
        if state.stop is None or state.direction * (price - state.stop) > 0:
            state.stop, state.stop_purpose = price, purpose

    def measure(self, bar: BarClosed) -> None:
        """Take a closed bar into the average true range, whether a position is held or not."""
        if self._needs_range:
            self._range.update(bar)

    # The life of a position

    def is_new(self, position: Position) -> bool:
        """Return whether a position is another one than that which is followed."""
        direction = 1 if position.quantity > 0 else -1
        return (position.ts_opened, direction) != (self.state.opened, self.state.direction)

    def begin(self, position: Position, price: float) -> None:
        """Follow a new position, whose best price so far is this."""
        self.state = ExitState(
            opened=position.ts_opened,
            direction=1 if position.quantity > 0 else -1,
            best_close=price,
            extremes=[price],
            entry_range=self._range.value,
            opened_quantity=abs(position.quantity),
            taken=[ZERO] * len(self._targets),
            average_range=self._range.state,
        )
        self._tighten(position)

    def end(self) -> None:
        """Forget a position that was closed."""
        self.state = ExitState(average_range=self._range.state)

    def know_range(self, position: Position) -> None:
        """Measure a position's exits in the range that is known by now, if it had none."""
        if self.state.entry_range is None:
            self.state.entry_range = self._range.value
            self._tighten(position)

    def take_fill(self, position: Position, fill: Fill, purpose: str) -> None:
        """Take in a further fill of the position, of an order with that purpose."""
        state = self.state
        if (fill.side == "BUY") == (state.direction > 0):
            state.opened_quantity += abs(fill.change)
        for i, name in enumerate(self._names()):
            if name == purpose:
                state.taken[i] += fill.quantity
        self._tighten(position)

    def take_bar(self, position: Position, bar: BarClosed) -> bool:
        """Take in a bar at whose close the position is held; return whether any level moved."""
        state, direction = self.state, self.state.direction
        before = (state.stop, state.entry_range)
        state.ts = bar.ts
        state.bars_held += 1
        if direction * (bar.close - state.best_close) > 0:
            state.best_close = bar.close
        if self._exits.chandelier_bars is not None:
            state.extremes.append(bar.high if direction > 0 else bar.low)
            del state.extremes[: -self._exits.chandelier_bars]
        if state.entry_range is None:
            state.entry_range = self._range.value
        self._tighten(position)
        return before != (state.stop, state.entry_range)

    # Where the exits stand

    def stop_price(self, price: float) -> float | None:
        """Return where the stop should rest, on the grid; None without one.

        It is rounded towards the market, so that it never loses more than it was asked to, unless
        that would put it at or beyond `price`, that of the market.
        """
        stop, direction = self.state.stop, self.state.direction
        if stop is None:
            return None
        near = on_grid(stop, self._tick, up=direction > 0)
        if direction * (price - near) > 0 or direction * (price - stop) <= 0:
            return near
        return on_grid(stop, self._tick, up=direction < 0)

    def is_beyond(self, price: float) -> bool:
        """Return whether the market stands at the stop already, or beyond it."""
        stop = self.state.stop
        return stop is not None and self.state.direction * (price - stop) <= 0

    def rung(self, position: Position) -> Rung | None:
        """Return what should rest at the nearest target that has anything left to close.

        A part that is no whole number of lots, or is below the venue's least quantity, goes to the
        next target. No target closes more than is held.
        """
        state, lots = self.state, self._lots
        whole = shared = ZERO
        for target, name, taken in zip(self._targets, self._names(), state.taken, strict=True):
            whole += Decimal(repr(target.close_frac))
            upto = (state.opened_quantity * whole / lots.lot).to_integral_value(ROUND_DOWN)
            share = upto * lots.lot - shared
            if share < lots.min_quantity:
                continue
            shared += share
            price = self._target_price(target, position)
            if share > taken and price is not None:
                return Rung(name, price, min(share - taken, abs(position.quantity)))
        return None

    def payoff(self, price: float) -> tuple[float, float] | None:
        """Return what an entry at a price wins at its targets and loses at its stop.

        Both are fractions of that price, > 0; None if one of the two is not known. Of several
        targets it is the mean by what they close; of several stops the tightest.
        """
        unit = self._range.value
        exits = self._exits
        stops = _distances(
            price,
            unit,
            (exits.stop_frac, exits.trailing_frac),
            (exits.stop_atr, exits.trailing_atr, exits.chandelier_atr),
        )
        gains = [
            (target.close_frac, distance)
            for target in self._targets
            for distance in _distances(price, unit, (target.frac,), (target.atr,))
        ]
        if not stops or len(gains) < max(len(self._targets), 1):
            return None
        won = sum(part * gain for part, gain in gains) / sum(part for part, _ in gains)
        return won, min(stops)

    def _names(self) -> Iterator[str]:
        if not self._exits.targets:
            yield from ["exit:target"] * len(self._targets)
            return
        yield from (f"exit:target_{i + 1}" for i in range(len(self._targets)))

    def _target_price(self, target: Target, position: Position) -> float | None:
        """Return where a target stands, rounded towards the market: sooner by part of a tick."""
        entry, direction = position.average_price, self.state.direction
        unit = self.state.entry_range
        if target.frac is not None:
            price = entry * (1 + direction * target.frac)
        elif target.atr is not None and unit is not None:
            price = entry + direction * target.atr * unit
        else:
            return None
        near = on_grid(price, self._tick, up=direction < 0)
        if direction * (near - entry) <= 0:
            near = on_grid(price, self._tick, up=direction > 0)
        return near if near > 0 else None

    def _tighten(self, position: Position) -> None:
        """Bring the stop to the tightest that any exit asks for; it never moves back."""
        state, direction = self.state, self.state.direction
        for purpose, price in self._asked(position):
            is_tighter = state.stop is None or direction * (price - state.stop) > 0
            if is_tighter and price > 0:
                state.stop, state.stop_purpose = price, purpose

    def _asked(self, position: Position) -> Iterator[tuple[str, float]]:
        exits, state, d = self._exits, self.state, self.state.direction
        entry, best = position.average_price, state.best_close
        unit, then = self._range.value, state.entry_range
        if exits.stop_frac is not None:
            yield "exit:stop", entry * (1 - d * exits.stop_frac)
        if exits.stop_atr is not None and then is not None:
            yield "exit:stop", entry - d * exits.stop_atr * then
        gain: float | None = None
        if exits.break_even_frac is not None:
            gain = entry * exits.break_even_frac
        elif exits.break_even_atr is not None and then is not None:
            gain = exits.break_even_atr * then
        cost = entry * exits.break_even_cost_bps / 1e4
        if gain is not None and d * (best - entry) >= max(gain, cost):
            yield "exit:break_even", entry + d * cost
        if exits.trailing_frac is not None:
            yield "exit:trailing", best * (1 - d * exits.trailing_frac)
        if exits.trailing_atr is not None and unit is not None:
            yield "exit:trailing", best - d * exits.trailing_atr * unit
        if exits.chandelier_atr is not None and unit is not None:
            extreme = max(state.extremes) if d > 0 else min(state.extremes)
            yield "exit:chandelier", extreme - d * exits.chandelier_atr * unit


def _distances(
    price: float,
    unit: float | None,
    fractions: tuple[float | None, ...],
    ranges: tuple[float | None, ...],
) -> list[float]:
    """Return distances as fractions of a price; those in ranges only where the range is known."""
    found = [one for one in fractions if one is not None]
    if unit is not None:
        found += [one * unit / price for one in ranges if one is not None]
    return [one for one in found if one > 0]


def _copy(state: ExitState) -> ExitState:
    """Return a copy that shares nothing; a node makes one of every position ten times a second."""
    replace = msgspec.structs.replace
    return replace(
        state,
        extremes=[*state.extremes],
        taken=[*state.taken],
        average_range=replace(state.average_range),
    )
