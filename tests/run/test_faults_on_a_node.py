"""What goes wrong at a venue, and a real live node: it goes on or halts, and is never unprotected.

The node trades several times a second, and a position of it has a stop. After each fault it must
trade again, or say why it has halted; what it holds must be protected; and in the end its journals
must know every fill of the exchange, and hold what the exchange holds. It is counted by the
exchange's books.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.rehearsal import BarSource, BookModel, Rehearsal, RehearsalSettings
from aitb_nautilus.rehearsal.clock import WallClock
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.risk.trading_states import TRADER, StateScope
from tests.rehearsal_lab import SPEC
from tests.rehearsal_thread import serve_in_thread
from tests.run.kill_live import Killer, held_at_venue, is_protected, opening_of
from tests.run.node_lab import HISTORY, MINUTE_NS, Node, NodeLab, minute_bars

pytestmark = pytest.mark.long

PATIENCE_S = 45.0
QUOTE_AGE_S = 1.5

SURVIVED = {
    "too many requests": Fault(kind="refuse", match="order.place", status=429, code=-1003),
    "banned": Fault(kind="refuse", match="order.place", status=418, code=-1003),
    "venue is down": Fault(kind="refuse", match="order.place", status=503, code=-1001),
    "questions refused": Fault(kind="refuse", match="GET /fapi", status=429, code=-1003, times=3),
    "order rejected": Fault(kind="refuse", match="order.place", status=400, code=-2019, times=3),
    "stop rejected": Fault(kind="refuse", match="algoOrder", status=400, code=-2021, times=2),
    "slow": Fault(kind="slow", match="order", delay_ms=1_500, times=3),
    "late answer": Fault(kind="late_answer", match="order", delay_ms=1_500, times=3),
    "done and denied": Fault(kind="unknown", match="order.place", status=503, code=-1007, times=2),
    "no answer": Fault(kind="no_answer", match="order.place", times=2),
    "fill lost": Fault(kind="drop_event", match="ORDER_TRADE_UPDATE TRADE"),
    "acceptance lost": Fault(kind="drop_event", match="ORDER_TRADE_UPDATE NEW", times=2),
    "stop's event lost": Fault(kind="drop_event", match="ALGO_UPDATE", times=2),
    "account's event lost": Fault(kind="drop_event", match="ACCOUNT_UPDATE", times=3),
    "events twice": Fault(kind="duplicate_event", times=20),
    "events late": Fault(kind="delay_event", match="ORDER_TRADE_UPDATE", delay_ms=1_000, times=5),
    "events out of order": Fault(kind="reorder_event", match="ORDER_TRADE_UPDATE", times=4),
    "user stream silent": Fault(kind="silence", match="user", delay_ms=3_000),
    "market sockets cut": Fault(kind="disconnect", match="market"),
    "user socket cut": Fault(kind="disconnect", match="user"),
    "order socket cut": Fault(kind="disconnect", match="api"),
    "listen key expired": Fault(kind="end_listen_key"),
    "restart": Fault(kind="restart", delay_ms=3_000),
}


class Struck:
    """A node that trades on an exchange to which things happen."""

    def __init__(self, folder: Path, lab: NodeLab) -> None:
        self.lab, self._folder = lab, folder
        self._config = lab.write(
            strategies=[{"class": "tests.run.kill_live:Hurried", "id": "hurried"}],
            risk={
                "max_orders_per_minute": 10_000,
                "max_clock_skew_ms": 1_000.0,
                "book": {"max_quote_age_ms": QUOTE_AGE_S * 1e3},
            },
            live={"recovery_secs": 5.0, "holes": "accept", "order_check_secs": 1.0},
        )
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        """The running node; another one, if the last has halted."""
        if self._node is None or self.has_halted:
            if self._node is not None:
                self._node.stop()
                self._resume()
            self._start()
            self.trades_again()
        assert self._node is not None
        return self._node

    @property
    def has_halted(self) -> bool:
        return self._node is not None and "halted:" in self._node.said

    def strike(self, fault: Fault) -> None:
        self.ask(lambda r: r.inject(fault))

    def ask[T](self, look: Callable[[Rehearsal], T]) -> T:
        return self.lab.running.call(look)

    def trades_again(self) -> None:
        """Wait until the node has opened and closed some more."""
        before = len(self.ask(opening_of))
        self.wait(lambda: len(self.ask(opening_of)) >= before + 2, "does not trade")

    def wait(self, true: Callable[[], Any], what: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not true():
            assert self._node is not None
            assert self._node.process.poll() is None, f"it ended: {self._node.said}"
            assert time.monotonic() < until, f"{what}: {self._node.said[-3_000:]}"
            time.sleep(0.05)

    def end(self) -> str:
        """Stop, let another node bring the journals to where the exchange is; return what it said.

        What that one cannot explain binds it to reducing, and it says so.
        """
        if self._node is not None:
            self._node.stop()
        last = self._start()
        last.stop()
        return last.said

    def _start(self) -> Node:
        self._node = self.lab.start("live", str(self._config), "--run", "--live-orders")
        self._node.wait_for("recovered in")
        return self._node

    def _resume(self) -> None:
        for scope in (TRADER, StateScope("strategy", "hurried")):
            Killer.resume(self._config, scope)


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    folder = tmp_path_factory.mktemp("faults")
    frame = minute_bars(HISTORY + 600, seed=9)
    source = BarSource(SPEC, frame, MINUTE_NS, int(frame.ts_close[HISTORY - 1]))
    gc.collect()  # the engine's objects of other tests may not be dropped by the exchange's thread
    settings = RehearsalSettings(book=BookModel(steps=300))
    with serve_in_thread(settings, [source], WallClock()) as running:
        lab = NodeLab(folder, running)
        try:
            yield Struck(folder, lab)
        finally:
            lab.close()


@pytest.mark.parametrize("what", SURVIVED)
def test_node_goes_on_or_halts_with_a_reason_and_is_protected(struck: Struck, what: str) -> None:
    node = struck.node
    struck.strike(SURVIVED[what])
    before = len(struck.ask(opening_of))
    struck.wait(
        lambda: len(struck.ask(opening_of)) >= before + 3 or struck.has_halted, "does not trade"
    )
    struck.ask(lambda r: r.exchange.faults.clear())
    assert node.process.poll() is None, node.said
    struck.wait(lambda: struck.ask(is_protected), "holds something without a stop")


def test_nothing_opens_while_no_quotes_come(struck: Struck) -> None:
    node = struck.node
    struck.strike(Fault(kind="silence", match="market", delay_ms=6_000))
    time.sleep(QUOTE_AGE_S + 0.5)
    before = struck.ask(opening_of)
    time.sleep(3.0)
    assert struck.ask(opening_of) == before
    assert "refused by max_quote_age_ms" in node.said
    struck.trades_again()


@pytest.mark.parametrize("skew_ms", [4_000, -4_000])
def test_nothing_opens_on_data_of_another_time(struck: Struck, skew_ms: int) -> None:
    node = struck.node
    # What is held then cannot be closed, and nothing would wish to open.
    struck.wait(lambda: not struck.ask(held_at_venue), "is never flat")
    struck.strike(Fault(kind="skew", skew_ms=skew_ms))
    time.sleep(2.0)
    before = struck.ask(opening_of)
    time.sleep(3.0)
    assert struck.ask(opening_of) == before
    assert "refused by " + ("max_clock_skew_ms" if skew_ms > 0 else "max_quote_age_ms") in node.said
    struck.strike(Fault(kind="skew", skew_ms=0))
    # Exits that the venue refused for its clock are sent again until it has taken one; such a node
    # has halted.
    struck.wait(lambda: struck.ask(opening_of) != before or struck.has_halted, "does not trade")
    struck.wait(lambda: struck.ask(is_protected), "holds something without a stop")


def test_journals_know_all_that_happened_at_the_exchange(struck: Struck) -> None:
    said = struck.end()
    tally = Killer.counting(struck.lab).count()
    assert tally.fills > 20
    assert (tally.duplicates, tally.position_differs) == (0, 0), said
    # A fill whose message was lost may be told by what its order came to, under a made-up id.
    assert tally.lost_fills == tally.invented_fills <= 4, tally
