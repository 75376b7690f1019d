"""Several instruments in one set: bars of one time belong together, missing ones are filled."""

from __future__ import annotations

import numpy as np
import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.features.engine import FeatureEngine, FeatureRows
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame
from tests.features.feature_bars import market, same_bits

BTC, ETH, SOL = "BTCUSDT.BINANCE", "ETHUSDT.BINANCE", "SOLUSDT.BINANCE"
TEXTS = (
    "log_return(3)",
    "beta(eth,20)",
    "sol:log_return(3)",
    "sol:beta(eth,20)",
    "correlation(sol,10)@5m",
    "eth:rsi(2)@5m",
)
FEATURES = parse_features(TEXTS, interval="1m", instruments={"eth": ETH, "sol": SOL})


def three(count: int = 900) -> dict[str, BarFrame]:
    return {
        BTC: market(count, seed=1),
        ETH: market(count, seed=2, price=1_500),
        SOL: market(count, seed=3, price=30),
    }


def stream(engine: FeatureEngine, frames: dict[str, BarFrame]) -> list[np.ndarray | None]:
    """Give an engine the bars of each time at once; return the rows of the own instrument."""
    at: dict[int, dict[str, tuple[float, ...]]] = {}
    for name, bars in frames.items():
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        for i, ts in enumerate(bars.ts_close.tolist()):
            at.setdefault(ts, {})[name] = tuple(float(c[i]) for c in columns)
    rows = {ts: engine.update_all(ts, at[ts]) for ts in sorted(at)}
    return [rows[ts] for ts in frames[engine.instrument].ts_close.tolist()]


def same(rows: FeatureRows, found: list[np.ndarray | None]) -> bool:
    """Return whether a batch and a stream say the same."""
    if [row is not None for row in found] != rows.valid.tolist():
        return False
    return same_bits(np.array([r for r in found if r is not None]), rows.values[rows.valid])


def test_instruments_of_a_set_and_their_order() -> None:
    assert FEATURES.others == (ETH, SOL)
    assert FeatureEngine(FEATURES, BTC).instruments == (BTC, ETH, SOL)
    assert FeatureEngine(FEATURES, SOL).instruments == (SOL, ETH)


def test_feature_of_another_instrument_equals_that_instruments_own() -> None:
    frames = three()
    rows = FeatureEngine(FEATURES, BTC).batch(frames)
    own = FeatureEngine(
        parse_features(["log_return(3)", "beta(eth,20)"], interval="1m", instruments={"eth": ETH}),
        SOL,
    ).batch({SOL: frames[SOL], ETH: frames[ETH]})
    assert rows.valid.sum() > 500
    assert same_bits(rows.values[rows.valid][:, 2:4], own.values[rows.valid])


def test_stream_equals_batch() -> None:
    frames = three()
    rows = FeatureEngine(FEATURES, BTC).batch(frames)
    assert same(rows, stream(FeatureEngine(FEATURES, BTC), frames))


def test_later_bars_of_any_instrument_change_nothing() -> None:
    frames = three()
    whole = FeatureEngine(FEATURES, BTC).batch(frames).values
    for cut in range(400, 415):
        part = {name: bars.take(slice(0, cut)) for name, bars in frames.items()}
        assert same_bits(FeatureEngine(FEATURES, BTC).batch(part).values, whole[:cut])


def test_missing_bars_of_another_instrument_count_as_bars_without_trade() -> None:
    frames = three()
    gone = np.r_[300:310, 500, 640:700]
    holed = frames | {ETH: frames[ETH].take(np.setdiff1d(np.arange(900), gone))}
    rows = FeatureEngine(FEATURES, BTC).batch(holed)
    by_hand = frames[ETH].take(slice(None))
    for row in gone.tolist():
        for column in (by_hand.open, by_hand.high, by_hand.low, by_hand.close):
            column[row] = by_hand.close[row - 1]
        by_hand.volume[row] = 0.0
    whole = FeatureEngine(FEATURES, BTC).batch(frames | {ETH: by_hand})
    assert same_bits(rows.values, whole.values)
    assert same(rows, stream(FeatureEngine(FEATURES, BTC), holed))


