from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.trust import Keyring
from aitb_nautilus.training.samples import TrainingBars, make_samples
from aitb_nautilus.training.settings import (
    FoldSettings,
    LightgbmSettings,
    LogisticSettings,
    SignLabel,
    TripleBarrierLabel,
)
from aitb_nautilus.training.train import train
from catalog.simulate import SimulationSettings, simulate
from tests.bar_samples import MINUTE_NS, walk
from tests.training.sample_maker import settings

BTC, ETH = "BTCUSDT.BINANCE", "ETHUSDT.BINANCE"
FEATURES = parse_features(
    ["log_return(1)", "log_return(3)", "log_return(10)", "zscore(close,30)"], interval="1m"
)
SMALL = LightgbmSettings(trees=30, min_rows_in_leaf=50)


def market(alpha: str, days: int = 6, seed: int = 1) -> TrainingBars:
    spec = SimulationSettings(
        instruments=(BTC, ETH),
        days=days,
        alpha=alpha,
        alpha_strength=0.2,
        alpha_halflife_bars=2,
        seed=seed,
    )
    return TrainingBars(simulate(spec), "ab" * 32, True)


def own(bars: TrainingBars) -> TrainingBars:
    return TrainingBars({BTC: bars.bars[BTC]}, bars.sha256, bars.simulated)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models", Keyring(tmp_path / "keys"))


def test_planted_alpha_is_found_and_the_bundle_loads(registry: Registry) -> None:
    steps: list[tuple[str, int, int]] = []
    bars = market("momentum", 12)
    report = train(
        settings(algorithm=SMALL, label=SignLabel(horizon_bars=3), trials=3, expires_days=20_000.0),
        FEATURES,
        own(bars),
        registry,
        config_sha256="cd" * 32,
        progress=lambda *step: steps.append(step),
    )
    model, baselines = report.judgement.summary["model"], ("class prior", "last return's sign")
    assert model["auc"].mean > 0.53
    for name in baselines:
        assert model["log_loss"].mean < report.judgement.summary[name]["log_loss"].mean
    assert report.judgement.useful
    assert sum(row.rows for row in report.judgement.calibration) == sum(
        fold.test_rows for fold in report.judgement.folds
    )
    assert steps[0] == ("features", 0, 1)
    assert steps[-1] == ("final fit", 6, 6)

    loaded = registry.load(
        "m", features=FEATURES.names, feature_fingerprint=FEATURES.fingerprint, interval="1m"
    )
    manifest = loaded.bundle.manifest
    assert manifest.model.sha256 == report.model.sha256
    training, label = manifest.training, manifest.contract.label
    assert (training.algorithm, training.simulated, training.trials) == ("lightgbm", True, 3)
    assert (training.data_sha256, training.config_sha256) == ("ab" * 32, "cd" * 32)
    assert (training.rows, len(training.folds)) == (report.rows, 5)
    assert training.purge_ns == 3 * MINUTE_NS
    assert training.calibration.rows == report.calibration_rows > 100
    assert training.seeds == {"fit": 1, "importance": 1}
    assert {"lightgbm", "onnxruntime"} < training.libraries.keys()
    assert training.folds[0].metrics["auc"] == report.judgement.folds[0].metrics["model"]["auc"]
    assert "class prior: log_loss" in training.folds[0].metrics
    assert (label.kind, label.horizon_ns) == ("sign", 3 * MINUTE_NS)
    newest = int(bars.bars[BTC].ts_close[-1])
    assert manifest.expires_ns == newest + 20_000 * 86_400 * 10**9


def test_model_without_alpha_is_seen_to_be_useless(registry: Registry) -> None:
    useful = []
    for seed in range(4):
        report = train(settings(algorithm=SMALL), FEATURES, own(market("none", 4, seed)), registry)
        useful.append(report.judgement.useful)
        assert abs(report.judgement.summary["model"]["auc"].mean - 0.5) < 0.02
        assert ("no better than" in report.judgement.verdict) != report.judgement.useful
    assert sum(useful) <= 1


def test_importance_names_what_the_planted_alpha_stands_in(registry: Registry) -> None:
    features = parse_features(["hour_sin", "candle_body", "log_return(10)"], interval="1m")
    wanted = settings(algorithm=LogisticSettings(), folds=FoldSettings(count=3))
    report = train(wanted, features, own(market("momentum")), registry)
    ranked = [row.feature for row in report.judgement.importance]
    assert ranked[0] == "log_return(10)"
    assert report.judgement.importance[0].mean > 1e-3
    assert report.judgement.importance[1].mean < report.judgement.importance[0].mean / 2


def test_same_training_again_publishes_nothing_new(registry: Registry) -> None:
    bars = own(market("momentum", 3))
    wanted = settings(algorithm=SMALL, label=TripleBarrierLabel(horizon_bars=10))
    first, second = (train(wanted, FEATURES, bars, registry) for _ in range(2))
    assert (first.model.version, first.model.new) == (1, True)
    assert (second.model.version, second.model.new) == (1, False)
    other = train(settings(algorithm=SMALL, seed=2), FEATURES, bars, registry)
    assert (other.model.version, other.model.new) == (2, True)


def test_instruments_are_learnt_from_together_and_may_see_each_other(registry: Registry) -> None:
    features = parse_features(
        ["log_return(5)", f"beta({ETH},60)", f"{ETH}:log_return(1)"], interval="1m"
    )
    bars = market("momentum", 3)
    wanted = settings(instruments=(BTC, ETH), algorithm=LogisticSettings())
    samples = make_samples(features, bars, (BTC, ETH), wanted.label)
    assert (np.diff(samples.ts) >= 0).all()
    assert set(samples.instrument) == {0, 1}
    alone = make_samples(features, bars, (BTC,), wanted.label)
    kept = samples.take(samples.instrument == 0)
    assert np.array_equal(kept.rows, alone.rows)
    assert np.array_equal(kept.up, alone.up)
    report = train(wanted, features, bars, registry)
    assert report.rows == samples.known.sum()


def bars_of(frame: BarFrame) -> TrainingBars:
    return TrainingBars({BTC: frame}, "00" * 32, False)


def test_too_few_bars_for_the_features_are_refused(registry: Registry) -> None:
    with pytest.raises(DataError, match="20 are there, too few for a single row of features"):
        train(settings(), FEATURES, bars_of(walk(20)), registry)


def test_horizon_beyond_the_data_is_refused(registry: Registry) -> None:
    wanted = settings(label=SignLabel(horizon_bars=600))
    with pytest.raises(DataError, match="has a label: the horizon of 600 bars reaches beyond"):
        train(wanted, FEATURES, bars_of(walk(600)), registry)


def test_costs_above_every_return_leave_one_class_and_are_refused(registry: Registry) -> None:
    wanted = settings(label=SignLabel(horizon_bars=5, cost_bps=900), algorithm=SMALL)
    with pytest.raises(DataError, match="not up, must be of both classes"):
        train(wanted, FEATURES, bars_of(walk(3000)), registry)
    assert registry.ids() == []


def test_model_that_would_have_expired_already_is_refused(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"model\.expires_days: was 30: .* expired at 2023-02-0"):
        train(settings(expires_days=30.0), FEATURES, bars_of(walk(3000)), registry)


def test_nan_in_the_bars_is_refused(registry: Registry) -> None:
    frame = walk(3000)
    frame.close[1234] = np.nan
    with pytest.raises(DataError, match="close nan, volume"):
        train(settings(), FEATURES, bars_of(frame), registry)
