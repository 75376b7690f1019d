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


def start(lab: NodeLab, exits_at: float, **live: Any) -> Node:
    """Start a node whose stop and target stand that far from the entry, as a fraction."""
    (block,) = exits(lab.plain())
    both = {"stop_frac": exits_at, "target_frac": exits_at, "signal": False}
    block["params"] |= {"exits": both}
    live = {"holes": "accept", "snapshot_secs": 1.0, "check_secs": 600.0} | live
    node = lab.start("live", str(lab.write(strategies=[block], live=live)), *LIVE, secret=SECRET)
    node.wait_for("warm after")
    return node


def is_in_a_position(lab: NodeLab) -> bool:
    """Let the market go on until something is held with its stop, and stand still then."""
    lab.play()
    assert is_true_soon(lambda: held(lab) != 0)
    lab.pause()
    return is_true_soon(lambda: len(stops(lab)) == 1 or not held(lab)) and held(lab) != 0


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
    lab.play()
    assert is_true_soon(lambda: held(lab) == 0)
    lab.pause()


def fills_of(lab: NodeLab) -> list[tuple[str, float]]:
    """Return trade ids and fees as the exchange has them."""
    return lab.running.call(
        lambda r: [(str(f.trade_id), float(f.commission)) for f in r.exchange.venue.fills]
    )


def ours(lab: NodeLab) -> list[tuple[str, float]]:
    return [(one.trade_id, one.fee) for one in records(lab, Filled)]


def test_exits_that_filled_while_the_stream_was_away_are_told_once_with_their_fees(
    lab: NodeLab,
) -> None:
    """Cut the stream again and again, until both a stop and a target have filled meanwhile."""
    node, seen = start(lab, 0.0005), set[str]()
    for _ in range(16):
        if not is_in_a_position(lab):
            continue
        asked = node.said.count("the venue was asked for every open order")
        hear_nothing(lab)
        flat_at_the_exchange(lab)
        come_back(lab)
        assert is_true_soon(
            lambda asked=asked: node.said.count("the venue was asked for every open order") > asked
        )
        assert is_true_soon(lambda: stops(lab) == [] and lab.venue()["open"] == 0)
        time.sleep(1)  # The engine finds it as well; what it makes up of it is not counted.
        assert ours(lab) == fills_of(lab)
        seen |= {p for p in ("exit:stop", "exit:target") if f"({p})" in node.said}
        if len(seen) == 2:
            break
    assert seen == {"exit:stop", "exit:target"}
    assert is_in_a_position(lab)  # It trades on.
    node.stop()
    assert len(ours(lab)) == len(fills_of(lab))
    assert records(lab, Found) == []
    comes_out_again(lab)


def test_what_somebody_else_did_while_the_stream_was_away_binds_to_reducing(lab: NodeLab) -> None:
    node = start(lab, 0.05)
    assert is_in_a_position(lab)
    hear_nothing(lab)
    terms = {
        "symbol": "BTCUSDT",
        "side": "SELL" if held(lab) > 0 else "BUY",
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
    node = start(lab, 0.0005, check_secs=2.0)
    assert is_in_a_position(lab) or is_in_a_position(lab)
    inject(lab, "drop_event", "ORDER_TRADE_UPDATE TRADE", times=1_000)
    flat_at_the_exchange(lab)
    node.wait_for("(exit:", 20)
    assert "came back" not in node.said
    assert is_true_soon(lambda: stops(lab) == [])
