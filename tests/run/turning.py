"""Strategies that send an order at every bar, or leave a rest that no order may be as small as."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.messages import BarClosed, Intent, OrderIntent, Side
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings

__all__ = ["Leaving", "Turning", "TurningSettings"]

_QUANTITY = Decimal("0.05")
_LOT = Decimal("0.001")


class TurningSettings(Settings, frozen=True, kw_only=True):
    """What it trades, and on which bars."""

    instruments: tuple[str, ...]
    interval: str


class Turning(GuardedStrategy):
    """Buy at bars of an even minute and sell at the others, whatever is held or on its way."""

    settings_type = TurningSettings
    settings: TurningSettings

    def bar_types(self) -> Sequence[str]:
        """Listen to every instrument."""
        interval = Interval.parse(self.settings.interval)
        return [interval.bar_type(name) for name in self.settings.instruments]

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        """Buy or sell."""
        side: Side = "SELL" if bar.ts // 60_000_000_000 % 2 else "BUY"
        return [OrderIntent(instrument_id=bar.instrument_id, side=side, quantity=_QUANTITY)]


class Leaving(Turning):
    """Buy once, and sell all of it but the smallest lot."""

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        """Buy, sell, or be content."""
        name = bar.instrument_id
        held = self.view.quantity(name)
        if any(self.view.open_orders(name)):
            return []
        if held == 0:
            return [OrderIntent(instrument_id=name, side="BUY", quantity=_QUANTITY)]
        if held > _LOT:
            part = held - _LOT
            return [OrderIntent(instrument_id=name, side="SELL", quantity=part, reduce_only=True)]
        return []
