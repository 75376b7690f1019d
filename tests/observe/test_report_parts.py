from __future__ import annotations

import re

import numpy as np
import pytest

from aitb_nautilus.observe.luck import Bootstrap
from aitb_nautilus.observe.report_parts import Step, histogram, luck_bar, months, steps


def percents(markup: str, name: str) -> list[float]:
    return [float(text) for text in re.findall(rf"{name}:(-?[\d.]+)%", markup)]


def test_histogram_counts_every_value_once_and_splits_at_zero() -> None:
    values = np.random.default_rng(1).normal(0.001, 0.02, 5000)
    shown = histogram(values, "x")
    counts = re.findall(r'<i class="(up|down)"[^>]*data-tip="[^"]*\n([\d,]+) trade', shown)
    by_side = {"up": 0, "down": 0}
    for side, count in counts:
        by_side[side] += int(count.replace(",", ""))
    assert by_side == {"up": (values >= 0).sum(), "down": (values < 0).sum()}
    assert 18 <= len(counts) <= 46
    assert max(percents(shown, "--h")) == 100.0


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [0.5], [-0.5, -0.5], [1e-9, -1e-9]])
def test_histogram_of_few_or_equal_values_stands(values: list[float]) -> None:
    shown = histogram(np.array(values), "x")
    counted = sum(int(n) for n in re.findall(r"\n(\d+) trade", shown))
    assert counted == len(values)


def test_months_show_gaps_and_compound_the_year() -> None:
    shown = months({"2023-11": 0.1, "2023-12": -0.1, "2024-01": 0.0})
    assert "+10.0%" in shown
    assert "\N{MINUS SIGN}10.0%" in shown
    assert "\N{MINUS SIGN}1.0%" in shown  # 1.1 * 0.9 - 1
    assert shown.count('aria-hidden="true"') == 10 + 11
    assert re.findall(r'scope="row">(\d+)', shown) == ["2023", "2024"]


def test_steps_lie_on_one_scale_with_zero_marked() -> None:
    rows = [
        Step("a", 0, 100, "", "up"),
        Step("b", 100, -100, "", "down"),
        Step("c", 0, 0, "", "up"),
    ]
    shown = steps(rows, "x")
    assert percents(shown, "--from") == [50.0, 0.0, 50.0]
    assert percents(shown, "--wide") == [50.0, 100.0, 0.0]
    assert percents(shown, "--zero") == [50.0] * 3
    assert shown.count("<b>") == 3
    assert shown.count("<i ") == 2


def test_steps_of_nothing_stand() -> None:
    assert percents(steps([Step("a", 0, 0, "0", "up")], "x"), "--wide") == [0.0]


@pytest.mark.parametrize(
    ("low", "mean", "high"),
    [(-0.002, 0.001, 0.004), (0.001, 0.002, 0.003), (-0.003, -0.002, -0.001), (0.0, 0.0, 0.0)],
)
def test_luck_bar_keeps_bounds_mean_and_zero_inside(low: float, mean: float, high: float) -> None:
    shown = luck_bar(
        Bootstrap(
            mean=mean, lower_95=low, upper_95=high, days=99, block_days=5, resamples=9, seed=0
        )
    )
    places = percents(shown, "left")
    assert all(0 <= place <= 100 for place in places)
    assert places[0] <= places[2] <= places[0] + percents(shown, "width")[0] + 0.01
