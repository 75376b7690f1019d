"""Levels of a probability, apart from any strategy."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import assume, given, strategies as st

from aitb_nautilus.risk.levels import Levels

Direction = Literal["long", "short", "both"]
PROBABILITIES = st.sampled_from([0.0, 0.2, 0.4, 0.45, 0.5, 0.55, 0.6, 0.8, 1.0])


def made(direction: Direction, levels: tuple[float, float, float, float]) -> Levels:
    names = ("long_enter", "long_exit", "short_enter", "short_exit")
    try:
        return Levels(direction=direction, **dict(zip(names, levels, strict=True)))
    except ValueError:
        assume(False)
        raise


@pytest.mark.parametrize(
    ("direction", "signals"), [("both", [1, 0, -1]), ("long", [1, 0, 0]), ("short", [0, 0, -1])]
)
def test_signal_is_given_at_the_level_and_for_the_wanted_sides(
    direction: Direction, signals: list[int]
) -> None:
    assert [Levels(direction=direction).signal(p) for p in (0.55, 0.5, 0.45)] == signals


def test_position_is_kept_at_its_exit_level_and_left_beyond_it() -> None:
    levels = Levels(long_exit=0.48, short_exit=0.52)
    assert [levels.keeps(p, is_long=True) for p in (0.48, 0.479)] == [True, False]
    assert [levels.keeps(p, is_long=False) for p in (0.52, 0.521)] == [True, False]


def test_position_is_not_kept_where_the_other_side_is_opened() -> None:
    levels = Levels(long_exit=0.45, short_enter=0.45, long_enter=0.55, short_exit=0.55)
    assert (levels.keeps(0.45, is_long=True), levels.keeps(0.55, is_long=False)) == (False, False)


@given(
    st.sampled_from(["long", "short", "both"]),
    st.tuples(PROBABILITIES, PROBABILITIES, PROBABILITIES, PROBABILITIES),
    PROBABILITIES,
)
def test_no_probability_opens_a_side_that_it_does_not_keep(
    direction: Direction, levels: tuple[float, float, float, float], probability: float
) -> None:
    chosen = made(direction, levels)
    signal = chosen.signal(probability)
    if signal:
        assert chosen.keeps(probability, is_long=signal > 0)
        if direction == "both":
            assert not chosen.keeps(probability, is_long=signal < 0)
