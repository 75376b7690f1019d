from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from aitb_nautilus.errors import DataError, RunError
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import FeatureSet, parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.models import predictor as module
from aitb_nautilus.models.bundle import open_session
from aitb_nautilus.models.predictor import Predictor, Taken
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.models.trust import Keyring
from tests.features.feature_bars import MINUTE, market
from tests.model_lab import put_for

BTC, ETH, SOL = "BTCUSDT.BINANCE", "ETHUSDT.BINANCE", "SOLUSDT.BINANCE"
ALONE = parse_features(["log_return(1)", "zscore(close,5)", "log_return(2)@5m"], interval="1m")
BESIDE = parse_features(
    ["log_return(3)", f"beta({ETH},8)", f"{SOL}:log_return(1)", f"{ETH}:log_return(1)@5m"],
    interval="1m",
    longest_gap_bars=6,
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    root = tmp_path_factory.mktemp("lab")
    return Registry(root / "models", Keyring(root / "keys"))


@pytest.fixture(scope="module")
def sessions(registry: Registry) -> dict[str, list[ModelSession]]:
    """Return two models of either feature set."""
    made = {}
    for name, features in (("alone", ALONE), ("beside", BESIDE)):
        for i in (1, 2):
            put_for(registry, f"{name}{i}", features, seed=i)
        made[name] = [open_session(registry.read(f"{name}{i}")) for i in (1, 2)]
    return made


def gappy(count: int, seed: int, price: float = 20_000.0) -> BarFrame:
    """Return a market that lacks single bars, short and long stretches."""
    random = np.random.default_rng(seed)
    there = random.random(count) > 0.05
    for length in (3, 5, 9, 30):
        for start in random.integers(0, count, 2):
            there[start : start + length] = False
    return market(count, seed=seed, price=price).take(there)


def bars_of(frames: Mapping[str, BarFrame], seed: int = 0) -> list[BarClosed]:
    """Return the bars of all frames by time, those of one time in any order."""
    random = np.random.default_rng(seed)
    found = [
        (int(ts), random.random(), BarClosed(name, int(ts), *(float(v) for v in row)))
        for name, f in frames.items()
        for ts, *row in zip(f.ts_close, f.open, f.high, f.low, f.close, f.volume, strict=True)
    ]
    return [bar for *_, bar in sorted(found, key=lambda one: one[:2])]


def answers(predictor: Predictor, bars: Sequence[BarClosed]) -> list[Taken | None]:
    return [predictor.take(bar) for bar in bars]


def expected(
    features: FeatureSet, frames: Mapping[str, BarFrame], sessions: Sequence[ModelSession]
) -> dict[int, list[float | None]]:
    """Return the probabilities at each own bar, from one batch and one row at a time."""
    rows = FeatureEngine(features, BTC).batch(frames)
    return {
        int(ts): [session.predict_row(row).probability for session in sessions]
        for ts, row, valid in zip(rows.ts_close, rows.values, rows.valid, strict=True)
        if valid
    }


def probabilities(found: Sequence[Taken | None]) -> dict[int, list[float | None]]:
    return {
        taken.ts: [probability for probability, _ in taken.answers]
        for taken in found
        if taken is not None and taken.answers is not None
    }


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tables be made and read in many small parts."""
    monkeypatch.setattr(module, "SLICE", 97)
    monkeypatch.setattr(module, "_CHUNK", 31)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("known", [0, 1, 250, 700])
@pytest.mark.parametrize("seed", [1, 2])
def test_table_and_bar_by_bar_give_the_same_at_the_same_bars(
    sessions: dict[str, list[ModelSession]], seed: int, known: int
) -> None:
    frames = {BTC: gappy(700, seed)}
    bars = bars_of(frames)
    slow = Predictor(ALONE, BTC, sessions["alone"])
    fast = Predictor(ALONE, BTC, sessions["alone"])
    fast.foresee({name: frame.take(slice(0, known)) for name, frame in frames.items()})
    one_by_one = answers(slow, bars)
    assert answers(fast, bars) == one_by_one
    assert probabilities(one_by_one) == expected(ALONE, frames, sessions["alone"])
    assert 300 < len(probabilities(one_by_one)) < 600


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_table_and_bar_by_bar_agree_with_three_instruments_that_lack_bars(
    sessions: dict[str, list[ModelSession]], seed: int, share: float
) -> None:
    prices = {BTC: 20_000.0, ETH: 1_500.0, SOL: 30.0}
    frames = {
        name: gappy(700, 10 * seed + i, price) for i, (name, price) in enumerate(prices.items())
    }
    cut = int(frames[BTC].ts_close[0]) + int(700 * share) * MINUTE.ns
    bars = bars_of(frames, seed)
    slow = Predictor(BESIDE, BTC, sessions["beside"])
    fast = Predictor(BESIDE, BTC, sessions["beside"])
    fast.foresee({name: frame.between(None, cut) for name, frame in frames.items()})
    one_by_one = answers(slow, bars)
    assert answers(fast, bars) == one_by_one
    told, whole = probabilities(one_by_one), expected(BESIDE, frames, sessions["beside"])
    # The last time may still be open when the bars end.
    assert told == {ts: row for ts, row in whole.items() if ts in told}
    assert len(whole) - len(told) <= 1
    assert len(told) > 100
    assert slow.belated == fast.belated > 20


def test_row_comes_with_the_last_bar_of_its_time_whatever_the_order(
    sessions: dict[str, list[ModelSession]],
) -> None:
    frames = {BTC: market(60), ETH: market(60, seed=2), SOL: market(60, seed=3)}
    for seed in range(3):
        bars = bars_of(frames, seed)
        found = answers(Predictor(BESIDE, BTC, sessions["beside"]), bars)
        assert all(taken is None for i, taken in enumerate(found) if i % 3 != 2)
        assert [t.ts for t in found if t] == [
            bar.ts for i, bar in enumerate(bars) if i % 3 == 2 and i >= 3 * (BESIDE.warmup - 1)
        ]


def test_later_bar_closes_a_time_that_lacks_one(sessions: dict[str, list[ModelSession]]) -> None:
    frames = {BTC: market(40), ETH: market(40, seed=2), SOL: market(40, seed=3)}
    lacking = frames | {SOL: frames[SOL].take(np.arange(40) != 30)}
    predictor = Predictor(BESIDE, BTC, sessions["beside"])
    bars = bars_of(lacking)
    first_after = next(i for i, bar in enumerate(bars) if bar.ts == frames[BTC].ts_close[31])
    found = answers(predictor, bars)
    taken = found[first_after]
    assert taken is not None
    assert taken.ts == frames[BTC].ts_close[30]
    assert predictor.belated == 1
    assert probabilities(found) == expected(BESIDE, lacking, sessions["beside"])


def test_own_id_among_the_others_is_no_second_instrument(registry: Registry) -> None:
    features = parse_features([f"{BTC}:log_return(1)", "zscore(close,5)"], interval="1m")
    put_for(registry, "own", features)
    session = open_session(registry.read("own"))
    predictor = Predictor(features, BTC, [session])
    assert predictor.instruments == (BTC,)
    frames = {BTC: market(50)}
    found = probabilities(answers(predictor, bars_of(frames)))
    assert found == expected(features, frames, [session])
    assert len(found) > 40


@pytest.mark.parametrize(
    ("change", "came", "due"),
    [
        (lambda bars: bars[:40] + bars[41:], 41, 40),
        (lambda bars: bars[:41] + bars[40:], 40, 41),
    ],
)
def test_other_bars_than_those_foreseen_stop_the_run(sessions, change, came, due) -> None:
    frames = {BTC: market(60)}
    predictor = Predictor(ALONE, BTC, sessions["alone"])
    predictor.foresee(frames)
    bars = bars_of(frames)
    with pytest.raises(RunError) as e:
        answers(predictor, change(bars))
    times = [f"{np.datetime64(int(frames[BTC].ts_close[i]), 'ns')}Z" for i in (came, due)]
    assert e.value.found == f"the run brought a bar of {BTC} at {times[0]}"
    assert e.value.wanted == f"was said to bring a bar of {BTC} at {times[1]} there"


def test_foreseen_bar_of_another_instrument_that_does_not_come_stops_the_run(sessions) -> None:
    frames = {BTC: market(40), ETH: market(40, seed=2), SOL: market(40, seed=3)}
    predictor = Predictor(BESIDE, BTC, sessions["beside"])
    predictor.foresee(frames)
    lacking = frames | {SOL: frames[SOL].take(np.arange(40) != 30)}
    with pytest.raises(RunError, match=r"BTCUSDT.BINANCE and ETHUSDT.BINANCE at .* was said to"):
        answers(predictor, bars_of(lacking))


@pytest.mark.parametrize("late", [0, 1])
def test_bar_of_a_time_that_is_closed_is_refused(sessions, late: int) -> None:
    frames = {BTC: market(9), ETH: market(9, seed=2), SOL: market(9, seed=3)}
    predictor = Predictor(BESIDE, BTC, sessions["beside"])
    bars = bars_of(frames)
    answers(predictor, bars)
    with pytest.raises(DataError, match="came after the features of its time were computed"):
        predictor.take(bars[-1 - 3 * late])


def test_bar_that_comes_twice_before_its_time_is_closed_is_refused(sessions) -> None:
    predictor = Predictor(BESIDE, BTC, sessions["beside"])
    bar = bars_of({BTC: market(1)})[0]
    predictor.take(bar)
    with pytest.raises(DataError, match="must come once"):
        predictor.take(bar)


def test_rows_are_handed_back_for_a_worker_except_where_foreseen(sessions) -> None:
    frames = {BTC: market(60)}
    predictor = Predictor(ALONE, BTC, sessions["alone"], answering=False)
    predictor.foresee({BTC: frames[BTC].take(slice(0, 40))})
    found = [taken for taken in answers(predictor, bars_of(frames)) if taken is not None]
    rows = FeatureEngine(ALONE, BTC).batch(frames[BTC])
    assert [t.row is None for t in found] == [t.ts <= frames[BTC].ts_close[39] for t in found]
    assert [t.answers is None for t in found] == [t.row is not None for t in found]
    handed = np.array([t.row for t in found if t.row is not None])
    assert np.array_equal(handed, rows.values[40:])


def test_seconds_of_features_and_inference_are_noted_apart(sessions) -> None:
    frame = market(3000)
    seconds = {"inference": 10.0}
    for known in (frame, BarFrame.empty()):
        before = dict(seconds)
        predictor = Predictor(ALONE, BTC, sessions["alone"], seconds=seconds)
        predictor.foresee({BTC: known})
        answers(predictor, bars_of({BTC: frame}))
        assert 0.0 < seconds["features"] - before.get("features", 0.0) < 3.0
        assert 0.0 < seconds["inference"] - before["inference"] < 3.0


def test_instrument_without_any_bar_leaves_the_features_cold_either_way(sessions) -> None:
    frames = {BTC: market(60), ETH: market(60, seed=2)}
    predictor = Predictor(BESIDE, BTC, sessions["beside"])
    predictor.foresee(frames)
    bars = bars_of(frames)
    assert answers(predictor, bars) == [None] * 120
    assert answers(Predictor(BESIDE, BTC, sessions["beside"]), bars) == [None] * 120


@pytest.mark.parametrize("name", ["alone", "beside"])
@pytest.mark.parametrize("known", [0, 150])
def test_rehearsing_between_bars_changes_no_answer(sessions, name: str, known: int) -> None:
    frames = {BTC: gappy(300, 5)}
    if name == "beside":
        frames |= {ETH: gappy(300, 6), SOL: gappy(300, 7)}
    features, bars = (ALONE if name == "alone" else BESIDE), bars_of(frames)
    plain, rehearsing = (Predictor(features, BTC, sessions[name]) for _ in range(2))
    for predictor in (plain, rehearsing):
        if known:
            until = int(frames[BTC].ts_close[known])
            predictor.foresee({n: f.between(0, until) for n, f in frames.items()})
    found = []
    for bar in bars:
        rehearsing.rehearse()
        found.append(rehearsing.take(bar))
        rehearsing.rehearse()
    expected = answers(plain, bars)
    assert found == expected
    assert any(taken is not None and taken.answers for taken in found)
