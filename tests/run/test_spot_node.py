"""Binance spot against a rehearsal: paper trades, live decides; orders go to Binance alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.run.node_lab import NodeLab, json_of, node_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, product="spot") as lab:
        yield lab


def spot(lab: NodeLab) -> str:
    """Write a config that buys and sells on the spot market; return its path."""
    plain = lab.plain()
    (strategy,) = plain["strategies"]
    strategy["params"]["direction"] = "long"
    venue: dict[str, Any] = {"account": "cash", "leverage": 1.0}
    return str(lab.write(strategies=[strategy], venue=venue))


def test_paper_trades_the_spot_market(lab: NodeLab) -> None:
    node = lab.start("paper", spot(lab))
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(exit:signal)")
    assert node.stop()[0] == 0, node.said
    record = lab.last().record
    assert (record.status, record.fills > 1) == ("complete", True)
    assert {f["purpose"] for f in lab.last().fills} == {"entry", "exit:signal"}


def test_halted_run_that_ends_with_coins_says_so_and_so_does_status(lab: NodeLab) -> None:
    config = spot(lab)
    node = lab.start("paper", config)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(entry)")
    lab.pause()
    assert lab.start("halt", config, "--reason", "news").end()[0] == 0
    code, shown, _ = node.stop()
    assert code == 0, node.said  # A halt has done its work: the run has not failed.
    record = lab.last().record
    assert record.status == "complete"
    assert record.left is not None
    (halt,), (held,) = record.left.halts, record.left.held
    assert (halt.scope, halt.state, halt.reason) == ("the trader", "halted", "news")
    assert (held.is_coin, float(held.quantity) > 0, record.left.orders) == (True, True, [])
    told = f"{held.strategy_id} still holds {held.quantity} coins of {lab.spec.id}"
    for said in (node.said, shown):
        assert told in " ".join(said.split())
        assert "The trader is halted since" in " ".join(said.split())
    assert "Ended halted, as of" in shown
    told_by_status = lab.start("status", config).end()[1]
    assert f"The last paper run, {record.run_id}, at " in told_by_status
    assert "(when it ended):" in told_by_status
    assert told in told_by_status
    (last,) = json_of(lab.start("status", config, "--json").end()[1])["last_runs"]
    assert (last["run_id"], last["is_closed"], last["missing"]) == (record.run_id, True, "")
    assert [one["quantity"] for one in last["left"]["held"]] == [held.quantity]


def test_live_connects_to_spot_and_refuses_every_order(lab: NodeLab) -> None:
    node = lab.start("live", spot(lab), "--run")
    node.wait_for("warm after")
    lab.play()
    node.wait_for("order refused by live-orders")
    assert node.stop()[0] == 0, node.said
    assert lab.last().record.orders == 0


def test_orders_are_sent_to_no_other_spot_market(lab: NodeLab) -> None:
    config = Path(spot(lab))
    config.write_text(config.read_text().replace("BINANCE", "KRAKEN"))
    node = lab.start("live", str(config), "--run", "--live-orders")
    code, _ = node.end()
    assert code == 3
    assert "orders are sent to no spot market but Binance's" in node.said.replace("\n", " ")
    assert not (lab.folder / "runs").exists()
