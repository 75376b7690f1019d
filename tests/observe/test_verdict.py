from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.verdict import (
    ambiguous_sentence,
    market_sentence,
    period_sentence,
    verdict_of,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("skilled", "positive"),
        ("losing", "loss"),
        ("idle", "idle"),
        ("short", "short"),
        ("modelled", "luck"),
        ("seen", "in_sample"),
        ("failed", "broken"),
        ("interrupted", "broken"),
    ],
)
def test_verdict_follows_from_the_run(runs: dict[str, Path], name: str, kind: str) -> None:
    assert verdict_of(Run(runs[name]).record).kind == kind


def test_a_halted_run_is_not_judged_however_good(runs: dict[str, Path]) -> None:
    record = msgspec.structs.replace(Run(runs["skilled"]).record, status="failed", error="Halted.")
    verdict = verdict_of(record)
    assert (verdict.kind, verdict.detail) == ("broken", "Halted.")


def test_result_of_a_model_that_saw_the_time_is_not_judged_however_good(
    runs: dict[str, Path],
) -> None:
    record = Run(runs["seen"]).record
    assert record.stats is not None
    assert record.stats.bootstrap is not None
    assert record.stats.bootstrap.lower_95 > 0
    verdict = verdict_of(record)
    assert verdict.sentence == (
        "seen_it@3 was trained on bars of this very time: the result says nothing about the future."
    )
    fresh = [msgspec.structs.replace(model, sample="out") for model in record.models]
    assert verdict_of(msgspec.structs.replace(record, models=fresh)).kind == "positive"
    mixed = [*record.models, *fresh]
    assert verdict_of(msgspec.structs.replace(record, models=mixed)).kind == "in_sample"


def test_open_position_counts_as_trading(runs: dict[str, Path]) -> None:
    record = Run(runs["plain"]).record
    assert record.stats is not None
    stats = msgspec.structs.replace(record.stats, trades=0, open_trades=1)
    assert verdict_of(msgspec.structs.replace(record, stats=stats)).kind != "idle"


def test_market_sentence_says_above_or_below(runs: dict[str, Path]) -> None:
    stats = Run(runs["plain"]).record.stats
    assert stats is not None
    above = msgspec.structs.replace(stats, total_return=0.3, market_return=-0.1)
    below = msgspec.structs.replace(stats, total_return=0.1, market_return=0.25)
    assert market_sentence(above).endswith("-10.00%; the run is 40.00 percentage points above it.")
    assert market_sentence(below).endswith("+25.00%; the run is 15.00 percentage points below it.")


def test_period_names_three_instruments_and_counts_the_others(runs: dict[str, Path]) -> None:
    facts = period_sentence(Run(runs["several"]).record)
    assert facts == [
        "2023-01-01 00:00 to 2023-03-02 00:00 UTC",
        "60 days",
        "BTCUSDT-PERP.BINANCE, ETHUSDT-PERP.BINANCE, SOLUSDT-PERP.BINANCE and 1 more",
        "5,760 bars",
    ]


def test_ambiguous_exits_are_given_under_both_orders(runs: dict[str, Path]) -> None:
    assert ambiguous_sentence(Run(runs["plain"]).record) == (
        "3 exits in bars that touched both stop and target: -61.30 USDT if stops came first, "
        "+84.20 USDT if targets did. This run counts stop first."
    )
    none = ambiguous_sentence(Run(runs["idle"]).record)
    assert none is not None
    assert none.startswith("No bar touched both")
    absent = msgspec.structs.replace(Run(runs["failed"]).record, ambiguous=None)
    assert ambiguous_sentence(absent) is None
