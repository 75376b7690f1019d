"""Everything that models said in a run, kept in columns until it is written."""

from __future__ import annotations

from collections import Counter

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

__all__ = ["PredictionRecorder"]

_BLOCK = 16_384
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
        self._blocks: list[pa.Table] = []
        self._rows: list[Prediction] = []
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
        self._pack()
        return pa.concat_tables([_SCHEMA.empty_table(), *self._blocks]).unify_dictionaries()

    def _keep(self, prediction: Prediction) -> None:
        if self.context.warming.ts:
            return  # An answer to a bar of the past, which the run has not.
        self._rows.append(prediction)
        if len(self._rows) == _BLOCK:
            self._pack()

    def _pack(self) -> None:
        """Turn what has come into columns, which need a tenth of the room."""
        rows = self._rows
        columns = {
            "ts": pa.array([p.ts_event for p in rows], pa.int64()).cast(_TIME),
            "instrument_id": _names([p.instrument_id for p in rows]),
            "model": _names([p.model for p in rows]),
            "version": _names([p.version for p in rows]),
            "probability": pa.array([p.probability for p in rows], pa.float64()),
            "score": pa.array([p.score for p in rows], pa.float64()),
            "expected_return": pa.array([p.expected_return for p in rows], pa.float64()),
            "confidence": pa.array([p.confidence for p in rows], pa.float64()),
            "ts_inference": pa.array([p.ts_inference for p in rows], pa.int64()).cast(_TIME),
            "expires": pa.array([p.expires_ns for p in rows], pa.int64()).cast(_TIME),
        }
        self._blocks.append(pa.table(columns, schema=_SCHEMA))
        rows.clear()

    def _hear_late(self, message: object) -> None:
        assert isinstance(message, LatePrediction)  # noqa: S101 - the topic carries nothing else
        self.late[message.model] += 1


def _names(texts: list[str]) -> pa.DictionaryArray:
    """Return texts, of which only a few differ, as codes: looked up here, a million times."""
    codes = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    indices = pa.array([codes[text] for text in texts], pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(codes), pa.string()))
