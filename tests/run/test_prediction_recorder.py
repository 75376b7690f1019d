"""What is kept of predictions: all of them, in turn, and in little room."""

from __future__ import annotations

import gc
import tracemalloc

import pyarrow as pa

from aitb_nautilus.messages import Prediction
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.assembly import assemble
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.prediction_recorder import PredictionRecorder
from aitb_nautilus.settings import Settings
from tests.run.desk_lab import Lab, flat


def recorder_of(lab: Lab) -> PredictionRecorder:
    lab.bars(flat(100, 12))
    assembly = assemble(load_config(lab.config(lab.strategy({}))), RunState())
    return PredictionRecorder(Settings(), assembly.context, "recorder-001")


def prediction(number: int) -> Prediction:
    return Prediction(
        instrument_id="CBA"[number % 3],
        model="trees",
        version=f"{1 + number // 10}",
        score=0.5 - number / 1e6,
        probability=0.75,
        expected_return=None if number % 2 else number / 1e3,
        confidence=None,
        horizon_ns=60,
        ts_event=number * 60,
        ts_features=number * 60 + 1,
        ts_inference=number * 60 + 2,
        expires_ns=number * 60 + 90,
    )


def test_all_is_given_back_in_turn_whoever_asks_in_between(lab: Lab) -> None:
    recorder = recorder_of(lab)
    for number in range(700):
        recorder._keep(prediction(number))
        if number % 50 == 0:
            assert recorder.table().num_rows == number + 1
    table = recorder.table()
    assert table.column("ts").cast(pa.int64()).to_pylist() == [n * 60 for n in range(700)]
    assert table.column("expires").cast(pa.int64()).to_pylist()[1] == 150
    assert table.column("ts_inference").cast(pa.int64()).to_pylist()[1] == 62
    assert table.column("instrument_id").to_pylist()[:4] == ["C", "B", "A", "C"]
    assert table.column("version").to_pylist()[9:11] == ["1", "2"]
    assert table.column("score").to_pylist()[3] == 0.5 - 3 / 1e6
    assert table.column("expected_return").to_pylist()[:4] == [0.0, None, 0.002, None]
    assert table.column("confidence").null_count == 700


def test_blocks_are_the_same_whoever_asked_in_between(lab: Lab) -> None:
    asked, left_alone = recorder_of(lab), recorder_of(lab)
    for number in range(16_384 + 300):
        asked._keep(prediction(number))
        left_alone._keep(prediction(number))
        if number % 3_000 == 0:
            asked.table()
    mine, other = asked.table(), left_alone.table()
    assert mine.equals(other)
    assert [len(c) for c in mine.column("ts").chunks] == [len(c) for c in other.column("ts").chunks]


def test_asking_every_minute_costs_no_room(lab: Lab) -> None:
    recorder = recorder_of(lab)
    recorder.table()
    arrow, number = pa.total_allocated_bytes(), 0
    gc.collect()
    tracemalloc.start()
    for _ in range(60):  # an hour of twenty instruments
        for _ in range(20):
            recorder._keep(prediction(number))
            number += 1
        recorder.table()
    gc.collect()
    python = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert recorder.table().num_rows == 1_200
    assert pa.total_allocated_bytes() - arrow < 10_000
    assert python < 1_200 * 150
