"""Levels of a probability, apart from any strategy."""

from __future__ import annotations

import contextlib
import itertools
from typing import Literal

import pytest

from aitb_nautilus.risk.levels import Levels

Direction = Literal["long", "short", "both"]
PROBABILITIES = (0.0, 0.2, 0.4, 0.45, 0.5, 0.55, 0.6, 0.8, 1.0)


NAMES = ("long_enter", "long_exit", "short_enter", "short_exit")


def possible() -> list[Levels]:
    """Return all levels that are no contradiction, for every direction."""
    found = []
    for direction in ("long", "short", "both"):
        for values in itertools.product(PROBABILITIES, repeat=4):
            with contextlib.suppress(ValueError):
                found.append(Levels(direction=direction, **dict(zip(NAMES, values, strict=True))))
    return found


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


def test_no_probability_opens_a_side_that_it_does_not_keep() -> None:
    for levels, probability in itertools.product(possible(), PROBABILITIES):
        signal = levels.signal(probability)
        if signal:
            assert levels.keeps(probability, is_long=signal > 0)
            if levels.direction == "both":
                assert not levels.keeps(probability, is_long=signal < 0)
