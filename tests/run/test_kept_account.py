"""With what a sandbox begins: its account as it was, and enough to buy again what was held."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.risk.journal_carried import CarriedPosition
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.kept_account import room_to_reopen
from tests.rehearsal_lab import SPEC
from tests.run.node_lab import NodeLab, node_lab

PAIR = msgspec.structs.replace(SPEC, id="BTCUSDT.SPOT", kind="spot")
MARGIN = VenueSettings(
    name="BINANCE",
    starting_balance="1000 USDT",
    maker_fee_bps=2.0,
    taker_fee_bps=5.0,
    leverage=20.0,
)
CASH = msgspec.structs.replace(MARGIN, name="SPOT", account="cash", leverage=1.0)


def room_for(*held: tuple[str, str, float]) -> dict[str, Decimal]:
    """Return the room for positions by instrument, quantity and average price."""
    return room_to_reopen(
        [CarriedPosition("S-001", name, Decimal(n), price, 1) for name, n, price in held],
        {SPEC.id: SPEC, PAIR.id: PAIR},
        {"BINANCE": MARGIN, "SPOT": CASH},
    )


def test_sandbox_that_held_nothing_begins_with_its_balance() -> None:
    assert room_for() == {}


def test_coins_may_cost_ten_times_as_much() -> None:
    # 0.5 x 60,000.3 = 30,000.15, ten times; the next whole unit.
    assert room_for((PAIR.id, "0.5", 60_000.3)) == {"SPOT": Decimal(300_002)}


def test_position_on_margin_needs_its_part_whichever_way_it_goes() -> None:
    # 0.3 x 60,000 and 0.1 x 50,000 are 23,000; a twentieth, ten times.
    held = (SPEC.id, "-0.3", 60_000.0), (SPEC.id, "0.1", 50_000.0)
    assert room_for(*held) == {"BINANCE": Decimal(11_500)}


def test_position_that_the_run_does_not_trade_needs_nothing() -> None:
    assert room_for(("ETHUSDT-PERP.BINANCE", "1", 3_000.0)) == {}


def _paper(lab: NodeLab, config: Path) -> RunRecord:
    """Trade on paper, and close everything."""
    node = lab.start("paper", str(config))
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(exit:signal)")
    code, _, _ = node.stop()
    lab.pause()
    assert code == 0, node.said
    return lab.last().record


def test_account_on_paper_goes_on_after_a_live_run_of_the_same_trader(tmp_path: Path) -> None:
    with node_lab(tmp_path) as lab:
        # Between two nodes the market's clock stands still, and theirs do not.
        config = lab.write(live={"on_stop": "flatten", "holes": "accept"})
        first = _paper(lab, config)
        live = lab.start("live", str(config), "--run")
        live.wait_for("when the last node ended on another account")
        live.stop()
        then = _paper(lab, config)
    assert first.final_equity is not None
    assert first.final_equity != first.starting_equity == 10_000
    assert abs(then.starting_equity - first.final_equity) < 1e-6
    # The sandbox had as much, or the run had ended with an error of its accounts.
    assert (then.status, then.fills > 0) == ("complete", True)
