"""Decisions without an engine: the same facts give the same commands as with one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.messages import (
    BarClosed,
    CloseIntent,
)
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.lively import (
    BUY,
    RISK,
    ROWS,
    STOP,
    Eavesdropper,
    journal_of,
    lively,
    state_of,
)
from tests.risk.rig import BTC, ROOMY, Scripted, Step, close_of, make_context, run


def bar(number: int, price: float = 30_000.0) -> BarClosed:
    return BarClosed(BTC, close_of(number), price, price, price, price, 5.0)


def dry(steps: dict[int, Step] | None = None, risk: RiskSettings = ROOMY) -> tuple[Any, DryDesk]:
    desk = DryDesk(make_context(risk))
    strategy = Scripted(Settings(), desk.context, "S-001")
    strategy.steps = steps or {}
    desk.add(strategy)
    return strategy, desk


def test_facts_of_an_engine_told_again_without_one_give_the_same_desk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = Eavesdropper(monkeypatch, after=lambda: None)
    alive = lively(Scripted(Settings(), make_context(RISK), "S-001"))
    first = journal_of(alive.context, tmp_path / "first.sqlite")
    run([alive], alive.context, ROWS)
    monkeypatch.undo()
    assert alive.context.run_state.failures == []
    again, desk = dry(risk=RISK)
    lively(again)
    second = journal_of(desk.context, tmp_path / "second.sqlite")
    for name, facts in heard.told:
        if name == "bar":
            desk.bar(*facts)
        else:
            getattr(again.answering, name)(*facts)
    assert len(alive.context.ledger.orders) > 6
    assert state_of(desk.context.ledger) == state_of(alive.context.ledger)
    assert desk.context.ledger.equity() == alive.context.ledger.equity()
    assert len(alive.refusals) == 1
    assert again.refusals == alive.refusals
    first.close()
    second.close()
    assert first.state.records > 40
    assert second.state.head == first.state.head  # every decision, order and answer, to the byte


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
    assert desk.commands[1].terms.trigger_price == 29_000.1  # on the grid, nearer to the market
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


def test_alert_that_lets_commands_leave_is_named_as_one_before_it() -> None:
    """The engine keeps what each name of an alert calls, for as long as it lives."""
    _, desk = dry({number: lambda _: [BUY] for number in (1, 2, 4)})
    desk.context.heard_at[BTC] = lambda now: now + 90 * 10**9
    named = []
    for number in range(1, 8):
        desk.bar(bar(number))
        named += [name for _, name, _ in desk.alerts if name not in named[-2:]]
    # Two wait at once, and the third one leaves by the first one's name.
    assert set(named) == {"opening-0", "opening-1"}
    assert len(desk.commands) == 3
    assert desk.context.openings == set()
