from __future__ import annotations

import numpy as np
import pytest

from aitb_nautilus.observe.run_record import PredictionFigures
from aitb_nautilus.run.prediction_measures import (
    Predicted,
    block_error,
    ic_error,
    measure_predictions,
    wilson_interval,
)

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_672_531_200 * 10**9  # 2023-01-01, a Sunday


def predicted(
    ts: np.ndarray, probability: np.ndarray, up: np.ndarray, forward: np.ndarray | None = None
) -> Predicted:
    forward = np.where(up, 0.01, -0.01) if forward is None else forward
    return Predicted(
        ts.astype(np.int64),
        probability.astype(np.float64),
        np.ones(len(ts), np.bool_),
        up.astype(np.bool_),
        forward.astype(np.float64),
    )


def hourly(days: float, *, skill: float = 0.0, seed: int = 1) -> Predicted:
    """Return a prediction an hour; with skill, probabilities lean towards what happens."""
    random = np.random.default_rng(seed)
    count = round(days * 24)
    forward = random.normal(size=count)
    probability = 0.5 + 0.02 * (skill * forward + random.normal(size=count))
    return predicted(START + HOUR * (1 + np.arange(count)), probability, forward > 0, forward)


def figures(rows: Predicted, horizon_bars: int = 1, interval_ns: int = HOUR) -> PredictionFigures:
    return measure_predictions(rows, interval_ns=interval_ns, horizon_bars=horizon_bars, late=0)


def test_figures_of_four_rows_are_those_computed_by_hand() -> None:
    rows = predicted(
        START + HOUR * np.arange(1, 5),
        np.array([0.2, 0.6, 0.6, 0.9]),
        np.array([False, False, True, True]),
        np.array([-1.0, 0.0, 1.0, 2.0]),
    )
    found = figures(rows)
    assert (found.rows, found.resolved) == (4, 4)
    assert (found.first, found.last) == ("2023-01-01T01:00:00Z", "2023-01-01T04:00:00Z")
    assert found.mean_probability == pytest.approx(0.575)
    assert found.up_share == 0.5
    assert found.log_loss == pytest.approx(-np.log([0.8, 0.4, 0.6, 0.9]).mean())
    assert found.log_loss_prior == pytest.approx(np.log(2))
    assert found.brier == pytest.approx((0.04 + 0.36 + 0.16 + 0.01) / 4)
    assert found.auc == pytest.approx(3.5 / 4)
    assert found.hit_rate == 0.75
    assert found.ic == pytest.approx(1.05 / np.sqrt(0.2475 * 5))
    assert (found.gain_error, found.ic_error) == (None, None)  # one day is too few


def test_rows_without_outcome_count_and_are_not_measured() -> None:
    whole = hourly(2)
    known = np.arange(48) < 40
    rows = Predicted(whole.ts, whole.probability, known, whole.up, whole.forward)
    found, wanted = figures(rows), figures(whole.take(known))
    assert (found.rows, found.resolved) == (48, 40)
    assert found.last == "2023-01-03T00:00:00Z"
    assert (found.log_loss, found.ic, found.calibration) == (
        wanted.log_loss,
        wanted.ic,
        wanted.calibration,
    )
    assert found.histogram is not None
    assert sum(found.histogram.counts) == 48


def test_order_of_rows_changes_nothing_but_the_last_bits() -> None:
    rows = hourly(60)
    shuffled = rows.take(np.random.default_rng(2).permutation(len(rows.ts)))
    one, other = figures(rows), figures(shuffled)
    assert [p.rows for p in one.periods] == [p.rows for p in other.periods]
    assert one.ic == pytest.approx(other.ic)
    assert one.ic_error == pytest.approx(other.ic_error)


