"""Why two runs earned different amounts: the parts, by hand, and that they add up."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.messages import ModifyIntent
from aitb_nautilus.observe.economics import Economics
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.economic import economic, economic_against
from tests.run.desk_lab import HOUR, T0, A, B, Lab, Outcome, buy, flat, sell
from tests.run.test_what_if import EVERY_LIMIT, busy, walk

ROWS = [*flat(100, 4), *flat(110, 4), *flat(105, 4)]
"""A buy after bar 2 fills at 100, a sale after bar 6 at 110, one after bar 9 at 105."""
BUY_AND_SELL = {2: [buy()], 6: [sell()]}


def told(run: Outcome, against: Outcome) -> Economics:
    found = economic_against(run.folder, against.folder)
    assert sum(one.amount for one in found.layers) == pytest.approx(found.difference, abs=1e-9)
    assert found.difference == pytest.approx(found.net_pnl - found.against_net_pnl, abs=1e-12)
    rest = next(one.amount for one in found.layers if one.layer == "rest")
    assert abs(rest) < 1e-6
    trades = sum(one.amount for one in found.trades)
    funding = next(one.amount for one in found.layers if one.layer == "funding")
    assert trades + funding == pytest.approx(found.difference, abs=1e-6)
    return found


def amounts(found: Economics) -> dict[str, float]:
    return {
        one.layer: pytest.approx(one.amount, abs=1e-9)
        for one in found.layers
        if abs(one.amount) > 1e-9
    }


def test_slippage_and_fees_are_priced_apart(lab: Lab) -> None:
    first = lab.trade(ROWS, BUY_AND_SELL)  # buys at 100.1, sells at 109.9 or next to it
    second = lab.run(lab.strategy(BUY_AND_SELL), venue={"slippage_bps": 0.0, "taker_fee_bps": 3.0})
    found = told(first, second)
    entry, exit_ = (fill["price"] for fill in first.fills)
    assert [fill["price"] for fill in second.fills] == [100.0, 110.0]
    assert amounts(found) == {
        "slippage": -(entry - 100.0) - (110.0 - exit_),
        "fees": 210.0 * 3e-4 - (entry + exit_) * 5e-4,
    }
    assert (found.matched, found.only, found.only_against) == (2, 0, 0)
    (trade,) = found.trades
    assert (trade.purposes, trade.is_matched) == (["entry", "entry"], True)


def test_exit_on_another_bar_is_another_exit_of_the_trade(lab: Lab) -> None:
    free = {"slippage_bps": 0.0, "taker_fee_bps": 0.0}
    first = lab.trade(ROWS, {2: [buy()], 6: [sell()]}, venue=free)
    second = lab.run(lab.strategy({2: [buy()], 9: [sell()]}), venue=free)
    assert amounts(told(first, second)) == {"exits": 110.0 - 105.0}


def test_order_that_only_one_run_sent_is_a_decision(lab: Lab) -> None:
    free = {"slippage_bps": 0.0, "taker_fee_bps": 0.0}
    first = lab.trade(ROWS, {2: [buy()], 6: [sell()]}, venue=free)
    second = lab.run(lab.strategy({2: [buy()]}), venue=free)
    found = told(first, second)
    # The sale at 110 is worth the 5 that the market fell by the end.
    assert amounts(found) == {"decisions": 110.0 - 105.0}
    assert (found.matched, found.only, found.only_against) == (1, 1, 0)


def test_entry_after_another_wish_is_found_by_its_bar_and_size_and_so_is_its_stop(
    lab: Lab,
) -> None:
    free = {"slippage_bps": 0.0, "taker_fee_bps": 0.0}
    stop = sell(reduce_only=True, kind="STOP_MARKET", trigger_price=95.0, purpose="exit:stop")
    rows = [*flat(100, 4), *flat(110, 4), (110, 110, 90, 90)]
    first = lab.trade(rows, {2: [buy(3), buy()]}, {"exit:none": [stop]}, venue=free)
    terms = {2: [buy()]}, {"entry": [stop]}
    second = lab.run(lab.strategy(*terms), venue=free)
    third = lab.run(lab.strategy({2: [buy(3, purpose="add"), buy()]}, terms[1]), venue=free)
    # Only the first one bought three; nobody but the second one has a stop.
    found = told(first, second)
    assert amounts(found) == {"decisions": 3 * (90.0 - 100.0) - (95.0 - 90.0)}
    assert (found.matched, found.only, found.only_against) == (1, 1, 1)
    # The stop has an id of the fill that it answers, and that of its entry: both differ.
    found = told(third, second)
    assert amounts(found) == {"decisions": 3 * (90.0 - 100.0)}
    assert (found.matched, found.only, found.only_against) == (2, 1, 0)


def test_stop_that_answers_a_fill_is_found_by_its_trade(lab: Lab) -> None:
    rows = [*flat(100, 4), (100, 100, 90, 90), *flat(90, 3)]
    stop = sell(reduce_only=True, kind="STOP_MARKET", trigger_price=95.0, purpose="exit:stop")
    terms = {2: [buy()]}, {"entry": [stop]}
    free = {"taker_fee_bps": 0.0}
    first = lab.trade(rows, *terms, venue={"slippage_bps": 0.0, **free})
    second = lab.run(lab.strategy(*terms), venue={"slippage_bps": 100.0, **free})
    found = told(first, second)
    assert found.matched == 2
    assert set(amounts(found)) == {"slippage"}


def test_another_exit_of_the_same_trade_is_named_so(lab: Lab) -> None:
    rows = [*flat(100, 4), (100, 106, 94, 100), *flat(100, 3)]
    stop = sell(reduce_only=True, kind="STOP_MARKET", trigger_price=95.0, purpose="exit:stop")
    target = sell(reduce_only=True, kind="LIMIT", price=105.0, purpose="exit:target")
    terms = {2: [buy()]}, {"entry": [stop, target]}
    free = {"slippage_bps": 0.0, "taker_fee_bps": 0.0, "maker_fee_bps": 0.0}
    first = lab.trade(rows, *terms, venue=free, backtest={"ambiguous_bars": "stop_first"})
    second = lab.run(lab.strategy(*terms), venue=free, backtest={"ambiguous_bars": "target_first"})
    assert amounts(told(first, second)) == {"exits": 95.0 - 105.0}


def test_other_last_price_of_what_is_held_is_the_data(lab: Lab) -> None:
    free = {"slippage_bps": 0.0, "taker_fee_bps": 0.0}
    block = lab.strategy({2: [buy(3)]})
    lab.bars(ROWS)
    first = lab.run(block, venue=free)
    other = Lab(lab.folder / "other")
    other.bars([*flat(100, 4), *flat(110, 4), *flat(101, 4)])
    second = other.run(block, venue=free)
    assert amounts(told(first, second)) == {"data": 3 * (105.0 - 101.0)}


def test_larger_order_of_the_same_decision_is_sizing(lab: Lab) -> None:
    free = {"slippage_bps": 0.0, "taker_fee_bps": 0.0}
    first = lab.trade(ROWS, {2: [buy(3)]}, venue=free)
    second = lab.run(lab.strategy({2: [buy(3)]}), venue=free, risk={"max_order_notional": 200.0})
    assert amounts(told(first, second)) == {"sizing": 1 * (105.0 - 100.0)}


def test_funding_is_its_own_part(lab: Lab) -> None:
    lab.bars([*flat(100, 70)])
    lab.funding([T0 + HOUR], [0.001])
    first = lab.run(lab.strategy({2: [buy()], 65: [sell()]}))
    second = lab.run(lab.strategy({2: [buy()], 50: [sell()]}))
    found = told(first, second)
    assert amounts(found)["funding"] == pytest.approx(-0.1, abs=1e-3)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_parts_add_up_whatever_two_runs_did(lab: Lab, seed: int) -> None:
    rng = random.Random(seed)
    for i, id_ in enumerate((A, B)):
        lab.bars(walk(50 * seed + i, 300), id_)
        lab.funding(
            [T0 + HOUR * k for k in range(1, 5)], [rng.gauss(0, 1e-3) for _ in range(4)], id_
        )
    outcomes = []
    for other in range(2):
        script = busy(seed + (other and seed % 2), 300, (A, B))
        venue = {"slippage_bps": rng.uniform(0, 30), "taker_fee_bps": rng.uniform(0, 9)}
        risk = EVERY_LIMIT if other else {}
        block = lab.strategy(script, instruments=(A, B))
        outcomes.append(lab.run(block, venue=venue, risk=risk))
    assert any(isinstance(i, ModifyIntent) for intents in script.values() for i in intents)
    found = told(*outcomes)
    back = told(*reversed(outcomes))
    assert found.difference == pytest.approx(-back.difference, abs=1e-9)
    assert found.difference != 0.0


def test_recorded_back_test_earns_the_same_again(lab: Lab) -> None:
    for i, id_ in enumerate((A, B)):
        lab.bars(walk(70 + i, 200), id_)
        lab.funding([T0 + HOUR], [0.0005], id_)
    config = lab.config(
        lab.strategy(busy(5, 150, (A, B)), instruments=(A, B)),
        backtest={"start": "2023-01-01T00:30:00"},
        warm_up={"bars": 20},
    )
    record = backtest(config, record=True)
    found = economic(Path(record.run_dir))
    assert (found.difference, found.only, found.only_against, found.trades) == (0.0, 0, 0, [])
    assert found.matched > 20
    assert (Path(record.run_dir) / "economic" / found.against_id / "report.html").exists()


def test_run_of_one_bar_says_how_many_are_wanted_and_why(lab: Lab) -> None:
    lab.bars(ROWS)
    config = lab.config(lab.strategy(BUY_AND_SELL))
    folder = Path(backtest(config, record=True).run_dir)
    path = folder / "bars.parquet"
    pq.write_table(pq.read_table(path).slice(0, 1), path)
    with pytest.raises(DataError, match="has one bar of AAA") as raised:
        economic(folder)
    said = raised.value.paragraph()
    assert "at least 2: in a back-test what is decided on a bar fills when the next one" in said
    assert f"aitb replay {folder}" in said
    assert not (folder / "economic").exists()


def test_run_without_results_is_refused(lab: Lab) -> None:
    whole = lab.trade(ROWS, BUY_AND_SELL)
    broken = whole.raw | {"status": "interrupted", "costs": None}
    folder = lab.folder / "broken"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(broken))
    with pytest.raises(DataError, match="has no results"):
        economic_against(whole.folder, folder)
