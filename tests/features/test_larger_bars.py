"""Larger bars are built from closed base bars alone and known when the last of these closes."""

from __future__ import annotations

import numpy as np
import pytest

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import Interval
from tests.features.feature_bars import market, same_bits

TEXTS = ["log_return(1)", "zscore(volume,7)", "range_position(5)", "ema_distance(2)", "hour_sin"]


def gathered(bars: BarFrame, size: Interval) -> tuple[BarFrame, np.ndarray]:
    """Return whole bars of a size by plain Python, and the row at which each one closed."""
    groups: dict[int, list[int]] = {}
    for row, ts in enumerate(bars.ts_close.tolist()):
        groups.setdefault((ts - 1) // size.ns, []).append(row)
    ratio = size.ns // 60_000_000_000
    whole = {group: rows for group, rows in groups.items() if len(rows) == ratio}
    columns = [
        [(group + 1) * size.ns for group in whole],
        [bars.open[rows[0]] for rows in whole.values()],
        [bars.high[rows].max() for rows in whole.values()],
        [bars.low[rows].min() for rows in whole.values()],
        [bars.close[rows[-1]] for rows in whole.values()],
        [float(np.add.accumulate(bars.volume[rows])[-1]) for rows in whole.values()],
    ]
    frame = BarFrame(np.array(columns[0], np.int64), *(np.array(c) for c in columns[1:]))
    return frame, np.array([rows[-1] for rows in whole.values()])


@pytest.mark.parametrize("text", ["5m", "1h", "4h"])
def test_larger_bars_equal_bars_gathered_by_hand(text: str) -> None:
    size = Interval.parse(text)
    bars = market(15_000)
    features = parse_features([f"{t}@{text}" for t in TEXTS], interval="1m")
    rows = FeatureEngine(features).batch(bars, dtype=np.float64)

    large, closed_at = gathered(bars, size)
    alone = FeatureEngine(parse_features(TEXTS, interval=text)).batch(large, dtype=np.float64)
    latest = np.searchsorted(closed_at, np.arange(len(bars)), side="right") - 1
    assert rows.valid.sum() > 1000
    assert same_bits(rows.values[rows.valid], alone.values[latest[rows.valid]])
    first = int(rows.valid.argmax())
    changes = first + 1 + np.flatnonzero(np.diff(rows.values[first:, 0]))
    assert len(changes) > 10
    assert set(changes.tolist()) <= set(closed_at.tolist())


def test_warmup_covers_every_place_at_which_a_start_can_fall() -> None:
    features = parse_features([f"{t}@1h" for t in TEXTS] + ["log_return(5)"], interval="1m")
    bars = market(9_000)
    whole = FeatureEngine(features).batch(bars, dtype=np.float64)
    for start in range(1, 130, 7):
        late = FeatureEngine(features).batch(bars.take(slice(start, None)), dtype=np.float64)
        assert int(late.valid.argmax()) == features.warmup - 1
        assert same_bits(late.values[late.valid], whole.values[start:][late.valid])


def test_gap_is_filled_before_larger_bars_are_built() -> None:
    features = parse_features([f"{t}@15m" for t in TEXTS], interval="1m")
    bars = market(3_000)
    holed = bars.take(np.r_[0:1500, 1570:3000])
    columns = [c.copy() for c in (bars.open, bars.high, bars.low, bars.close, bars.volume)]
    for column in columns[:4]:
        column[1500:1570] = bars.close[1499]
    columns[4][1500:1570] = 0.0
    whole = FeatureEngine(features).batch(BarFrame(bars.ts_close, *columns)).values
    assert same_bits(FeatureEngine(features).batch(holed).values[1500:], whole[1570:])


def test_stream_equals_batch_with_several_sizes() -> None:
    texts = [*TEXTS, *(f"{t}@5m" for t in TEXTS), *(f"{t}@1h" for t in TEXTS)]
    features = parse_features(texts, interval="1m")
    bars = market(4_000)
    whole = FeatureEngine(features).batch(bars)
    engine = FeatureEngine(features)
    columns = (bars.ts_close, bars.open, bars.high, bars.low, bars.close, bars.volume)
    stream = [engine.update(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    assert [row is not None for row in stream] == whole.valid.tolist()
    found = np.array([row for row in stream if row is not None])
    assert same_bits(found, whole.values[whole.valid])
