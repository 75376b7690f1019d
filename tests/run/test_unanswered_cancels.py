"""A cancel that a venue has not carried out: the order rests on, and nothing takes its place.

A spot market knows no reduce-only: a stop that is left behind would sell coins of the user.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.run.node_lab import Node, NodeLab, node_lab
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import comes_out_again, is_true_soon
from tests.run.test_spot_orders import (
    BEGAN,
    LOT,
    books,
    config_of,
    inject,
    ours,
    resting,
    started,
    wallet,
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    fees = {"maker_fee": "0.001", "taker_fee": "0.001"}
    with node_lab(tmp_path, product="spot", api_secret=SECRET, balances=BEGAN, **fees) as lab:
        yield lab


def armed(lab: NodeLab) -> int:
    """Return how many faults have not happened often enough yet."""
    return lab.running.call(lambda r: len(r.exchange.faults.armed()))


def happened(lab: NodeLab, what: str) -> int:
    return lab.running.call(lambda r: sum(what in one[2] for one in r.exchange.faults.happened))


def stop_ids(lab: NodeLab) -> list[int]:
    return lab.running.call(lambda r: [o.order_id for o in r.exchange.venue.orders.open()])


def in_a_position(lab: NodeLab, **more: Any) -> Node:
    """Start a node that trails a stop, and let it enter."""
    node = started(lab, config_of(lab, {"trailing_frac": 0.01, "signal": False}, **more))
    lab.play()
    node.wait_for("(entry)")
    assert is_true_soon(lambda: len(resting(lab)) == 1)
    return node


def is_one_full_stop(lab: NodeLab) -> bool:
    return resting(lab) == [("SELL", "STOP_LOSS", ours(lab) // LOT * LOT)]


def test_cancel_answered_by_an_error_is_repeated_and_one_stop_rests(lab: NodeLab) -> None:
    node = in_a_position(lab, on_stop="hold")
    inject(lab, "refuse", "WS order.cancel", status=503, code=-1001)
    before = stop_ids(lab)
    assert is_true_soon(lambda: not armed(lab))
    struck = time.monotonic()
    lab.pause()
    assert is_true_soon(lambda: stop_ids(lab) != before)
    assert is_one_full_stop(lab), (resting(lab), ours(lab))
    assert time.monotonic() - struck < 8
    time.sleep(15)  # The engine would have made an end of it by now.
    assert is_one_full_stop(lab), (resting(lab), ours(lab), node.said)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert is_one_full_stop(lab)
    assert wallet(lab) == books(lab)
    assert lab.last().record.halts == []
    comes_out_again(lab)
