"""Binance spot against a rehearsal: paper trades, live decides; orders go to Binance alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.run.node_lab import NodeLab, node_lab


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
