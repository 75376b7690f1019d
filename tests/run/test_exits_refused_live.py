"""A venue that takes neither the stop nor the close: the position is closed all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.rehearsal.faults import Fault
from tests.run.node_lab import NodeLab, node_lab
from tests.run.test_live import SECRET, exits
from tests.run.test_recovery_of_a_node import LIVE, held, is_true_soon, stops


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


def refuse_stops_and_closes(lab: NodeLab, first: int, last: int) -> list[str]:
    """Refuse every conditional order, and of the others those with these numbers."""
    placed: list[str] = []

    def listen(rehearsal: Any) -> None:
        take = rehearsal.exchange.faults.take

        def taken(what: str, *rest: Any) -> Fault | None:
            if what in ("WS algoOrder.place", "POST /fapi/v1/algoOrder"):
                return Fault(kind="refuse", status=400, code=-4120, message="no stops here")
            if what in ("WS order.place", "POST /fapi/v1/order"):
                placed.append(what)
                if first <= len(placed) <= last:
                    return Fault(
                        kind="refuse", status=400, code=-2019, message="Margin is insufficient."
                    )
            fault: Fault | None = take(what, *rest)
            return fault

        rehearsal.exchange.faults.take = taken

    lab.running.call(listen)
    return placed


def test_close_is_sent_again_and_then_once_a_second_until_nothing_is_held(lab: NodeLab) -> None:
    (block,) = exits(lab.plain())
    block["params"]["exits"] = {"stop_frac": 0.05}
    config = str(lab.write(strategies=[block], live={"holes": "accept"}))
    placed = refuse_stops_and_closes(lab, 2, 4)
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(entry)")
    lab.pause()  # No bar closes any more.
    node.wait_for("without a stop, and the venue has refused the close as well")
    node.wait_for("(exit:flatten)")
    assert is_true_soon(lambda: held(lab) == 0)
    # The entry; the close, the close again, one that the halt asked for, and the one that filled.
    assert (len(placed), stops(lab)) == (5, [])
    code, _, _ = node.stop()
    assert code == 0, node.said
    (halt,) = lab.last().record.halts
    assert halt.scope == "ema"
    assert "Margin is insufficient" in halt.reason
