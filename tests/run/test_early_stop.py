"""Ctrl-C and SIGTERM while a node still connects."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.run.early_stop import EarlyStop
from tests.run.node_lab import NodeLab, node_lab

WAITING = """
import time
from aitb_nautilus.run.early_stop import EarlyStop

with EarlyStop({wait}) as early, early.watching(lambda why: print("gave up", why, flush=True)):
    print("connecting", flush=True)
    time.sleep({busy})
print("asked", early.asked, flush=True)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path) as lab:
        yield lab


def test_signals_are_noted_and_the_handlers_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with EarlyStop(5.0) as early, early.watching(lambda _: None):
        os.kill(os.getpid(), signal.SIGTERM)
        assert early.asked == "SIGTERM"
        early.connected()
        os.kill(os.getpid(), signal.SIGINT)
    assert early.asked == "SIGTERM"  # the first one stays
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def _waiting(wait_s: float, busy_s: float) -> subprocess.Popen[str]:
    code = WAITING.format(wait=wait_s, busy=busy_s)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "connecting\n"
    return process


def test_who_connects_for_too_long_is_given_up() -> None:
    process = _waiting(0.2, 60)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "gave up SIGTERM\n"
    assert process.returncode == 1


def test_second_signal_does_not_wait() -> None:
    process = _waiting(600, 600)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "gave up SIGINT\n"
    assert process.returncode == 1


def test_process_ends_and_says_why_though_giving_up_fails() -> None:
    code = WAITING.format(wait=0.1, busy=60).replace('print("gave up", why, flush=True)', "1 / 0")
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "connecting\n"
    process.send_signal(signal.SIGTERM)
    try:
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "ZeroDivisionError" in said


def test_who_connects_in_time_goes_on_by_itself() -> None:
    process = _waiting(600, 0.5)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "asked SIGTERM\n"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_node_ends_in_time_while_the_venue_does_not_answer(
    lab: NodeLab, number: signal.Signals
) -> None:
    config = lab.write()
    slow = Fault(kind="slow", match="GET /fapi/v1/exchangeInfo", delay_ms=60_000, times=9)
    lab.running.call(lambda r: r.inject(slow))
    node = lab.start("live", str(config), "--run", "--live-orders")
    limit = time.monotonic() + 60
    while not lab.running.call(lambda r: len(r.exchange.faults.happened)):
        assert time.monotonic() < limit, node.said
        time.sleep(0.05)
    code, _, seconds = node.stop(number)
    outcome = lab.last()
    assert (code, outcome.record.status) == (1, "interrupted"), node.said
    assert seconds < 10
    assert "was stopped before its first bar" in node.said
    proof = verify(outcome.folder / "journal.sqlite")
    assert (proof.broken, proof.closed) == (None, True)
    assert outcome.record.journal is not None
    assert outcome.record.journal.records == proof.records


def test_node_that_connects_after_the_signal_ends_by_itself(lab: NodeLab) -> None:
    config = lab.write()
    slow = Fault(kind="slow", match="GET /fapi/v1/exchangeInfo", delay_ms=1_000)
    lab.running.call(lambda r: r.inject(slow))
    node = lab.start("paper", str(config))
    node.wait_for("connecting")
    code, _, seconds = node.stop(signal.SIGTERM)
    outcome = lab.last()
    assert (code, outcome.record.status) == (1, "interrupted"), node.said
    assert seconds < 10
    assert "ended: SIGTERM" in node.said
