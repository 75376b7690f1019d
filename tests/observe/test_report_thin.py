from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aitb_nautilus.observe.report_thin import join_bars, thin_curves


def test_short_curve_is_kept_whole() -> None:
    assert thin_curves([np.arange(5.0)], 10, []).tolist() == [0, 1, 2, 3, 4]


@settings(max_examples=40, deadline=None)
@given(st.integers(50, 3000), st.integers(8, 200), st.integers(0, 99))
def test_thinning_keeps_ends_extremes_and_wanted_rows(n: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves = [rng.normal(size=n).cumsum(), rng.integers(0, 3, n).astype(float)]
    wanted = int(rng.integers(0, n))
    rows = thin_curves(curves, most, [wanted])
    assert len(rows) <= max(n if n <= most else most + 3, 3)
    assert (np.diff(rows) > 0).all()
    assert {0, n - 1, wanted} <= set(rows.tolist())
    for curve in curves:
        assert curve[rows].max() == curve.max()
        assert curve[rows].min() == curve.min()


def test_thinning_keeps_a_single_spike_in_half_a_million_rows() -> None:
    curve = np.zeros(525_600)
    curve[123_457] = -7.0
    rows = thin_curves([curve], 4_000, [])
    assert 123_457 in rows
    assert len(rows) <= 4_002


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 60), st.integers(0, 99))
def test_joined_bars_cover_the_bars_they_join(n: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    open_, close = rng.uniform(1, 2, n), rng.uniform(1, 2, n)
    high, low = np.maximum(open_, close) + 0.1, np.minimum(open_, close) - 0.1
    ts = np.arange(1, n + 1, dtype=np.int64) * 60
    joined_ts, (o, h, lo, c), step = join_bars(ts, (open_, high, low, close), most)
    assert len(joined_ts) == len(o) == -(-n // step) <= most
    assert (joined_ts[-1], o[0], c[-1]) == (ts[-1], open_[0], close[-1])
    assert (h.max(), lo.min()) == (high.max(), low.min())
    assert (h >= np.maximum(o, c)).all()
    assert (lo <= np.minimum(o, c)).all()


def test_joined_bars_of_a_rest_are_shorter() -> None:
    ts = np.array([1, 2, 3], dtype=np.int64)
    series = np.array([1.0, 3.0, 2.0])
    joined_ts, (o, h, _, c), step = join_bars(ts, (series, series, series, series), 2)
    assert (joined_ts.tolist(), step) == ([2, 3], 2)
    assert (o.tolist(), h.tolist(), c.tolist()) == ([1.0, 2.0], [3.0, 2.0], [3.0, 2.0])
    assert pytest.approx(c[-1]) == 2.0
