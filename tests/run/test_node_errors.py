"""A node whose component raises: it ends in order, with what the config wants of its positions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.node_lab import BTC, NodeLab, node_lab

CODE = '''
"""Buys at the second live bar with a stop, and raises two bars after that."""

from collections.abc import Sequence
from decimal import Decimal

from aitb_nautilus.messages import OrderIntent
from aitb_nautilus.risk.strategy import GuardedStrategy


class Clumsy(GuardedStrategy):
    def __init__(self, settings, context, component_id):
        super().__init__(settings, context, component_id)
        self.live = 0

    def bar_types(self) -> Sequence[str]:
        return ["BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"]

    def decide_on_bar(self, bar):
        if self.context.warming.ts:
            return
        self.live += 1
        if self.live == 2:
            yield OrderIntent(
                instrument_id=bar.instrument_id, side="BUY", quantity=Decimal("0.010")
            )
        if self.live == 4:
            raise ValueError("clumsy")

    def decide_on_fill(self, fill):
        if fill.side == "BUY":
            for kind, price in (("STOP_MARKET", 0.9), ("LIMIT", 1.1)):
                at = {"trigger_price" if kind == "STOP_MARKET" else "price": fill.price * price}
                yield OrderIntent(
                    instrument_id=fill.instrument_id,
                    side="SELL",
                    kind=kind,
                    quantity=Decimal("0.010"),
                    reduce_only=True,
                    purpose="exit:stop" if kind == "STOP_MARKET" else "exit:target",
                    **at,
                )
            yield OrderIntent(
                instrument_id=fill.instrument_id,
                side="BUY",
                kind="LIMIT",
                quantity=Decimal("0.010"),
                price=fill.price * 0.95,
            )
'''


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    (tmp_path / "clumsy.py").write_text(CODE)
    with node_lab(tmp_path) as lab:
        yield lab


@pytest.mark.parametrize(
    ("on_error", "left"),
    [
        ("cancel", {"position": 10, "open": 2}),  # stop and target stay, the entry is gone
        ("hold", {"position": 10, "open": 3}),
        ("flatten", {"position": 0, "open": 0}),
    ],
)
def test_error_ends_the_node_as_the_config_wants(
    lab: NodeLab, on_error: str, left: dict[str, int]
) -> None:
    strategy = {"class": "clumsy:Clumsy", "id": "clumsy"}
    config = lab.write(strategies=[strategy], live={"on_error": on_error}, warm_up={"bars": 5})
    node = lab.start("live", str(config), "--run", "--live-orders")
    node.wait_for("warm after 5 bars")
    lab.play()
    code, _ = node.end()
    lab.pause()
    venue = lab.venue()
    conditional = lab.running.call(lambda r: r.exchange.waiting())
    assert code == 1, node.said
    assert "clumsy-001.decide_on_bar" in node.said or "raised ValueError: clumsy" in node.said
    record = lab.last().record
    assert (record.status, record.mode) == ("failed", "live")
    assert "raised ValueError: clumsy" in (record.error or "")
    assert any("Traceback" in line["message"] for line in lab.last().log)
    assert {"position": venue["position"], "open": venue["open"] + conditional} == left
    assert BTC in record.instruments
