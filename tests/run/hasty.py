"""A strategy that closes at the bar that has reached its stop, whatever became of the stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.messages import BarClosed, CloseIntent, Fill, Intent, OrderIntent, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.exits import ExitManager, Exits, make_exits
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings

__all__ = ["Hasty", "HastySettings"]


class HastySettings(Settings, frozen=True, kw_only=True):
    """What it trades."""

    instrument: str
    exits: Exits = Exits(stop_frac=0.0002)


class Hasty(GuardedStrategy):
    """Sell once; close where a bar reaches the stop, at which the venue has bought by then."""

    settings_type = HastySettings
    settings: HastySettings

    def __init__(self, settings: HastySettings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self._name = settings.instrument
        self._exits = make_exits(settings.exits, self.view, context, (self._name,))
        self._has_sold = False

    def bar_types(self) -> Sequence[str]:
        return [Interval.parse("1m").bar_type(self._name)]

    def exit_managers(self) -> Mapping[str, ExitManager]:
        return self._exits

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        exits = self._exits[self._name]
        if not self._has_sold:
            self._has_sold = True
            return [OrderIntent(instrument_id=self._name, side="SELL", quantity=Decimal("0.1"))]
        stops = [o.trigger_price or 0.0 for o in self.view.open_orders(self._name) if o.is_stop]
        if self.view.quantity(self._name) and any(bar.high >= stop for stop in stops):
            return [*exits.cancel_all(), CloseIntent(instrument_id=self._name)]
        return exits.on_bar(bar)

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        return self._exits[self._name].on_fill(fill)

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        return self._exits[self._name].on_order(order, update)
