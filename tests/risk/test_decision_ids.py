"""The same decision has the same id, in any process; another one has another."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from aitb_nautilus.messages import (
    BarClosed,
    CloseIntent,
    Fill,
    OrderIntent,
    OrderUpdate,
    Prediction,
)
from aitb_nautilus.risk.decision_ids import DecisionIds, Fact, Place, decision_id
from tests.risk.rig import BTC, ETH

BUY = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.1"))
BAR = BarClosed(BTC, 60, 1.0, 2.0, 0.5, 1.5, 9.0)
PREDICTION = Prediction(BTC, "up", "3", 0.5, 0.75, None, None, 60, 60, 61, 62, 120)
FILL = Fill("S-001", BTC, "o1", "t1", 61, "BUY", 1.5, Decimal("0.1"), 0.0, "TAKER")
UPDATE = OrderUpdate("o1", BTC, 61, "ACCEPTED")
PLACE = Place(("bar", BTC, "60"), 0)
FACTS: list[Fact] = [BAR, PREDICTION, FILL, UPDATE, None]


def first(fact: Fact = BAR, wish: Any = BUY, now: int = 60, who: str = "S-001") -> str:
    ids = DecisionIds("AITB-001", who)
    return ids.name(ids.place(fact, now), wish)


def test_id_is_a_uuid_of_version_8_that_every_venue_takes() -> None:
    name = first()
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert (uuid.UUID(name).version, uuid.UUID(name).variant) == (8, uuid.RFC_4122)


def test_id_is_that_of_recorded_runs() -> None:
    assert decision_id("AITB-001", "S-001", PLACE, BUY) == "f6d35d2db51c8311a7ea97639ae2fc77"


@given(st.integers(0, 2**64))
def test_id_is_the_first_128_bits_of_the_hash_but_version_and_variant(number: int) -> None:
    place = Place(("call", "7"), number)
    said = msgspec.json.encode(["AITB-001", "S-001", place, 0, "OrderIntent", BUY])
    cut = int.from_bytes(hashlib.sha256(said).digest()[:16])
    free = (1 << 128) - 1 - (0xF << 76) - (0b11 << 62)
    name = decision_id("AITB-001", "S-001", place, BUY)
    assert name == f"{cut & free | 0x8 << 76 | 0b10 << 62:032x}"


def test_id_is_the_same_in_another_process() -> None:
    name = decision_id("AITB-001", "S-001", PLACE, BUY)
    program = (
        "from decimal import Decimal\n"
        "from aitb_nautilus.messages import OrderIntent\n"
        "from aitb_nautilus.risk.decision_ids import Place, decision_id\n"
        f"wish = OrderIntent(instrument_id='{BTC}', side='BUY', quantity=Decimal('0.1'))\n"
        f"place = Place(('bar', '{BTC}', '60'), 0)\n"
        "print(decision_id('AITB-001', 'S-001', place, wish))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == name == first()
    # Written down once: a change of the form would send orders again.
    assert name == "f6d35d2db51c8311a7ea97639ae2fc77"


def test_every_part_of_a_decision_counts() -> None:
    others = [
        first(),
        first(who="S-002"),
        decision_id("AITB-002", "S-001", PLACE, BUY),
        decision_id("AITB-001", "S-001", PLACE, BUY, attempt=1),
        *(first(fact) for fact in FACTS[1:]),
        first(replace(BAR, ts=120)),
        first(replace(BAR, instrument_id=ETH)),
        first(replace(PREDICTION, model="down")),
        first(replace(PREDICTION, ts_event=120)),
        first(replace(FILL, trade_id="t2")),
        first(replace(UPDATE, status="CANCELED")),
        first(wish=replace(BUY, quantity=Decimal("0.2"))),
        first(wish=replace(BUY, side="SELL")),
        first(wish=replace(BUY, reduce_only=True)),
        first(wish=CloseIntent(instrument_id=BTC)),
    ]
    assert len(set(others)) == len(others)


@pytest.mark.parametrize(
    ("fact", "again"),
    [
        (PREDICTION, replace(PREDICTION, ts_features=70, ts_inference=75)),
        (BAR, replace(BAR, volume=9.1)),
        (UPDATE, replace(UPDATE, reason="told once more")),
    ],
    ids=["prediction", "bar", "update"],
)
def test_what_a_restart_changes_does_not_count(fact: Fact, again: Fact) -> None:
    assert first(fact, now=60) == first(again, now=75)


def test_orders_of_one_fact_are_counted_and_those_of_another_apart() -> None:
    ids = DecisionIds("AITB-001", "S-001")
    facts = [BAR, BAR, PREDICTION, BAR]
    assert [ids.place(fact, 60).number for fact in facts] == [0, 1, 0, 2]
    assert ids.place(replace(BAR, ts=61), 61).number == 0


def test_orders_of_one_answer_have_the_ids_of_a_back_test_though_time_goes_on() -> None:
    node, simulated = DecisionIds("AITB-001", "S-001"), DecisionIds("AITB-001", "S-001")
    wishes = (CloseIntent(instrument_id=BTC), BUY, BUY)
    moments = (60, 75, 75 + 280_000)  # what the engine says of the close comes in between
    live = [
        node.name(node.place(BAR, now), wish) for wish, now in zip(wishes, moments, strict=True)
    ]
    assert live == [simulated.name(simulated.place(BAR, 60), wish) for wish in wishes]
    assert len(set(live)) == 3


def test_facts_of_long_ago_are_not_counted_for_ever() -> None:
    ids = DecisionIds("AITB-001", "S-001")
    assert ids.place(BAR, 60).number == 0
    for i in range(1000):
        other = replace(BAR, instrument_id=ETH, ts=i)
        assert [ids.place(other, 60).number for _ in range(2)] == [0, 1]
        assert ids.place(BAR, 60).number == i + 1  # is still being answered
    assert len(ids._numbers) == 64


@given(st.lists(st.sampled_from(FACTS), max_size=20))
def test_ids_of_a_run_never_repeat_and_come_again_in_the_next(facts: list[Fact]) -> None:
    def run() -> list[str]:
        ids = DecisionIds("AITB-001", "S-001")
        return [ids.name(ids.place(fact, 61), BUY) for fact in facts]

    names = run()
    assert len(set(names)) == len(names)
    assert run() == names
