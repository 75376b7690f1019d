"""Filters on features, on hand-made bars."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.entry_filter import EntryFilter, Filter, filter_features
from aitb_nautilus.settings import decode

MINUTE = Interval.parse("1m")


def bar(number: int, close: float) -> BarClosed:
    """Return bar `number`, which closes that many minutes after the epoch."""
    return BarClosed("X.V", number * MINUTE.ns, close, close, close, close, 1.0)


def passed(filters: Iterable[Filter], closes: Iterable[float]) -> list[tuple[bool, bool]]:
    """Return whether a long and a short entry pass after each bar; the first is bar 1."""
    gate = EntryFilter(tuple(filters), MINUTE)
    found = []
    for number, close in enumerate(closes, 1):
        gate.update(bar(number, close))
        found.append((gate.passes(is_long=True), gate.passes(is_long=False)))
    return found


def test_without_filters_everything_passes_from_the_first_bar_on() -> None:
    assert passed([], [100.0]) == [(True, True)]
    assert EntryFilter((), MINUTE).passes(is_long=True)


def test_nothing_passes_before_the_first_bar() -> None:
    gate = EntryFilter([Filter(feature="log_return(1)", long_min=-9.0)], MINUTE)
    assert not gate.passes(is_long=True)


def test_bounds_count_for_their_side_only_and_include_their_ends() -> None:
    # sma_ratio(2) is C / ((C + C[1]) / 2) - 1: of 100, 300 it is 0.5, of 300, 100 it is -0.5.
    bounds = Filter(feature="sma_ratio(2)", long_min=0.5, short_min=-0.6, short_max=-0.5)
    assert passed([bounds], [100.0, 300.0, 100.0, 100.0]) == [
        (False, False),
        (True, False),
        (False, True),
        (False, False),
    ]


def test_bounds_may_name_one_value_alone() -> None:
    flat = Filter(feature="log_return(1)", long_min=0.0, long_max=0.0)
    assert passed([flat], [100.0, 100.0, 101.0]) == [(False, False), (True, True), (False, True)]


def test_side_without_a_bound_passes_once_warm() -> None:
    only_long = Filter(feature="sma_ratio(2)", long_max=-0.1)
    assert passed([only_long], [100.0, 300.0]) == [(False, False), (False, True)]


def test_all_filters_must_pass_and_the_slowest_warms_up_all() -> None:
    quick = Filter(feature="log_return(1)", long_min=0.0)
    slow = Filter(feature="log_return(3)", long_min=0.0)
    closes = [100.0, 101.0, 102.0, 103.0, 102.0, 103.0, 101.0]
    # From bar 4 on: return of one bar +, -, +, -; of three bars +, +, +, -.
    expected = [False, False, False, True, False, True, False]
    assert [long for long, _ in passed([quick, slow], closes)] == expected


def test_larger_bar_is_built_of_closed_bars_and_stands_still_between_its_closes() -> None:
    # Bars 5, 10, 15 close one of five minutes. ln(110 / 100) = 0.0953 from bar 10 on, and
    # ln(99 / 110) = -0.105 from bar 15 on, whatever the bars between them do. The engine answers
    # from its 14th bar on: so many hold two whole larger bars wherever the first of them begins.
    closes = [100.0] * 9 + [110.0] + [50.0] * 4 + [99.0]
    found = passed([Filter(feature="log_return(1)@5m", long_min=0.09, short_max=-0.1)], closes)
    assert found[:13] == [(False, False)] * 13
    assert found[13:] == [(True, False), (False, True)]
    exact = Filter(feature="log_return(1)@5m", long_min=math.log(1.1) - 1e-6, long_max=0.0954)
    assert passed([exact], closes)[13] == (True, True)


def test_bar_by_bar_it_passes_where_the_features_of_the_whole_history_say_so() -> None:
    closes = 100.0 + np.random.default_rng(7).normal(0, 1, 300).cumsum() / 10
    bounds = Filter(feature="sma_ratio(4)@5m", long_min=0.0, short_max=0.0)
    quick = Filter(feature="log_return(3)", long_min=-0.001, short_max=0.001)
    times = np.arange(1, 301, dtype=np.int64) * MINUTE.ns
    frame = BarFrame(times, closes, closes, closes, closes, np.ones(300))
    rows = FeatureEngine(filter_features([bounds, quick], MINUTE)).batch(frame).values
    expected = [
        (bool(ratio >= 0 and change >= -0.001), bool(ratio <= 0 and change <= 0.001))
        for ratio, change in rows
    ]
    assert passed([bounds, quick], closes.tolist()) == expected
    assert min(sum(long for long, _ in expected), sum(short for _, short in expected)) > 50


def test_long_gap_warms_up_anew_and_a_short_one_does_not() -> None:
    gate = EntryFilter([Filter(feature="log_return(1)", long_min=-9.0)], MINUTE)
    answers = []
    for number in (1, 2, 100, 400, 401):
        gate.update(bar(number, 100.0))
        answers.append(gate.passes(is_long=True))
    assert answers == [False, True, True, False, True]


def test_bar_that_is_not_sound_is_refused() -> None:
    gate = EntryFilter([Filter(feature="log_return(1)", long_min=0.0)], MINUTE)
    with pytest.raises(DataError, match="must be finite, above zero"):
        gate.update(bar(1, -1.0))


@pytest.mark.parametrize(
    ("data", "paragraph"),
    [
        ({"feature": "rsi(14)"}, "has no bound, must have at least one of long_min, long_max"),
        (
            {"feature": "rsi(14)", "long_min": 60, "long_max": 40},
            "long_min was 60.0, must be at most long_max, 40.0.",
        ),
        (
            {"feature": "rsi(14)", "short_min": 60, "short_max": 40},
            "short_min was 60.0, must be at most short_max, 40.0.",
        ),
        ({"feature": "rsi(14)", "long_mim": 1}, "unknown key 'long_mim', did you mean 'long_min'?"),
        ({"long_min": 1}, "key 'feature' is missing, it has no default."),
    ],
)
def test_filter_that_cannot_work_is_refused(data: Mapping[str, Any], paragraph: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode(data, Filter, "desk.toml", "filters[0]")
    assert paragraph in str(caught.value)
    assert str(caught.value).startswith("desk.toml: filters[0]")


@pytest.mark.parametrize(
    ("texts", "paragraph"),
    [
        (["rsi(14)", "rsj(14)"], "filters[1].feature 'rsj(14)': there is no feature 'rsj', did"),
        (["rsi(14"], "filters[0].feature 'rsi(14': cannot be read, must be such as rsi(14)"),
        (["rsi(14)@30s"], "filters[0].feature 'rsi(14)@30s': bars of 30s cannot be built"),
        (
            ["rsi(14)", "rsi( 14 )"],
            "filters[1].feature 'rsi( 14 )': is that of filters[0], put all its bounds into one",
        ),
        (["Y.V:rsi(14)"], "filters[0].feature 'Y.V:rsi(14)': sees Y.V, must see the traded"),
        (["beta(Y.V,60)"], "filters[0].feature 'beta(Y.V,60)': sees Y.V, must see the traded"),
    ],
)
def test_feature_that_a_filter_cannot_have_is_refused(texts: list[str], paragraph: str) -> None:
    with pytest.raises(ValueError, match="filters") as caught:
        filter_features([Filter(feature=text, long_min=0.0) for text in texts], MINUTE)
    assert paragraph in str(caught.value)
