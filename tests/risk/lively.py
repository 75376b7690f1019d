"""A strategy that does something of everything, and ears that note what its answers are told."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.messages import CancelIntent, CloseIntent, Intent, ModifyIntent, OrderIntent
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import RiskSettings
from tests.risk.rig import BTC, Scripted, Step, close_of, flat_bars

__all__ = ["BUY", "RISK", "ROWS", "STOP", "Eavesdropper", "journal_of", "lively", "state_of"]

FACTS = ("bar", "prediction", "created", "left", "cancelling", "changing", "fill", "update")
RISK = RiskSettings(max_order_notional=60_000.0, max_position_notional=1e6)
ROWS = [*flat_bars(7), (30_000.0, 30_000.0, 28_000.0, 28_500.0), *flat_bars(7, 28_500.0)]
BUY = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))
STOP = OrderIntent(
    instrument_id=BTC,
    side="SELL",
    kind="STOP_MARKET",
    quantity=Decimal("0.010"),
    trigger_price=29_000.04,
    reduce_only=True,
    purpose="exit:stop",
)
TARGET = OrderIntent(
    instrument_id=BTC, side="SELL", kind="LIMIT", quantity=Decimal("0.010"), price=31_000.0
)


class Eavesdropper:
    """Remember what `Answers` is told, and what of it was not told in the middle of another.

    Parameters
    ----------
    after
        Called once a fact that was not told in the middle of another is answered.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: Callable[[], None]) -> None:
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        self._after = after
        self._depth = 0
        for name in (*FACTS, "move_on"):
            monkeypatch.setattr(Answers, name, self._listening(name, getattr(Answers, name)))

    def _listening(self, name: str, method: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(method)
        def told(answering: Answers, *args: Any) -> None:
            if not self._depth:
                self.told.append((name, args))
            self._depth += 1
            try:
                method(answering, *args)
            finally:
                self._depth -= 1
            if not self._depth:
                self._after()

        return told


def open_ids(strategy: Any) -> list[str]:
    """Return the ids of the strategy's open orders."""
    return [o.client_order_id for o in strategy.view.open_orders(BTC)]


def lively(strategy: Scripted) -> Scripted:
    """Give a strategy something of everything to do, in 15 bars."""

    def change(price: float, purpose: str | None = None) -> Step:
        def step(s: Any) -> Iterable[Intent]:
            for one in open_ids(s):
                yield ModifyIntent(client_order_id=one, trigger_price=price, purpose=purpose)

        return step

    strategy.steps = {
        1: lambda _: [BUY],
        3: change(29_500.07),
        4: lambda _: [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("9.0"))],
        5: change(29_500.1, "exit:renamed"),
        6: lambda _: [TARGET, CloseIntent(instrument_id=BTC)],
        9: lambda s: [BUY, *(CancelIntent(client_order_id=i) for i in open_ids(s))],
        12: lambda s: s.close_all_positions(s.context.instruments[BTC].id),
    }
    strategy.answers = {
        "fill": lambda _, fill: [STOP] if fill.side == "BUY" else [],
        "refusal": lambda _s, _decision: [],
    }
    return strategy


def journal_of(context: Context, path: Path) -> Journal:
    """Let a desk write a journal."""
    opened = Opened(run_id="run", config_sha256="0" * 64)
    journal = context.chronicle.journal = Journal(path, opened, close_of(0), durable=False)
    return journal


def state_of(ledger: Ledger) -> Any:
    """Return what a ledger holds of orders and positions, to the last field.

    Whether a cancel is on its way counts as long as the node that sent it: another one asks anew.
    """
    orders = {
        name: {
            slot: getattr(order, slot)
            for slot in order.__slots__
            if slot[0] != "_" and slot != "ending"
        }
        for name, order in ledger.orders.items()
    }
    positions = {
        key: {slot: getattr(p, slot) for slot in p.__slots__}
        for key, p in ledger.positions.items()
        if p.quantity or p.realized or p.fees
    }
    resting = [o.client_order_id for o in ledger.open_orders(BTC)]
    return list(orders.items()), positions, resting, ledger.open_order_count(), list(ledger.fills)
