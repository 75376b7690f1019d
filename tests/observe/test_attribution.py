"""Which trades earned what."""

from __future__ import annotations

import pyarrow as pa

from aitb_nautilus.observe.attribution import attribute
from aitb_nautilus.observe.run_tables import TABLES

HOUR = 3_600 * 10**9
MONDAY = 1_672_617_600 * 10**9
"""2023-01-02, a Monday, at midnight."""


def trip(hours: int, pnl: float, **more: object) -> dict[str, object]:
    start = MONDAY + hours * HOUR
    return {
        "position_id": f"P-{hours}",
        "strategy_id": "ema-001",
        "instrument_id": "A.SIM",
        "side": "LONG",
        "quantity": 1.0,
        "ts_open": start,
        "ts_close": start + HOUR,
        "open_price": 100.0,
        "close_price": 101.0,
        "pnl": pnl,
        "fees": 0.5,
        "slippage": 0.25,
        "funding": -0.1,
        "return_frac": 0.01,
        "bars_held": 1,
        "exit_purpose": "exit:stop",
        **more,
    }


def table(*trips: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(trips), schema=TABLES["positions"])


def test_trades_are_counted_by_every_key_and_by_the_hour_of_their_entry() -> None:
    found = attribute(
        table(
            trip(3, 10.0),
            trip(27, -4.0, instrument_id="B.SIM", exit_purpose="exit:signal"),
            trip(6 * 24 + 5, 1.0, strategy_id="grid-002"),
            trip(30, 99.0, ts_close=None),
        )
    )
    by = {(one.by, one.key): (one.trades, one.won, one.pnl) for one in found}
    assert by == {
        ("strategy", "ema-001"): (2, 1, 6.0),
        ("strategy", "grid-002"): (1, 1, 1.0),
        ("instrument", "A.SIM"): (2, 2, 11.0),
        ("instrument", "B.SIM"): (1, 0, -4.0),
        ("exit", "exit:stop"): (2, 2, 11.0),
        ("exit", "exit:signal"): (1, 0, -4.0),
        ("hour", "03"): (2, 1, 6.0),
        ("hour", "05"): (1, 1, 1.0),
        ("weekday", "Mon"): (1, 1, 10.0),
        ("weekday", "Tue"): (1, 0, -4.0),
        ("weekday", "Sun"): (1, 1, 1.0),
    }
    assert [one.key for one in found if one.by == "weekday"] == ["Mon", "Tue", "Sun"]
    assert [one.fees for one in found if one.by == "strategy"] == [1.0, 0.5]


def test_no_trade_gives_no_row() -> None:
    assert attribute(table()) == []
