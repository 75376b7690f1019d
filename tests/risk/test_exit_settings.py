"""Exits that contradict themselves are refused, and the paragraph says why."""

from __future__ import annotations

from typing import Any

import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.risk.exit_settings import Exits
from aitb_nautilus.settings import decode, encode

HALF = {"close_frac": 0.5, "frac": 0.02}


@pytest.mark.parametrize(
    ("data", "paragraph"),
    [
        ({"targets": [{"close_frac": 0.5}]}, "must say where it stands by one of frac and atr"),
        (
            {"targets": [{"close_frac": 0.5, "frac": 0.1, "atr": 1.0}]},
            "must say where it stands by one of frac and atr",
        ),
        ({"targets": [{"close_frac": 1.1, "frac": 0.1}]}, "close_frac: was 1.1, must be float <="),
        (
            {"targets": [{"close_frac": 0.6, "frac": 0.1}, {"close_frac": 0.5, "frac": 0.2}]},
            "targets close 1.1 of the position, must be at most all of it, 1",
        ),
        ({"targets": [HALF, HALF]}, "targets stand at frac [0.02, 0.02], must be in order"),
        ({"targets": [HALF], "target_frac": 0.1}, "must have one of target_frac, target_atr and"),
        ({"target_atr": 2.0, "target_frac": 0.1}, "must have one of target_frac, target_atr and"),
        ({"chandelier_atr": 3.0}, "chandelier_atr needs chandelier_bars"),
        ({"chandelier_bars": 22}, "chandelier_bars is given without chandelier_atr"),
        (
            {"break_even_frac": 0.02, "break_even_atr": 1.0},
            "must have one of break_even_frac and break_even_atr",
        ),
        (
            {"break_even_frac": 0.05, "target_frac": 0.05},
            "break_even_frac was 0.05, must be below the last target, 0.05",
        ),
        (
            {"break_even_atr": 3.0, "target_atr": 2.0},
            "break_even_atr was 3, must be below the last target, 2",
        ),
        (
            {"break_even_frac": 0.001, "break_even_cost_bps": 10.0},
            "break_even_frac was 0.001, must be above break_even_cost_bps, which is 10 or 0.001",
        ),
        ({"signal": False}, "signal was false and there is no other exit"),
        ({"signal": False, "break_even_frac": 0.1}, "a position would never end"),
        ({"stop_atr": 0}, "stop_atr: was 0, must be float > 0"),
        ({"stop_art": 2}, "unknown key 'stop_art', did you mean 'stop_atr'?"),
    ],
)
def test_contradictory_exits_are_refused(data: dict[str, Any], paragraph: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode(data, Exits, "desk.toml", "strategies[0].params.exits")
    assert paragraph in str(caught.value)
    assert "strategies[0].params.exits" in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"signal": False, "max_bars": 10},
        {"signal": False, "target_frac": 0.1},
        {"stop_frac": 0.1, "stop_atr": 2.0, "trailing_atr": 3.0},
        {"break_even_frac": 0.02, "target_atr": 1.0},
        {"break_even_frac": 0.02, "targets": [HALF, {"close_frac": 0.5, "frac": 0.04}]},
        {"targets": [{"close_frac": part, "frac": part} for part in (0.1, 0.2, 0.7)]},
        {"chandelier_atr": 3.0, "chandelier_bars": 22, "atr_bars": 22},
    ],
)
def test_exits_that_fit_together_come_back_as_they_were_written(data: dict[str, Any]) -> None:
    exits = decode(data, Exits, "desk.toml: exits")
    assert decode(encode(exits), Exits, "desk.toml: exits") == exits


def test_what_needs_the_average_true_range_says_so() -> None:
    for name in ("stop_atr", "target_atr", "trailing_atr", "break_even_atr"):
        assert Exits(**{name: 2.0}).needs_atr
    assert decode({"chandelier_atr": 1.0, "chandelier_bars": 2}, Exits, "x").needs_atr
    assert decode({"targets": [{"close_frac": 1.0, "atr": 2.0}]}, Exits, "x").needs_atr
    assert not Exits(stop_frac=0.1, target_frac=0.1, trailing_frac=0.1, max_bars=2).needs_atr
