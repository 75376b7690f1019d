"""Back-tests that fill on recorded quotes: latency costs what the market moves meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.errors import AitbError, DataError
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.replay import replay
from aitb_nautilus.run.what_if import what_if
from tests.run.desk_lab import MINUTE, T0, A, Lab, Outcome, buy, flat, sell

MS = 1_000_000
# The market rises by a tick each 100 ms after the first bar has closed, and stands still after
# one second. The bars know nothing of it: quotes fill.
RISING = [(MINUTE + n * 100 * MS, 100.0 + n / 10, 100.1 + n / 10) for n in range(11)]
QUOTES = [(0, 100.0, 100.1), *RISING, (3 * MINUTE - 1, 101.0, 101.1), (5 * MINUTE, 101.0, 101.1)]
ON_QUOTES = {"backtest": {"fills": "quotes"}}


def run(lab: Lab, on_bar: dict[Any, Any], on_fill: Any = None, **sections: Any) -> Outcome:
    """Run a scripted desk on five bars and the quotes."""
    if not lab.store.list_quotes():
        lab.bars(flat(100.0, 5))
        lab.quotes(QUOTES)
    return lab.run(lab.strategy(on_bar, on_fill), **ON_QUOTES | sections)


def test_order_fills_at_the_quote_of_its_arrival(lab: Lab) -> None:
    # Decided at the close of the first bar; 250 ms later the ask stands at 100.1 + 2 ticks.
    outcome = run(lab, {1: [buy(1, purpose="entry")]}, venue={"latency_ms": 250.0})
    (fill,) = outcome.fills
    assert (fill["ts"], fill["price"]) == (T0 + MINUTE + 250 * MS, 100.3)
    assert (fill["reference_price"], fill["slippage"]) == (100.3, 0.0)
    assert fill["fee"] == pytest.approx(100.3 * 5e-4)


@pytest.mark.parametrize(
    ("latency_ms", "price"), [(0.001, 100.1), (100.0, 100.2), (500.0, 100.6), (60_000.0, 101.1)]
)
def test_latency_costs_what_the_market_moved_meanwhile(
    lab: Lab, latency_ms: float, price: float
) -> None:
    outcome = run(lab, {1: [buy(1)]}, venue={"latency_ms": latency_ms})
    assert [fill["price"] for fill in outcome.fills] == [price]


def test_profit_differs_by_the_move_between_the_two_arrivals(lab: Lab) -> None:
    # Bought while the market rises, sold when it stands still: only the entry pays for being late.
    script = {1: [buy(2)], 3: [sell(2)]}
    fast = run(lab, script, venue={"latency_ms": 1.0, "taker_fee_bps": 0.0})
    slow = run(lab, script, venue={"latency_ms": 500.0, "taker_fee_bps": 0.0})
    assert fast.record.costs is not None
    assert slow.record.costs is not None
    assert fast.record.costs.net_pnl == pytest.approx(2 * (101.0 - 100.1))
    assert slow.record.costs.net_pnl == pytest.approx(2 * (101.0 - 100.6))
    again = run(lab, script, venue={"latency_ms": 500.0, "taker_fee_bps": 0.0})
    assert again.record.fingerprint == slow.record.fingerprint != fast.record.fingerprint


def test_what_is_larger_than_the_best_level_fills_a_tick_beyond(lab: Lab) -> None:
    lab.bars(flat(100.0, 5))
    lab.quotes([(0, 100.0, 100.1, 5.0, 0.4), (5 * MINUTE, 100.0, 100.1, 5.0, 0.4)])
    outcome = lab.run(lab.strategy({1: [buy(1)]}), **ON_QUOTES)
    assert [(f["price"], f["quantity"]) for f in outcome.fills] == [(100.1, 0.4), (100.2, 0.6)]
    assert [f["slippage"] for f in outcome.fills] == pytest.approx([0.0, 0.06])


def test_stop_wakes_when_the_quotes_reach_it(lab: Lab) -> None:
    lab.bars(flat(100.0, 5))
    falling = [(2 * MINUTE + n * 1_000 * MS, 100.0 - n / 10, 100.1 - n / 10) for n in range(31)]
    lab.quotes([(0, 100.0, 100.1), *falling, (5 * MINUTE, 97.0, 97.1)])
    stop = sell(1, kind="STOP_MARKET", trigger_price=99.0, reduce_only=True, purpose="exit:stop")
    outcome = lab.run(lab.strategy({1: [buy(1, purpose="entry")]}, {"entry": [stop]}), **ON_QUOTES)
    fill = outcome.fill("exit:stop")
    assert 2 * MINUTE < fill["ts"] - T0 < 2 * MINUTE + 15_000 * MS
    assert fill["price"] <= 99.0
    assert outcome.record.ambiguous is not None
    assert outcome.record.ambiguous.count == 0


def test_resting_limit_order_fills_once_the_other_side_comes_to_its_price(lab: Lab) -> None:
    lab.bars(flat(100.0, 5))
    lab.quotes([(0, 100.0, 100.1), (3 * MINUTE, 99.8, 99.9), (5 * MINUTE, 99.8, 99.9)])
    met, missed = (buy(1, kind="LIMIT", price=price) for price in (99.9, 99.8))
    outcome = lab.run(lab.strategy({1: [met, missed]}), **ON_QUOTES)
    (fill,) = outcome.fills
    assert (fill["ts"] - T0, fill["price"], fill["liquidity"]) == (3 * MINUTE, 99.9, "MAKER")
    assert fill["fee"] == pytest.approx(99.9 * 2e-4)


def test_limits_that_look_at_quotes_are_asked(lab: Lab) -> None:
    outcome = run(
        lab, {1: [buy(1)]}, risk={"book": {"max_quote_age_ms": 60_000, "max_spread_frac": 0.0005}}
    )
    assert outcome.record.refused == 1
    assert [one.limit for one in outcome.record.limits] == ["max_spread_frac"]


def test_run_says_on_what_it_filled_and_what_it_read(lab: Lab) -> None:
    outcome = run(lab, {1: [buy(1)]})
    text = " ".join(outcome.record.honesty)
    assert "recorded best bid and ask of the moment at which they arrive" in text
    assert "slippage_bps is not added" in text
    assert "there is a time of 2m without a quote" in text
    assert "With bars alone" not in text
    assert [(d.bar_type, d.rows) for d in outcome.record.data][1:] == [(f"{A} quotes", len(QUOTES))]


def test_other_quotes_are_other_data(lab: Lab) -> None:
    before = run(lab, {1: [buy(1)]}).record
    lab.quotes([(5 * MINUTE, 101.0, 101.1), (6 * MINUTE, 101.0, 101.1)])
    assert run(lab, {1: [buy(1)]}).record.data_sha256 == before.data_sha256  # after the last bar
    other = [(MINUTE + 7, 100.0, 100.1), (MINUTE + 9, 50.0, 50.1)]
    lab.store.path.joinpath("data", "quotes").rename(lab.folder / "away")
    lab.quotes([(0, 100.0, 100.1), *other, (5 * MINUTE, 101.0, 101.1)])
    assert run(lab, {1: [buy(1)]}).record.data_sha256 != before.data_sha256


def test_without_quotes_the_run_is_refused_with_the_command_that_imports_them(lab: Lab) -> None:
    lab.bars(flat(100.0, 5))
    with pytest.raises(DataError, match=r"has no quotes of AAAUSDT-PERP\.SIM.*--kind quotes"):
        lab.run(lab.strategy({1: [buy(1)]}), **ON_QUOTES)
    lab.quotes([(9 * MINUTE, 100.0, 100.1)])
    with pytest.raises(AitbError, match="has none from"):
        lab.run(lab.strategy({1: [buy(1)]}), **ON_QUOTES)


def test_recorded_run_on_quotes_is_decided_again_as_it_was(lab: Lab) -> None:
    lab.bars(flat(100.0, 5))
    lab.quotes(QUOTES)
    path = lab.config(
        lab.strategy({1: [buy(1)], 3: [sell(1)]}),
        risk={"book": {"max_quote_age_ms": 60_000, "max_spread_frac": 0.01}},
        **ON_QUOTES,
    )
    record = lab.read(Path(backtest(path, record=True).run_dir))
    assert record.record.fills == 2
    found = replay(record.folder)
    assert found.divergence is None
    assert found.is_whole


def test_limits_that_looked_at_quotes_are_asked_again_under_others(lab: Lab) -> None:
    book = {"max_quote_age_ms": 60_000, "max_spread_frac": 0.0005}
    outcome = run(lab, {1: [buy(1)], 2: [buy(1)]}, risk={"book": book})
    same = what_if(outcome.folder, changes=["risk.max_leverage=4"])
    assert (same.decisions, same.differences, same.not_applied, same.orders) == (2, [], [], [])
    wider = what_if(outcome.folder, changes=["risk.book.max_spread_frac=0.002"])
    assert (wider.differences, len(wider.orders)) == ([], 2)
