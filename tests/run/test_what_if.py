"""A run's decisions, taken again from its folder: with its own limits, and with others."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import ConfigError, DataError, RunError, UsageError
from aitb_nautilus.messages import CancelIntent, CloseIntent, Intent, ModifyIntent
from aitb_nautilus.observe.run_tables import MAX_BAR_ROWS
from aitb_nautilus.risk.recorded import Step
from aitb_nautilus.risk.what_if import WhatIf
from aitb_nautilus.run.what_if import WhatIfRecord, what_if
from tests.run.desk_lab import HOUR, MINUTE, SPOT, T0, A, B, Lab, Outcome, buy, flat, sell

ROWS = [*flat(100, 4), *flat(110, 4), *flat(99, 8)]
"""Up by a tenth at the open of bar 5, down by a tenth of that at the open of bar 9."""

BRACKETS = """
class Brackets(Scripted):
    def on_number(self, bar, number):
        yield from super().on_number(bar, number)
        if number % 7:
            return
        ids = self.context.instruments[bar.instrument_id]
        side = OrderSide.BUY if number % 2 else OrderSide.SELL
        away = 0.004 if number % 2 else -0.004
        orders = self.order_factory.bracket(
            instrument_id=ids.id,
            order_side=side,
            quantity=Quantity.from_str("1.500"),
            tp_price=ids.make_price(bar.close * (1 + away)),
            sl_trigger_price=ids.make_price(bar.close * (1 - away)),
        )
        self.submit_order_list(orders)
