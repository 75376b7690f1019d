from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from aitb_nautilus.errors import ModelError, RunError
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.run.prediction_figures import model_records, resolve_outcomes

MINUTE = 60 * 10**9
START = 1_672_531_200 * 10**9  # 2023-01-01
BTC, ETH = "BTCUSDT.BINANCE", "ETHUSDT.BINANCE"
RECORDED = [f for f in TABLES["predictions"] if f.name not in {"forward_return", "up"}]


def source(
    kind: str = "sign",
    horizon: int = 2,
    *,
    parameters: dict[str, float] | None = None,
    **changes: Any,
) -> PredictionSource:
    label = Label(
        kind=kind,  # type: ignore[arg-type]
        horizon_bars=horizon,
        horizon_ns=horizon * MINUTE,
        parameters=parameters or {"cost_bps": 0.0},
    )
    told: dict[str, Any] = {
        "model": "btc_up",
        "version": "3",
        "sha256": "a" * 64,
        "instruments": (BTC,),
        "interval": "1m",
        "label": label,
        "longest_gap_bars": 0,
    }
    return PredictionSource(**told | changes)


def bars(closes: list[float], minutes: list[int] | None = None) -> BarFrame:
    """Return bars that close at whole minutes after the start; highs and lows are the closes."""
    close = np.array(closes, np.float64)
    at = np.arange(1, len(close) + 1) if minutes is None else np.array(minutes)
    return BarFrame(START + at * MINUTE, close, close, close, close, np.ones(len(close)))


def said(
    minutes: list[int],
    probability: list[float] | None = None,
    instrument_id: str = BTC,
    model: str = "btc_up",
) -> pa.Table:
    """Return predictions for the bars that close at these minutes, as they were recorded."""
    count = len(minutes)
    ts = START + np.array(minutes, np.int64) * MINUTE
    told = np.full(count, 0.5) if probability is None else np.array(probability)
    columns = {
        "ts": ts,
        "instrument_id": pa.array([instrument_id] * count, pa.string()),
        "model": pa.array([model] * count, pa.string()),
        "version": pa.array(["3"] * count, pa.string()),
        "probability": told,
        "score": 2 * told - 1,
        "expected_return": pa.nulls(count, pa.float64()),
        "confidence": pa.nulls(count, pa.float64()),
        "ts_inference": ts,
        "expires": ts + MINUTE,
    }
    return pa.table(columns).cast(pa.schema(RECORDED))


def test_outcome_is_the_return_over_the_horizon_and_null_at_the_end() -> None:
    table = resolve_outcomes(
        said([1, 2, 3, 4]), {"btc_up": source()}, {BTC: bars([100, 110, 121, 99])}
    )
    assert table.schema.equals(TABLES["predictions"])
    assert table.column("forward_return").to_pylist() == [
        pytest.approx(0.21),
        pytest.approx(-0.1),
        None,
        None,
    ]
    assert table.column("up").to_pylist() == [True, False, None, None]


def test_costs_decide_what_counts_as_up() -> None:
    frames = {BTC: bars([100, 100.04, 100.06])}
    costly = source(horizon=1, parameters={"cost_bps": 3.0})
    table = resolve_outcomes(said([1, 2]), {"btc_up": costly}, frames)
    assert table.column("up").to_pylist() == [True, False]


def test_return_label_resolves_like_a_sign() -> None:
    frames = {BTC: bars([100, 101, 99])}
    table = resolve_outcomes(said([1, 2]), {"btc_up": source("return", 1)}, frames)
    assert table.column("up").to_pylist() == [True, False]


def test_triple_barrier_resolves_to_the_barrier_that_was_touched() -> None:
    closes = [100.0, 101.0, 100.0, 101.0, 100.0, 103.0, 90.0, 90.0]
    wanted = {"cost_bps": 0.0, "upper": 1.0, "lower": 1.0, "volatility_bars": 2.0}
    label = source("triple_barrier", 2, parameters=wanted)
    table = resolve_outcomes(said([1, 5]), {"btc_up": label}, {BTC: bars(closes)})
    # The deviation of the last two log returns, both log(1.01) in size, over two bars: 1.4 %.
    upper = np.log(1.01) * np.sqrt(2)
    assert table.column("up").to_pylist() == [None, True]
    assert table.column("forward_return").to_pylist() == [None, pytest.approx(upper)]


def test_gap_in_the_horizon_leaves_no_outcome_unless_the_model_bridges_it() -> None:
    frames = {BTC: bars([100, 101, 102, 103], [1, 2, 4, 5])}
    refused = resolve_outcomes(said([1, 2, 4]), {"btc_up": source(horizon=1)}, frames)
    assert refused.column("up").to_pylist() == [True, None, True]
    bridged = source(horizon=1, longest_gap_bars=1)
    table = resolve_outcomes(said([1, 2, 4]), {"btc_up": bridged}, frames)
    assert table.column("up").to_pylist() == [True, False, True]