@pytest.mark.parametrize(
    ("ups", "rows", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_that_of_newcombe_1998_table_1(
    ups: int, rows: int, low: float, high: float
) -> None:
    assert wilson_interval(ups / rows, rows) == (
        pytest.approx(low, abs=5e-5),
        pytest.approx(high, abs=5e-5),
    )


def test_calibration_bounds_count_rows_that_share_a_horizon_once() -> None:
    rows = hourly(10)
    narrow, wide = figures(rows, 1).calibration[0], figures(rows, 6).calibration[0]
    assert (narrow.rows, narrow.up_share) == (wide.rows, wide.up_share) == (24, narrow.up_share)
    assert (narrow.low, narrow.high) == wilson_interval(narrow.up_share, 24)
    assert (wide.low, wide.high) == wilson_interval(wide.up_share, 4)


def test_one_and_the_same_probability_is_one_bin() -> None:
    up = np.arange(103) % 4 == 0
    found = figures(predicted(START + HOUR * np.arange(1, 104), np.full(103, 0.3), up))
    assert [(one.rows, one.up_share) for one in found.calibration] == [
        (103, pytest.approx(26 / 103))
    ]
    assert found.calibration[0].probability == pytest.approx(0.3)
    assert (found.auc, found.ic, found.ic_error) == (0.5, None, None)


def test_error_of_blocks_is_that_computed_by_hand() -> None:
    # Ten blocks of two rows; their sums are -4.5 to 4.5, of which the squares add up to 82.5.
    sums = np.arange(10) - 4.5
    found = block_error(np.repeat(sums / 2, 2), np.repeat(np.arange(10) + 7, 2))
    assert found == pytest.approx(np.sqrt(10 / 9 * 82.5) / 20)
    assert block_error(np.zeros(9), np.arange(9)) is None


def test_ic_error_of_independent_rows_is_the_textbook_one() -> None:
    random = np.random.default_rng(4)
    a = random.normal(size=200_000)
    b = 0.6 * a + 0.8 * random.normal(size=200_000)
    ic = float(np.corrcoef(a, b)[0, 1])
    found = ic_error(a, b, ic, np.arange(200_000) // 100)
    assert found == pytest.approx((1 - 0.36) / np.sqrt(200_000), rel=0.05)


def test_ic_error_grows_when_rows_repeat_each_other() -> None:
    rows = hourly(200)
    alone = figures(rows).ic_error
    repeated = Predicted(*(np.repeat(getattr(rows, n), 4) for n in Predicted.__dataclass_fields__))
    again = figures(repeated).ic_error
    assert alone is not None
    assert again == pytest.approx(alone)  # the naive formula would halve it


def test_blocks_are_ten_horizons_long_at_least() -> None:
    assert figures(hourly(12)).ic_error is not None  # days
    assert figures(hourly(12), horizon_bars=3).ic_error is None  # blocks of 2 days, six of them
    assert figures(hourly(21), horizon_bars=3).ic_error is not None


def test_skill_shows_and_its_absence_as_well() -> None:
    skilled, idle = figures(hourly(200, skill=1.0)), figures(hourly(200))
    assert skilled.ic is not None
    assert skilled.ic_error is not None
    assert skilled.ic > 10 * skilled.ic_error
    assert idle.ic is not None
    assert idle.ic_error is not None
    assert abs(idle.ic) < 3 * idle.ic_error
    assert idle.log_loss is not None
    assert idle.log_loss_prior is not None
    assert idle.log_loss > idle.log_loss_prior


@pytest.mark.parametrize(
    ("days", "unit", "first", "count"),
    [
        (5, "day", "2023-01-01", 5),
        (27.5, "day", "2023-01-01", 28),
        (28, "week", "2022-12-26", 5),
        (119.5, "week", "2022-12-26", 18),
        (120, "month", "2023-01-01", 4),
    ],
)
def test_periods_are_days_weeks_or_months_by_the_length(
    days: float, unit: str, first: str, count: int
) -> None:
    found = figures(hourly(days))
    assert (found.unit, found.periods[0].start, len(found.periods)) == (unit, first, count)
    assert sum(period.rows for period in found.periods) == round(days * 24)


def test_bar_that_closes_at_midnight_belongs_to_the_day_before() -> None:
    assert [period.rows for period in figures(hourly(3)).periods] == [24, 24, 24]


def test_month_has_the_figures_of_its_own_rows_and_none_where_they_are_few() -> None:
    rows = hourly(150 + 10 / 24)  # until ten hours into the 31st of May
    found = figures(rows)
    february = rows.take((rows.ts > START + 31 * DAY) & (rows.ts <= START + 59 * DAY))
    assert found.periods[1].start == "2023-02-01"
    assert found.periods[1].rows == 28 * 24
    assert found.periods[1].ic == figures(february).ic
    assert found.periods[1].log_loss == figures(february).log_loss
    few = figures(rows.take(rows.ts <= START + 57 * DAY + 19 * HOUR)).periods
    assert [period.ic is None for period in few] == [False] * 9 + [True]


def test_histogram_has_round_edges_and_every_row() -> None:
    rows = hourly(100)
    rows.probability[:3] = [0.01, 0.99, 0.5]
    found = figures(rows).histogram
    assert found is not None
    assert sum(found.counts) == 2400
    assert len(found.edges) == len(found.counts) + 1
    assert 0.5 in found.edges
    assert np.diff(found.edges) == pytest.approx(0.005)
    assert 0.4 < found.edges[0] < 0.5 < found.edges[-1] < 0.6
    assert found.counts[0] >= 1
    assert found.counts[-1] >= 1


def test_one_row_stands() -> None:
    found = figures(predicted(np.array([START]), np.array([0.5]), np.array([True])))
    assert (found.rows, found.auc, found.ic, found.up_share) == (1, None, None, 1.0)
    assert found.histogram is not None
    assert found.histogram.counts == [1]
