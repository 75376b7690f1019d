"""An order that a venue has not answered for good: the venue is asked for it, at a rehearsal."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aitb_nautilus.rehearsal import BarSource, BookModel, RehearsalSettings
from aitb_nautilus.rehearsal.clock import WallClock
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.run.binance_rest import BINANCE_WINDOW_NS
from aitb_nautilus.run.unanswered import refusals
from tests.rehearsal_lab import SPEC
from tests.rehearsal_thread import serve_in_thread
from tests.run.kill_live import Killer, is_protected
from tests.run.node_lab import HISTORY, MINUTE_NS, NodeLab, minute_bars
from tests.run.test_faults_on_a_node import Struck

BUSY = Fault(kind="refuse", match="WS order.place", status=429, code=-1003)
DOWN = Fault(kind="refuse", match="WS order.place", status=503, code=-1001)
DONE = Fault(kind="unknown", match="WS order.place", status=503, code=-1007)
NOTHING_HEARD = Fault(kind="drop_event", match="ORDER_TRADE_UPDATE", times=1_000)


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    frame = minute_bars(HISTORY + 600, seed=9)
    source = BarSource(SPEC, frame, MINUTE_NS, int(frame.ts_close[HISTORY - 1]))
    gc.collect()  # the engine's objects of other tests may not be dropped by the exchange's thread
    settings = RehearsalSettings(book=BookModel(steps=300))
    folder: Path = tmp_path_factory.mktemp("unanswered")
    with serve_in_thread(settings, [source], WallClock()) as running:
        lab = NodeLab(folder, running)
        try:
            yield Struck(folder, lab)
        finally:
            lab.close()


def strike(struck: Struck, fault: Fault) -> None:
    """Let a fault happen to the next order."""
    struck.strike(fault)
    struck.wait(lambda: not struck.ask(lambda r: r.exchange.faults.armed()), "sends no order")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Ambiguous WS submit failure for 5f, awaiting reconciliation: code=-1003: No", -1003),
        (
            "Ambiguous submit failure for 5f, awaiting reconciliation: Binance error -1007 (x)",
            -1007,
        ),
        ("Ambiguous WS cancel failure for 5f, awaiting reconciliation: code=-1003: No", None),
        ("Ambiguous WS submit failure for 5f, awaiting reconciliation: timed out", None),
    ],
    ids=["by WebSocket", "by HTTP", "of a cancel", "without a number"],
)
def test_answer_is_read_off_the_engines_log(line: str, found: int | None) -> None:
    assert refusals([line.encode()]) == ({} if found is None else {"5f": found})


def test_order_refused_by_a_busy_venue_is_over_once_the_venue_says_so(struck: Struck) -> None:
    node = struck.node
    strike(struck, BUSY)
    node.wait_for("error -1003 (which means that nothing was done), and knows no such order")
    assert "NOT_FOUND_AT_VENUE" not in node.said  # what the engine says, many seconds later
    struck.trades_again()
    struck.wait(lambda: struck.ask(is_protected), "holds something without a stop")


def test_order_of_unknown_fate_is_not_sent_again_before_it_can_come_no_more(
    struck: Struck,
) -> None:
    node = struck.node
    strike(struck, DOWN)
    struck_at = time.monotonic()
    node.wait_for("error -1001 (too old by now), and knows no such order")
    assert time.monotonic() - struck_at > BINANCE_WINDOW_NS / 1e9
    struck.trades_again()
    struck.wait(lambda: struck.ask(is_protected), "holds something without a stop")


def test_order_that_was_done_and_denied_is_found_and_not_sent_again(struck: Struck) -> None:
    node = struck.node
    struck.strike(NOTHING_HEARD)
    struck.strike(DONE)
    node.wait_for("the venue has it, filled")
    struck.ask(lambda r: r.exchange.faults.clear())
    struck.trades_again()
    struck.wait(lambda: struck.ask(is_protected), "holds something without a stop")


def test_books_and_journals_agree_afterwards(struck: Struck) -> None:
    assert struck.node.process.poll() is None
    struck.trades_again()
    said = struck.end()
    tally = Killer.counting(struck.lab).count()
    assert tally.fills >= 2
    assert (tally.duplicates, tally.position_differs) == (0, 0), said
    # A fill whose message was lost may be told by what its order came to, under a made-up id.
    assert tally.lost_fills == tally.invented_fills <= 4, tally
