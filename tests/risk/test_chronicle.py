"""What guard and sender tell the journal, against the real engine and a real file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import OrderSide, Quantity

from aitb_nautilus.messages import CancelIntent, CloseIntent, ModifyIntent, OrderIntent
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_chain import Record
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import read
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.journal_recovery import unresolved
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, Rig, Scripted, close_of, flat_bars, make_context, run

BUY = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.1"))
STOP = OrderIntent(
    instrument_id=BTC,
    side="SELL",
    kind="STOP_MARKET",
    quantity=Decimal("0.1"),
    trigger_price=29_000.0,
    reduce_only=True,
    purpose="exit:stop",
)


def strategy_with_journal(
    path: Path, risk: RiskSettings | None = None, *, durable: bool = False
) -> tuple[Scripted, Journal]:
    context = make_context() if risk is None else make_context(risk)
    opened = Opened(run_id="run", config_sha256="0" * 64)
    journal = context.chronicle.journal = Journal(path, opened, close_of(0), durable=durable)
    return Scripted(Settings(), context, "S-001"), journal


def go(strategy: Scripted, journal: Journal, count: int = 8) -> tuple[Rig, list[Record]]:
    rig = run([strategy], strategy.context, flat_bars(count))
    journal.close()
    assert verify(journal.path).whole
    return rig, list(read(journal.path))


def kinds(told: list[Record]) -> list[str]:
    return [record.kind for record in told]


def test_life_of_an_order_is_written_in_order(tmp_path: Path) -> None:
    strategy, journal = strategy_with_journal(tmp_path / "journal.sqlite")
    strategy.steps = {2: lambda _: [BUY], 4: lambda _: [CloseIntent(instrument_id=BTC)]}
    rig, told = go(strategy, journal)
    order = ["intent", "decision", "sent", "filled"]  # the venue fills without taking it first
    assert kinds(told) == ["opened", *order, *order, "closed"]
    wished, decided, sent, filled = (record.body for record in told[1:5])
    assert (wished.action, wished.side, wished.quantity) == ("submit", "BUY", Decimal("0.1"))
    assert (decided.outcome, decided.quantity, decided.mark) == ("allowed", Decimal("0.1"), 30_000)
    assert (decided.position, decided.open_orders, decided.equity) == (0, 0, 100_000)
    assert (sent.action, sent.order_kind, sent.purpose) == ("submit", "MARKET", "entry")
    assert (filled.quantity, filled.price, filled.leaves) == (Decimal("0.1"), 30_000, 0)
    ids = {record.client_order_id for record in told[1:5]}
    assert ids == {str(rig.engine.cache.orders()[0].client_order_id)}
    assert {record.strategy_id for record in told[1:5]} == {"S-001"}
    assert [record.ts for record in told[1:4]] == [close_of(2)] * 3
    assert told[5].body.purpose == "exit:signal"
    assert told[6].body.reducing


def test_change_and_cancel_are_written_before_they_leave(tmp_path: Path) -> None:
    strategy, journal = strategy_with_journal(tmp_path / "journal.sqlite")

    def resting(s: Any) -> str:
        return next(o.client_order_id for o in s.view.open_orders(BTC))

    strategy.steps = {
        1: lambda _: [BUY],
        3: lambda _: [STOP],
        5: lambda s: [ModifyIntent(client_order_id=resting(s), trigger_price=29_500.0)],
        7: lambda s: [CancelIntent(client_order_id=resting(s))],
    }
    _, told = go(strategy, journal, count=9)
    after = [r for r in told if r.ts >= close_of(5) and r.kind != "closed"]
    assert [(r.kind, getattr(r.body, "action", None)) for r in after] == [
        ("intent", "modify"),
        ("decision", "modify"),
        ("sent", "modify"),
        ("acknowledged", None),
        ("intent", "cancel"),
        ("sent", "cancel"),
        ("acknowledged", None),
    ]
    assert after[2].body.trigger_price == 29_500.0
    assert [after[3].body.answer, after[6].body.answer] == ["updated", "cancelled"]


def test_records_say_how_many_bars_were_heard_before_them(tmp_path: Path) -> None:
    strategy, journal = strategy_with_journal(tmp_path / "journal.sqlite")
    strategy.steps = {2: lambda _: [BUY], 4: lambda _: [CloseIntent(instrument_id=BTC)]}
    _, told = go(strategy, journal)
    heard = [(r.kind, r.body.heard) for r in told if r.kind in ("decision", "filled")]
    assert heard == [("decision", 2), ("filled", 2), ("decision", 4), ("filled", 4)]


def test_change_to_what_an_order_is_already_is_written_and_awaits_no_answer(
    tmp_path: Path,
) -> None:
    strategy, journal = strategy_with_journal(tmp_path / "journal.sqlite")
    bid = OrderIntent(
        instrument_id=BTC, side="BUY", kind="LIMIT", quantity=Decimal("0.1"), price=29_000.0
    )

    def same(s: Any) -> list[ModifyIntent]:
        order = next(iter(s.view.open_orders(BTC)))
        return [ModifyIntent(client_order_id=order.client_order_id, price=29_000.001)]

    strategy.steps = {2: lambda _: [bid], 4: same}
    _, told = go(strategy, journal)
    decided = [r.body for r in told if r.kind == "decision"]
    assert [(d.action, d.outcome, d.idle) for d in decided] == [
        ("submit", "allowed", False),
        ("modify", "allowed", True),
    ]
    assert not unresolved(journal.path)


def test_refused_and_shrunk_wishes_are_written_with_their_reason(tmp_path: Path) -> None:
    risk = RiskSettings(max_order_notional=1_500.0, max_position_notional=2_000.0)
    strategy, journal = strategy_with_journal(tmp_path / "journal.sqlite", risk)
    strategy.steps = dict.fromkeys((1, 3, 5), lambda _: [BUY])
    _, told = go(strategy, journal)
    decided = [record.body for record in told if record.kind == "decision"]
    assert [(d.outcome, d.quantity, d.limit) for d in decided] == [
        ("shrunk", Decimal("0.05"), "max_order_notional"),
        ("shrunk", Decimal("0.016"), "max_position_notional"),
        ("refused", 0, "max_position_notional"),
    ]
    assert all(d.line for d in decided)
    assert [d.position for d in decided] == [0, Decimal("0.05"), Decimal("0.066")]
    assert sum(record.kind == "sent" for record in told) == 2


def test_order_around_the_guard_is_a_halt_in_the_journal(tmp_path: Path) -> None:
    strategy, journal = strategy_with_journal(tmp_path / "journal.sqlite")

    def around(s: Any) -> None:
        order = s.order_factory.market(
            instrument_id=s.context.instruments[BTC].id,
            order_side=OrderSide.BUY,
            quantity=Quantity.from_str("0.100"),
        )
        super(type(s).__mro__[1], s).submit_order(order)

    strategy.steps = {2: around}
    rig, told = go(strategy, journal)
    halted = next(record for record in told if record.kind == "halted")
    assert halted.body.reason == rig.guard.halts[0].reason
    assert halted.client_order_id == rig.guard.halts[0].client_order_id


def test_without_its_journal_nothing_opens_and_exits_pass(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    strategy, journal = strategy_with_journal(path, durable=True)

    def lose(_: Any) -> None:
        path.rename(tmp_path / "elsewhere.sqlite")

    strategy.steps = {
        1: lambda _: [BUY],
        3: lose,
        4: lambda _: [BUY],
        5: lambda _: [STOP],
        6: lambda _: [CloseIntent(instrument_id=BTC)],
    }
    rig = run([strategy], strategy.context, flat_bars(9))
    assert rig.state.failures == []
    assert [d.limit for d in strategy.refusals] == ["journal"]
    assert "nothing opens until it can be" in strategy.refusals[0].line
    orders = [(o.order_type.name, o.status.name) for o in rig.engine.cache.orders()]
    assert sorted(orders) == [
        ("MARKET", "FILLED"),
        ("MARKET", "FILLED"),
        ("STOP_MARKET", "CANCELED"),
    ]
    assert strategy.view.quantity(BTC) == 0
    assert rig.quantity() == 0
    assert strategy.context.chronicle.failures
    assert journal.broken


class Defective(Journal):
    """A journal with a defect, from when it is told to have one."""

    defect = False

    def append(self, *args: Any, **kwargs: Any) -> int:
        if self.defect:
            raise RuntimeError("by a defect")
        return super().append(*args, **kwargs)

    def note(self, *args: Any, **kwargs: Any) -> None:
        if self.defect:
            raise RuntimeError("by a defect")
        super().note(*args, **kwargs)


def test_defect_in_the_journal_itself_keeps_no_exit_back(tmp_path: Path) -> None:
    strategy = Scripted(Settings(), make_context(), "S-001")
    opened = Opened(run_id="run", config_sha256="0" * 64)
    journal = Defective(tmp_path / "journal.sqlite", opened, close_of(0))
    strategy.context.chronicle.journal = journal

    def break_it(_: Any) -> None:
        journal.defect = True

    strategy.steps = {
        1: lambda _: [BUY],
        3: break_it,
        4: lambda _: [BUY],
        5: lambda _: [CloseIntent(instrument_id=BTC)],
    }
    rig = run([strategy], strategy.context, flat_bars(9))
    assert [d.limit for d in strategy.refusals] == ["journal"]
    assert rig.quantity() == 0
    assert len(rig.engine.cache.orders()) == 2
    (first, *_) = strategy.context.chronicle.failures
    assert first.found == "RuntimeError: by a defect"
    journal.defect = False
    journal.close()


def test_change_that_opens_is_refused_without_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    strategy, _ = strategy_with_journal(path, durable=True)
    entry = OrderIntent(
        instrument_id=BTC, side="BUY", kind="LIMIT", quantity=Decimal("0.1"), price=29_000.0
    )

    def lose_and_change(s: Any) -> Any:
        path.rename(tmp_path / "elsewhere.sqlite")
        order = next(iter(s.view.open_orders(BTC)))
        return [ModifyIntent(client_order_id=order.client_order_id, price=29_100.0)]

    strategy.steps = {1: lambda _: [entry], 3: lose_and_change}
    rig = run([strategy], strategy.context, flat_bars(5))
    assert [d.limit for d in strategy.refusals] == ["journal"]
    (order,) = rig.engine.cache.orders()
    assert float(order.price) == 29_000.0


@pytest.mark.parametrize("journalled", [True, False])
def test_journal_changes_nothing_else(tmp_path: Path, journalled: bool) -> None:
    strategy, journal = strategy_with_journal(tmp_path / "journal.sqlite")
    if not journalled:
        strategy.context.chronicle.journal = None
    strategy.steps = {1: lambda _: [BUY], 3: lambda _: [STOP], 5: lambda _: [BUY]}
    rig = run([strategy], strategy.context, flat_bars(8))
    journal.close()
    assert [(f.ts, f.price, f.quantity) for f in rig.context.ledger.fills] == [
        (close_of(1) + 50_000_000, 30_000.0, Decimal("0.1")),
        (close_of(5) + 50_000_000, 30_000.0, Decimal("0.1")),
    ]


def test_list_that_is_refused_leaves_nothing_to_look_for(tmp_path: Path) -> None:
    risk = RiskSettings(max_order_notional=1e6, max_position_notional=4_000.0)
    strategy, journal = strategy_with_journal(tmp_path / "journal.sqlite", risk)

    def two(s: Any) -> None:
        make = s.order_factory.market
        instrument_id, quantity = s.context.instruments[BTC].id, Quantity.from_str("0.100")
        s.submit_order_list([make(instrument_id, OrderSide.BUY, quantity) for _ in range(2)])

    strategy.steps = {2: two}
    rig, told = go(strategy, journal)
    assert rig.engine.cache.orders() == []
    assert [d.limit for d in strategy.refusals] == ["max_position_notional"]
    taken_back = next(r for r in told if r.kind == "acknowledged")
    assert taken_back.body.answer == "denied"
    assert taken_back.body.reason == "not sent: another order of its list was refused"
    assert unresolved(journal.path) == []


def test_plain_exit_is_cut_to_what_is_left_without_the_journal(tmp_path: Path) -> None:
    """The guard cuts exits that the strategy built itself; else one would open the other side."""
    path = tmp_path / "journal.sqlite"
    strategy, _ = strategy_with_journal(path, durable=True)

    def plain_stop(s: Any) -> None:
        instrument = s.context.instruments[BTC]
        s.submit_order(
            s.order_factory.stop_market(
                instrument_id=instrument.id,
                order_side=OrderSide.SELL,
                quantity=Quantity.from_str("0.100"),
                trigger_price=instrument.make_price(29_000.0),
            )
        )

    def lose_and_halve(_: Any) -> Any:
        path.rename(tmp_path / "elsewhere.sqlite")
        return [
            OrderIntent(instrument_id=BTC, side="SELL", quantity=Decimal("0.06"), reduce_only=True)
        ]

    strategy.steps = {1: lambda _: [BUY], 3: plain_stop, 5: lose_and_halve}
    rig = run([strategy], strategy.context, flat_bars(9))
    assert rig.state.failures == []
    stop = next(o for o in rig.engine.cache.orders() if o.order_type.name == "STOP_MARKET")
    assert (stop.status.name, str(stop.quantity)) == ("ACCEPTED", "0.040")
