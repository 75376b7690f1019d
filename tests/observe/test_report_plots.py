from __future__ import annotations

import re

import pytest

from aitb_nautilus.observe.report_plots import (
    calibration_plot,
    ic_plot,
    period_name,
    probability_plot,
)
from aitb_nautilus.observe.report_strips import bars
from aitb_nautilus.observe.run_record import CalibrationBin, Histogram, PeriodFigures


def places(markup: str, kind: str, name: str) -> list[float]:
    """Return a style's value, in percent, of every element of a class."""
    found = re.findall(rf'class="{kind}" style="([^"]*)"', markup)
    return [float(re.search(rf"(?:^|;){name}:(-?[\d.]+)%", style)[1]) for style in found]  # type: ignore[index]


def texts(markup: str, part: str) -> list[str]:
    block = re.search(rf'<div class="{part}">(.*?)</div>', markup)
    assert block is not None
    return re.findall(r"<span[^>]*>([^<]*)", block[1])


def period(start: str, ic: float | None, rows: int = 100) -> PeriodFigures:
    return PeriodFigures(
        start=start, rows=rows, ic=ic, rank_ic=ic, log_loss=0.69, hit_rate=0.5 if ic else None
    )


def test_histogram_stands_on_its_edges_with_the_share_that_went_up() -> None:
    shown = probability_plot(
        Histogram(edges=[0.48, 0.49, 0.5, 0.51, 0.52], counts=[10, 40, 30, 20]), 0.495, "x"
    )
    assert places(shown, "up", "left") == [0, 25, 50, 75]
    assert places(shown, "up", "height") == [25, 100, 75, 50]
    assert places(shown, "line", "left") == [37.5]
    assert texts(shown, "below") == ["48%", "49%", "50%", "51%", "52%"]
    assert texts(shown, "side") == ["0%", "10%", "20%", "30%", "40%"]
    assert "48% to 49%\n10 predictions" in shown


def test_share_beyond_the_histogram_has_no_line() -> None:
    histogram = Histogram(edges=[0.48, 0.49], counts=[1])
    assert 'class="line"' not in probability_plot(histogram, 0.3, "x")
    assert 'class="line"' not in probability_plot(histogram, None, "x")
    assert "1 prediction" in probability_plot(histogram, None, "x")


def test_calibration_keeps_points_and_bounds_inside() -> None:
    bins = [
        CalibrationBin(rows=50, probability=0.45, up_share=0.4, low=0.3, high=0.5),
        CalibrationBin(rows=50, probability=0.55, up_share=0.6, low=0.5, high=0.7),
    ]
    shown = calibration_plot(bins, "x")
    low, reach = places(shown, "reach", "bottom"), places(shown, "reach", "height")
    dots = places(shown, "dot", "bottom")
    assert all(0 < b < d < b + r < 100 for b, d, r in zip(low, dots, reach, strict=True))
    assert places(shown, "dot", "left") == pytest.approx([5.357, 94.643], abs=0.01)
    # The diagonal: at the left edge 44.4 % is foretold, which lies at 36.6 % of the height.
    ends = [float(n) for n in re.findall(r'y[12]="([\d.]+)"', shown)]
    assert ends == pytest.approx([100 - 36.73, 100 - 63.27], abs=0.1)
    assert "Happened 40.00%, 95% bounds 30.00% to 50.00%" in shown


def test_one_bin_stands() -> None:
    one = CalibrationBin(rows=5, probability=0.5, up_share=1.0, low=0.4, high=1.0)
    shown = calibration_plot([one], "x")
    assert places(shown, "dot", "left") == [50.0]


def test_ic_bars_stand_on_zero_with_their_mean() -> None:
    shown = ic_plot([period("2023-01-01", 0.03), period("2023-02-01", -0.01)], "month", 0.01, "x")
    zero = places(shown, "zero", "bottom")[0]
    (up,), (down,) = places(shown, "up", "bottom"), places(shown, "down", "bottom")
    assert up == zero
    assert down + places(shown, "down", "height")[0] == pytest.approx(zero, abs=0.01)
    assert places(shown, "up", "height")[0] == pytest.approx(
        3 * places(shown, "down", "height")[0], abs=0.01
    )
    assert places(shown, "mean", "bottom")[0] == pytest.approx(
        zero + places(shown, "down", "height")[0], abs=0.01
    )
    assert texts(shown, "below") == ["Jan 2023", "Feb 2023"]
    assert "0.00" in texts(shown, "side")
    assert "IC \N{MINUS SIGN}0.010" not in shown  # tips are plain text
    assert "Feb 2023\nIC -0.010" in shown


def test_period_with_few_rows_is_pale_and_does_not_set_the_scale() -> None:
    periods = [period("2023-01-02", 0.02), period("2023-01-09", 0.9, rows=24)]
    shown = ic_plot([*periods, period("2023-01-16", None, rows=3)], "week", 0.02, "x")
    assert places(shown, "up few", "height") == [100.0]
    assert places(shown, "up", "height")[0] > 80
    assert texts(shown, "below") == ["2 Jan", "9 Jan", "16 Jan"]


def test_many_periods_have_few_names() -> None:
    periods = [period(f"2023-{m:02d}-01", 0.01) for m in range(1, 13)]
    assert texts(ic_plot(periods, "month", 0.01, "x"), "below") == [
        "Jan 2023",
        "Apr 2023",
        "Jul 2023",
        "Oct 2023",
    ]


def test_periods_of_zero_stand() -> None:
    shown = ic_plot([period("2023-01-01", 0.0)], "day", 0.0, "x")
    assert places(shown, "up", "height") == [0.0]


@pytest.mark.parametrize(
    ("unit", "name"),
    [("month", "Mar 2023"), ("week", "Week of 6 Mar 2023"), ("day", "6 Mar 2023")],
)
def test_periods_have_names(unit: str, name: str) -> None:
    assert period_name("2023-03-06", unit) == name


def test_amounts_of_nothing_stand_on_a_line_at_the_foot() -> None:
    shown = str(bars([("12", 0.0, "no result"), ("13", 0.0, "no result")], "Net result by hour"))
    assert places(shown, "up", "height") == [0, 0]
    assert places(shown, "zero", "bottom") == [0]
