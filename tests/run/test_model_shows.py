"""What the issue shows of models, in small: on recorded bars, and on simulated markets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.run.training import train
from benchmarks.study_edge import study
from catalog.store import BarStore
from tests.run.desk_lab import Lab
from tests.run.test_shows import BTC, BTC_1M, frame

MINUTE = Interval.parse("1m")
FEATURES = {
    "interval": "1m",
    "columns": ["log_return(1)", "log_return(15)", "rsi(14)", "zscore(close,60)", "rsi(5)@5m"],
}
MODEL = {
    "id": "btc_up",
    "instruments": [BTC],
    "end": "2023-03-20",
    "label": {"kind": "sign", "horizon_bars": 15},
    "algorithm": {"kind": "lightgbm", "trees": 40, "leaves": 7},
    "folds": {"count": 2},
}
THRESHOLD = {
    "class": "strategies.threshold:Threshold",
    "id": "threshold",
    "params": {
        "instruments": [BTC],
        "interval": "1m",
        "model": "btc_up",
        "direction": "long",
        "long_enter": 0.51,
        "long_exit": 0.49,
        "sizing": {"method": "equity_fraction", "fraction": 0.5},
        "exits": {"stop_frac": 0.01, "target_frac": 0.02, "max_bars": 240},
    },
}
VENUE = {
    "name": "BINANCE",
    "account": "cash",
    "starting_balance": "10000 USDT",
    "maker_fee_bps": 10.0,
    "taker_fee_bps": 10.0,
    "slippage_bps": 2.0,
}


@pytest.mark.slow
@pytest.mark.realdata
def test_model_of_three_weeks_trades_the_next_one_the_same_inline_and_replayed(
    lab: Lab, market_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = {"AITB_HOME": str(lab.folder / "home")}
    monkeypatch.setenv("AITB_HOME", home["AITB_HOME"])
    # The outage of 24 March, 80 minutes long, is in the week that is traded.
    begin, end = datetime(2023, 2, 27, tzinfo=UTC), datetime(2023, 3, 27, tzinfo=UTC)
    weeks = (pc.field("open_time") >= begin) & (pc.field("open_time") < end)
    bars = frame(pq.read_table(market_dir / BTC_1M, filters=weeks), MINUTE)
    BarStore(lab.folder / "data").write(find_instrument(BTC), MINUTE, bars, source="BTCUSDT 1m")
    registry = str(lab.folder / "models")

    def config(inference: str) -> Path:
        params = {"models": ["btc_up"], "registry": registry, "inference": inference}
        actor = {"class": "actors.inference:OnnxInferenceActor", "id": "model", "params": params}
        sections: dict[str, Any] = {
            "features": FEATURES,
            "model": {**MODEL, "registry": registry},
            "backtest": {"start": MODEL["end"]},
        }
        return lab.config(THRESHOLD, name=inference, venues=[VENUE], actors=[actor], **sections)

    assert train(config("replayed")).model.new
    outcomes = []
    for seed, inference in (("1", "inline"), ("2", "replayed")):
        done = lab.process(config(inference), env=home | {"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        outcomes.append(lab.read(Path(done.stdout.strip())))
    first, second = outcomes
    assert first.record.fingerprint == second.record.fingerprint
    said, replayed = (pq.read_table(one.folder / "predictions.parquet") for one in outcomes)
    assert said.equals(replayed)
    assert first.record.bars == 7 * 1440 - 80
    assert first.record.fills > 20
    (model,) = first.record.models
    assert model.sample == "out"
    assert model.figures is not None
    assert model.figures.rows == len(said) > 9_000


@pytest.mark.slow
def test_desk_says_edge_of_no_empty_market_and_earns_on_a_planted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The short form of benchmarks/study_edge.py, whose whole figures stand in decision 0013.
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "home"))
    found = {}
    for seed, alpha in ((1, "none"), (2, "none"), (3, "momentum")):
        (found[seed, alpha],) = study(
            tmp_path / f"{alpha}{seed}", seed, alpha, (("sober", "with"),)
        )
    assert [found[seed, "none"].kind for seed in (1, 2)] == ["idle", "loss"]
    planted = found[3, "momentum"]
    assert planted.net > 0
    assert planted.record.costs is not None
    assert planted.record.costs.fees > 0
    (model,) = planted.record.models
    assert model.figures is not None
    assert model.figures.auc is not None
    assert model.figures.auc > 0.52
