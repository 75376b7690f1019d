"""Commands on a node: what it does at each, in the engine's own thread, and what it answers."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.messages import CloseIntent, OrderIntent
from aitb_nautilus.risk.drawdown import DrawdownLadder
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_reader import read
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.risk.trading_states import Halt, Resume, StateError, StateScope
from aitb_nautilus.run.command_messages import Answer, Command
from aitb_nautilus.run.command_queue import Waiting
from aitb_nautilus.run.commands import NodeCommands
from aitb_nautilus.run.config import DeskConfig, VenueSettings
from aitb_nautilus.run.load import Desk
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, ETH, ROOMY, Rig, Scripted, close_of, flat_bars, make_context, run

BUY = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.1"))
RESTING = OrderIntent(
    instrument_id=BTC, side="BUY", kind="LIMIT", quantity=Decimal("0.1"), price=29_000.0
)
STOP = OrderIntent(
    instrument_id=BTC,
    side="SELL",
    kind="STOP_MARKET",
    quantity=Decimal("0.1"),
    trigger_price=29_000.0,
    reduce_only=True,
    purpose="exit:stop",
)
ANN = "ann@box"
VENUE = VenueSettings(
    name="BINANCE", starting_balance="100000 USDT", maker_fee_bps=2, taker_fee_bps=5
)
CONFIG = DeskConfig(risk=ROOMY, venues=(VENUE,))


class Node:
    """A node whose engine is that of a back-test, on bars of a minute."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = Desk(folder / "desk.toml", CONFIG, (), ())
        self.context = make_context()
        self.strategy = Scripted(Settings(), self.context, "ema-001")
        about = {"mode": "test"}
        self.commands = NodeCommands(self.desk, self.context, [self.strategy], about)
        self.asked: list[Waiting] = []
        self.file = folder / "state" / "AITB-001.sqlite"

    def ask(self, verb: Any, **terms: Any) -> None:
        """Give a command, as a thread of the socket does."""
        waiting = Waiting(Command(**({"verb": verb, "timeout_s": 600} | terms)), ANN)
        self.commands.queue._queue.put_nowait(waiting)
        self.asked.append(waiting)

    def answers(self) -> list[Answer]:
        return [w._answer for w in self.asked if w._answer is not None]

    def go(self, bars: int = 10) -> Rig:
        opened = Opened(run_id="run", config_sha256="0" * 64)
        path = self.folder / "journal.sqlite"
        with self.commands, Journal(path, opened, close_of(0)) as journal:
            self.context.chronicle.journal = journal
            rig = run([self.strategy], self.context, flat_bars(bars), actors=[self.commands.actor])
        assert rig.state.failures == []
        return rig

    def kept(self) -> list[Halt]:
        with StateFile(self.file) as file:
            return file.read()

    def journalled(self, *kinds: str) -> list[Any]:
        path = self.folder / "journal.sqlite"
        return [r.body for r in read(path) if r.kind in kinds]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def move_away(node: Node) -> Any:
    """Return a step that takes the state file away, so that it cannot be written."""
    return lambda _: node.file.rename(node.folder / "away") and None


def put_back(node: Node) -> Any:
    return lambda _: (node.folder / "away").rename(node.file) and None


def says(node: Node, verb: Any, **terms: Any) -> Any:
    """Return a step that gives a command."""
    return lambda _: node.ask(verb, **terms)


def test_halt_is_obeyed_before_the_next_bar_and_kept(node: Node) -> None:
    node.strategy.steps = {
        2: says(node, "halt", reason="news"),
        3: lambda _: [BUY],
        4: lambda _: [BUY],
    }
    rig = node.go()
    assert len(rig.engine.cache.orders()) == 0
    (answer,) = node.answers()
    assert answer.done
    assert answer.said == "the trader is halted: nothing opens any more"
    (kept,) = node.kept()
    assert (kept.reason, kept.who, kept.cause, kept.flatten) == ("news", ANN, "command", False)
    line = node.strategy.refusals[0].line
    assert "the trader is halted since 2023-11-14T22:15:" in line
    assert line.endswith(f'lift it with: aitb resume {node.desk.path} --reason "..."')


def test_halt_cancels_what_would_open_and_leaves_what_closes(node: Node) -> None:
    node.strategy.steps = {
        2: lambda _: [BUY],
        3: lambda _: [RESTING, STOP],
        4: says(node, "halt", reason="news"),
        6: lambda _: [CloseIntent(instrument_id=BTC)],
    }
    rig = node.go()
    orders = {str(o.order_type): str(o.status) for o in rig.engine.cache.orders()}
    assert orders["LIMIT"] == "CANCELED"
    assert rig.quantity() == 0  # the exit passed
    assert node.answers()[0].done
    status = node.answers()[0].status
    assert status is not None
    assert [o.kind for o in status.orders] == ["STOP_MARKET"]


