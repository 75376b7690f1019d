"""Decisions without an engine: the same facts give the same commands as with one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Intent,
    ModifyIntent,
    OrderIntent,
)
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.rig import BTC, ROOMY, Scripted, Step, close_of, flat_bars, make_context, run

FACTS = ("bar", "prediction", "created", "left", "cancelling", "changing", "fill", "update")
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


def bar(number: int, price: float = 30_000.0) -> BarClosed:
    return BarClosed(BTC, close_of(number), price, price, price, price, 5.0)


def dry(steps: dict[int, Step] | None = None, risk: RiskSettings = ROOMY) -> tuple[Any, DryDesk]:
    desk = DryDesk(make_context(risk))
    strategy = Scripted(Settings(), desk.context, "S-001")
    strategy.steps = steps or {}
    desk.add(strategy)
    return strategy, desk


def open_ids(strategy: Any) -> list[str]:
    return [o.client_order_id for o in strategy.view.open_orders(BTC)]


class Eavesdropper:
    """Remember what `Answers` is told, and what of it was not told in the middle of another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[str, tuple[Any, ...]]] = []
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

        return told


def lively(strategy: Scripted) -> Scripted:
    """Give a strategy something of everything to do."""

    def change(price: float) -> Step:
        def step(s: Any) -> Iterable[Intent]:
            yield from (ModifyIntent(client_order_id=i, trigger_price=price) for i in open_ids(s))

        return step

    strategy.steps = {
        1: lambda _: [BUY],
        3: change(29_500.07),
        4: lambda _: [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("9.0"))],
        6: lambda _: [TARGET, CloseIntent(instrument_id=BTC)],
        9: lambda s: [BUY, *(CancelIntent(client_order_id=i) for i in open_ids(s))],
        12: lambda s: s.close_all_positions(s.context.instruments[BTC].id),
    }
    strategy.answers = {
        "fill": lambda s, fill: [STOP] if fill.side == "BUY" else [],
        "refusal": lambda s, decision: [],
    }
    return strategy


def test_facts_of_an_engine_told_again_without_one_give_the_same_desk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    risk = RiskSettings(max_order_notional=60_000.0, max_position_notional=1e6)
    rows = [*flat_bars(7), (30_000.0, 30_000.0, 28_000.0, 28_500.0), *flat_bars(7, 28_500.0)]
    heard = Eavesdropper(monkeypatch)
    alive = lively(Scripted(Settings(), make_context(risk), "S-001"))
    first = journal_of(alive.context, tmp_path / "first.sqlite")
    run([alive], alive.context, rows)
    monkeypatch.undo()
    assert alive.context.run_state.failures == []
    again, desk = dry(risk=risk)
    lively(again)
    second = journal_of(desk.context, tmp_path / "second.sqlite")
    for name, facts in heard.told:
        if name == "bar":
            desk.bar(*facts)
        else:
            getattr(again.answering, name)(*facts)
    assert len(alive.context.ledger.orders) > 6
    assert state_of(desk.context) == state_of(alive.context)
    assert len(alive.refusals) == 1
    assert again.refusals == alive.refusals
    first.close()
    second.close()
    assert first.state.records > 40
    assert second.state.head == first.state.head  # every decision, order and answer, to the byte


def journal_of(context: Context, path: Path) -> Journal:
    opened = Opened(run_id="run", config_sha256="0" * 64)
    journal = context.chronicle.journal = Journal(path, opened, close_of(0), durable=False)
    return journal


def state_of(context: Context) -> Any:
    ledger = context.ledger
    orders = [
        (
            o.client_order_id,
            *(o.side, o.kind, o.quantity, o.filled, o.price, o.trigger_price),
            *(o.reduce_only, o.is_exit, o.purpose, o.status, o.ts_sent, o.changes),
        )
        for o in ledger.orders.values()
    ]
    positions = {
        key: (p.quantity, p.average_price, p.realized, p.fees, p.ts_opened)
        for key, p in ledger.positions.items()
    }
    return orders, positions, ledger.marks, ledger.equity(), context.guard.refused


def test_strategy_decides_without_an_engine() -> None:
    strategy, desk = dry({1: lambda _: [BUY], 3: lambda _: [CloseIntent(instrument_id=BTC)]})
    strategy.answers = {"fill": lambda _, fill: [STOP] if fill.side == "BUY" else []}
    desk.bar(bar(1))
    desk.fill(desk.commands[0].client_order_id, price=30_000.0, ts=close_of(1) + 50)
    desk.bar(bar(2))
    desk.bar(bar(3))
    assert [(c.action, c.ts, c.terms and c.terms.purpose) for c in desk.commands] == [
        ("submit", close_of(1), "entry"),
        ("submit", close_of(1) + 50, "exit:stop"),
        ("submit", close_of(3), "exit:signal"),
    ]
    assert desk.commands[1].terms is not None
    assert desk.commands[1].terms.trigger_price == 29_000.0  # on the grid
    assert [m.action for _, m in desk.published] == ["submit"] * 3
    desk.fill(desk.commands[2].client_order_id, price=30_100.0)
    desk.update(desk.commands[1].client_order_id, "CANCELED")
    assert strategy.view.quantity(BTC) == 0
    assert desk.context.ledger.equity() == pytest.approx(100_001.0)
    assert list(desk.context.ledger.open_orders(BTC)) == []


def test_order_that_nobody_allowed_halts_and_is_cancelled_once_it_left() -> None:
    _, desk = dry()
    desk.bar(bar(1))
    answering = desk.answering["S-001"]
    answering.created("X", Permit(BTC, "BUY", Decimal(1), False))
    assert desk.context.guard.state == "halted"
    assert desk.context.run_state.stop_reason.startswith("trading halted: BUY 1")
    assert desk.commands == []
    for _ in range(2):
        answering.left("X")
    assert [(c.action, c.client_order_id) for c in desk.commands] == [("cancel", "X")]


def test_change_that_nobody_announced_halts() -> None:
    strategy, desk = dry({1: lambda _: [STOP]})
    desk.bar(bar(1))
    strategy.answering.changing(desk.commands[0].client_order_id)
    assert "was changed around the guard" in desk.context.guard.halts[0].reason


def test_command_waits_for_the_market_to_open() -> None:
    _, desk = dry({1: lambda _: [BUY, STOP]})
    desk.context.heard_at[BTC] = lambda now: max(now, close_of(3))
    desk.bar(bar(1))
    assert desk.commands == []
    desk.bar(bar(4))
    assert [c.terms.kind for c in desk.commands if c.terms] == ["MARKET", "STOP_MARKET"]
