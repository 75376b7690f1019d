"""A minute of what `python -m tests.run.soak` does for an hour, and how it judges."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.run.soak import soak, theil_sen


def test_slope_is_that_of_the_many_and_not_of_one_jump() -> None:
    x = np.arange(100) / 10
    y = 3 * x + 7
    y[50] += 1_000
    slope, low, high = theil_sen(x.tolist(), y.tolist())
    assert slope == pytest.approx(3)
    assert low == pytest.approx(3)
    assert high == pytest.approx(3)


def test_bounds_hold_the_slope_of_what_trembles() -> None:
    x = np.arange(200) / 200
    y = 2 * x + np.random.default_rng(1).normal(0, 1, 200)
    slope, low, high = theil_sen(x.tolist(), y.tolist())
    assert low < slope < high
    assert low < 2 < high


@pytest.mark.long
def test_node_trades_twenty_perpetuals_for_a_minute_and_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "home"))
    gc.collect()  # the engine's objects of other tests may not be dropped by the exchange's thread
    seen = soak(tmp_path / "soak", minutes=1.0)
    # A minute says nothing about an hour: what loads late is a slope of hundreds of MB.
    assert seen.problems(limit=2_000.0) == []
    assert seen.bars == 20
    assert seen.fills >= 10
    assert seen.replayed["predictions"] == 20
    assert seen.warm_s < 60
    (fills,) = (tmp_path / "soak").rglob("fills.parquet")
    for one in pq.read_table(fills).to_pylist():
        worse = one["price"] - one["reference_price"]
        lost = (worse if one["side"] == "BUY" else -worse) * one["quantity"]
        assert one["slippage"] == pytest.approx(lost)
