"""Same config, data and code: one run, in any process, at any hash seed, in slices of any size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.desk_lab import HOUR, T0, A, B, C, Lab, buy
from tests.run.test_accounting import RANDOM, random_rows

IDS = (A, B, C)


def busy_desk(lab: Lab, **sections) -> Path:
    """Three instruments with gaps and funding, three strategies that share every limit."""
    for n, i in enumerate(IDS):
        lab.bars(random_rows(n, 250, 100), i, start=T0 + n * 20 * 60 * 10**9)
        lab.funding([T0 + h * HOUR for h in range(1, 5)], [1e-4, -2e-4, 3e-4, 1e-4], i)
    code = RANDOM.replace("BASE", repr(A))
    strategies = [
        lab.strategy(
            {}, instruments=IDS, code=code.replace("SEED", str(n)), cls="Random", id_=f"s{n}"
        )
        for n in range(3)
    ]
    # Limits so tight that it matters who asks first.
    tight = {"max_position_notional": 500.0, "max_open_orders": 12, "max_orders_per_minute": 4}
    return lab.config(*strategies, **{"risk": tight, **sections})


def test_processes_of_different_hash_seeds_give_one_run(lab: Lab) -> None:
    path = busy_desk(lab)
    outcomes = []
    for seed in ("0", "1", "4242"):
        done = lab.process(path, env={"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        outcomes.append(lab.read(Path(done.stdout.strip())))
    first, *others = outcomes
    assert first.record.fills > 30
    assert first.record.refused > 10
    for other in others:
        assert other.record.fingerprint == first.record.fingerprint
        assert other.record.data_sha256 == first.record.data_sha256
        assert other.record.config_sha256 == first.record.config_sha256
        assert other.record.stats == first.record.stats
        assert other.record.refused == first.record.refused
        for table in ("equity", "fills", "orders", "positions", "funding", "bars"):
            assert other.table(table) == first.table(table), table


@pytest.mark.parametrize("slice_bars", [1, 37, 500])
def test_slices_of_any_size_give_one_run(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, slice_bars: int
) -> None:
    data = busy_desk(lab)
    whole = lab.run_file(data)
    monkeypatch.setattr("aitb_nautilus.run.feed.Feed.__init__.__defaults__", (slice_bars,))
    sliced = lab.run_file(data)
    assert sliced.record.fingerprint == whole.record.fingerprint
    assert sliced.table("equity") == whole.table("equity")
    assert sliced.table("orders") == whole.table("orders")


def test_strategies_answer_a_bar_in_the_order_of_the_config(lab: Lab) -> None:
    # Only one order may be open: the first strategy of the file gets it, in every run.
    lab.bars([(100 + i, 101 + i, 99 + i, 100 + i) for i in range(6)])
    for _ in range(8):
        strategies = [lab.strategy({2: [buy(n + 1)]}, id_=f"s{n}") for n in range(5)]
        outcome = lab.run(*strategies, risk={"max_open_orders": 1})
        assert [f["strategy_id"] for f in outcome.fills] == ["s0-001"]
        assert outcome.record.refused == 4


def test_strategies_that_wait_through_a_gap_are_heard_in_the_order_of_the_config(lab: Lab) -> None:
    lab.bars([*[(100, 101, 99, 100)] * 2, None, None, None, *[(105, 106, 104, 105)] * 3])
    for _ in range(4):
        outcome = lab.run(*[lab.strategy({2: [buy(n + 1)]}, id_=f"s{n}") for n in range(5)])
        assert [f["strategy_id"] for f in outcome.fills] == [f"s{n}-00{n + 1}" for n in range(5)]
        assert {f["price"] for f in outcome.fills} == {105.2}


@pytest.mark.parametrize(
    "change",
    [
        {"taker_fee_bps": 5.1},
        {"slippage_bps": 20.0},
        {"latency_ms": 51.0},  # the times of the fills
        {"starting_balance": "10001 USDT"},
    ],
    ids=["fee", "slippage", "latency", "balance"],
)
def test_fingerprint_changes_with_what_a_fill_is(lab: Lab, change: dict[str, object]) -> None:
    lab.bars([(100, 101, 99, 100)] * 6)
    strategy = lab.strategy({2: [buy()]})
    before = lab.run(strategy).record
    after = lab.run(strategy, venue=change).record
    assert after.fingerprint != before.fingerprint
    assert after.config_sha256 != before.config_sha256
    assert after.data_sha256 == before.data_sha256


def test_fingerprint_is_of_the_fills_not_of_the_names(lab: Lab) -> None:
    lab.bars([(100, 101, 99, 100)] * 6)
    before = lab.run(lab.strategy({2: [buy()]}))
    other = lab.strategy({2: [buy(purpose="other")]}, id_="other")
    renamed = lab.run_file(lab.config(other, name="other"))
    assert renamed.record.fingerprint == before.record.fingerprint
    assert renamed.record.config_sha256 != before.record.config_sha256


def test_run_without_fills_has_a_fingerprint_of_its_balances(lab: Lab) -> None:
    lab.bars([(100, 101, 99, 100)] * 6)
    prints = {
        lab.run(lab.strategy({}), venue={"starting_balance": f"{n} USDT"}).record.fingerprint
        for n in (1000, 1000, 2000)
    }
    assert len(prints) == 2


@pytest.mark.parametrize("slice_bars", [1, 7, 20_000])
def test_mixed_intervals_fill_at_their_own_next_open_in_slices_of_any_size(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, slice_bars: int
) -> None:
    monkeypatch.setattr("aitb_nautilus.run.feed.Feed.__init__.__defaults__", (slice_bars,))
    lab.bars([(100, 101, 99, 100)] * 180)
    lab.bars([(200, 201, 199, 200), (202, 203, 201, 202), (204, 205, 203, 204)], B, interval="1h")
    outcome = lab.run(
        lab.strategy({90: [buy()]}),
        lab.strategy({1: [buy(1, B)]}, instruments=(B,), interval="1h", id_="hourly"),
    )
    # The hour's order meets the open of the second hour: 202 * 1.001 = 202.202, up.
    assert [(f["instrument_id"], f["price"], (f["ts"] - T0) // 10**9) for f in outcome.fills] == [
        (B, 202.3, 3600),
        (A, 100.1, 5400),
    ]
    assert [t["bars_held"] for t in outcome.trips] == [2, 90]
