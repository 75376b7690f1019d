"""A venue that refuses a close: whether it holds the position at all decides what follows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.market.times import parse_time
from aitb_nautilus.rehearsal.faults import Fault
from tests.run.node_lab import BTC, Node, NodeLab, node_lab
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import (
    LIVE,
    comes_out_again,
    hear_bars,
    held,
    is_true_soon,
    stops,
)

LATE_S = 1.5
LOST = [
    *(
        Fault(kind="drop_event", match=name, times=1_000)
        for name in ("ORDER_TRADE_UPDATE", "ALGO_UPDATE", "ACCOUNT_UPDATE")
    ),
    Fault(kind="late_answer", match="DELETE /fapi/v1/algoOrder", delay_ms=1_500, times=1_000),
]
"""Nothing is heard of what happens at the venue, and too late of a cancel that it refuses."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


def config_of(lab: NodeLab, warm_up: int = 0, **params: Any) -> str:
    params = {"instrument": BTC, **params}
    strategy = {"class": "tests.run.hasty:Hasty", "id": "hasty", "params": params}
    # Neither of the node's checks finds out before the strategy closes.
    live = {"holes": "accept", "check_secs": 600.0, "order_check_secs": 600.0}
    return str(lab.write(strategies=[strategy], live=live, warm_up={"bars": warm_up}))


def holding(lab: NodeLab, **params: Any) -> Node:
    """Return a node that holds something with a stop, while the market stands still.

    It stands from the entry on: a node that is slow to follow would find its stop passed already.
    """
    node = lab.start("live", config_of(lab, **params), *LIVE, secret=SECRET)
    node.wait_for("recovered in")
    lab.play(lambda r: bool(r.exchange.venue.account.position("BTCUSDT").amount))
    lab.wait_for_stand()
    assert is_true_soon(lambda: len(stops(lab)) == 1), node.said
    node.wait_for("(entry)")
    return node


def strike(lab: NodeLab, faults: list[Fault]) -> None:
    for fault in faults:
        lab.running.call(lambda r, one=fault: r.inject(one))


def seconds_between(lab: NodeLab, first: str, then: str) -> float:
    """Return how long after one thing the node has said another one, by its own clock."""
    lines = (lab.last().folder / "log.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines]
    at = [next(one["ts"] for one in said if text in one["message"]) for text in (first, then)]
    return (parse_time(at[1]) - parse_time(at[0])) / 1e9


def closed(rehearsal: Any) -> bool:
    """Return whether the stop has filled, and its bar has closed."""
    amount = rehearsal.exchange.venue.account.position("BTCUSDT").amount
    return bool(amount == 0 and rehearsal.clock.now_ns() % 60_000_000_000 == 0)


def test_stop_that_has_filled_leaves_nothing_to_close_and_nothing_to_halt_for(
    lab: NodeLab,
) -> None:
    node = holding(lab)
    strike(lab, LOST)
    lab.go_on(closed)
    lab.wait_for_stand()
    node.wait_for("the venue has refused to close")
    node.wait_for("the venue holds no BTCUSDT-PERP.BINANCE any more: an exit of ours had filled")
    time.sleep(LATE_S)  # an answer that is still awaited would hold up the end
    lab.running.call(lambda r: r.exchange.faults.clear())
    code, _, _ = node.stop()
    assert code == 0, node.said
    assert (held(lab), stops(lab)) == (0, [])
    outcome = lab.last()
    assert outcome.record.halts == []
    assert [fill["side"] for fill in outcome.fills] == ["SELL", "BUY"]
    assert outcome.fills[1]["purpose"].startswith("exit:stop")
    assert lab.venue()["fills"] == 2
    comes_out_again(lab)


def test_so_it_is_while_a_node_recovers(lab: NodeLab) -> None:
    """Its stop fills, unheard, after it has asked; once the past is told it is time to leave."""
    exits = {"stop_frac": 0.001, "max_bars": 1}
    holding(lab, exits=exits).kill()
    strike(lab, [Fault(kind="slow", match="klines", times=1_000, delay_ms=1_500)])
    node = lab.start("live", config_of(lab, 20, exits=exits), *LIVE, secret=SECRET)
    node.wait_for("exits of 1 positions are seen to")
    strike(lab, LOST)
    lab.go_on(closed)
    lab.wait_for_stand()
    assert "recovered in" not in node.said
    node.wait_for("the venue has refused to close")
    node.wait_for("the venue holds no BTCUSDT-PERP.BINANCE any more: an exit of ours had filled")
    node.wait_for("recovered in")
    time.sleep(LATE_S)
    lab.running.call(lambda r: r.exchange.faults.clear())
    hear_bars(lab)
    code, _, _ = node.stop()
    assert code == 0, node.said
    assert (held(lab), stops(lab), lab.last().record.halts) == (0, [], [])
    comes_out_again(lab)


def test_venue_that_does_not_say_what_it_holds_leaves_the_halt_to_come(lab: NodeLab) -> None:
    node = holding(lab)
    deaf = Fault(kind="refuse", match="GET /fapi", status=503, times=1_000)
    strike(lab, [*LOST, deaf])
    lab.go_on(closed)
    lab.wait_for_stand()
    asked, given_up = "the venue has refused to close", "the venue has not said in time"
    node.wait_for(given_up)
    node.wait_for("halted: hasty-001 holds BTCUSDT-PERP.BINANCE without a stop")
    assert seconds_between(lab, asked, given_up) > 3.0
    # It was closed again and again all the while, and still is; two closes came before.
    meanwhile = node.said.partition(asked)[2].partition(given_up)[0]
    assert meanwhile.count("(exit:signal) rejected by the venue") > 2, node.said
    assert "ReduceOnly Order is rejected" in meanwhile
    node.wait_for("(exit:flatten) rejected by the venue")
    lab.running.call(lambda r: r.exchange.faults.clear())
    code, _, _ = node.stop()
    assert code == 0, node.said
    (halt,) = lab.last().record.halts
    assert halt.scope == "hasty"
    assert is_true_soon(lambda: held(lab) == 0)
    comes_out_again(lab)
