from __future__ import annotations

import numpy as np
import pytest

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.training.labels import label_bars
from aitb_nautilus.training.settings import ReturnLabel, SignLabel, TripleBarrierLabel
from tests.bar_samples import walk


def bars_of(closes: list[float], *, at: list[int] | None = None) -> BarFrame:
    """Return bars whose high and low lie one above and below the close; one bar a unit of time."""
    close = np.array(closes, np.float64)
    ts = np.array(at if at is not None else range(1, len(closes) + 1), np.int64)
    return BarFrame(ts, close, close + 1.0, close - 1.0, close, np.ones(len(closes)))


def test_forward_return_is_that_from_close_to_close_over_the_horizon() -> None:
    labels = label_bars(bars_of([100, 110, 99, 121]), ReturnLabel(horizon_bars=2), 1)
    assert labels.known.tolist() == [True, True, False, False]
    assert labels.forward[:2] == pytest.approx([-0.01, 0.1])
    assert labels.up[:2].tolist() == [False, True]
    assert labels.last_ns.tolist() == [3, 4, 5, 6]


def test_gain_within_the_costs_is_no_gain() -> None:
    bars = bars_of([100, 100.1, 100.1 * 1.0021])
    assert label_bars(bars, SignLabel(horizon_bars=1), 1).up[:2].tolist() == [True, True]
    costly = label_bars(bars, SignLabel(horizon_bars=1, cost_bps=20), 1)
    assert costly.up[:2].tolist() == [False, True]
    assert costly.forward[0] == pytest.approx(0.001)


def test_missing_bar_counts_as_one_without_a_trade() -> None:
    bars = bars_of([100, 101, 102, 103], at=[1, 2, 4, 5])
    labels = label_bars(bars, ReturnLabel(horizon_bars=1), 1, longest_gap_bars=1)
    assert labels.known.tolist() == [True, True, True, False]
    assert labels.forward[:3] == pytest.approx([0.01, 0.0, 103 / 102 - 1])


def test_no_label_reaches_over_a_long_gap() -> None:
    bars = bars_of([100, 101, 102, 103, 104], at=[1, 2, 4, 5, 6])
    labels = label_bars(bars, ReturnLabel(horizon_bars=1), 1, longest_gap_bars=0)
    assert labels.known.tolist() == [True, False, True, True, False]
    two = label_bars(bars, ReturnLabel(horizon_bars=2), 1, longest_gap_bars=0)
    assert two.known.tolist() == [False, False, True, False, False]


def test_no_bar_is_labelled_if_the_horizon_is_longer_than_the_data() -> None:
    assert not label_bars(bars_of([1, 2, 3]), SignLabel(horizon_bars=3), 1).known.any()
    assert not label_bars(BarFrame.empty(), SignLabel(horizon_bars=3), 1).known.any()


def barriers(**changes: float) -> TripleBarrierLabel:
    given = {"horizon_bars": 4, "volatility_bars": 2, "upper": 1.0, "lower": 1.0}
    return TripleBarrierLabel(**(given | changes))


def quiet(closes: list[float], highs: dict[int, float], lows: dict[int, float]) -> BarFrame:
    close = np.array(closes, np.float64)
    high, low = close.copy(), close.copy()
    for i, value in highs.items():
        high[i] = value
    for i, value in lows.items():
        low[i] = value
    ts = np.arange(1, len(closes) + 1)
    return BarFrame(ts, close, high, low, close, np.ones(len(closes)))


# Two log returns of +-ln 1.01 have the deviation ln 1.01; over 4 bars twice that.
START = [100.0, 101.0, 100.0]
WIDTH = 2 * np.log(1.01)


def test_upper_barrier_touched_first_is_up() -> None:
    closes = [*START, 100, 100, 100, 100]
    labels = label_bars(quiet(closes, {4: 102.5}, {5: 90}), barriers(), 1)
    assert labels.known.tolist() == [False, False, True, False, False, False, False]
    assert labels.up[2]
    assert labels.last_ns[2] == 7
    assert labels.forward[2] == pytest.approx(WIDTH)


def test_lower_barrier_touched_first_is_down() -> None:
    closes = [*START, 100, 100, 100, 100]
    labels = label_bars(quiet(closes, {5: 110}, {4: 97.5}), barriers(), 1)
    assert not labels.up[2]
    assert labels.forward[2] == pytest.approx(-WIDTH)


def test_bar_that_touches_both_barriers_is_down() -> None:
    closes = [*START, 100, 100, 100, 100]
    labels = label_bars(quiet(closes, {4: 110}, {4: 90}), barriers(), 1)
    assert not labels.up[2]


@pytest.mark.parametrize(("last", "up"), [(100.5, True), (99.5, False), (100.05, False)])
def test_without_a_touch_the_sign_over_the_horizon_counts(last: float, up: bool) -> None:
    labels = label_bars(quiet([*START, 100, 100, 100, last], {}, {}), barriers(cost_bps=10), 1)
    assert labels.up[2] == up
    assert labels.last_ns[2] == 7
    assert labels.forward[2] == pytest.approx(last / 100 - 1)


def test_touch_beyond_the_horizon_does_not_count() -> None:
    closes = [*START, 100, 100, 100, 100, 100]
    labels = label_bars(quiet(closes, {7: 200}, {}), barriers(), 1)
    assert not labels.up[2]
    assert labels.known[2]


def test_barriers_agree_with_a_plain_loop_on_a_random_walk() -> None:
    bars = walk(800, seed=3)
    label = TripleBarrierLabel(horizon_bars=20, volatility_bars=30, upper=1.2, lower=0.8)
    minute = int(bars.ts_close[1] - bars.ts_close[0])
    labels = label_bars(bars, label, minute)
    returns = np.diff(np.log(bars.close))
    for i in range(30, 780):
        sigma = returns[i - 30 : i].std() * np.sqrt(20)
        above, below = bars.close[i] * (1 + 1.2 * sigma), bars.close[i] * (1 - 0.8 * sigma)
        up, end = bars.close[i + 20] > bars.close[i], bars.close[i + 20]
        for j in range(i + 1, i + 21):
            if bars.low[j] <= below or bars.high[j] >= above:
                up, end = (True, above) if bars.low[j] > below else (False, below)
                break
        assert labels.up[i] == up
        assert labels.forward[i] == pytest.approx(end / bars.close[i] - 1)
    assert labels.known[30:780].all()
    assert not labels.known[:30].any()