def test_missing_own_bar_gives_no_row_and_others_go_on() -> None:
    frames = three()
    kept = np.setdiff1d(np.arange(900), np.arange(400, 405))
    holed = frames | {BTC: frames[BTC].take(kept)}
    rows = FeatureEngine(FEATURES, BTC).batch(holed)
    assert np.array_equal(rows.ts_close, frames[BTC].ts_close[kept])
    whole = FeatureEngine(FEATURES, BTC).batch(frames)
    sol = [2, 3]
    assert same_bits(rows.values[:, sol], whole.values[kept][:, sol])
    engine = FeatureEngine(FEATURES, BTC)
    assert same(rows, stream(engine, holed))
    ts = int(frames[BTC].ts_close[-1]) + 60_000_000_000
    assert engine.update_all(ts, {ETH: (9.0, 9.0, 9.0, 9.0, 1.0)}) is None


def test_instrument_missing_too_long_begins_a_new_warmup_for_all() -> None:
    frames = three(1200)
    late = frames | {ETH: frames[ETH].take(np.r_[0:300, 421:1200])}
    rows = FeatureEngine(FEATURES, BTC).batch(late)
    assert rows.valid[419]
    assert not rows.valid[420 : 421 + FEATURES.warmup - 1].any()
    assert rows.valid[421 + FEATURES.warmup - 1]
    begun = {name: bars.take(slice(421, None)) for name, bars in frames.items()}
    alone = FeatureEngine(FEATURES, BTC).batch(begun)
    assert same_bits(rows.values[421:], alone.values)
    assert same(rows, stream(FeatureEngine(FEATURES, BTC), late))


def test_nothing_is_valid_before_every_instrument_has_begun() -> None:
    frames = three()
    late = frames | {SOL: frames[SOL].take(slice(500, None))}
    rows = FeatureEngine(FEATURES, BTC).batch(late)
    assert int(rows.valid.argmax()) == 500 + FEATURES.warmup - 1
    assert same(rows, stream(FeatureEngine(FEATURES, BTC), late))


def test_snapshot_keeps_all_instruments() -> None:
    frames = three()
    whole = FeatureEngine(FEATURES, BTC).batch(frames).values
    first = FeatureEngine(FEATURES, BTC)
    first.batch({name: bars.take(slice(0, 700)) for name, bars in frames.items()})
    other = FeatureEngine(FEATURES, BTC)
    other.restore(first.snapshot())
    rest = {name: bars.take(slice(700, None)) for name, bars in frames.items()}
    assert same_bits(other.batch(rest).values, whole[700:])
    with pytest.raises(DataError, match="is of other features or instruments"):
        FeatureEngine(FEATURES, SOL).restore(first.snapshot())


def test_wrong_instruments_are_refused() -> None:
    frames = three(50)
    engine = FeatureEngine(FEATURES, BTC)
    with pytest.raises(DataError, match=f"were of {BTC}, must be of {BTC}, {ETH}, {SOL}"):
        engine.batch(frames[BTC])
    with pytest.raises(DataError, match=r"were of .*XRP.*, must be of"):
        engine.batch(frames | {"XRP.BINANCE": frames[BTC]})
    ts = int(frames[BTC].ts_close[0])
    with pytest.raises(DataError, match="was given bars of XRP, knows"):
        engine.update_all(ts, {"XRP": (1.0, 1.0, 1.0, 1.0, 1.0)})
    with pytest.raises(DataError, match="was given no bar"):
        engine.update_all(ts, {})
    with pytest.raises(ValueError, match="use update_all"):
        engine.update(ts, 1.0, 1.0, 1.0, 1.0, 1.0)


def test_nan_is_refused_and_never_taken_for_a_missing_bar() -> None:
    frames = three(50)
    engine = FeatureEngine(FEATURES, BTC)
    nan = float("nan")
    with pytest.raises(DataError, match=f"of {ETH}: was open nan"):
        engine.update_all(int(frames[BTC].ts_close[0]), {ETH: (nan, nan, nan, nan, nan)})
    frames[SOL].open[30] = nan
    with pytest.raises(DataError, match=f"bars of {SOL}: .*open is NaN"):
        engine.batch(frames)
    frames[SOL].open[30] = frames[SOL].close[30]
    frames[ETH].close[31] = nan
    with pytest.raises(DataError, match=f"of {ETH}: was open .* close nan"):
        engine.batch(frames)
