"""The lab of the benchmark of a live node: stamps of a bar and its order, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.children import call
from benchmarks.live_desk import make_market, write_config
from benchmarks.loopback_tap import refused
from benchmarks.stamped_lab import Order, matched, node_orders
from benchmarks.wire import Seen

TWO = ("BTCUSDT-PERP.BINANCE", "ADAUSDT-PERP.BINANCE")


BTC, ADA = "BTCUSDT-PERP.BINANCE", "ADAUSDT-PERP.BINANCE"


def test_orders_of_a_live_node_are_stamped_at_every_place(tmp_path: Path) -> None:
    start_ns, tap = make_market(tmp_path, 40, TWO), not refused()
    config = write_config(tmp_path, "lab", TWO, on_disk="soon", trees=8)
    call(tmp_path, "-m", "aitb_nautilus", "train", config.name, "--json")
    apart, together = node_orders(
        tmp_path, config, start_ns, apart=4, together=2, apart_ms=400, tap=tap
    )
    assert (len(apart), len(together)) == (8, 4)
    assert {one.symbol for one in apart} == {"BTCUSDT", "ADAUSDT"}
    there = [one for one in apart + together if one.ordered]
    assert len(there) >= 6
    assert all(one.closed < one.came < one.left < one.ordered for one in there)
    assert 0 < sum(one.opens for one in there) < len(there)
    if tap:
        assert all(one.closed < one.delivered < one.came for one in there)
        assert all(one.left < one.arrived < one.ordered for one in there)
    else:
        assert {(one.delivered, one.arrived) for one in there} == {(0, 0)}


STAMPS = (
    ("bar", BTC, 12, False),
    ("order", BTC, 15, True),
    ("order", BTC, 16, False),  # what followed is no answer to the bar
    ("bar", ADA, 21, False),
    ("bar", BTC, 32, False),
    ("order", BTC, 34, False),
)
ROWS = [("BTCUSDT", 10, 18), ("ADAUSDT", 20, 0), ("BTCUSDT", 30, 37)]
DELIVERED = [Seen("BTCUSDT", 11, 11), Seen("ADAUSDT", 11, 11), Seen("BTCUSDT", 31, 31)]
ARRIVED = [Seen("BTCUSDT", 16, 17), Seen("BTCUSDT", 18, 19), Seen("BTCUSDT", 35, 36)]


def test_stamps_meet_those_of_their_own_bar() -> None:
    assert matched(ROWS, STAMPS, None) == [
        Order("BTCUSDT", 10, 0, 12, 15, 0, 18, opens=True),
        Order("ADAUSDT", 20, 0, 0, 0, 0, 0, opens=False),
        Order("BTCUSDT", 30, 0, 32, 34, 0, 37, opens=False),
    ]


def test_stamps_of_the_kernel_lie_between_those_of_both_processes() -> None:
    found = matched(ROWS, STAMPS, (DELIVERED, ARRIVED))
    assert found == [
        Order("BTCUSDT", 10, 11, 12, 15, 17, 18, opens=True),
        Order("ADAUSDT", 20, 0, 0, 0, 0, 0, opens=False),
        Order("BTCUSDT", 30, 31, 32, 34, 36, 37, opens=False),
    ]
    assert [found[0].at_sockets, found[0].seen, found[0].inside] == [6e-6, 8e-6, 3e-6]


def test_a_client_without_stamps_of_its_own_has_those_of_the_kernel() -> None:
    (one,) = matched(ROWS[:1], (), (DELIVERED, ARRIVED))
    assert one == Order("BTCUSDT", 10, 11, 0, 0, 17, 18, opens=False)


@pytest.mark.parametrize(
    ("delivered", "arrived", "words"),
    [
        ([Seen("BTCUSDT", 9, 9)], ARRIVED, "no bar was delivered after 10 ns and before 18"),
        (DELIVERED, [Seen("BTCUSDT", 16, 19)], "no order was delivered after 11 ns"),
        (DELIVERED, [Seen("BTCUSDT", 14, 14)], "not around what the node had from 12 to 15"),
        ([Seen("BTCUSDT", 13, 13)], ARRIVED, "not around what the node had from 12 to 15"),
    ],
    ids=["a bar before it was written", "an order too late", "an order too soon", "a late bar"],
)
def test_stamps_that_cannot_be_are_refused(
    delivered: list[Seen], arrived: list[Seen], words: str
) -> None:
    with pytest.raises(SystemExit, match=words):
        matched(ROWS[:1], STAMPS, (delivered, arrived))
