"""The engine's own Binance spot adapter takes the rehearsal for Binance."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def session() -> dict[str, Any]:
    """Run the session once; the engine allows one node to a process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.rehearsal.spot_session"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_instruments_and_every_kind_of_data_arrive(session: dict[str, Any]) -> None:
    assert session["told"][:2] == ["start BTCUSDT.BINANCE", "reconciled orders 1"]
    for kind in ("bar", "quote", "trade", "deltas", "history"):
        assert session["seen"][kind] > 0, kind


def test_orders_travel_by_socket_and_are_filled_cancelled_and_rejected(
    session: dict[str, Any],
) -> None:
    told = [word for word in session["told"][2:] if word != "PendingCancel"]
    assert told == [
        *("Accepted", "Filled"),  # a market order
        *("Accepted", "Canceled"),  # a limit order
        *("Rejected", "code=-2010: Rehearsed refusal."),  # over the socket, not REST
        *("Accepted", "Canceled"),  # a stop-limit that waits
        *("Accepted", "Filled"),  # a sale
        "done",
    ]


def test_the_venue_has_what_the_node_has(session: dict[str, Any]) -> None:
    # 0.01 bought less 10 bp of it, 0.005 sold; the order by hand still rests
    venue = session["venue"]
    assert (venue["fills"], venue["held"], venue["open"]) == (2, "0.00499000", 1)