"""


def again(outcome: Outcome, *changes: str, config: Path | None = None) -> WhatIfRecord:
    record = what_if(outcome.folder, config, changes)
    assert record.differences == []
    assert record.recorded.net_pnl == pytest.approx(outcome.record.costs.net_pnl, abs=1e-6)
    effects = sum(one.pnl_effect for one in record.limits) + record.rest
    assert effects == pytest.approx(record.other.net_pnl - record.recorded.net_pnl, abs=1e-6)
    return record


def outcomes(record: WhatIfRecord) -> list[tuple[Any, ...]]:
    return [(o.order.outcome, o.order.limit, o.order.was, o.order.would) for o in record.orders]


def walk(seed: int, count: int) -> list[tuple[float, float, float, float]]:
    """Return bars of a random walk about 100, in ticks."""
    rng = np.random.default_rng(seed)
    closes = np.round(100 * np.exp(np.cumsum(0.003 * rng.standard_normal(count))), 1)
    opens = np.concatenate([[100.0], closes[:-1]])
    reach = np.round(np.abs(rng.standard_normal((2, count))) * 0.3, 1)
    highs, lows = np.maximum(opens, closes) + reach[0], np.minimum(opens, closes) - reach[1]
    return [
        tuple(np.round(row, 1).tolist()) for row in zip(opens, highs, lows, closes, strict=True)
    ]


def busy(seed: int, count: int, instruments: Sequence[str]) -> dict[Any, list[Intent]]:
    """Return a script of orders of all kinds, changes and cancels."""
    rng = random.Random(seed)
    script: dict[Any, list[Intent]] = {}
    for number in range(2, count - 2):
        id_, make = rng.choice(list(instruments)), rng.choice([buy, sell])
        size = rng.choice(["0.5", "1.25", "3", "7"])
        price = round(100 * rng.uniform(0.98, 1.02), 1)
        terms: list[Intent] = [
            make(size, id_),
            make(size, id_, kind="LIMIT", price=price, purpose="resting"),
            make(size, id_, kind="STOP_MARKET", trigger_price=price, purpose="waiting"),
            ModifyIntent(client_order_id="resting", price=round(price + 0.3, 1)),
            ModifyIntent(client_order_id="resting", quantity=Decimal(size)),
            ModifyIntent(client_order_id="waiting", trigger_price=price + 0.001),
            CancelIntent(client_order_id=rng.choice(["resting", "waiting"])),
            CloseIntent(instrument_id=id_),
            make(size, id_, reduce_only=True, purpose="exit:stop"),
        ]
        script[id_, number] = [rng.choice(terms) for _ in range(rng.choice([0, 1, 1, 2]))]
    return script


EVERY_LIMIT: dict[str, Any] = {
    "max_order_notional": 600.0,
    "max_position_notional": 900.0,
    "max_gross_notional": 1500.0,
    "max_net_notional": 1200.0,
    "max_open_orders": 9,
    "max_orders_per_minute": 4,
    "max_orders_per_day": 150,
    "max_turnover_per_day": 40_000.0,
    "price_band_frac": 0.02,
    "max_leverage": 0.13,
    "max_concentration_frac": 0.9,
    "max_daily_loss_frac": 0.02,
    "max_stale_bars": 3.0,
    "liquidity": {"max_volume_frac": 0.6, "bars": 5},
    "loss_streak": {"losses": 4, "pause_minutes": 5.0},
    "stop_guard": {"stops": 3, "window_minutes": 30.0, "pause_minutes": 4.0},
    "loss_cooldown_minutes": 1.0,
    "correlation": {"max_volatility_frac": 0.5, "max_cluster_notional": 1400.0, "min_bars": 20},
    "drawdown": {"shrink_frac": 0.005, "reduce_frac": 0.03},
    "rules": [{"scope": {"instrument": B}, "max_order_notional": 300.0, "max_open_orders": 3}],
}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_own_limits_take_every_decision_as_it_was(lab: Lab, seed: int) -> None:
    for i, id_ in enumerate((A, B)):
        lab.bars(walk(10 * seed + i, 400), id_)
    lab.funding([T0 + HOUR * n for n in range(1, 7)], [0.001, -0.002, 0.0005] * 2)
    first = lab.strategy(busy(seed, 400, (A, B)), instruments=(A, B), code=BRACKETS, cls="Brackets")
    second = lab.strategy(busy(seed + 50, 400, (B, A)), instruments=(B, A), id_="other")
    outcome = lab.run(first, second, risk=EVERY_LIMIT)
    record = again(outcome)
    assert record.decisions > 500
    assert record.orders == []
    assert record.other == record.recorded
    assert outcome.record.refused > 50

    tighter = again(outcome, "risk.max_net_notional=500", "risk.max_leverage=0.08")
    assert any(one.limit == "max_leverage" for one in tighter.limits)
    assert tighter.other.traded < record.recorded.traded
    looser = again(outcome, "risk.correlation=none", "risk.max_orders_per_day=none")
    assert {o.order.outcome for o in looser.orders} >= {"passes"}


def test_smaller_entry_makes_the_whole_trade_smaller(lab: Lab) -> None:
    outcome = lab.trade(ROWS, {2: [buy(5)], 6: [CloseIntent(instrument_id=A)]})
    (trip,) = outcome.trips
    assert trip["pnl"] == pytest.approx(5 * (109.8 - 100.1) - trip["fees"])
    record = again(outcome, "risk.max_order_notional=200")
    assert outcomes(record) == [("shrunk", "max_order_notional", 5, 2)]
    assert record.orders[0].pnl_effect == pytest.approx(-0.6 * trip["pnl"])
    assert record.other.net_pnl == pytest.approx(0.4 * trip["pnl"])
    assert record.other.fees == pytest.approx(0.4 * trip["fees"])
    (limit,) = record.limits
    assert (limit.shrunk, limit.value) == (1, pytest.approx(3 * 100))
    assert "order of 500.00 is above max_order_notional 200.00" in record.orders[0].order.line
    assert [(c.key, c.was, c.now) for c in record.changes] == [
        ("risk.max_order_notional", 1e6, 200)
    ]


def test_refused_entry_takes_its_trade_away_and_saves_its_loss(lab: Lab) -> None:
    close = [CloseIntent(instrument_id=A)]
    outcome = lab.trade(ROWS, {2: [buy(1)], 4: close, 6: [buy(2)], 10: close})
    lost = outcome.trips[1]["pnl"]
    assert lost == pytest.approx(2 * (98.9 - 110.2) - outcome.trips[1]["fees"])
    record = again(outcome, "risk.max_orders_per_day=1")
    assert outcomes(record) == [("refused", "max_orders_per_day", 2, 0)]
    assert record.orders[0].pnl_effect == pytest.approx(-lost)
    assert record.other.fills == 2


def test_later_orders_see_what_is_held_then(lab: Lab) -> None:
    outcome = lab.trade(flat(100, 8), {2: [buy(3)], 4: [buy(3)]})
    alone = again(outcome, "risk.max_position_notional=350")
    assert outcomes(alone) == [("shrunk", "max_position_notional", 3, Decimal("0.5"))]
    both = again(outcome, "risk.max_position_notional=350", "risk.max_order_notional=100")
    assert outcomes(both) == [("shrunk", "max_order_notional", 3, 1)] * 2


def test_open_trade_counts_at_the_last_price(lab: Lab) -> None:
    outcome = lab.trade(ROWS[:8], {2: [buy(4)]})
    record = again(outcome, "risk.max_order_notional=100")
    assert record.recorded.net_pnl == pytest.approx(4 * (110 - 100.1) - 4 * 100.1 * 5e-4)
    assert record.other.net_pnl == pytest.approx(record.recorded.net_pnl / 4)


def test_order_that_turns_a_position_around_still_closes_it(lab: Lab) -> None:
    outcome = lab.trade(ROWS, {2: [buy(2)], 6: [sell(5)], 10: [buy(3)]})
    record = again(outcome, "risk.max_order_notional=300")
    # Of the five, two close and three open; at 110 no more than 2.727 may be sent.
    assert outcomes(record) == [
        ("shrunk", "max_order_notional", 5, Decimal("2.727")),
    ]
    closed, opened = outcome.trips
    kept = 0.727 / 3
    assert record.other.net_pnl == pytest.approx(closed["pnl"] + kept * opened["pnl"])
    assert record.orders[0].pnl_effect == pytest.approx((kept - 1) * opened["pnl"])


def test_entry_beside_the_exit_of_the_other_side_is_an_entry(lab: Lab) -> None:
    # The position is being closed already when the other side is opened: nothing of it closes.
    turn = [CloseIntent(instrument_id=A), sell(5)]
    outcome = lab.trade(ROWS, {2: [buy(5)], 6: turn, 10: [CloseIntent(instrument_id=A)]})
    refused = again(outcome, "risk.max_order_notional=0.01")
    assert outcomes(refused) == [("refused", "max_order_notional", 5, 0)] * 2
    assert (refused.other.fills, refused.other.net_pnl) == (0, 0)
    first, second = outcome.trips
    assert [o.pnl_effect for o in refused.orders] == [
        pytest.approx(-first["pnl"]),
        pytest.approx(-second["pnl"]),
    ]
    shrunk = again(outcome, "risk.max_order_notional=110")
    assert outcomes(shrunk) == [
        ("shrunk", "max_order_notional", 5, Decimal("1.1")),
        ("shrunk", "max_order_notional", 5, 1),
    ]
    assert shrunk.other.net_pnl == pytest.approx(0.22 * first["pnl"] + 0.2 * second["pnl"])


@pytest.mark.parametrize("seed", [4, 5])
def test_where_everything_is_refused_nothing_happens(lab: Lab, seed: int) -> None:
    lab.bars(walk(seed, 200))
    script = busy(seed, 200, (A,))
    outcome = lab.run(lab.strategy(script, code=BRACKETS, cls="Brackets"))
    record = again(outcome, "risk.max_order_notional=0.001")
    assert record.recorded.fills > 50
    assert (record.other.fills, record.other.traded, record.other.net_pnl) == (0, 0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        ["risk.max_order_notional=150"],
        ["risk.max_position_notional=250", "risk.max_orders_per_day=60"],
        ["risk.max_leverage=0.02", "risk.drawdown.halt_frac=0.004"],
        ["risk.max_gross_notional=100", "risk.price_band_frac=0.005"],
    ],
)
def test_no_position_is_larger_than_the_recorded_one_or_on_the_other_side(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, changes: list[str]
) -> None:
    seen = []

    class Watched(WhatIf):
        def take(self, step: Step) -> None:
            super().take(step)
            for key in self.own.ledger.positions:
                here, there = self.own.held(*key), self.other.held(*key)
                assert abs(there) <= abs(here)
                assert here * there >= 0
                seen.append(there != here)

    for i, id_ in enumerate((A, B)):
        lab.bars(walk(20 + i, 250), id_)
    strategy = lab.strategy(busy(8, 250, (A, B)), instruments=(A, B), code=BRACKETS, cls="Brackets")
    outcome = lab.run(strategy)
    monkeypatch.setattr("aitb_nautilus.run.what_if.WhatIf", Watched)
    record = again(outcome, *changes)
    assert sum(seen) > 50
    assert record.other.traded < record.recorded.traded


def test_funding_shrinks_with_the_position(lab: Lab) -> None:
    lab.funding([T0 + 5 * MINUTE], [0.01])
    outcome = lab.trade(flat(100, 10), {2: [buy(5)], 8: [CloseIntent(instrument_id=A)]})
    record = again(outcome, "risk.max_order_notional=100")
    assert record.recorded.funding == pytest.approx(5.0)
    assert record.other.funding == pytest.approx(1.0)


def test_looser_limits_name_what_would_pass_and_claim_nothing(lab: Lab) -> None:
    outcome = lab.trade(
        ROWS,
        {2: [buy(5)], 4: [buy(1)], 6: [CloseIntent(instrument_id=A)]},
        risk={"max_order_notional": 200.0, "max_position_notional": 200.0},
    )
    assert outcome.record.refused == 1
    record = again(outcome, "risk.max_order_notional=1000", "risk.max_position_notional=1000")
    assert outcomes(record) == [
        ("larger", "max_order_notional", 2, 5),
        ("passes", "max_position_notional", 0, 1),
    ]
    assert [o.pnl_effect for o in record.orders] == [None, None]
    assert record.other == record.recorded


def test_wishes_that_only_might_have_passed_use_up_no_count(lab: Lab) -> None:
    wishes = {2: [buy(5)], 4: [buy(5)], 6: [buy(1)]}
    outcome = lab.trade(
        flat(100, 9), wishes, risk={"max_position_notional": 200.0, "price_band_frac": 1.0}
    )
    record = again(outcome, "risk.max_position_notional=900", "risk.max_orders_per_day=2")
    assert [o[0] for o in outcomes(record)] == ["larger", "passes", "passes"]


def test_ladder_closes_at_the_close_of_its_bar(lab: Lab) -> None:
    # 90 units from 100.1 lose 90 x 10.1 + fees when the price opens at 90: a tenth of the equity.
    rows = [*flat(100, 4), *flat(90, 4), *flat(80, 4)]
    outcome = lab.trade(rows, {2: [buy(90)], 10: [CloseIntent(instrument_id=A)]})
    record = again(outcome, "risk.drawdown.halt_frac=0.05")
    assert record.closed_early == 1
    assert len(record.other.halts) == 1
    assert record.recorded.halts == []
    entry, sold = 100.1, 90 * (1 - 0.001)
    fees = 90 * (entry + sold) * 5e-4
    assert record.other.net_pnl == pytest.approx(90 * (sold - entry) - fees)
    assert record.rest == pytest.approx(record.other.net_pnl - record.recorded.net_pnl)


def test_ladder_of_the_run_itself_is_followed_and_may_be_taken_away(lab: Lab) -> None:
    rows = [*flat(100, 4), *flat(90, 4), *flat(80, 4)]
    outcome = lab.trade(rows, {2: [buy(90)], 10: [buy(1)]}, risk={"drawdown": {"halt_frac": 0.05}})
    assert len(outcome.record.halts) == 1
    record = again(outcome, "risk.drawdown=none")
    assert len(record.recorded.halts) == 1
    assert record.other.halts == []
    assert [o[:2] for o in outcomes(record)] == [("passes", "state")]


def test_spot_orders_are_taken_again(lab: Lab) -> None:
    lab.bars(flat(100, 8), SPOT)
    script = {2: [sell(1, SPOT)], 3: [buy(2, SPOT)], 5: [sell(3, SPOT)], 6: [sell(2, SPOT)]}
    outcome = lab.run(lab.strategy(script, instruments=(SPOT,)))
    assert again(outcome).decisions == 4


def test_bars_that_warmed_the_run_up_are_heard_again(lab: Lab) -> None:
    lab.bars(walk(5, 300))
    script = {n: [buy(2)] if n % 4 else [CloseIntent(instrument_id=A)] for n in range(2, 190)}
    limits = {"correlation": {"max_volatility_frac": 0.02, "min_bars": 60, "half_life_bars": 5}}
    outcome = lab.run(
        lab.strategy(script),
        risk=limits,
        backtest={"start": "2023-01-01T01:40:00"},
        catalog={"path": str(lab.folder / "data")},
    )
    assert outcome.record.warm_up_bars == 61
    assert len(outcome.table("past")) == 61
    assert outcome.record.refused > 5
    again(outcome)


def test_decision_that_comes_out_otherwise_is_named(lab: Lab) -> None:
    outcome = lab.trade(ROWS, {2: [buy(1)], 6: [buy(1)], 8: [buy(1)]})
    path = outcome.folder / "bars.parquet"
    table = pq.read_table(path)
    closes = table.column("close").to_numpy().copy()
    closes[5] = 111.0
    column = table.column_names.index("close")
    pq.write_table(table.set_column(column, "close", pa.array(closes)), path)
    record = what_if(outcome.folder)
    (one,) = record.differences
    assert (one.ts, one.what, one.recorded, one.again) == (
        T0 + 6 * MINUTE,
        "mark",
        "110.0",
        "111.0",
    )


def test_long_back_test_reads_its_bars_from_the_catalog_again(lab: Lab) -> None:
    count = MAX_BAR_ROWS + 10
    outcome = lab.trade(flat(100, count), {2: [buy(1)], count - 5: [buy(1)]})
    assert len(outcome.table("bars")) < count
    assert again(outcome).decisions == 2
    (lab.folder / "data").rename(lab.folder / "gone")
    lab.bars(flat(101, count))
    with pytest.raises(DataError, match="other bars than the run read"):
        what_if(outcome.folder)


def test_folder_with_too_few_bars_is_refused(lab: Lab) -> None:
    outcome = lab.trade(flat(100, 8), {2: [buy(1)], 6: [buy(1)]})
    path = outcome.folder / "bars.parquet"
    pq.write_table(pq.read_table(path).slice(0, 4), path)
    with pytest.raises(RunError, match="has 4 bars"):
        what_if(outcome.folder)


def test_limits_come_from_another_file(lab: Lab) -> None:
    outcome = lab.trade(flat(100, 8), {2: [buy(5)]})
    other = lab.folder / "other.toml"
    other.write_text("[risk]\nmax_order_notional = 100\nmax_position_notional = 1000\n")
    record = again(outcome, config=other)
    assert outcomes(record) == [("shrunk", "max_order_notional", 5, 1)]
    both = again(outcome, "risk.max_order_notional=300", config=other)
    assert outcomes(both) == [("shrunk", "max_order_notional", 5, 3)]


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ("risk.max_order_notional", UsageError, "is no change of a limit"),
        ("max_order_notional=5", UsageError, "is no change of a limit"),
        ("risk.max_order_notional=five", UsageError, "is no value of TOML"),
        ("risk.rules[3].max_order_notional=5", UsageError, "the run has no"),
        ("risk.max_order_notionl=5", ConfigError, "max_order_notional"),
        ("risk.max_order_notional=-5", ConfigError, "risk.max_order_notional"),
        ("risk.max_order_notional=none", ConfigError, "max_order_notional"),
        ('risk.rules=[{scope={strategy="no"},max_open_orders=1}]', ConfigError, "scripted"),
    ],
)
def test_change_that_is_none_is_refused_with_what_is_wrong(
    lab: Lab, change: str, error: type[Exception], said: str
) -> None:
    outcome = lab.trade(flat(100, 5), {})
    with pytest.raises(error, match=said):
        what_if(outcome.folder, None, [change])
