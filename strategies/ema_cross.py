"""Cross of two exponential moving averages: the baseline that needs no model.

Long while the fast average is above the slow one, short (or flat) while it is below. A position is
opened on the bar that crosses, and closed by the opposite cross or by one of the exits. While an
entry is on its way nothing else is opened; one that fills when the averages have crossed back is
closed again. It is here to exercise every part of the engine and to be beaten, not to earn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    OrderIntent,
    OrderUpdate,
    Side,
)
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.exits import ExitManager, Exits, make_exits
from aitb_nautilus.risk.sizing import Sizer, make_sizers
from aitb_nautilus.risk.sizing_settings import FractionalKelly, Sizing, check_sizing
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings

__all__ = ["EmaCross", "EmaCrossSettings"]

_FORGOTTEN = 10
"""After so many times its bars, an average keeps less than a billionth of its beginning."""


class EmaCrossSettings(Settings, frozen=True):
    """Settings of `EmaCross`.

    Attributes
    ----------
    instruments
        Instrument ids; each is traded on its own.
    interval
        Length of the bars, such as ``1m`` or ``1h``.
    sizing
        How large an entry is.
    fast, slow
        Bars in the fast and in the slow average.
    direction
        Sides that may be opened.
    exits
        How a position ends. With ``signal = false``, a cross closes nothing, and opens nothing
        while a position is held.
    """

    instruments: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    interval: str
    sizing: Sizing
    fast: Annotated[int, msgspec.Meta(ge=1)] = 12
    slow: Annotated[int, msgspec.Meta(ge=2)] = 26
    direction: Literal["long", "short", "both"] = "both"
    exits: Exits = Exits()

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        Interval.parse(self.interval)
        if self.fast >= self.slow:
            raise ValueError(f"fast was {self.fast}, must be less than slow, which is {self.slow}")
        if len(set(self.instruments)) != len(self.instruments):
            raise ValueError("instruments names one of them twice")
        check_sizing(self.sizing, self.exits, predicts=False)


class Ema:
    """Exponential moving average with weight 2 / (n + 1), seeded by the mean of the first n values.

    This is the convention of TA-Lib's EMA.

    Parameters
    ----------
    bars
        n.
    """

    __slots__ = ("_bars", "_seen", "_weight", "value")

    def __init__(self, bars: int) -> None:
        self._bars = bars
        self._weight = 2 / (bars + 1)
        self._seen = 0
        self.value = 0.0

    def update(self, close: float) -> bool:
        """Take in a close; return whether the average is defined."""
        if self._seen < self._bars:
            self._seen += 1
            self.value += close / self._bars
            return self._seen == self._bars
        self.value += self._weight * (close - self.value)
        return True


class _Market:
    """One instrument's averages, sizing and exits."""

    __slots__ = ("above", "exits", "fast", "sizer", "slow")

    def __init__(self, settings: EmaCrossSettings, sizer: Sizer, exits: ExitManager) -> None:
        self.fast = Ema(settings.fast)
        self.slow = Ema(settings.slow)
        self.sizer = sizer
        self.exits = exits
        self.above: bool | None = None

    def crossed(self, close: float) -> int:
        """Return +1 if the fast average has just crossed above the slow one, -1 below, else 0."""
        self.fast.update(close)
        if not self.slow.update(close):
            return 0
        above = self.fast.value > self.slow.value
        before, self.above = self.above, above
        if before is None or above == before:
            return 0
        return 1 if above else -1


