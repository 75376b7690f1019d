"""The engine's own Binance adapter takes the rehearsal for Binance."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal_lab import hour_bars

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def session() -> dict[str, Any]:
    """Run the session once; the engine allows one node to a process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.rehearsal.node_session"],
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
    assert session["told"][0] == "start BTCUSDT-PERP.BINANCE"
    for kind in ("bar", "quote", "trade", "deltas", "history"):
        assert session["seen"][kind] > 0, kind


def test_bars_arrive_as_they_were_fed_and_in_their_order(session: dict[str, Any]) -> None:
    bars = hour_bars(400)
    fed = [
        [f"{value:.2f}" for value in row[:4]] + [f"{row[4]:.3f}"]
        for row in zip(
            bars.open.tolist(),
            bars.high.tolist(),
            bars.low.tolist(),
            bars.close.tolist(),
            bars.volume.tolist(),
            strict=True,
        )
    ]
    begin = fed.index(session["bars"][0])
    assert session["bars"] == fed[begin : begin + len(session["bars"])]


def test_an_earlier_position_and_order_are_reconciled_at_the_start(
    session: dict[str, Any],
) -> None:
    assert session["told"][1:3] == ["reconciled orders 1", "reconciled positions ['0.02']"]


def test_ids_of_decisions_come_back_as_they_were_sent(session: dict[str, Any]) -> None:
    # The adapter packs them into what Binance leaves of 36 characters, at both endpoints.
    ours = [events for name, events in session["ids"].items() if len(name) == 32]
    assert ours == [
        ["Initialized", "Submitted", "Accepted", "Filled"],
        ["Initialized", "Submitted", "Accepted", "PendingCancel", "Canceled"],
    ]


def test_orders_are_accepted_filled_cancelled_and_rejected(session: dict[str, Any]) -> None:
    told = [word for word in session["told"][3:] if word not in ("PendingCancel", "Updated")]
    assert told == [
        *("Accepted", "Filled"),  # a market order, whose fill is told twice
        *("Accepted", "Canceled"),  # a limit order
        "Rejected",  # -2019
        *("Accepted", "Canceled"),  # a stop at the algo endpoint
        *("Accepted", "Filled"),  # a stop that wakes
        "done",
    ]


def test_the_venue_has_the_fills_that_the_node_has(session: dict[str, Any]) -> None:
    # 0.020 by hand, 0.010 at the market, 0.010 by the stop; the order by hand still rests
    assert session["venue"] == {"fills": 3, "position": 40, "open": 1}
