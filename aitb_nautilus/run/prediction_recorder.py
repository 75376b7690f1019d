"""Everything that models said in a run, kept in columns until it is written."""

from __future__ import annotations

from array import array
from collections import Counter
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
from nautilus_trader.common import DataActor

from aitb_nautilus.messages import (
    LATE_PREDICTION,
    LatePrediction,
    Prediction,
    prediction_topic,
)
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.capture import capture_fact
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import Settings

__all__ = ["PredictionRecorder", "PredictionRows"]

_BLOCK = 16_384
_ROWS = 256
_TIMES = {"ts": "ts_event", "ts_inference": "ts_inference", "expires": "expires_ns"}
_MAY_LACK = ("expected_return", "confidence")
_TIME = pa.timestamp("ns", tz="UTC")
_NAMES = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    {
        "ts": _TIME,
        "instrument_id": _NAMES,
        "model": _NAMES,
        "version": _NAMES,
        "probability": pa.float64(),
        "score": pa.float64(),
        "expected_return": pa.float64(),
        "confidence": pa.float64(),
        "ts_inference": _TIME,
        "expires": _TIME,
    }
)


class PredictionRecorder(GuardedActor):
    """Listen to every prediction of a run.

    Parameters
    ----------
    settings, context, component_id
        As of every actor. Whatever `Context.sources` holds at the start is recorded.
    """

    def __init__(self, settings: Settings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self._rows = PredictionRows()
        self.late: Counter[str] = Counter()
        """Answers that were not there in time, by model."""

    def on_start(self) -> None:
        """Subscribe to every source, each instrument apart."""
        keep = capture_fact(self, "on_prediction", self._keep)
        for source in self.context.sources.values():
            for instrument_id in source.instruments:
                topic = prediction_topic(source.model, instrument_id)
                DataActor.subscribe_topic(self, topic, keep)  # type: ignore[arg-type]  # the topic carries nothing else
        if self.context.sources:
            self.subscribe_topic(LATE_PREDICTION, self._hear_late)

    def table(self) -> pa.Table:
        """Return all predictions, in the order in which they were published."""
        return self._rows.table()

    def _keep(self, prediction: Prediction) -> None:
        if not self.context.warming.ts:  # An answer to a bar of the past, which the run has not.
            self._rows.add(prediction)

    def _hear_late(self, message: object) -> None:
        assert isinstance(message, LatePrediction)  # noqa: S101 - the topic carries nothing else
        self.late[message.model] += 1


class PredictionRows:
    """Predictions in the order in which they came, block by block as Arrow has them."""

    def __init__(self) -> None:
        self._blocks: list[pa.Table] = []
        self._columns = _Columns()

    def add(self, prediction: Prediction) -> None:
        """Take the next one."""
        self._columns.add(prediction)
        if len(self._columns) == _BLOCK:
            self._blocks.append(self._columns.block())
            self._columns = _Columns()

    def table(self) -> pa.Table:
        """Return all of them, without what became of them."""
        # What is not a whole block yet stays as it is: each block, however short, weighs 10 kB, and
        # a node is asked for all of it once a minute.
        blocks = [_SCHEMA.empty_table(), *self._blocks, self._columns.block()]
        return pa.concat_tables(blocks).unify_dictionaries()


class _Columns:
    """Predictions that are no whole block yet, in a third of the room of objects."""

    def __init__(self) -> None:
        self._rows: list[Prediction] = []
        self._count = 0
        self._codes: dict[str, int] = {}
        self._names = {name: array("i") for name in ("instrument_id", "model", "version")}
        self._times = {name: array("q") for name in _TIMES}
        self._numbers = {name: array("d") for name in ("probability", "score", *_MAY_LACK)}
        self._missing = {name: array("b") for name in _MAY_LACK}

    def __len__(self) -> int:
        return self._count

    def add(self, prediction: Prediction) -> None:
        self._rows.append(prediction)
        self._count += 1
        if len(self._rows) == _ROWS:
            self._store()

    def _store(self) -> None:
        """Put the rows into the columns, many at a time: a back-test has a million."""
        rows, codes = self._rows, self._codes
        for name, indices in self._names.items():
            get = attrgetter(name)
            indices.extend([codes.setdefault(get(p), len(codes)) for p in rows])
        for name, times in self._times.items():
            times.extend(map(attrgetter(_TIMES[name]), rows))
        for name, numbers in self._numbers.items():
            values = list(map(attrgetter(name), rows))
            if name in self._missing:
                self._missing[name].extend([value is None for value in values])
                values = [0.0 if value is None else value for value in values]
            numbers.extend(values)
        rows.clear()

    def block(self) -> pa.Table:
        """Return a copy as Arrow has it."""
        self._store()
        texts = np.array(list(self._codes), object)
        columns: dict[str, Any] = {}
        for name, codes in self._names.items():
            # The names of each column alone, in the order in which they came.
            own, first, place = np.unique(codes, return_index=True, return_inverse=True)
            turn = np.argsort(first)
            indices = pa.array(np.argsort(turn).astype(np.int32)[place])
            names = pa.array(texts[own[turn]], pa.string())
            columns[name] = pa.DictionaryArray.from_arrays(indices, names)
        for name, times in self._times.items():
            columns[name] = pa.array(np.array(times)).cast(_TIME)
        for name, numbers in self._numbers.items():
            missing = self._missing.get(name)
            mask = None if missing is None else np.array(missing, np.bool_)
            columns[name] = pa.array(np.array(numbers), mask=mask)
        return pa.table({name: columns[name] for name in _SCHEMA.names}, schema=_SCHEMA)
