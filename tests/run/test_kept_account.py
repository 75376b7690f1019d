"""With what a sandbox begins, so that it can buy again what was held."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from aitb_nautilus.risk.journal_carried import CarriedPosition
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.kept_account import room_to_reopen
from tests.rehearsal_lab import SPEC

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
