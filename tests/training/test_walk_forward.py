from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.models.stream import read_stream
from aitb_nautilus.training.samples import TrainingBars
from aitb_nautilus.training.settings import (
    LightgbmSettings,
    ModelSettings,
    ReturnLabel,
    SignLabel,
    WalkForwardSettings,
)
from aitb_nautilus.training.walk_forward import walk_forward, write_stream
from catalog.simulate import SimulationSettings, simulate
from tests.training.sample_maker import settings

BTC = "BTCUSDT.BINANCE"
FEATURES = parse_features(["log_return(1)", "log_return(3)", "log_return(10)"], interval="1m")
PLAN = WalkForwardSettings(train_days=2, step_days=1)
DAY_NS = 86_400_000_000_000


@pytest.fixture(scope="module")
def bars() -> TrainingBars:
    spec = SimulationSettings(
        instruments=(BTC,), days=6, alpha="momentum", alpha_strength=0.2, alpha_halflife_bars=2
    )
    return TrainingBars(simulate(spec), "ab" * 32, True)


def small(**changes: object) -> ModelSettings:
    given = {"label": SignLabel(horizon_bars=3)} | changes
    return settings(algorithm=LightgbmSettings(trees=20, min_rows_in_leaf=30), **given)


def test_windows_join_one_stream_that_beats_the_baselines(bars: TrainingBars) -> None:
    report, stream = walk_forward(small(), PLAN, FEATURES, bars)
    assert len(report.windows) == 4
    assert [w.test_rows for w in report.windows[:-1]] == [1440] * 3
    assert len(stream.ts) == report.rows == sum(w.test_rows for w in report.windows)
    assert (np.diff(stream.ts) == 60_000_000_000).all()
    assert stream.ts[-1] == bars.bars[BTC].ts_close[-1]
    for window in report.windows:
        assert window.train_last_ns < window.test_first_ns
        assert window.test_first_ns - window.train_first_ns == 2 * DAY_NS
    assert len({w.model_sha256 for w in report.windows}) == 4
    for name in ("class prior", "last return's sign"):
        assert report.summary["model"]["log_loss"] < report.summary[name]["log_loss"]
    assert report.summary["model"]["auc"] > 0.55
    assert report.seconds.keys() == {"features", "training", "export", "prediction", "total"}


def test_stream_is_the_same_up_to_where_the_history_is_cut(bars: TrainingBars) -> None:
    _, whole = walk_forward(small(), PLAN, FEATURES, bars)
    cut = TrainingBars({BTC: bars.bars[BTC].take(slice(0, 6000))}, "ab" * 32, True)
    _, part = walk_forward(small(), PLAN, FEATURES, cut)
    count = len(part.ts)
    assert 2000 < count < len(whole.ts)
    assert np.array_equal(part.ts, whole.ts[:count])
    assert np.array_equal(part.probability, whole.probability[:count])


def test_written_stream_names_time_instrument_and_model(bars: TrainingBars, tmp_path: Path) -> None:
    wanted = small(label=ReturnLabel(horizon_bars=5))
    report, stream = walk_forward(wanted, PLAN, FEATURES, bars)
    written = write_stream(tmp_path / "out", report, stream)
    table = pq.read_table(written.path)
    assert table.column_names == [
        "ts", "instrument_id", "probability", "expected_return", "model_version"
    ]  # fmt: skip
    assert str(table.schema.field("ts").type) == "timestamp[ns, tz=UTC]"
    assert np.array_equal(table["probability"].to_numpy(), stream.probability)
    assert table["expected_return"].null_count == 0
    assert table["instrument_id"].unique().to_pylist() == [BTC]
    assert table["model_version"].unique().to_pylist() == [f"m/window-{i}" for i in range(1, 5)]
    about = json.loads(table.schema.metadata[b"aitb"])
    assert (about["simulated"], about["horizon_ns"]) == (True, 300_000_000_000)
    assert len(about["windows"]) == 4
    assert about["label"] == {
        "kind": "return",
        "horizon_bars": 5,
        "horizon_ns": 300_000_000_000,
        "parameters": {"cost_bps": 0.0},
    }
    assert about["longest_gap_bars"] == FEATURES.longest_gap_bars == 120
    assert about["trials"] == wanted.trials == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.parquet"]


def test_written_stream_is_read_back_as_it_was(bars: TrainingBars, tmp_path: Path) -> None:
    report, stream = walk_forward(small(), PLAN, FEATURES, bars)
    read = read_stream(Path(write_stream(tmp_path, report, stream).path))
    rows = read.rows[BTC]
    assert np.array_equal(rows.ts, stream.ts)
    assert np.array_equal(rows.probability, stream.probability)
    assert np.array_equal(rows.window, stream.window - 1)
    assert rows.expected_return is None
    assert read.about.label.horizon_ns == report.horizon_ns == 180_000_000_000
    assert [w.model_version for w in read.about.windows] == [f"m/window-{i}" for i in range(1, 5)]


def test_data_shorter_than_a_window_are_refused(bars: TrainingBars) -> None:
    plan = WalkForwardSettings(train_days=10, step_days=1)
    with pytest.raises(DataError, match=r"reach over 6\.0 days, must be more than .* 10 days"):
        walk_forward(small(), plan, FEATURES, bars)
