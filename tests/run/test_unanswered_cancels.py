"""A cancel that a venue has not carried out: the order rests on, and nothing takes its place.

A spot market knows no reduce-only: a stop that is left behind would sell coins of the user.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.rehearsal import Fault
from aitb_nautilus.risk.journal_records import Halted
from tests.run.node_lab import Node, NodeLab, node_lab
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import (
    comes_out_again,
    held,
    is_true_soon,
    records,
    stops,
)
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
    assert is_true_soon(lambda: stop_ids(lab) not in (before, []))
    assert is_one_full_stop(lab), (resting(lab), ours(lab))
    assert time.monotonic() - struck < 8
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert is_one_full_stop(lab)
    assert wallet(lab) == books(lab)
    assert lab.last().record.halts == []
    comes_out_again(lab)


@pytest.mark.long
def test_cancel_that_is_not_carried_out_for_long_binds_and_nothing_takes_its_place(
    lab: NodeLab,
) -> None:
    node = in_a_position(lab, on_stop="hold")
    for what in ("WS order.cancel", "DELETE /api/v3/order"):
        inject(lab, "refuse", what, status=503, code=-1001, times=1_000)
    before = stop_ids(lab)
    assert is_true_soon(lambda: happened(lab, "DELETE"))
    lab.pause()
    node.wait_for("could not be cancelled in 10 s", 40)
    node.wait_for("no end was told of it; the venue is asked")  # The engine has made one up.
    time.sleep(1)
    assert stop_ids(lab) == before
    lab.running.call(lambda r: r.exchange.faults.clear())
    assert is_true_soon(lambda: stop_ids(lab) not in (before, []))
    assert is_one_full_stop(lab), (resting(lab), ours(lab))
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert is_one_full_stop(lab)
    assert wallet(lab) == books(lab)
    (halt,) = records(lab, Halted)
    assert (halt.state, halt.scope, halt.who) == ("reducing", "strategy", "exits")
    assert "the venue has not said that what locks its coins is gone" in halt.reason
    comes_out_again(lab)


def leave_behind(lab: NodeLab) -> None:
    """Let an order that ended for the node rest at the exchange again, over the user's coins."""

    def place(r: Any) -> None:
        ended = next(o for o in r.exchange.venue.orders if o.side == "SELL" and not o.is_open)
        terms = {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "STOP_LOSS",
            "quantity": "0.200",
            "stopPrice": "1000.00",
            "newClientOrderId": ended.client_id,
        }
        r.exchange.venue.place(terms)

    lab.running.call(place)
    assert ("SELL", "STOP_LOSS", Decimal("0.200")) in resting(lab)


@pytest.mark.long
def test_order_that_ended_for_us_is_cancelled_whenever_the_venue_has_it(lab: NodeLab) -> None:
    node = in_a_position(lab, on_stop="hold", check_secs=2.0)
    before = stop_ids(lab)
    assert is_true_soon(lambda: stop_ids(lab) not in (before, []))
    lab.pause()
    assert is_true_soon(lambda: is_one_full_stop(lab))
    leave_behind(lab)
    node.wait_for("ended for us, and rests at the venue")
    assert is_true_soon(lambda: is_one_full_stop(lab))
    leave_behind(lab)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert is_one_full_stop(lab)
    leave_behind(lab)
    node = started(lab, config_of(lab, {"trailing_frac": 0.01, "signal": False}, on_stop="hold"))
    assert "1 open orders are known, 0 things are not explained" in node.said
    assert is_one_full_stop(lab)
    lab.play()
    assert is_true_soon((lab.last().folder / "bars.parquet").exists)
    lab.pause()
    lab.running.call(
        lambda r: r.inject(Fault(kind="refuse", match="DELETE /api/v3/order", times=100))
    )
    leave_behind(lab)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert "rests at the venue, and could not be cancelled: cancel it there" in node.said
    assert lab.last().record.halts == []
    comes_out_again(lab)


@pytest.fixture
def futures(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


@pytest.mark.long
@pytest.mark.parametrize("kind", ["refuse", "slow"])
def test_stop_of_a_perpetual_is_not_left_behind_either(futures: NodeLab, kind: Any) -> None:
    lab = futures
    (block,) = lab.plain()["strategies"]
    block["params"] |= {"exits": {"stop_frac": 0.05}}
    live = {"holes": "accept", "snapshot_secs": 1.0, "check_secs": 600.0}
    config = str(lab.write(strategies=[block], live=live))
    node = started(lab, config)
    lab.play()
    node.wait_for("(entry)")
    assert is_true_soon(lambda: len(stops(lab)) == 1)
    inject(lab, kind, "DELETE /fapi/v1/algoOrder", status=503, code=-1001, delay_ms=3_000)
    assert is_true_soon(lambda: not armed(lab))  # It has left the position.
    lab.pause()
    time.sleep(16)
    assert len(stops(lab)) == (held(lab) != 0), node.said
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert len(stops(lab)) == (held(lab) != 0)
    assert lab.last().record.halts == []
    comes_out_again(lab)
