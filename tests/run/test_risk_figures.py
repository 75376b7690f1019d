"""The risk of a run, as its folder and its page tell it: worked out by hand on small runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aitb_nautilus.messages import CloseIntent
from aitb_nautilus.observe.report import write_report
from aitb_nautilus.observe.risk_record import RiskRecord
from tests.run.desk_lab import DAY, HOUR, MINUTE, T0, A, B, Lab, Outcome, buy, flat, sell

UP_AND_DOWN = [*flat(100, 4), *flat(110, 4), *flat(99, 8)]


def risk_of(outcome: Outcome) -> RiskRecord:
    assert outcome.record.risk is not None
    return outcome.record.risk


def iso(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def usage(outcome: Outcome, limit: str) -> tuple[float, str]:
    found = next(u for u in risk_of(outcome).usages if u.limit == limit)
    return found.largest.value, found.largest.ts


def part(outcome: Outcome, kind: str, name: str) -> list[float]:
    rows = outcome.table("risk_parts")
    return [row["value"] for row in rows if (row["kind"], row["name"]) == (kind, name)]


def page(outcome: Outcome) -> str:
    return write_report(outcome.folder).read_text(encoding="utf-8")


def test_exposure_is_what_is_held_at_each_close(lab: Lab) -> None:
    lab.bars(UP_AND_DOWN, A)
    lab.bars(flat(50, 16), B)
    script = {(A, 2): [buy(5)], (B, 3): [sell(8, B)], (A, 10): [CloseIntent(instrument_id=A)]}
    outcome = lab.run(lab.strategy(script, instruments=(A, B)))
    risk = risk_of(outcome)
    rows = outcome.table("risk")
    assert risk.stretch == "1m"
    assert [row["long"] for row in rows] == [0, 0, 500, 500] + [550] * 4 + [495] * 2 + [0] * 6
    assert [row["short"] for row in rows] == [0, 0, 0] + [400] * 13
    assert rows[5]["gross"] == 950
    assert rows[5]["net"] == 150
    assert rows[5]["leverage"] == pytest.approx(950 / outcome.table("equity")[5]["equity"])
    assert part(outcome, "instrument", A)[:6] == [0, 0, 500, 500, 550, 550]
    assert part(outcome, "instrument", B)[3:5] == [-400, -400]
    assert risk.gross is not None
    assert (risk.gross.value, risk.gross.ts) == (950, iso(T0 + 5 * MINUTE))
    assert risk.net is not None
    assert risk.net.value == 500


def test_usage_is_the_largest_part_of_each_limit(lab: Lab) -> None:
    limits: dict[str, Any] = {
        "max_order_notional": 1000.0,
        "max_position_notional": 1100.0,
        "max_gross_notional": 2000.0,
        "max_leverage": 0.5,
        "max_concentration_frac": 0.5,
        "max_daily_loss_frac": 0.05,
        "max_open_orders": 4,
        "max_orders_per_minute": 10,
        "max_orders_per_day": 5,
        "max_turnover_per_day": 4000.0,
        "price_band_frac": 0.1,
        "max_stale_bars": 5.0,
        "drawdown": {"shrink_frac": 0.004, "halt_frac": 0.5},
    }
    script = {
        2: [buy(5)],
        3: [buy(1, kind="LIMIT", price=95.0)],
        10: [CloseIntent(instrument_id=A)],
    }
    outcome = lab.trade(UP_AND_DOWN, script, risk=limits)
    filled = [(f["price"], f["fee"]) for f in outcome.fills]
    assert [price for price, _ in filled] == [100.1, 98.9]
    assert usage(outcome, "risk.max_order_notional") == (0.5, iso(T0 + 2 * MINUTE))
    assert usage(outcome, "risk.max_position_notional")[0] == pytest.approx(550 / 1100)
    assert usage(outcome, "risk.max_gross_notional")[0] == pytest.approx(550 / 2000)
    entry_fee, high = 500.5 * 5e-4, 10_000 + 5 * 9.9
    assert usage(outcome, "risk.max_leverage")[0] == pytest.approx(550 / (high - entry_fee) / 0.5)
    assert usage(outcome, "risk.max_concentration_frac")[0] == pytest.approx(
        550 / (high - entry_fee) / 0.5
    )
    assert usage(outcome, "risk.max_open_orders")[0] == 2 / 4
    assert usage(outcome, "risk.max_orders_per_minute")[0] == 1 / 10
    assert usage(outcome, "risk.max_orders_per_day")[0] == 2 / 5
    traded = 5 * 100.1 + 5 * 98.9
    assert usage(outcome, "risk.max_turnover_per_day")[0] == pytest.approx(traded / 4000)
    assert usage(outcome, "risk.price_band_frac")[0] == pytest.approx(0.05 / 0.1)
    fees = sum(fee for _, fee in filled)
    assert usage(outcome, "risk.max_daily_loss_frac")[0] == pytest.approx(
        (6 + fees) / 10_000 / 0.05
    )
    fall = 1 - (10_000 - 6 - fees) / (high - entry_fee)
    assert usage(outcome, "risk.drawdown.shrink_frac")[0] == pytest.approx(fall / 0.004)
    (step,) = risk_of(outcome).ladder
    assert (step.step, step.start, step.end) == ("shrink", iso(T0 + 9 * MINUTE), None)
    assert step.deepest_frac == pytest.approx(fall)
    assert risk_of(outcome).not_measured == ["risk.max_stale_bars"]
    assert "Not measured over time: max_stale_bars." in page(outcome)


def test_rule_counts_only_what_is_in_its_scope(lab: Lab) -> None:
    lab.bars(flat(100, 8), A)
    lab.bars(flat(50, 8), B)
    script = {(A, 2): [buy(5)], (B, 3): [buy(2, B)]}
    rule = {"scope": {"instrument": B}, "max_position_notional": 1000.0, "max_orders_per_day": 4}
    outcome = lab.run(lab.strategy(script, instruments=(A, B)), risk={"rules": [rule]})
    assert usage(outcome, "risk.rules[0].max_position_notional")[0] == 0.1
    assert usage(outcome, "risk.rules[0].max_orders_per_day")[0] == 0.25


def test_refusals_are_kept_counted_and_shown(lab: Lab) -> None:
    limits = {"max_order_notional": 200.0, "max_position_notional": 300.0}
    outcome = lab.trade(flat(100, 9), {n: [buy(5)] for n in (2, 4, 6)}, risk=limits)
    rows = outcome.table("refusals")
    assert [(r["limit"], r["outcome"], r["quantity"]) for r in rows] == [
        ("max_order_notional", "shrunk", 2),
        ("max_position_notional", "shrunk", 1),
        ("max_position_notional", "refused", 0),
    ]
    shown = page(outcome)
    assert "All 3" in shown
    assert "position would be 500.00" in shown
    assert "aitb risk RUN --set risk.max_leverage=2" in shown


def test_run_without_trades_says_so(lab: Lab) -> None:
    outcome = lab.trade(flat(100, 9), {})
    risk = risk_of(outcome)
    assert (risk.gross, risk.leverage, risk.attribution) == (None, None, [])
    assert "The run made no trade: nothing was at risk." in page(outcome)
    assert "No order was refused or shrunk." in page(outcome)


def test_short_run_foretells_nothing_and_says_what_it_lacks(lab: Lab) -> None:
    outcome = lab.trade(UP_AND_DOWN, {2: [buy(5)], 10: [CloseIntent(instrument_id=A)]})
    days, minutes = risk_of(outcome).horizons
    assert (days.step, days.steps, days.tails) == ("1d", 1, [])
    assert (minutes.step, minutes.steps, minutes.tails) == ("1m", 9, [])
    assert minutes.worst is not None
    fee = 500.5 * 5e-4
    before = 10_000 + 5 * 9.9 - fee
    assert minutes.worst.value == pytest.approx(5 * 11 / before)
    assert minutes.worst.ts == iso(T0 + 9 * MINUTE)
    shown = page(outcome)
    assert "Something was held in 9 steps of 1m, and a forecast needs 130." in shown
    assert "1d: something was held in 1 step, and a forecast needs 130." in shown
    assert "volatility is of 20 steps" in shown


def test_long_run_foretells_its_losses(lab: Lab) -> None:
    rows = [(100 + n % 7, 108, 99, 100 + (n * 5) % 7) for n in range(400)]
    lab.bars(rows, interval="1h")
    outcome = lab.run(lab.strategy({2: [buy(5)]}, interval="1h"))
    days, hours = risk_of(outcome).horizons
    assert (days.step, hours.step) == ("1d", "1h")
    assert days.tails == []
    assert hours.steps == 398
    assert [(t.method, t.level, t.forecasts) for t in hours.tails] == [
        ("historical", 0.95, 298),
        ("historical", 0.99, 298),
        ("ewma", 0.95, 298),
        ("ewma", 0.99, 298),
    ]
    assert len(outcome.table("tails")) == 298
    assert "Did the forecasts of losses hold?" in page(outcome)
    assert outcome.table("risk")[0]["ts"] <= T0 + DAY
    assert outcome.table("risk")[-1]["ts"] == T0 + 400 * HOUR


def test_ladder_that_counts_from_a_late_peak_is_told_beside_the_drawdown_of_all_time(
    lab: Lab,
) -> None:
    falling = [*flat(110, 4), *(row for price in (108, 106, 104, 102, 100) for row in flat(price))]
    two_minutes = {"halt_frac": 0.5, "window_days": 2 / 1_440}
    outcome = lab.trade(falling, {2: [buy(5)]}, risk={"drawdown": two_minutes})
    risk, stats = risk_of(outcome), outcome.record.stats
    assert risk.ladder_deepest is not None
    assert stats is not None
    # 5 bought at 110.2 for 0.2755: of two closes a minute apart the later is worth 10 less.
    high = 10_000 - 5 * 0.2 - 5 * 110.2 * 5e-4
    assert stats.max_drawdown == pytest.approx(1 - (high - 50) / 10_000)
    assert risk.ladder_deepest.value == pytest.approx(10 / (high - 40))
    assert risk.ladder_deepest.ts == iso(T0 + 9 * MINUTE)
    told = page(outcome)
    for words in (
        f"within {2 / 1_440:g} days, which the ladder limits",
        "(risk.drawdown.window_days). The run",
        "as the ladder counts",
    ):
        assert words in told, words


def test_ladder_of_all_time_is_the_drawdown_of_the_run(lab: Lab) -> None:
    falling = [*flat(110, 4), *flat(100, 4)]
    outcome = lab.trade(falling, {2: [buy(5)]}, risk={"drawdown": {"halt_frac": 0.5}})
    risk, stats = risk_of(outcome), outcome.record.stats
    assert risk.ladder_deepest is not None
    assert stats is not None
    assert risk.ladder_deepest.value == pytest.approx(stats.max_drawdown)
    assert "which the ladder limits" not in page(outcome)
