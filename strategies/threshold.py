"""Trade calibrated probabilities: enter above one level, leave below another.

A model, or an ensemble of them, says how probable the label that it was taught is. A position is
opened when the probability reaches the entry level of a side, and kept until it is beyond that
side's exit level. The room between the two keeps a probability that trembles from trading.

**A level is a probability of the model's label.** If that is "up by more than the costs"
(``cost_bps`` above zero), fewer than half of all bars are up, and levels around 0.5 are long less
often than they seem to be. Put them around the share of up, which the report shows.

**"Not up" is not "down".** With such a label, a probability of 0.4 leaves 0.6 for down and for up
by less than the costs together. It is no probability of 0.6 that a short position earns. Trade
``direction = "long"`` only, or put `short_enter` far below the share of up, where the forward
returns in the report lie below zero by more than the costs, or set `min_expected_return`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated

import msgspec

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    OrderIntent,
    OrderUpdate,
    Prediction,
)
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.entry_filter import EntryFilter, Filter, filter_features
from aitb_nautilus.risk.exits import ExitManager, Exits, make_exits
from aitb_nautilus.risk.levels import Level, Levels
from aitb_nautilus.risk.sizing import Edge, Sizer, make_sizers
from aitb_nautilus.risk.sizing_settings import FractionalKelly, Sizing, check_sizing
from aitb_nautilus.risk.strategy import GuardedStrategy

__all__ = ["Threshold", "ThresholdSettings"]


class ThresholdSettings(Levels, frozen=True, kw_only=True):
    """Settings of `Threshold`.

    Attributes
    ----------
    instruments
        Instrument ids; each is traded on its own.
    interval
        Length of the bars that sizing, filters, exits and all counts of bars see, such as ``1m``.
    model
        The name under which predictions are published: a model's, or an ensemble's.
    sizing
        How large an entry is.
    direction
        Sides that may be opened.
    long_enter, long_exit, short_enter, short_exit
        Probabilities in [0, 1]; see `Levels`.
    min_confidence
        Least confidence, in [0, 1], at which a position may be opened. Only ensembles give one; a
        prediction without one stops the run.
    min_expected_return
        Least expected return over the model's horizon, as a fraction >= 0 and towards the
        position's side, at which it may be opened. A prediction without one stops the run.
    filters
        Features within whose bounds a position may be opened; all must hold.
    cooldown_bars
        So many bars after a position was closed, by whatever, none is opened. Above 0, an opposite
        signal closes and does not turn. A signal is a level and not an event: with 0, a position
        that a stop has closed is opened again by the next prediction beyond the entry level.
    max_blind_bars
        A position is closed at the market once so many bars in a row have brought no valid
        prediction; None leaves it to the other exits. At least the bars between two predictions.
    exits
        How a position ends. With ``signal = false``, no probability closes one, and its opposite
        opens nothing while it is held.
    """

    instruments: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    interval: str
    model: Annotated[str, msgspec.Meta(min_length=1)]
    sizing: Sizing
    min_confidence: Level | None = None
    min_expected_return: Annotated[float, msgspec.Meta(ge=0)] | None = None
    filters: tuple[Filter, ...] = ()
    cooldown_bars: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_blind_bars: Annotated[int, msgspec.Meta(ge=1)] | None = 60
    exits: Exits = Exits()

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        interval = Interval.parse(self.interval)
        if len(set(self.instruments)) != len(self.instruments):
            raise ValueError("instruments names one of them twice")
        if self.filters:
            filter_features(self.filters, interval)
        check_sizing(self.sizing, self.exits, predicts=True)


class _Market:
    """One instrument's sizing, filters and exits, and how long it has waited for what."""

    __slots__ = ("blind_bars", "cooldown", "exits", "filter", "last", "predicted", "sizer")

    def __init__(self, settings: ThresholdSettings, sizer: Sizer, exits: ExitManager) -> None:
        self.sizer = sizer
        self.filter = EntryFilter(settings.filters, Interval.parse(settings.interval))
        self.exits = exits
        self.last: Prediction | None = None
        self.predicted = -1
        self.blind_bars = 0
        self.cooldown = 0

    def update(self, bar: BarClosed) -> None:
        self.sizer.update(bar)
        self.exits.measure(bar)
        self.filter.update(bar)
        self.blind_bars += 1
        self.cooldown = max(self.cooldown - 1, 0)


