"""What limits remember on nodes that are killed: it holds, to the order."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.risk.journal_reader import read
from aitb_nautilus.risk.journal_records import Sent
from aitb_nautilus.risk.limit_memory import AccountMemory, MemoryRow
from aitb_nautilus.risk.limit_rule import DAY_NS
from aitb_nautilus.risk.limits_days import DayMemory
from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.run.replay import replay
from aitb_nautilus.run.what_if import what_if
from tests.run.node_lab import node_lab
from tests.run.test_commands import BUY, Node, says
from tests.run.test_halts_on_a_node import LiveNode, wait_until

type Start = Callable[[str], LiveNode]


@pytest.fixture
def start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Start]:
    """Give what starts a node with further limits; it ends with the test."""
    nodes: list[LiveNode] = []

    def begin(risk: str) -> LiveNode:
        nodes.append(LiveNode(tmp_path, capsys, risk))
        nodes[-1].start()
        return nodes[-1]

    yield begin
    for node in nodes:
        if node._child is not None and node._child.poll() is None:
            node.end(signal.SIGKILL)


def memories(path: Path) -> dict[str, MemoryRow]:
    with StateFile(path) as file:
        return {row.limit: row for row in file.memories()}


def kept_by(node: LiveNode) -> dict[str, MemoryRow]:
    return memories(node.config.parent / "state" / "AITB-001.sqlite")


def account_in(path: Path) -> AccountMemory:
    return msgspec.json.decode(memories(path)["account"].memory, type=AccountMemory)


def has_opened(node: LiveNode, orders: int) -> bool:
    return len(node.opened_since(0)) >= orders


def counted(node: LiveNode) -> int:
    count: int = msgspec.json.decode(kept_by(node)["max_orders_per_day"].memory)["count"]
    return count


def test_orders_of_the_day_are_counted_over_every_kill(start: Start) -> None:
    node = start("max_orders_per_day = 9\n")
    for orders in (2, 4, 6):
        wait_until(partial(has_opened, node, orders))
        node.end(signal.SIGKILL)
        sent = [r.body for r in read(node.journal) if isinstance(r.body, Sent)]
        opening = [one for one in sent if one.action == "submit" and not one.reduce_only]
        count = counted(node)
        # Counted before it was journalled, journalled before it was told.
        assert len(node.opened_since(0)) <= len(opening) <= count <= 9
        node.start()
    wait_until(
        lambda: msgspec.json.decode(kept_by(node)["max_orders_per_day"].memory)["count"] == 9
    )
    time.sleep(1)
    assert 6 <= len(node.opened_since(0)) <= 9
    moment = time.time_ns()
    node.end(signal.SIGKILL)
    node.start()
    time.sleep(1)
    assert node.opened_since(moment) == []


def test_pause_after_a_streak_outlives_a_kill(start: Start) -> None:
    node = start("loss_streak = { losses = 2, pause_minutes = 60 }\n")
    wait_until(lambda: "2 trades in a row" in kept_by(node).get("loss_streak", BLANK).memory)
    node.end(signal.SIGKILL)
    before = kept_by(node)["loss_streak"]
    moment = time.time_ns()
    node.start()
    time.sleep(1)
    assert node.opened_since(moment) == []
    assert kept_by(node)["loss_streak"] == before


BLANK = MemoryRow("", "", "", "", 0)


def test_ladder_goes_on_where_it_was_when_a_desk_on_paper_is_killed(tmp_path: Path) -> None:
    """Each life has a market of its own, whose bars run ahead of the node's clock."""
    file, ladder = tmp_path / "state" / "AITB-001.sqlite", {"drawdown": {"reduce_frac": 0.002}}
    with node_lab(tmp_path) as lab:
        node = lab.start("paper", str(lab.write(risk=ladder)))
        node.wait_for("warm after")
        lab.play()
        node.wait_for("from 0.20% on only exits pass")
        # The close that came with the refused entry is on its way.
        wait_until(lambda: not account_in(file).is_held)
        node.kill()
    account = account_in(file)
    peak = memories(file)["drawdown"].memory
    assert 0 < account.equity <= msgspec.json.decode(peak)["peak"] * 0.998
    assert node.said.count("(entry)") > 1

    with node_lab(tmp_path) as lab:
        node = lab.start("paper", str(lab.write(risk=ladder)))
        node.wait_for(f"connected; equity {account.equity:,.2f}")
        lab.play()
        node.wait_for("from 0.20% on only exits pass")
        lab.pause()
        assert node.stop(signal.SIGTERM)[0] == 0
        assert "(entry)" not in node.said
        run = lab.last()
        assert run.record.starting_equity == account.equity
        # What it began with is part of the run: its decisions can be taken once more.
        taken = what_if(run.folder)
        assert (taken.differences, taken.decisions > 0) == ([], True)
        again = replay(run.folder)
        assert (again.divergence, again.differences) == (None, 0)
        assert again.equal["decisions"] > 0
    assert memories(file)["drawdown"].memory == peak


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_memory_that_cannot_be_read_lets_nothing_open_until_a_person_resumes(node: Node) -> None:
    node.strategy.steps = {2: lambda _: [BUY]}
    node.go()
    assert len(node.context.ledger.fills) == 1
    with sqlite3.connect(node.file) as database:
        database.execute("UPDATE memories SET memory = '{' WHERE limit_name LIKE '%per_minute'")
    database.close()

    halted = Node(node.folder)
    halted.strategy.steps = {2: lambda _: [BUY]}
    halted.folder = node.folder / "2"
    halted.folder.mkdir()
    halted.go()
    assert halted.context.ledger.fills == []
    line = halted.strategy.refusals[0].line
    assert "what max_orders_per_minute of the trader remembers cannot be read" in line
    assert "Nothing opens; with a resume it begins anew" in line
    (kept,) = halted.kept()
    assert (kept.cause, kept.level) == ("check", "halted")

    # It stands in the file: a further start is halted too, and a person's word lifts it.
    resumed = Node(node.folder)
    resumed.folder = node.folder / "3"
    resumed.folder.mkdir()
    resumed.strategy.steps = {
        2: lambda _: [BUY],
        3: says(resumed, "resume", reason="looked at it"),
        5: lambda _: [BUY],
    }
    resumed.go()
    assert len(resumed.context.ledger.fills) == 1
    assert resumed.kept() == []


def test_loss_of_the_day_is_measured_from_the_account_before_the_first_bar(tmp_path: Path) -> None:
    with node_lab(tmp_path) as lab:
        config = lab.write(risk={"max_daily_loss_frac": 0.03})
        node = lab.start("live", str(config), "--run")
        node.wait_for("recovered in")
        node.kill()
    row = memories(tmp_path / "state" / "AITB-001.sqlite")["max_daily_loss_frac"]
    day = msgspec.json.decode(row.memory, type=DayMemory)
    assert (day.day, day.first, day.worst) == (time.time_ns() // DAY_NS, 100_000.0, 0.0)
