"""Bars of the catalog and bars of the engine give the same features, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import Interval, exact_float
from aitb_nautilus.market.instruments import find_instrument
from catalog.store import BarStore
from tests.bar_samples import walk
from tests.features.feature_bars import same_bits

BTC = "BTCUSDT.BINANCE"


def test_engine_bars_give_the_features_of_the_catalog(tmp_path: Path) -> None:
    interval = Interval.parse("1m")
    store = BarStore(tmp_path)
    store.write(find_instrument(BTC), interval, walk(2_000, price=46_000), source="made up")
    bar_type = interval.bar_type(BTC)
    features = parse_features(
        ["log_return(1)", "zscore(close,30)", "vwap_distance(60)", "rsi(14)@5m"], interval="1m"
    )
    batch = FeatureEngine(features).batch(store.read(bar_type))

    engine = FeatureEngine(features)
    stream, rounded = [], 0
    for bar in store.engine_bars(bar_type):
        values = [bar.open, bar.high, bar.low, bar.close, bar.volume]
        stream.append(engine.update(bar.ts_event, *(exact_float(value) for value in values)))
        rounded += bar.close.as_double() != exact_float(bar.close)
    assert batch.valid.sum() == sum(row is not None for row in stream) > 20
    assert same_bits(np.array([r for r in stream if r is not None]), batch.values[batch.valid])
    assert rounded > 100, "as_double() became exact: this test has lost its reason"