def test_each_model_and_instrument_is_resolved_by_its_own_label_and_bars() -> None:
    sources = {
        "btc_up": source(horizon=1, instruments=(BTC, ETH)),
        "slow": source(horizon=3, model="slow"),
    }
    frames = {BTC: bars([100, 101, 102, 50]), ETH: bars([10, 9, 8, 7])}
    parts = [said([1], None, BTC), said([1], None, ETH), said([1], None, BTC, "slow")]
    table = resolve_outcomes(pa.concat_tables(parts), sources, frames)
    assert table.column("up").to_pylist() == [True, False, False]
    assert table.column("model").to_pylist() == ["btc_up", "btc_up", "slow"]
    assert [r.figures.rows for r in model_records(sources, table, {}, START) if r.figures] == [2, 1]


def test_names_may_be_plain_texts_and_times_plain_integers() -> None:
    plain = said([1, 2]).set_column(0, "ts", pa.array([START + MINUTE, START + 2 * MINUTE]))
    for i, name in enumerate(("instrument_id", "model", "version"), start=1):
        plain = plain.set_column(i, name, plain.column(name).cast(pa.string()))
    frames, sources = {BTC: bars([100, 101, 102])}, {"btc_up": source(horizon=1)}
    assert resolve_outcomes(plain, sources, frames).equals(
        resolve_outcomes(said([1, 2]), sources, frames)
    )


def test_no_predictions_are_an_empty_table_and_a_record_without_figures() -> None:
    empty = said([])
    sources = {"btc_up": source()}
    table = resolve_outcomes(empty, sources, {BTC: bars([100, 101, 102])})
    assert table.schema.equals(TABLES["predictions"])
    (record,) = model_records(sources, table, {"btc_up": 4}, START)
    assert record.figures is not None
    assert (record.figures.rows, record.figures.resolved, record.figures.late) == (0, 0, 4)
    assert (record.figures.first, record.figures.log_loss, record.figures.periods) == (
        None,
        None,
        [],
    )


def test_prediction_that_answers_no_bar_is_a_defect() -> None:
    with pytest.raises(RunError, match="at 2023-01-01T00:03:00Z, where no bar closes"):
        resolve_outcomes(said([1, 3]), {"btc_up": source()}, {BTC: bars([1, 2, 3], [1, 2, 4])})
    with pytest.raises(RunError, match="where no bar closes"):
        resolve_outcomes(said([9]), {"btc_up": source()}, {BTC: bars([1, 2])})


def test_label_of_another_version_is_refused() -> None:
    strange = source("triple_barrier", parameters={"cost_bps": 0.0, "width": 2.0})
    with pytest.raises(ModelError, match=r"label cannot be understood.*width"):
        resolve_outcomes(said([1]), {"btc_up": strange}, {BTC: bars([1, 2])})


def test_model_is_in_sample_until_the_end_of_its_last_label() -> None:
    table = said([]).append_column("forward_return", pa.array([], pa.float64()))
    table = table.append_column("up", pa.array([], pa.bool_()))
    trained = source(horizon=15, trained_first_ns=START - 9 * MINUTE, trained_last_ns=START)
    ends = START + 15 * MINUTE

    def sample(one: PredictionSource, opens_ns: int) -> str:
        return model_records({"btc_up": one}, table, {}, opens_ns)[0].sample

    assert sample(trained, ends) == "out"
    assert sample(trained, ends - 1) == "in"
    assert sample(trained, START - 10**18) == "in"  # long before: the model knows what came later
    walked = msgspec.structs.replace(trained, trained_first_ns=None, trained_last_ns=None)
    assert sample(walked, START) == "walk-forward"


def test_record_says_which_model_it_was() -> None:
    one = source(
        horizon=15,
        parameters={"cost_bps": 5.0},
        trained_first_ns=START,
        trained_last_ns=START + MINUTE,
        alias="production",
        importance={f"f{i:02d}": (i % 40) / 1000 for i in range(41)},
        members=("a@1", "b@2"),
        trials=7,
    )
    table = resolve_outcomes(said([]), {"btc_up": one}, {BTC: bars([1])})
    (record,) = model_records({"btc_up": one}, table, {}, START)
    assert (record.reference, record.alias, record.trials) == ("btc_up (3)", "production", 7)
    assert record.trained_first == "2023-01-01T00:00:00Z"
    assert record.trained_last == "2023-01-01T00:01:00Z"
    assert record.label is not None
    assert (record.label.horizon_ns, record.label.cost_bps) == (15 * MINUTE, 5.0)
    assert len(record.importance) == 30
    assert [i.feature for i in record.importance[:2]] == ["f39", "f38"]
    assert record.members == ["a@1", "b@2"]


def test_back_test_needs_nothing_of_the_train_extra() -> None:
    code = (
        "import sys\n"
        "for name in ('lightgbm', 'sklearn', 'scipy', 'threadpoolctl'): sys.modules[name] = None\n"
        "import aitb_nautilus.run.prediction_figures, aitb_nautilus.run.backtest\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