def test_reducing_leaves_resting_orders_and_opens_nothing_new(node: Node) -> None:
    node.strategy.steps = {
        2: lambda _: [RESTING],
        3: says(node, "halt", level="reducing"),
        5: lambda _: [BUY],
    }
    rig = node.go()
    assert [str(o.status) for o in rig.engine.cache.orders()] == ["ACCEPTED"]
    assert node.answers()[0].said == "the trader is reducing: only what reduces is sent"
    assert node.kept()[0].reason == "no reason was given"
    assert "is reducing since" in node.strategy.refusals[0].line


def test_flatten_closes_between_bars_and_answers_once_flat(node: Node) -> None:
    node.strategy.steps = {
        2: lambda _: [BUY],
        3: lambda _: [RESTING, STOP],
        4: says(node, "flatten", reason="enough"),
    }
    rig = node.go()
    (answer,) = node.answers()
    assert answer.done
    assert answer.said.startswith("the trader is halted and flat: nothing is held")
    assert answer.status is not None
    assert (answer.status.positions, answer.status.orders) == ([], [])
    assert answer.status.now < close_of(5)  # it did not wait for a bar
    assert rig.quantity() == 0
    assert [str(o.status) for o in rig.engine.cache.orders_open()] == []
    exits = [b for b in node.journalled("intent") if b.purpose == "exit:flatten"]
    assert len(exits) == 1


def test_flatten_of_another_scope_leaves_the_position_alone(node: Node) -> None:
    node.strategy.steps = {
        2: lambda _: [BUY],
        4: says(node, "flatten", scope=StateScope.instrument(ETH), reason="enough"),
        6: lambda _: [BUY],
    }
    rig = node.go()
    assert node.answers()[0].done
    assert rig.quantity() == Decimal("0.2")


@pytest.mark.parametrize("scope", [StateScope.strategy("ema"), StateScope.instrument(BTC)])
def test_flatten_of_its_scope_closes_it_and_it_stays_halted(node: Node, scope: Any) -> None:
    node.strategy.steps = {
        2: lambda _: [BUY],
        4: says(node, "flatten", scope=scope, reason="enough"),
        6: lambda _: [BUY],
    }
    rig = node.go()
    assert rig.quantity() == 0
    assert f"{scope} is halted" in node.strategy.refusals[0].line


def test_resume_with_a_reason_lets_it_trade_again(node: Node) -> None:
    node.strategy.steps = {
        2: says(node, "halt", reason="news"),
        3: lambda _: [BUY],
        4: says(node, "resume", level="active", reason="read them"),
        5: lambda _: [BUY],
    }
    rig = node.go()
    assert rig.quantity() == Decimal("0.1")
    assert node.kept() == []
    resumed = node.answers()[1]
    assert resumed.done
    assert resumed.said.startswith("the trader is active again. Lifted: halted since 2023-")
    assert resumed.said.endswith("by ann@box: news")
    wished = [b for b in node.journalled("intent") if b.action in ("halt", "resume")]
    assert [b.because for b in wished] == ["ann@box: news", "ann@box: read them"]
    (halted,), (lifted,) = node.journalled("halted"), node.journalled("resumed")
    assert (halted.who, halted.reason, halted.state) == (ANN, "news", "halted")
    assert (lifted.who, lifted.reason, lifted.state) == (ANN, "read them", "active")


def test_resume_without_a_reason_is_refused(node: Node) -> None:
    node.strategy.steps = {
        2: says(node, "halt"),
        3: says(node, "resume", level="active", reason="  "),
    }
    node.go()
    refused = node.answers()[1]
    assert (refused.done, refused.exit_code) == (False, 2)
    assert node.kept() != []


def test_halting_twice_is_fine_and_the_first_reason_stays(node: Node) -> None:
    node.strategy.steps = {
        2: says(node, "halt", reason="first"),
        4: says(node, "halt", reason="second"),
        6: says(node, "resume", level="active", reason="fine"),
        7: says(node, "resume", level="active", reason="fine"),
    }
    node.go()
    halt, again, resume, nothing = node.answers()
    assert halt.done
    assert again.done
    assert "It was halted before, since 2023-11-14T22:15:" in again.said
    assert again.said.endswith("by ann@box: first")
    assert resume.done
    assert (nothing.done, nothing.said) == (True, "nothing held the trader; it is as it was")
    assert len(node.journalled("halted")) == 1


def test_scope_that_the_node_does_not_have_is_refused(node: Node) -> None:
    node.strategy.steps = {
        2: says(node, "halt", scope=StateScope.strategy("emu")),
        3: says(node, "halt", scope=StateScope.instrument("BTCUSDT.BINANCE")),
    }
    node.go()
    assert [a.exit_code for a in node.answers()] == [2, 2]
    assert node.answers()[0].said == "the node has no strategy 'emu': did you mean ema?"
    assert node.kept() == []


