"""A simulated account never spends what it has not, whatever comes at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.errors import RunError
from aitb_nautilus.messages import Intent
from tests.run.desk_lab import SPOT, Lab, Outcome, buy, flat, sell
from tests.run.node_lab import MINUTE_NS, NodeLab, node_lab
from tests.run.test_recovery_of_a_node import comes_out_again, is_true_soon

BEGAN = 10_000.0


def cash(outcome: Outcome) -> list[float]:
    """Return the money of the account after each fill."""
    left, after = BEGAN, []
    for fill in outcome.fills:
        value = fill["quantity"] * fill["price"]
        left += (-value if fill["side"] == "BUY" else value) - fill["fee"]
        after.append(left)
    return after


@pytest.mark.parametrize(
    ("wishes", "bought"),
    [
        # 0.45 % are kept for fee, slippage and a dearer price: 10,000 pay 99.552 at 100.
        ([buy(100, SPOT)], [99.552]),
        ([buy(60, SPOT), buy(60, SPOT)], [60.0, 39.552]),
    ],
    ids=["all of it", "two at once"],
)
def test_back_test_buys_what_can_be_paid(
    lab: Lab, wishes: Sequence[Intent], bought: list[float]
) -> None:
    lab.bars(flat(100, 6), SPOT)
    left = [sell(100, SPOT, reduce_only=True)]
    outcome = lab.run(lab.strategy({2: wishes, 4: left}, instruments=(SPOT,)))
    assert [f["quantity"] for f in outcome.fills if f["side"] == "BUY"] == bought
    assert min(cash(outcome)) >= 0
    assert outcome.record.status == "complete"


def test_price_that_jumps_beyond_what_can_be_paid_ends_a_back_test_and_says_so(lab: Lab) -> None:
    """A venue would refuse the order; the engine does not ask it again when it arrives."""
    lab.bars([*flat(100, 2), *flat(130, 4)], SPOT)
    wished = lab.strategy({2: [buy(95, SPOT)]}, instruments=(SPOT,))
    with pytest.raises(RunError, match="dearer when it filled than the account could pay"):
        lab.run(wished)


def told_at_once(lab: NodeLab, minutes: int) -> None:
    """Let bars come all at once, as after a stream was silent."""

    def go(rehearsal: Any) -> None:
        for _ in range(6 * minutes):
            rehearsal.advance(rehearsal.clock.now_ns() + MINUTE_NS // 6)

    lab.running.call(go)


def test_bars_that_come_in_a_burst_make_paper_enter_once_and_spend_what_it_has(
    tmp_path: Path,
) -> None:
    with node_lab(tmp_path, product="spot", balances={"USDT": "10000"}) as lab:
        (strategy,) = lab.plain()["strategies"]
        sizing = {"method": "equity_fraction", "fraction": 1.0}
        strategy["params"] |= {"direction": "long", "sizing": sizing}
        config = lab.write(
            strategies=[strategy],
            venue={"account": "cash", "leverage": 1.0},
            live={"holes": "accept", "snapshot_secs": 1.0},
        )
        node = lab.start("paper", str(config))
        node.wait_for("recovered in")
        lab.play()
        lab.wait_until(3)
        lab.pause()
        for _ in range(12):
            told_at_once(lab, 12)
            time.sleep(0.3)  # what was sent fills
        assert is_true_soon(lambda: node.said.count("(entry)") >= 3)
        code, _, _ = node.stop()
        assert code == 0, node.said
        outcome = lab.last()
        assert outcome.record.status == "complete"
        sides = [fill["side"] for fill in outcome.fills]
        assert sides == ["BUY" if place % 2 == 0 else "SELL" for place in range(len(sides))]
        assert min(cash(outcome)) >= 0
        comes_out_again(lab)
