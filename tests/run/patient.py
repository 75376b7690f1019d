"""A strategy whose entry rests far below the market, and never fills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from aitb_nautilus.messages import BarClosed, Intent, OrderIntent
from aitb_nautilus.risk.strategy import GuardedStrategy
from tests.run.node_lab import BTC


class Patient(GuardedStrategy):
    """Rest one entry, and another one whenever it is gone."""

    def bar_types(self) -> Sequence[str]:
        return [f"{BTC}-1-MINUTE-LAST-EXTERNAL"]

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        if self.context.warming.ts or self.view.open_orders(BTC):
            return
        yield OrderIntent(
            instrument_id=BTC,
            side="BUY",
            kind="LIMIT",
            quantity=Decimal("0.010"),
            price=round(bar.close * 0.9, 1),
        )