class Threshold(GuardedStrategy):
    """Enter and leave at levels of a calibrated probability.

    Notes
    -----
    A closed bar moves sizing, filters and exits on, and counts for those who wait. Entries and
    signal exits are decided at predictions alone, each when it comes: none is remembered, so no
    entry is ever made without a fresh one. A second prediction for the same bar, or one for an
    earlier bar than the last, is not looked at: it was overtaken, and would undo what was decided
    on more recent knowledge.

    Orders on their way count. While an entry is, no other is sent; while a close is, such as a time
    exit at this very bar, nothing is closed again and exits rest as they are; an opposite signal
    then adds the missing entry only. A signal exit takes back what is left of an entry. Filters,
    confidence, expected return and cooldown hold back entries, never exits.
    """

    settings_type = ThresholdSettings
    settings: ThresholdSettings

    def __init__(self, settings: ThresholdSettings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        _check_pace(settings, context, component_id)
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
        """Return what the slowest of sizing, exits and filters looks back, and the cooldown."""
        market = next(iter(self._markets.values()))
        slowest = max(market.sizer.bars_before, market.exits.bars_before, market.filter.bars_before)
        return max(slowest, self.settings.cooldown_bars)

    def predictions(self) -> Sequence[tuple[str, str]]:
        """Listen to what the model says of every instrument."""
        return [(self.settings.model, instrument_id) for instrument_id in self.settings.instruments]

    def exit_managers(self) -> Mapping[str, ExitManager]:
        """Return who keeps the exits of each instrument."""
        return {name: market.exits for name, market in self._markets.items()}

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        """Keep the exits of what is held, or close it if the model has fallen silent.

        The prediction for this bar comes after it; so the bar itself is not yet one without.
        """
        market = self._markets[bar.instrument_id]
        market.update(bar)
        if not self.view.quantity(bar.instrument_id) or self._closing(bar.instrument_id):
            return ()
        limit = self.settings.max_blind_bars
        if limit is not None and market.blind_bars > limit:
            return self._close(bar.instrument_id, market, "exit:blind")
        return market.exits.on_bar(bar)

    def decide_on_prediction(self, prediction: Prediction) -> Iterable[Intent]:
        """Leave, turn or enter, as the levels say.

        Raises
        ------
        ConfigError
            If the settings ask for a confidence or an expected return that the model does not give.
        """
        _check_answers(self.settings, prediction, self.component_id)
        market = self._markets[prediction.instrument_id]
        if prediction.ts_event <= market.predicted:
            return ()
        market.predicted, market.last = prediction.ts_event, prediction
        market.blind_bars = 0
        return self._follow(prediction, market)

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        """Place or cancel exits; begin to cool down once nothing is held."""
        market = self._markets[fill.instrument_id]
        position = self.view.position(fill.instrument_id)
        market.sizer.hear_fill(fill, position)
        if self.settings.cooldown_bars and not position.quantity:
            market.cooldown = self.settings.cooldown_bars + 1
        return market.exits.on_fill(fill)

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        """Close at the market if the venue refused a stop; else keep the exits fitting."""
        return self._markets[order.instrument_id].exits.on_order(order, update)

    def size(self, intent: OrderIntent) -> Decimal:
        """Size an entry as the settings say."""
        price = self.view.mark(intent.instrument_id)
        if price is None:
            return ZERO
        market = self._markets[intent.instrument_id]
        if not market.sizer.weighs_edge:
            return market.sizer.quantity(self.view.equity(), price)
        is_long = intent.side == "BUY"
        edge = Edge.of(market.last, market.exits.payoff(price), is_long=is_long)
        return market.sizer.quantity(self.view.equity(), price, edge)

    def _follow(self, prediction: Prediction, market: _Market) -> Iterator[Intent]:
        instrument_id = prediction.instrument_id
        held = self.view.quantity(instrument_id)
        signal = self.settings.signal(prediction.probability)
        keeps = self.settings.keeps
        if held and not self.settings.exits.signal:
            return
        if keeps(prediction.probability, is_long=held > 0) if held else not signal:
            return
        closing = self._closing(instrument_id)
        if held:
            if not closing:
                yield from self._close(instrument_id, market, "exit:signal")
            elif closing < abs(held):
                return
            if self.settings.cooldown_bars:
                return
        elif closing:
            return  # What it was to close is gone; it would eat into what is opened now.
        if signal and self._may_enter(prediction, market, is_long=signal > 0):
            entry = OrderIntent(instrument_id=instrument_id, side="BUY" if signal > 0 else "SELL")
            # An edge that is not positive is worth nothing: no wish, and nothing to refuse.
            if not isinstance(self.settings.sizing, FractionalKelly) or self.size(entry):
                yield entry

    def _may_enter(self, prediction: Prediction, market: _Market, *, is_long: bool) -> bool:
        confidence, expected = prediction.confidence, prediction.expected_return
        if expected is not None and not is_long:
            expected = -expected
        return (
            not market.cooldown
            and market.sizer.is_ready
            and market.exits.is_ready
            and market.filter.passes(is_long=is_long)
            and _is_enough(confidence, self.settings.min_confidence)
            and _is_enough(expected, self.settings.min_expected_return)
            and not self._entering(prediction.instrument_id)
        )

    def _close(self, instrument_id: str, market: _Market, purpose: str) -> Iterator[Intent]:
        for order in self._entering(instrument_id):
            yield CancelIntent(client_order_id=order.client_order_id)
        yield from market.exits.cancel_all()
        yield CloseIntent(instrument_id=instrument_id, purpose=purpose)

    def _entering(self, instrument_id: str) -> list[Order]:
        """Return the entries that are on their way."""
        return [o for o in self.view.open_orders(instrument_id) if not o.reduce_only]

    def _closing(self, instrument_id: str) -> Decimal:
        """Return the quantity that orders on their way are going to close at the market."""
        orders = self.view.open_orders(instrument_id)
        return sum((o.leaves for o in orders if o.reduce_only and o.kind == "MARKET"), ZERO)


def _is_enough(given: float | None, asked: float | None) -> bool:
    return asked is None or (given is not None and given >= asked)


def _check_answers(settings: ThresholdSettings, prediction: Prediction, component_id: str) -> None:
    """Refuse a model that does not give what the settings ask for."""
    sizing = settings.sizing
    by_return = isinstance(sizing, FractionalKelly) and sizing.payoff == "expected_return"
    for key, name, asked in (
        ("min_confidence", "confidence", settings.min_confidence),
        ("min_expected_return", "expected_return", settings.min_expected_return),
        ("sizing.payoff", "expected_return", by_return or None),
    ):
        if asked is not None and getattr(prediction, name) is None:
            todo = "Choose another one" if key == "sizing.payoff" else f"Leave {key} out"
            raise ConfigError(
                f"{component_id}: {key}",
                f"model {prediction.model} gives no {name.replace('_', ' ')}",
                todo=f"{todo}, or name a model that does",
            )


def _check_pace(settings: ThresholdSettings, context: Context, component_id: str) -> None:
    """Refuse a model that answers too often or too seldom for the strategy's bars."""
    if (source := context.sources.get(settings.model)) is None:
        return
    own, its = Interval.parse(settings.interval), Interval.parse(source.interval)
    if its.ns < own.ns:
        raise ConfigError(
            f"{component_id}: interval",
            f"was {own}, but model {source.model} answers bars of {its}",
            "must not be longer than those",
            "Larger bars are for filters: rsi(14)@1h",
        )
    limit, apart = settings.max_blind_bars, -(-its.ns // own.ns)
    if limit is not None and limit < apart:
        raise ConfigError(
            f"{component_id}: max_blind_bars",
            f"was {limit}, but model {source.model} answers every {apart} bars",
            "must be at least as many: positions would be closed between two answers",
        )
