"""Predictions know nothing of the future, however they are made; and planted leaks are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import close_of_open_ns
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.models.predictor import Predictor
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.training.fitting import fit_model
from aitb_nautilus.training.leaks import check_changed_future, check_cut_history
from aitb_nautilus.training.samples import TrainingBars, make_samples
from aitb_nautilus.training.settings import LightgbmSettings, LogisticSettings, SignLabel
from tests.bar_samples import MINUTE_NS
from tests.features.feature_bars import market
from tests.training.sample_maker import settings

BTC, ETH = "BTCUSDT.BINANCE", "ETHUSDT.BINANCE"
ALONE = parse_features(
    ["log_return(1)", "log_return(7)", "zscore(close,20)", "rsi(2)", "log_return(2)@5m"],
    interval="1m",
)
BESIDE = parse_features(["log_return(3)", f"beta({ETH},8)", f"{ETH}:log_return(1)"], interval="1m")
BTC_1M = "bars_1m/binance_spot_BTCUSDT_1m_2022-01_2023-12.parquet"

type Values = tuple[NDArray[np.int64], NDArray[Any]]
type FromBars = Callable[[BarFrame], Values]


@pytest.fixture(scope="module")
def sessions() -> list[ModelSession]:
    """Return trees and a regression, trained on another market."""
    bars = TrainingBars({BTC: market(3_000, seed=9)}, "ab" * 32, True)
    samples = make_samples(ALONE, bars, (BTC,), SignLabel(horizon_bars=5)).labelled()
    kinds = LightgbmSettings(trees=20, leaves=7, early_stopping_rounds=0), LogisticSettings()
    fitted = [
        fit_model(samples, np.arange(len(samples)), settings(algorithm=kind)) for kind in kinds
    ]
    return [model.session() for model in fitted]


@pytest.fixture(scope="module")
def other_sessions(tmp_path_factory: pytest.TempPathFactory) -> list[ModelSession]:
    """Return a regression on two instruments, trained on the same two."""
    frames = {BTC: market(3_000, seed=9), ETH: market(3_000, seed=8, price=2_000)}
    samples = make_samples(
        BESIDE, TrainingBars(frames, "ab" * 32, True), (BTC,), SignLabel(horizon_bars=5)
    ).labelled()
    wanted = settings(algorithm=LogisticSettings())
    return [fit_model(samples, np.arange(len(samples)), wanted).session()]


def closed_bars(bars: BarFrame, instrument_id: str) -> Iterator[BarClosed]:
    columns = (bars.ts_close, bars.open, bars.high, bars.low, bars.close, bars.volume)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        yield BarClosed(instrument_id, *row)


def listened(predictor: Predictor, models: int, *frames: tuple[str, BarFrame]) -> Values:
    """Return what the models of a predictor say of bars, those of one time in the order given."""
    ts, said = [], []
    for together in zip(*(closed_bars(bars, name) for name, bars in frames), strict=True):
        for bar in together:
            taken = predictor.take(bar)
            if taken is not None:
                assert taken.answers is not None
                ts.append(taken.ts)
                said.append([probability for probability, _ in taken.answers])
    return np.array(ts, np.int64), np.array(said, np.float64).reshape(len(ts), models)


def foreseen(sessions: list[ModelSession]) -> FromBars:
    """Say it from the table that a replay makes beforehand of all bars that there are."""

    def say(bars: BarFrame) -> Values:
        predictor = Predictor(ALONE, BTC, sessions)
        predictor.foresee({BTC: bars})
        return listened(predictor, len(sessions), (BTC, bars))

    return say


def bar_by_bar(sessions: list[ModelSession]) -> FromBars:
    return lambda bars: listened(Predictor(ALONE, BTC, sessions), len(sessions), (BTC, bars))


def bars_with_gaps(count: int) -> BarFrame:
    """Return bars, some of them missing, and once more in a row than is bridged."""
    kept = np.ones(count + 150, np.bool_)
    kept[[50, 90, 91]] = False
    kept[150:300] = False
    return market(count + 150, seed=3).take(kept)


@pytest.mark.parametrize("how", [foreseen, bar_by_bar])
def test_predictions_at_every_bar_know_nothing_of_the_future(
    how: Callable[[list[ModelSession]], FromBars], sessions: list[ModelSession]
) -> None:
    bars, say = bars_with_gaps(300), how(sessions)
    ts, said = say(bars)
    assert len(ts) > 150
    assert said.std(axis=0).min() > 0
    assert check_cut_history(say, bars, range(1, len(bars) + 1)) == []
    assert check_changed_future(say, bars, range(1, len(bars), 7)) == []


def test_table_and_bar_by_bar_say_the_same_bit_for_bit(sessions: list[ModelSession]) -> None:
    bars = bars_with_gaps(300)
    for one, other in zip(foreseen(sessions)(bars), bar_by_bar(sessions)(bars), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("replayed", [True, False])
def test_predictions_from_two_instruments_know_the_future_of_neither(
    replayed: bool, other_sessions: list[ModelSession]
) -> None:
    frames = {BTC: market(120, seed=3), ETH: market(120, seed=4, price=2_000)}

    def of(changing: str) -> FromBars:
        def say(bars: BarFrame) -> Values:
            both = {n: f.take(slice(0, len(bars))) for n, f in frames.items()} | {changing: bars}
            predictor = Predictor(BESIDE, BTC, other_sessions)
            if replayed:
                predictor.foresee(both)
            return listened(predictor, 1, *both.items())

        return say

    for name, bars in frames.items():
        assert len(of(name)(bars)[0]) > 90
        assert check_cut_history(of(name), bars, range(1, 121)) == []
        assert check_changed_future(of(name), bars, range(1, 120, 7)) == []


def features_scaled_by_all(sessions: list[ModelSession]) -> FromBars:
    def say(bars: BarFrame) -> Values:
        rows = FeatureEngine(ALONE).batch(bars)
        values = rows.values[rows.valid]
        scaled = (values - values.mean(axis=0)) / values.std(axis=0)
        return rows.ts_close[rows.valid], np.asarray(sessions[0].rows_exact(scaled).probability)

    return say


def table_of_bars_stamped_with_their_open(sessions: list[ModelSession]) -> FromBars:
    def say(bars: BarFrame) -> Values:
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        early = BarFrame(bars.ts_close[:-1], *(column[1:] for column in columns))
        predictor = Predictor(ALONE, BTC, sessions)
        predictor.foresee({BTC: early})
        return listened(predictor, len(sessions), (BTC, bars.take(slice(0, len(bars) - 1))))

    return say


def probabilities_ranked_in_the_whole_run(sessions: list[ModelSession]) -> FromBars:
    def say(bars: BarFrame) -> Values:
        ts, said = foreseen(sessions)(bars)
        return ts, said.argsort(axis=0).argsort(axis=0) / len(ts)

    return say


@pytest.mark.parametrize("leaky", [
    features_scaled_by_all,
    table_of_bars_stamped_with_their_open,
    probabilities_ranked_in_the_whole_run,
])  # fmt: skip
def test_planted_leak_of_a_predictor_is_found(
    leaky: Callable[[list[ModelSession]], FromBars], sessions: list[ModelSession]
) -> None:
    bars = market(400, seed=3)
    assert len(check_cut_history(leaky(sessions), bars, [200, 300])) == 2
    assert len(check_changed_future(leaky(sessions), bars, [200, 300])) == 2


def test_predictions_on_recorded_bars_know_nothing_of_the_future(
    market_dir: Path, sessions: list[ModelSession]
) -> None:
    # Ten weeks with the outage of 24 March.
    begin, end = (datetime(2023, *day, tzinfo=UTC) for day in ((2, 1), (4, 12)))
    weeks = (pc.field("open_time") >= begin) & (pc.field("open_time") < end)
    table = pq.read_table(market_dir / BTC_1M, filters=weeks)
    opened = table["open_time"].cast(pa.timestamp("ns", "UTC")).to_numpy().astype(np.int64)
    columns = [table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    bars = BarFrame(close_of_open_ns(opened, MINUTE_NS), *columns)
    assert len(bars) == 70 * 1440 - 80
    say = foreseen(sessions[:1])
    cuts = np.random.default_rng(1).integers(1_000, len(bars), 8).tolist()
    assert check_cut_history(say, bars, cuts) == []
    assert check_changed_future(say, bars, cuts[:2]) == []
