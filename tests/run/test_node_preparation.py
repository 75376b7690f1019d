"""What a node takes from the catalog before it asks the venue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from aitb_nautilus.messages import FundingRate
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.node_preparation import NodePreparation, prepare_node, with_bars
from tests.run.desk_lab import MINUTE, T0, A, Lab, flat

NOW = T0 + 10 * MINUTE + 7_000_000_000  # bar 10 has closed, bar 11 is under way


def prepared(lab: Lab, rows: Sequence[Any], *, bars: int = 6, **terms: Any) -> NodePreparation:
    lab.bars(rows, **terms)
    config = lab.config(lab.strategy({}), warm_up={"bars": bars})
    return prepare_node(load_config(config), RunState(), "paper", NOW)


def numbers(ready: NodePreparation) -> list[int]:
    return [(ts - T0) // MINUTE for ts in ready.plan.past[A].ts_close.tolist()]


def test_funding_of_an_instrument_without_a_bar_waits_for_its_first(lab: Lab) -> None:
    run = prepared(lab, flat(100, 12)).run
    run.context.ledger.settled += [FundingRate(A, 1e-4, T0), FundingRate("B.BINANCE", 2e-4, T0)]
    assert with_bars(run, {}, {}, 1_000.0).funding == {}
    frame = prepared(lab, flat(100, 12)).plan.past[A]
    assert list(with_bars(run, {A: frame}, {}, 1_000.0).funding) == [A]


def test_bars_up_to_the_last_closed_one_are_taken(lab: Lab) -> None:
    ready = prepared(lab, flat(100, 12))
    assert numbers(ready) == [5, 6, 7, 8, 9, 10]
    assert ready.plan.begins == {A: T0 + 4 * MINUTE}
    assert (ready.plan.bars, ready.run.mode, ready.run.frames) == (6, "paper", {})


@pytest.mark.parametrize(
    ("rows", "taken"),
    [
        ([*flat(100, 7)], [5, 6, 7]),  # the venue has the rest
        ([*flat(100, 7), None, *flat(100, 2)], [5, 6, 7]),  # and what is missing, in order
        ([None] * 5 + flat(100, 5), []),  # what lies before must come before
        ([*flat(100, 3)], []),
    ],
)
def test_catalog_is_used_as_far_as_it_reaches_without_a_hole(
    lab: Lab, rows: Sequence[Any], taken: list[int]
) -> None:
    assert numbers(prepared(lab, rows)) == taken


def test_simulated_bars_warm_no_node(lab: Lab) -> None:
    assert numbers(prepared(lab, flat(100, 12), simulated=True)) == []


def test_without_a_warm_up_nothing_is_taken(lab: Lab) -> None:
    ready = prepared(lab, flat(100, 12), bars=0)
    assert numbers(ready) == []
    assert ready.plan.begins == {A: T0 + 10 * MINUTE}
