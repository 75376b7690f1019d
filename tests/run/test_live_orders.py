"""``aitb live --run`` without ``--live-orders``: the venue is asked, and never told anything."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.desk_lab import CHECKOUT
from tests.run.node_lab import MINUTE_NS, NodeLab, node_lab
from tests.run.test_live import SECRET, exits
from tests.run.test_recovery_of_a_node import LIVE, held, killed_in_a_position, stops

TELLING = re.compile(r"(WS (order|algoOrder)\.(?!status)|(POST|PUT|DELETE) .*([oO]rder|leverage))")
"""Requests that tell an exchange something about orders."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


def told_of(lab: NodeLab) -> list[str]:
    """Return a list that grows by what is asked of the exchange from now on."""
    asked: list[str] = []

    def listen(rehearsal: object) -> None:
        faults = rehearsal.exchange.faults  # type: ignore[attr-defined]
        take = faults.take

        def taken(what: str, *rest: object) -> object:
            asked.append(what)
            return take(what, *rest)

        faults.take = taken

    lab.running.call(listen)
    return asked


def aitb(lab: NodeLab, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aitb_nautilus", *words],
        cwd=lab.folder,
        env={"PYTHONPATH": str(CHECKOUT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_held_is_recovered_and_decided_on_and_the_venue_is_told_nothing(
    lab: NodeLab,
) -> None:
    config = str(lab.write(strategies=exits(lab.plain()), live={"holes": "accept"}))
    killed_in_a_position(lab, "live", config, *LIVE)
    # A stop that recovery would place anew, and an order that a person wants gone.
    lab.running.call(lambda r: r.exchange.triggers.cancel_all("BTCUSDT"))  # type: ignore[attr-defined]
    terms = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.010",
        "price": "40000.0",
        "timeInForce": "GTC",
        "newClientOrderId": "web_1",
    }
    lab.running.call(lambda r: r.exchange.venue.place(terms))
    config = str(
        lab.write(strategies=exits(lab.plain()), live={"holes": "accept", "on_stop": "flatten"})
    )
    before = held(lab), lab.venue()
    asked = told_of(lab)
    node = lab.start("live", config, "--run", secret=SECRET)
    node.wait_for("recovered in")
    node.wait_for("things at the venue are not explained by the journal")
    done = aitb(lab, "firewall", config, "order:web_1", "cancel", "--reason", "typed by hand")
    assert done.returncode == 0, done.stderr
    lab.play()
    until = lab.running.call(lambda r: r.clock.now_ns()) + 40 * MINUTE_NS
    while lab.running.call(lambda r: r.clock.now_ns()) < until:
        time.sleep(0.1)
    flat = aitb(lab, "flatten", config, "--reason", "to see")
    assert flat.returncode == 1
    assert "nothing is sent to the venue" in " ".join(flat.stdout.split())
    code, _, seconds = node.stop()
    assert (code, seconds < 5) == (0, True), node.said

    assert [what for what in asked if TELLING.match(what)] == []
    assert any("algo" in what or "Order" in what for what in asked)  # it was asked
    assert (held(lab), lab.venue(), stops(lab)) == (*before, [])
    assert node.said.count("nothing is sent to the venue, no exit, change or cancel") == 2
    # At the start, and at the first wish in the instrument.
    assert {one["limit"] for one in lab.last().table("refusals")} == {"live-orders"}
    assert lab.last().record.status == "complete"
    again = aitb(lab, "replay", str(lab.last().folder))
    assert again.returncode == 0, again.stdout + again.stderr
