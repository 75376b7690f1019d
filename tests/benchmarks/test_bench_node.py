"""The lab of the benchmark of a live node: stamps of a bar and its order, in their order."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bench_node import Order, matched, node_orders
from benchmarks.children import call
from benchmarks.live_desk import make_market, write_config

TWO = ("BTCUSDT-PERP.BINANCE", "ADAUSDT-PERP.BINANCE")


def test_orders_of_a_live_node_are_stamped_at_all_four_places(tmp_path: Path) -> None:
    start_ns = make_market(tmp_path, 40, TWO)
    config = write_config(tmp_path, "lab", TWO, on_disk="soon", trees=8)
    call(tmp_path, "-m", "aitb_nautilus", "train", config.name, "--json")
    apart, together = node_orders(tmp_path, config, start_ns, apart=4, together=2, apart_ms=400)
    assert (len(apart), len(together)) == (8, 4)
    assert {one.symbol for one in apart} == {"BTCUSDT", "ADAUSDT"}
    there = [one for one in apart + together if one.ordered]
    assert len(there) >= 6
    assert all(one.closed < one.came < one.left < one.ordered for one in there)
    assert 0 < sum(one.opens for one in there) < len(there)


def test_stamps_meet_those_of_their_own_bar() -> None:
    stamps = [
        ["bar", "BTCUSDT-PERP.BINANCE", 12, False],
        ["order", "BTCUSDT-PERP.BINANCE", 15, True],
        ["order", "BTCUSDT-PERP.BINANCE", 16, False],  # what followed is no answer to the bar
        ["bar", "ADAUSDT-PERP.BINANCE", 21, False],
        ["bar", "BTCUSDT-PERP.BINANCE", 32, False],
        ["order", "BTCUSDT-PERP.BINANCE", 34, False],
    ]
    rows = [("BTCUSDT", 10, 18), ("ADAUSDT", 20, 0), ("BTCUSDT", 30, 37)]
    assert matched(rows, stamps) == [
        Order("BTCUSDT", 10, 12, 15, 18, opens=True),
        Order("ADAUSDT", 20, 0, 0, 0, opens=False),
        Order("BTCUSDT", 30, 32, 34, 37, opens=False),
    ]