def test_states_hold_from_the_start_of_the_next_node(node: Node, tmp_path: Path) -> None:
    node.strategy.steps = {2: says(node, "halt", scope=StateScope.strategy("ema"), reason="news")}
    node.go()
    after = Node(tmp_path)
    after.strategy.steps = {2: lambda _: [BUY], 3: says(after, "status")}
    rig = after.go()
    assert len(rig.engine.cache.orders()) == 0
    status = after.answers()[0].status
    assert status is not None
    trader, ema, btc = status.scopes
    assert (trader.level, ema.level, btc.level) == ("active", "halted", "active")
    assert ema.halts[0].reason == "news"
    assert status.bars == {BTC: close_of(3)}
    assert status.journal is not None
    told = after.journalled("halted")[-1]
    assert told.reason.startswith("news (since 2023-11-14T22:15:")


def test_resume_without_a_node_is_journalled_at_the_next_start_and_the_ladder_begins_anew(
    node: Node, tmp_path: Path
) -> None:
    with node.commands:
        node.context.guard.restrict(Halt(5, "it lost", cause="limit", flatten=True))
    with StateFile(node.file) as file:
        file.lift(Resume(7, "looked at it", ANN))
    after = Node(tmp_path)
    ladder = DrawdownLadder(None, 0.5, None, 0.1)
    after.context.guard.limits = [ladder]
    ledger = after.context.ledger
    ledger.position("ema-001", ETH).realized = -20_000.0  # what was lost before
    after.strategy.steps = {2: lambda _: [BUY]}
    rig = after.go()
    assert rig.quantity() == Decimal("0.1")
    (resumed,) = after.journalled("resumed")
    assert (resumed.who, resumed.reason) == (
        ANN,
        "looked at it (at 1970-01-01T00:00:00.000000007Z)",
    )
    assert ladder._peak == pytest.approx(80_000, abs=1)


def test_flattening_goes_on_after_a_restart(node: Node, tmp_path: Path) -> None:
    with node.commands, StateFile(node.file) as file:
        file.keep(Halt(1, "enough", cause="command", who=ANN, flatten=True))
    after = Node(tmp_path)
    after.strategy.steps = {}
    after.context.ledger.position("ema-001", BTC)  # nothing is held: nothing is sent
    rig = after.go()
    assert rig.engine.cache.orders() == []


def test_halt_that_cannot_be_written_holds_and_says_that_it_would_not_last(node: Node) -> None:
    ema = StateScope.strategy("ema")
    node.strategy.steps = {
        2: lambda _: [BUY],
        3: move_away(node),
        4: says(node, "halt", reason="news", scope=ema),
        5: lambda _: [BUY],
        6: lambda _: [CloseIntent(instrument_id=BTC)],
        7: put_back(node),
        9: says(node, "resume", level="active", reason="fine", scope=ema),
        10: lambda _: [BUY],
    }
    rig = node.go(12)
    halted, resumed = node.answers()
    assert (halted.done, halted.exit_code) == (False, 1)
    assert (
        "strategy ema is halted, but that cannot be written (AITB-001.sqlite is gone" in halted.said
    )
    assert "the trading states cannot be written" in node.strategy.refusals[0].line
    assert resumed.done
    assert rig.quantity() == Decimal("0.1")  # bought, closed meanwhile, bought again


def test_resume_that_cannot_be_written_does_not_take_effect(node: Node) -> None:
    node.strategy.steps = {
        2: says(node, "halt", reason="news"),
        4: move_away(node),
        5: says(node, "resume", level="active", reason="fine"),
        6: lambda _: [BUY],
        7: put_back(node),
    }
    rig = node.go()
    resumed = node.answers()[1]
    assert (resumed.done, resumed.exit_code) == (False, 1)
    assert "nothing was resumed" in resumed.said
    assert "AITB-001.sqlite is gone" in resumed.said
    assert rig.engine.cache.orders() == []
    assert [h.reason for h in node.kept()] == ["news"]


def test_second_node_of_one_trader_is_refused(node: Node, tmp_path: Path) -> None:
    with node.commands, pytest.raises(StateError, match="in use by another process"):
        Node(tmp_path).commands.__enter__()
    with Node(tmp_path).commands:
        pass


def test_order_that_came_around_the_guard_stays_halted_for_the_next_node(
    node: Node, tmp_path: Path
) -> None:
    with node.commands:
        node.context.guard.halt("BUY 1 was sent around the guard", 5, "ema-001", "O-1")
    assert node.kept()[0].cause == "error"
    after = Node(tmp_path)
    after.strategy.steps = {2: lambda _: [BUY]}
    rig = after.go()
    assert rig.engine.cache.orders() == []
    assert "BUY 1 was sent around the guard" in after.strategy.refusals[0].line
