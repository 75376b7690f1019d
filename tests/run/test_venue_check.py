"""A live node whose user stream breaks while something happens, at a rehearsal of the exchange."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.risk.journal_records import Filled, Found, Halted
from tests.run.node_lab import Node, NodeLab, node_lab
from tests.run.test_live import SECRET, exits
from tests.run.test_recovery_of_a_node import (
    LIVE,
    comes_out_again,
    held,
    is_true_soon,
    records,
    stops,
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


def in_a_position(lab: NodeLab, exits_at: dict[str, Any], direction: str = "both") -> Node:
    """Let a node trade until it holds something with a resting stop and target."""
    (block,) = exits(lab.plain())
    block["params"] |= {"exits": exits_at | {"signal": False}, "direction": direction}
    live = {"holes": "accept", "snapshot_secs": 1.0, "check_secs": 600.0}
    node = lab.start("live", str(lab.write(strategies=[block], live=live)), *LIVE, secret=SECRET)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(entry)")
    assert is_true_soon(lambda: held(lab) and len(stops(lab)) == 1)
    time.sleep(0.3)
    return node


def inject(lab: NodeLab, kind: Any, match: str = "", times: int = 1) -> None:
    lab.running.call(lambda r: r.inject(Fault(kind=kind, match=match, times=times)))


def hear_nothing(lab: NodeLab) -> None:
    """Let every event of the user stream be lost from now on."""
    inject(lab, "drop_event", times=1_000)


def come_back(lab: NodeLab) -> None:
    """Break the user stream; from then on events come again."""
    lab.running.call(lambda r: r.exchange.faults.clear())
    inject(lab, "disconnect", "user")


def flat_at_the_exchange(lab: NodeLab) -> None:
    assert is_true_soon(lambda: held(lab) == 0)
    lab.pause()


def fills_of(lab: NodeLab) -> list[tuple[str, float]]:
    """Return trade ids and fees as the exchange has them."""
    return lab.running.call(
        lambda r: [(str(f.trade_id), float(f.commission)) for f in r.exchange.venue.fills]
    )


def ours(lab: NodeLab) -> list[tuple[str, float]]:
    return [(one.trade_id, one.fee) for one in records(lab, Filled)]


@pytest.mark.parametrize(
    ("exits_at", "direction", "purpose"),
    [
        ({"stop_frac": 0.05, "target_frac": 0.001}, "long", "exit:target"),
        ({"stop_frac": 0.001, "target_frac": 0.05}, "short", "exit:stop"),
    ],
)
def test_exit_that_filled_while_the_stream_was_away_is_told_once_with_its_fee(
    lab: NodeLab, exits_at: dict[str, Any], direction: str, purpose: str
) -> None:
    node = in_a_position(lab, exits_at, direction)
    hear_nothing(lab)
    flat_at_the_exchange(lab)
    assert f"({purpose})" not in node.said
    come_back(lab)
    node.wait_for("0 things are not explained", 20)
    node.wait_for(f"({purpose})")
    node.wait_for("the venue was asked for every open order: 0 things are not explained")
    assert is_true_soon(lambda: stops(lab) == [])
    assert lab.venue()["open"] == 0
    # The engine has found it as well, and what it made up of it was not counted.
    time.sleep(1)
    assert ours(lab) == fills_of(lab)
    lab.play()
    entries = node.said.count("(entry)")
    assert is_true_soon(lambda: node.said.count("(entry)") > entries)
    node.stop()
    assert len(ours(lab)) == len(fills_of(lab)) > 2
    assert records(lab, Found) == []
    comes_out_again(lab)


def test_what_somebody_else_did_while_the_stream_was_away_binds_to_reducing(lab: NodeLab) -> None:
    node = in_a_position(lab, {"stop_frac": 0.05, "target_frac": 0.1})
    lab.pause()
    lots = held(lab)
    hear_nothing(lab)
    terms = {
        "symbol": "BTCUSDT",
        "side": "SELL" if lots > 0 else "BUY",
        "type": "MARKET",
        "quantity": "0.010",
        "newClientOrderId": "web_2",
    }
    lab.running.call(lambda r: r.exchange.venue.place(terms))
    come_back(lab)
    node.wait_for("things at the venue are not explained by the journal")
    assert [row.key for row in records(lab, Found)] == ["position:BTCUSDT-PERP.BINANCE"]
    assert [(halt.state, halt.who) for halt in records(lab, Halted)] == [("reducing", "firewall")]
    assert len(stops(lab)) == 1
    lab.play()
    assert is_true_soon((lab.last().folder / "bars.parquet").exists)
    node.stop()
    comes_out_again(lab)


def test_venue_is_asked_now_and_then_without_any_reconnect(lab: NodeLab) -> None:
    (block,) = exits(lab.plain())
    block["params"]["exits"] = {"stop_frac": 0.05, "target_frac": 0.001, "signal": False}
    live = {"holes": "accept", "check_secs": 2.0}
    config = str(lab.write(strategies=[block], live=live))
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(entry)")
    assert is_true_soon(lambda: len(stops(lab)) == 1)
    inject(lab, "drop_event", "ORDER_TRADE_UPDATE TRADE", times=1_000)
    flat_at_the_exchange(lab)
    node.wait_for("(exit:target)", 20)
    assert "came back" not in node.said
    assert is_true_soon(lambda: stops(lab) == [])