class EmaCross(GuardedStrategy):
    """Trade the cross of two exponential moving averages."""

    settings_type = EmaCrossSettings
    settings: EmaCrossSettings

    def __init__(self, settings: EmaCrossSettings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        interval_ns = Interval.parse(settings.interval).ns
        sizers = make_sizers(
            settings.sizing, context, component_id, settings.instruments, interval_ns
        )
        exits = make_exits(settings.exits, self.view, context, settings.instruments)
        self._markets = {
            name: _Market(settings, sizers[name], exits[name]) for name in settings.instruments
        }

    def bar_types(self) -> Sequence[str]:
        """Listen to every instrument's bars."""
        interval = Interval.parse(self.settings.interval)
        return [interval.bar_type(instrument_id) for instrument_id in self.settings.instruments]

    def bars_before(self) -> int:
        """Return after how many bars the slow average has forgotten where it began."""
        market = next(iter(self._markets.values()))
        own = _FORGOTTEN * self.settings.slow
        return max(own, market.sizer.bars_before, market.exits.bars_before)

    def exit_managers(self) -> Mapping[str, ExitManager]:
        """Return who keeps the exits of each instrument."""
        return {name: market.exits for name, market in self._markets.items()}

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        """Enter on a cross, after closing what is held on the other side; else keep the exits."""
        market = self._markets[bar.instrument_id]
        market.sizer.update(bar)
        market.exits.measure(bar)
        cross = market.crossed(bar.close)
        held = self.view.quantity(bar.instrument_id)
        turned = bool(cross) and (held > 0) != (cross > 0)
        if held and not (turned and self.settings.exits.signal):
            return market.exits.on_bar(bar)
        if self._is_leaving(bar.instrument_id) and self._entering(bar.instrument_id):
            return ()
        return self._turn(bar, market, cross) if cross else ()

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        """Place or cancel exits; leave what has filled too late."""
        market = self._markets[fill.instrument_id]
        market.sizer.hear_fill(fill, self.view.position(fill.instrument_id))
        yield from market.exits.on_fill(fill)
        if self._has_crossed_back(fill, market):
            yield CloseIntent(instrument_id=fill.instrument_id)

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        """Close at the market if the venue refused a stop; else keep the exits fitting."""
        return self._markets[order.instrument_id].exits.on_order(order, update)

    def size(self, intent: OrderIntent) -> Decimal:
        """Size an entry as the settings say."""
        price = self.view.mark(intent.instrument_id)
        if price is None:
            return Decimal(0)
        sizer = self._markets[intent.instrument_id].sizer
        return sizer.quantity(self.view.equity(), price)

    def _turn(self, bar: BarClosed, market: _Market, cross: int) -> Iterator[Intent]:
        if not self._is_leaving(bar.instrument_id):
            for order in self._entering(bar.instrument_id):
                yield CancelIntent(client_order_id=order.client_order_id)
            yield from market.exits.cancel_all()
            yield CloseIntent(instrument_id=bar.instrument_id)
        wanted = self.settings.direction in ("both", "long" if cross > 0 else "short")
        if wanted and market.sizer.is_ready and market.exits.is_ready:
            side: Side = "BUY" if cross > 0 else "SELL"
            entry = OrderIntent(instrument_id=bar.instrument_id, side=side)
            # Trades that lost on the whole are worth nothing: no wish, and nothing to refuse.
            if not isinstance(self.settings.sizing, FractionalKelly) or self.size(entry):
                yield entry

    def _entering(self, instrument_id: str) -> list[Order]:
        """Return the entries that are on their way."""
        return [o for o in self.view.open_orders(instrument_id) if not o.is_exit]

    def _is_leaving(self, instrument_id: str) -> bool:
        """Return whether nothing is held, or orders on their way close all of it at the market."""
        orders = self.view.open_orders(instrument_id)
        closing = sum((o.leaves for o in orders if o.is_exit and o.kind == "MARKET"), Decimal(0))
        return closing >= abs(self.view.quantity(instrument_id))

    def _has_crossed_back(self, fill: Fill, market: _Market) -> bool:
        """Return whether a fill has opened what the averages want no more."""
        held = self.view.quantity(fill.instrument_id)
        opened = bool(held) and (held > 0) == (fill.side == "BUY")
        wanted = market.above is None or (held > 0) == market.above
        return opened and not wanted and self.settings.exits.signal
