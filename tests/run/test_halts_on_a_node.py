"""Halts on a real live node in another process: they hold, they survive a kill, and exits pass."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import read

ROOT = Path(__file__).parents[2]
CONFIG = """
[risk]
max_order_notional = 5_000
max_position_notional = 5_000
max_orders_per_minute = 100_000

[[venues]]
name = "BINANCE"
starting_balance = "100000 USDT"
maker_fee_bps = 2
taker_fee_bps = 5
"""


class LiveNode:
    """A process with a live node, and what it told."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], risk: str = "") -> None:
        self.config = folder / "desk.toml"
        self.config.write_text(CONFIG.replace("\n[[venues]]", f"{risk}\n[[venues]]"))
        self.journal = folder / "journal.sqlite"
        self.told: list[dict[str, Any]] = []
        self._capsys = capsys
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        words = [sys.executable, "-m", "tests.run.live_node", str(self.config), str(self.journal)]
        self._child = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._ears = threading.Thread(target=self._listen, args=(self._child.stdout,), daemon=True)
        self._ears.start()
        wait_until(lambda: self.told and self.status()["bars"], 60)

    def end(self, how: signal.Signals) -> int:
        assert self._child is not None
        self._child.send_signal(how)
        code = self._child.wait(20)
        self._ears.join()
        return code

    def aitb(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Give a command from this process, which is not the node's."""
        verb, *rest = words
        self._capsys.readouterr()
        code = main([verb, str(self.config), *rest, "--json"])
        return code, json.loads(self._capsys.readouterr().out)

    def status(self) -> dict[str, Any]:
        code, status = self.aitb("status")
        assert code == 0
        return status if status["running"] else {"bars": {}}

    def opened_since(self, moment: int) -> list[dict[str, Any]]:
        return [
            line
            for line in self.told
            if line["t"] > moment and line["action"] == "submit" and not line["exit"]
        ]

    def _listen(self, stdout: Any) -> None:
        with stdout:
            for line in stdout:
                self.told.append(json.loads(line))


def wait_until(true: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "did not come about in time"
        time.sleep(0.02)


@pytest.fixture
def node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[LiveNode]:
    node = LiveNode(tmp_path, capsys)
    node.start()
    yield node
    if node._child is not None and node._child.poll() is None:
        node.end(signal.SIGKILL)


def halt_while_it_holds(node: LiveNode) -> tuple[int, int]:
    """Halt while something is held; return when that was asked for, and when acknowledged."""
    for _ in range(50):
        asked = time.time_ns()
        code, answer = node.aitb("halt", "--reason", "a test")
        moment = time.time_ns()
        assert (code, answer["done"], answer["node"]) == (0, True, True)
        if answer["status"]["positions"]:
            return asked, moment
        node.aitb("resume", "--reason", "nothing was held")
        time.sleep(0.05)
    raise AssertionError("it never held anything")


def test_halt_flatten_kill_restart_and_resume(node: LiveNode) -> None:
    wait_until(lambda: len(node.opened_since(0)) > 5)

    # Halted: nothing opens after the acknowledgement, and the strategy's own exit passes.
    asked, moment = halt_while_it_holds(node)
    wait_until(lambda: not node.status()["positions"])
    time.sleep(0.5)
    assert node.opened_since(moment) == []
    assert [line for line in node.told if line["t"] > asked and line["exit"]]

    # Resumed: it trades again, and flattens at a command, entries and stops included.
    moment = time.time_ns()
    assert node.aitb("resume", "--reason", "go on")[0] == 0
    wait_until(lambda: len(node.opened_since(moment)) > 3)
    code, flat = node.aitb("flatten", "--reason", "the day is over")
    moment = time.time_ns()
    assert (code, flat["done"], flat["left"]) == (0, True, [])
    assert (flat["status"]["positions"], flat["status"]["orders"]) == ([], [])

    # Killed and started again: still halted, with the same reason.
    node.end(signal.SIGKILL)
    node.start()
    trader = node.status()["scopes"][0]
    assert trader["level"] == "halted"
    assert trader["halts"][0]["reason"] == "the day is over"
    time.sleep(0.5)
    assert node.opened_since(moment) == []
    code, answer = node.aitb("resume")
    assert (code, answer["error"]["found"]) == (2, "got no reason")

    # Resumed with a reason: it trades again, and stops in order.
    moment = time.time_ns()
    assert node.aitb("resume", "--reason", "a new day")[0] == 0
    wait_until(lambda: len(node.opened_since(moment)) > 3)
    assert node.end(signal.SIGTERM) == 0
    assert [line for line in node.told if line["action"] == "failed"] == []
    assert verify(node.journal).whole
    kinds = ("halted", "resumed")
    told = [r.body for r in read(node.journal) if r.kind in kinds and "held" not in r.body.reason]
    words = [body.reason.partition(" (since")[0] for body in told]
    assert words[-5:] == ["a test", "go on", "the day is over", "the day is over", "a new day"]
    assert all("@" in body.who for body in told)
    assert not (node.config.parent / "state" / "AITB-001.sock").exists()


def test_strategy_that_is_halted_by_itself_stays_halted_when_the_trader_resumes(
    node: LiveNode,
) -> None:
    code, answer = node.aitb("halt", "--strategy", "restless", "--reason", "it lost")
    moment = time.time_ns()
    assert (code, answer["scope"]) == (0, {"kind": "strategy", "id": "restless"})
    assert node.aitb("halt")[0] == 0
    code, answer = node.aitb("resume", "--reason", "the others may")
    assert (code, answer["done"]) == (0, True)
    assert answer["said"].endswith("What still holds: strategy restless is halted")
    time.sleep(0.5)
    assert node.opened_since(moment) == []


def test_node_that_is_stuck_is_named_and_its_halt_is_written_all_the_same(node: LiveNode) -> None:
    assert node._child is not None
    node._child.send_signal(signal.SIGSTOP)
    try:
        for _ in range(10):
            code, answer = node.aitb("halt", "--reason", "it hangs", "--timeout", "0.2")
            if "done" in answer:
                break
            # Stopped in the middle of a write it holds the file's lock: let it finish that.
            node._child.send_signal(signal.SIGCONT)
            time.sleep(0.05)
            node._child.send_signal(signal.SIGSTOP)
        assert (code, answer["done"], answer["obeyed"]) == (1, False, False)
        assert "The halt is written" in answer["said"]
        code, answer = node.aitb("resume", "--reason", "x", "--timeout", "0.2")
        assert (code, answer["done"]) == (1, False)
    finally:
        node._child.send_signal(signal.SIGCONT)
    node.end(signal.SIGKILL)
    code, kept = node.aitb("status")
    assert (kept["running"], kept["scopes"][0]["level"]) == (False, "halted")
    assert kept["scopes"][0]["halts"][0]["reason"] == "it hangs"
