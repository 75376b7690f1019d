"""Paper runs that are stopped while orders are on their way end whole, and the next goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.risk.book import Position
from aitb_nautilus.risk.journal_carried import Carried
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.tape_file import INPUTS_NAME, read_entries
from aitb_nautilus.run.replay import replay
from aitb_nautilus.run.what_if import what_if
from tests.run.desk_lab import Outcome
from tests.run.node_lab import BTC, NodeLab, node_lab

LATENCY_MS = 400.0
"""Two bars of the lab: the next order is wished while the last one is on its way."""
AT_ONCE = 0.01


def config_of(
    lab: NodeLab, cls: str = "Turning", latency_ms: float = LATENCY_MS, **live: Any
) -> str:
    params = {"instruments": [BTC], "interval": "1m"}
    strategy = {"class": f"tests.run.turning:{cls}", "id": "turn", "params": params}
    return str(
        lab.write(
            strategies=[strategy],
            live={"holes": "accept", "snapshot_secs": 60.0, **live},
            venue={"latency_ms": latency_ms},
            risk={"max_orders_per_minute": 10_000},
        )
    )


def stopped(lab: NodeLab, config: str, offset_s: float) -> Outcome:
    """Run until orders fill, and stop so much later."""
    node = lab.start("paper", config)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(entry)")
    time.sleep(offset_s)
    code, _, seconds = node.stop(signal.SIGTERM)
    lab.pause()
    assert code == 0, node.said
    assert seconds < 10
    return lab.last()


def by_journal(outcome: Outcome) -> tuple[float, dict[tuple[str, str], Position]]:
    """Return balance and positions."""
    ledger = rebuild(outcome.folder, Ledger(0.0))
    return ledger.balance(), {key: p for key, p in ledger.positions.items() if p.quantity}


def comes_out_whole(outcome: Outcome) -> None:
    """The tables, the journal and the recording say the same; the sandbox has agreed already."""
    record, (balance, positions) = outcome.record, by_journal(outcome)
    assert record.status == "complete"
    proof = verify(outcome.folder / "journal.sqlite")
    assert (proof.broken, proof.closed) == (None, True)
    signed = [f["quantity"] * (1 if f["side"] == "BUY" else -1) for f in outcome.fills]
    assert sum(signed) == pytest.approx(sum(float(p.quantity) for p in positions.values()))
    last = outcome.table("bars")[-1]["close"]
    unrealized = sum(p.unrealized(last) for p in positions.values())
    assert record.final_equity == pytest.approx(balance + unrealized)
    again = replay(outcome.folder)
    assert (again.divergence, again.is_whole, again.unchecked) == (None, True, 0)
    assert what_if(outcome.folder).differences == []


def in_a_row(where: Path, offsets: Sequence[float], **live: Any) -> int:
    """Stop one run after the other; return how many facts came when no strategy was told."""
    untold = 0
    where.mkdir(exist_ok=True)
    with node_lab(where) as lab:
        config = config_of(lab, **live)
        before: Outcome | None = None
        for offset in offsets:
            outcome = stopped(lab, config, offset)
            comes_out_whole(outcome)
            if before is not None:
                (carried,) = (r.body for r in read(outcome.folder, Wanted(kinds=(Carried.kind,))))
                assert isinstance(carried, Carried)
                balance, left = by_journal(before)
                positions = {
                    (p.strategy_id, p.instrument_id): p.quantity for p in carried.positions
                }
                assert carried.balance == balance
                assert positions == {key: p.quantity for key, p in left.items()}
            entries = read_entries(outcome.folder / INPUTS_NAME)
            untold += sum(e.kind == "untold" and e.what[1] == "Fill" for e in entries)
            before = outcome
    return untold


def test_fill_that_comes_after_the_strategies_were_stopped_is_in_the_books(tmp_path: Path) -> None:
    # The node waits for nothing, and what it sent last fills in the engine's last half second.
    assert in_a_row(tmp_path, [0.2, 0.3], on_stop="hold", stop_secs=AT_ONCE) > 0


def test_what_is_on_its_way_is_awaited_and_told(tmp_path: Path) -> None:
    assert in_a_row(tmp_path, [0.05], on_stop="hold") == 0


def test_position_that_is_worth_less_than_any_order_is_opened_again_in_the_sandbox(
    tmp_path: Path,
) -> None:
    with node_lab(tmp_path) as lab:
        config = config_of(lab, "Leaving", latency_ms=1.0)
        node = lab.start("paper", config)
        node.wait_for("warm after")
        lab.play()
        node.wait_for("SELL 0.049")
        time.sleep(0.5)
        assert node.stop()[0] == 0, node.said
        _, positions = by_journal(lab.last())
        assert [str(p.quantity) for p in positions.values()] == ["0.001"]
        node = lab.start("paper", config)
        node.wait_for("recovered in")
        assert "1 positions" in node.said


@pytest.mark.long
@pytest.mark.parametrize("on_stop", ["hold", "cancel", "flatten"])
@pytest.mark.parametrize("stop_secs", [AT_ONCE, 5.0])
def test_stop_at_many_moments_after_an_order(
    tmp_path: Path, on_stop: str, stop_secs: float
) -> None:
    for n in range(5):
        offsets = [0.04 * n, 0.04 * n + 0.02]
        in_a_row(tmp_path / str(n), offsets, on_stop=on_stop, stop_secs=stop_secs)
