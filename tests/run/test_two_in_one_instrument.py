"""Two strategies that trade one instrument, killed and started again: whose is each order."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.risk.journal_carried import Carried
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Filled, Found, Halted
from aitb_nautilus.risk.ledger import Ledger
from tests.run.node_lab import Node, NodeLab, node_lab
from tests.run.standing import status_once_heard
from tests.run.test_live import SECRET, exits
from tests.run.test_recovery_of_a_node import (
    LIVE,
    comes_out_again,
    held,
    is_true_soon,
    records,
    recovered,
    stops,
)

BOTH = ("ema-001", "emb-002")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


def config_of(lab: NodeLab, **exits_at: float | bool) -> str:
    """Return a config with two strategies that are long at different times, of different sizes."""
    (first,) = exits(lab.plain())
    params = first["params"] | {"direction": "long", "exits": exits_at}
    small = params | {"sizing": {"method": "fixed_notional", "notional": 6_000.0}}
    large = params | {"sizing": {"method": "fixed_notional", "notional": 9_000.0}, "slow": 5}
    blocks = [first | {"params": small}, first | {"id": "emb", "params": large}]
    live = {"holes": "accept", "snapshot_secs": 1.0}
    return str(lab.write(strategies=blocks, live=live))


def killed_while_both_hold(lab: NodeLab, config: str) -> None:
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("warm after")
    lab.play(both_rest)
    # A node that is slow to follow may leave at a bar that was played before: then it goes on.
    while not stands_while_both_hold(lab, config):
        lab.go_on(both_rest)
    node.process.send_signal(signal.SIGKILL)
    node.end()
    assert len(stops(lab)) == 2


def both_rest(rehearsal: Any) -> bool:
    return len(rehearsal.exchange.triggers.waiting("BTCUSDT")) == 2


def stands_while_both_hold(lab: NodeLab, config: str) -> bool:
    """Wait until the market stands and the node has heard all of it; is nothing on its way?"""
    lab.wait_for_stand()
    orders = status_once_heard(lab, config).orders
    resting = [o.strategy_id for o in orders if o.is_exit and o.status == "ACCEPTED"]
    return len(orders) == len(resting) and set(resting) == set(BOTH) and len(stops(lab)) == 2


def ledger_of(lab: NodeLab) -> Ledger:
    return rebuild(lab.last().folder, Ledger(0.0))


def agrees(lab: NodeLab) -> bool:
    """Return whether the journal's positions come to the exchange's, in lots."""
    ours = sum(p.quantity for p in ledger_of(lab).positions.values())
    return bool(ours * 1_000 == held(lab))


def both_trade_on(lab: NodeLab, node: Node) -> None:
    """Wait until each has left what the run before opened, and has opened anew."""
    lab.play()
    for name in BOTH:
        assert is_true_soon(
            lambda name=name: any(
                f"{name}: SELL" in line and "(exit:" in line for line in node.lines
            )
        ), node.said


def test_each_goes_on_with_its_own_and_leaves_it(lab: NodeLab) -> None:
    config = config_of(lab, stop_frac=0.05, target_frac=0.1)
    killed_while_both_hold(lab, config)
    before = stops(lab), held(lab)
    node = recovered(lab, "live", config, *LIVE)
    assert "2 positions and 4 open orders are known, 0 things are not explained" in node.said
    assert (stops(lab), held(lab)) == before
    (carried,) = records(lab, Carried)
    assert {p.strategy_id for p in carried.positions} == set(BOTH)
    both_trade_on(lab, node)
    lab.pause()
    time.sleep(1)
    # What rests at the exchange is what our journal says: nothing of the run before is left.
    open_now = {o.client_order_id for o in ledger_of(lab).every_open_order()}
    assert not open_now & {o.client_order_id for o in carried.orders}
    assert agrees(lab)
    lab.play()
    time.sleep(1)
    node.stop()
    assert agrees(lab)
    assert (records(lab, Found), records(lab, Halted)) == ([], [])
    comes_out_again(lab)


def test_exit_of_the_run_before_that_fills_is_told_to_its_owner(lab: NodeLab) -> None:
    config = config_of(lab, stop_frac=0.001, target_frac=0.001, signal=False)
    killed_while_both_hold(lab, config)
    node = recovered(lab, "live", config, *LIVE)
    (carried,) = records(lab, Carried)
    owners = {o.client_order_id: o.strategy_id for o in carried.orders}
    assert sorted(owners.values()) == ["ema-001", "ema-001", "emb-002", "emb-002"]

    def filled() -> list[str]:
        found = read(lab.last().folder, Wanted(kinds=(Filled.kind,)))
        return [r.client_order_id for r in found if r.client_order_id in owners]

    lab.play()
    assert is_true_soon(lambda: bool(filled())), node.said
    assert is_true_soon((lab.last().folder / "bars.parquet").exists)
    lab.pause()
    time.sleep(1)
    # Its owner has taken back what rested beside it, and the other one's rest as before.
    ended = {owners[name] for name in filled()}
    orders = ledger_of(lab).orders
    assert {name: orders[name].is_open for name in owners} == {
        name: owner not in ended for name, owner in owners.items()
    }
    assert agrees(lab)
    node.stop()
    assert records(lab, Found) == []
    comes_out_again(lab)
