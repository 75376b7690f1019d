"""What a run does with limits that need more than its strategies' bars."""

from __future__ import annotations

import pytest

from aitb_nautilus.errors import DataError
from tests.run.desk_lab import SPOT, A, B, Lab, buy, flat, sell

BOOK = {"max_spread_frac": 0.001, "max_quote_age_ms": 500}

LESS = {"min_book_notional": 1, "max_quote_age_ms": 500}


def rule(**changes: object) -> dict[str, object]:
    reference = {"instrument": SPOT, "max_divergence_frac": 0.02, "max_age_minutes": 1.0}
    return {"scope": {"instrument": A}, "reference": reference | changes}


def test_limits_of_the_book_are_left_out_of_a_run_on_bars_and_named(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    risk = {"book": BOOK, "rules": [{"scope": {"instrument": A}, "book": LESS}]}
    outcome = lab.run(lab.strategy({1: [buy()]}), risk=risk)
    (note,) = [line for line in outcome.record.honesty if "quotes" in line]
    assert note == (
        "The data hold no quotes, so these limits were not applied, and nothing is known of what "
        "they would have refused: risk.book.max_quote_age_ms, risk.book.max_spread_frac, "
        "risk.rules[0].book.max_quote_age_ms, risk.rules[0].book.min_book_notional."
    )
    assert (len(outcome.fills), outcome.record.refused) == (1, 0)


def test_run_without_such_limits_does_not_speak_of_quotes(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    assert "quotes" not in "\n".join(lab.run(lab.strategy({})).record.honesty)


def test_price_is_compared_with_that_of_a_market_that_nobody_trades(lab: Lab) -> None:
    lab.bars(flat(100, 6))
    lab.bars([*flat(100, 2), *flat(97), *flat(100, 3)], SPOT)
    script = {1: [buy()], 3: [buy(2)], 4: [buy(3)]}
    outcome = lab.run(lab.strategy(script), risk={"rules": [rule()]})
    assert [fill["quantity"] for fill in outcome.fills] == [1, 3]
    (refusal,) = [line["message"] for line in outcome.log if "refused" in line["message"]]
    assert "lies 3.09% from 97, which AAAUSDT.SPOTSIM says" in refusal
    assert outcome.record.starting_equity == 10_000  # the reference's venue counts for nothing
    assert outcome.record.instruments == [A]
    assert [d.bar_type.split("-1-")[0] for d in outcome.record.data] == [A, SPOT]


def test_bars_of_the_reference_are_part_of_what_the_run_was_fed(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    lab.bars(flat(100, 5), SPOT)
    before = lab.run(lab.strategy({}), risk={"rules": [rule()]}).record.data_sha256
    alone = lab.run(lab.strategy({})).record.data_sha256
    lab.bars(flat(99.9, 1), SPOT, start=1_672_531_200_000_000_000 + 5 * 60_000_000_000)
    after = lab.run(lab.strategy({}), risk={"rules": [rule()]}).record.data_sha256
    assert len({before, alone, after}) == 3


def test_reference_that_falls_silent_stops_openings_and_no_exit(lab: Lab) -> None:
    lab.bars(flat(100, 8))
    lab.bars([*flat(100, 2), None, None, *flat(100, 4)], SPOT)
    script = {2: [buy()], 3: [buy(2)], 4: [buy(3), sell(1)], 6: [buy(4)]}
    outcome = lab.run(lab.strategy(script), risk={"rules": [rule()]})
    assert [fill["quantity"] for fill in outcome.fills] == [1, 2, 1, 4]


def test_reference_that_is_traded_as_well_is_no_second_market(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    lab.bars(flat(90, 5), B)
    strategy = lab.strategy({2: [buy()]}, instruments=(A, B))
    outcome = lab.run(strategy, risk={"rules": [rule(instrument=B)]})
    assert (len(outcome.fills), outcome.record.refused) == (0, 1)


def test_reference_without_bars_is_refused_before_the_run(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    with pytest.raises(DataError, match="AAAUSDT"):
        lab.run(lab.strategy({}), risk={"rules": [rule()]})
