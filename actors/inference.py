"""Answer closed bars with the predictions of signed models, the same in every mode.

The same bars give the same `Prediction` whether all of them were computed beforehand, each when its
bar closes, or each in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.features.engine import Row
from aitb_nautilus.features.feature_set import FeatureSet
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import BarClosed, LatePrediction, Prediction
from aitb_nautilus.models.deadlines import RecalledWorkers, TimedWorkers
from aitb_nautilus.models.predictor import Pair, Predictor
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.serving import ServedModel, load_served
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.settings import Settings, nearest

__all__ = ["OnnxInferenceActor", "OnnxInferenceSettings"]

_LOOK_NS: Final = 1_000_000
"""How soon a thread is asked for its answer; later, each time an eighth of the time waited."""
_NEVER: Final = 2**63 - 1


class OnnxInferenceSettings(Settings, frozen=True):
    """Settings of `OnnxInferenceActor`.

    Attributes
    ----------
    models
        Such as ``btc_up@production``, ``btc_up@3``, or ``btc_up`` for the newest version.
    registry
        Folder of models.
    instruments
        Instrument ids to answer for; empty: all that each model was trained on.
    inference
        ``replayed``: all answers at once where the bars are known beforehand, else as inline.
        ``inline``: each when its bar closes. ``worker``: as replayed where the bars are known
        beforehand, else each in a thread of its own, with a deadline.
    valid_bars
        For how many bars a prediction holds.
    deadline_ms
        How long the thread has for an answer, at most as long as a prediction holds. A later one is
        told as late and never traded.
    queue_size
        How many rows may wait for the thread of a model, each of another instrument: the next bar's
        takes the place of one that still waits, which is told as late. One more is late at once.
    """

    models: Annotated[tuple[str, ...], Meta(min_length=1)]
    registry: str = "models"
    instruments: tuple[str, ...] = ()
    inference: Literal["replayed", "inline", "worker"] = "replayed"
    valid_bars: Annotated[int, Meta(ge=1)] = 1
    deadline_ms: Annotated[float, Meta(ge=1)] = 200.0
    queue_size: Annotated[int, Meta(ge=1)] = 256


class _Model(NamedTuple):
    """What is said of a model with each prediction; times in ns."""

    place: int
    id: str
    version: str
    horizon_ns: int
    valid_ns: int
    expires_ns: int

    def expiry(self, ts_event: int) -> int:
        """Return when the prediction at a bar expires: never after the model itself."""
        return min(ts_event + self.valid_ns, self.expires_ns)


type _Key = tuple[_Model, str, int, int]
"""Model, instrument id, close of the bar, and when the features were there."""
type _Workers = TimedWorkers[_Key] | RecalledWorkers[_Key]


class OnnxInferenceActor(GuardedActor):
    """Publish the predictions of models that were trained with ``aitb train``.

    Raises
    ------
    ModelError
        If a model does not load: it was withdrawn, has expired, was changed, is signed by a
        stranger, was trained on other features, or gives no probability.
    ConfigError
        If two references name one model, the models answer bars of different lengths, or one was
        not trained on an instrument.
    """

    settings_type = OnnxInferenceSettings
    settings: OnnxInferenceSettings

    def __init__(self, settings: OnnxInferenceSettings, context: Context, component_id: str):
        super().__init__(settings, context, component_id)
        registry = Registry(Path(settings.registry))
        served = [load_served(registry, text, context.begins_ns) for text in settings.models]
        self._served = served
        self._interval = served[0].features.interval
        self._check(served)
        self._routes: dict[str, list[tuple[Predictor, tuple[_Model, ...]]]] = {}
        self._predictors: list[Predictor] = []
        self._build(served)
        self._workers: _Workers | None = None
        self._is_looking = False
        for one in served:
            context.add_source(self._source(one))

    def bar_types(self) -> Sequence[str]:
        """Listen to the bars of all instruments that the features see."""
        return [self._interval.bar_type(instrument) for instrument in self._routes]

    def bars_before(self) -> int:
        """Return what the slowest feature looks back."""
        return max(one.features.warmup for one in self._served)

    def foresee(self, frames: Mapping[str, BarFrame]) -> None:
        """Compute the answers to all bars at once, unless each is wanted at its bar."""
        if self.settings.inference != "inline":
            for predictor in self._predictors:
                predictor.foresee(frames)

    def starting(self) -> None:
        """Start a thread for each model, if that is wanted."""
        if self.settings.inference == "worker":
            bundles = [one.loaded.bundle for one in self._served]
            valid_ns = self.settings.valid_bars * self._interval.ns
            allowed_ns = min(round(self.settings.deadline_ms * 1e6), valid_ns)
            recall = self.context.tape.recalled
            if self.context.stage is None:
                size = self.settings.queue_size
                self._workers = TimedWorkers(bundles, size, allowed_ns, recall)
            else:
                sessions = [one.loaded.session for one in self._served]
                self._workers = RecalledWorkers(sessions, allowed_ns, recall)

    def stopping(self) -> None:
        """End the threads; what they have not answered by now is of no use any more."""
        if self._workers is not None:
            self._workers.close()

    def hear_bar(self, bar: BarClosed) -> None:
        """Answer a bar."""
        if self._workers:
            self._collect(self._workers)
        for predictor, models in self._routes[bar.instrument_id]:
            taken = predictor.take(bar)
            if taken is None:
                continue
            ts, now = taken.ts, self.now()
            if taken.answers is not None:
                for model, answer in zip(models, taken.answers, strict=True):
                    self._publish((model, predictor.instrument, ts, now), answer, now)
            elif taken.row is not None and self._workers is not None and not self.is_past:
                for model in models:
                    key = model, predictor.instrument, ts, now
                    if now >= model.expiry(ts):
                        continue
                    self.context.latencies.begins("inference", key)
                    if not self._workers.ask(model.place, key[1], key, taken.row, now):
                        self._give_up(key, self._workers.allowed_ns)
                self._look_soon(self._workers)

    def rehearse(self, instrument_id: str) -> None:
        """Compute features and answers of an instrument once more, and tell nobody."""
        for predictor, _ in self._routes.get(instrument_id, ()):
            if predictor.instrument == instrument_id:
                predictor.rehearse()

    def _publish(self, key: _Key, answer: Pair, now: int) -> None:
        model, instrument_id, ts_event, ts_features = key
        expires_ns = model.expiry(ts_event)
        if now >= expires_ns:
            return
        probability, expected_return = answer
        assert probability is not None  # noqa: S101 - load_served refuses a model without one
        self.publish_prediction(
            Prediction(
                instrument_id,
                model.id,
                model.version,
                2.0 * probability - 1.0,
                probability,
                expected_return,
                None,
                model.horizon_ns,
                ts_event,
                ts_features,
                now,
                expires_ns,
            )
        )

    def _tell_spent(self, stage: str, ns: int) -> None:
        if not self._warming.ts:
            self.context.latencies.spent(stage, ns)

    def _tell_row(self, instrument_id: str, features: FeatureSet, ts: int, row: Row) -> None:
        tape = self.context.tape
        if not tape.is_idle:
            told = instrument_id, features.fingerprint[:8], ts, row.tobytes()
            tape.said("features", self.component_id, *told, names=features.names)

    # Threads

    def _look_soon(self, workers: _Workers) -> None:
        """Let the engine's clock wake the actor, as long as an answer is outstanding."""
        deadline = workers.first_deadline
        if deadline is not None and not self._is_looking:
            self._is_looking = True
            now, asked = self.now(), deadline - workers.allowed_ns
            at = min(now + max(_LOOK_NS, (now - asked) // 8), deadline)
            # One name for all: the engine keeps the callback of each name for as long as it runs.
            self.clock.set_time_alert_ns("answers", at, callback=self._look)

    def _look(self, _: object) -> None:
        self._is_looking = False
        if self._workers is not None:
            self._collect(self._workers)
            self._look_soon(self._workers)

    def _collect(self, workers: _Workers) -> None:
        """Publish what the threads have answered, and tell what they should have by now."""
        now = self.now()
        for key, answer in workers.collect(now):
            if answer is None:
                self._give_up(key, workers.allowed_ns)
            else:
                self.context.latencies.ends("inference", key)
                self._publish(key, answer, now)

    def _give_up(self, key: _Key, allowed_ns: int) -> None:
        model, instrument_id, ts_event, _ = key
        self.context.latencies.breaks_off("inference", key)
        said = instrument_id, model.id, model.version, ts_event, self.now(), allowed_ns
        self.publish_late(LatePrediction(*said))

    # Building

    def _check(self, served: Sequence[ServedModel]) -> None:
        """Refuse models that cannot stand in one actor, and instruments unknown to one of them."""
        where, seen = f"{self.component_id}: models", dict[str, str]()
        for text, one in zip(self.settings.models, served, strict=True):
            contract, earlier = one.loaded.manifest.contract, seen.get(one.loaded.resolved.id)
            seen[one.loaded.resolved.id] = text
            if earlier is not None:
                raise ConfigError(
                    where,
                    f"{earlier} and {text} are the same model",
                    "each model may be named once: its predictions go by its id alone",
                    "Publish the other version as a model with an id of its own",
                )
            if contract.interval != self._interval.text:
                raise ConfigError(
                    where,
                    f"{text} answers bars of {contract.interval}, those before it answer bars of "
                    f"{self._interval}",
                    "must all answer bars of one length",
                    "Give each length an actor of its own",
                )
            for instrument in self.settings.instruments:
                if instrument not in contract.instruments:
                    close = nearest(instrument, contract.instruments)
                    raise ConfigError(
                        f"{self.component_id}: instruments",
                        f"{text} was not trained on {instrument}",
                        f"did you mean {close}?"
                        if close
                        else f"it was trained on {', '.join(contract.instruments)}",
                    )

    def _build(self, served: Sequence[ServedModel]) -> None:
        """Make a predictor for each instrument and feature set; models with one set share it."""
        groups: dict[tuple[str, str], list[tuple[_Model, ServedModel]]] = {}
        for place, one in enumerate(served):
            manifest = one.loaded.manifest
            model = _Model(
                place,
                manifest.id,
                str(manifest.version),
                manifest.contract.label.horizon_ns,
                self.settings.valid_bars * self._interval.ns,
                _NEVER if manifest.expires_ns is None else manifest.expires_ns,
            )
            for instrument in self._instruments(one):
                key = instrument, one.features.fingerprint
                groups.setdefault(key, []).append((model, one))
        for (instrument, _), group in groups.items():
            predictor = Predictor(
                group[0][1].features,
                instrument,
                [one.loaded.session for _, one in group],
                answering=self.settings.inference != "worker",
                seconds=self.context.seconds,
                tell_row=partial(self._tell_row, instrument, group[0][1].features),
                tell_spent=self._tell_spent,
            )
            self._predictors.append(predictor)
            for name in predictor.instruments:
                route = self._routes.setdefault(name, [])
                route.append((predictor, tuple(model for model, _ in group)))

    def _instruments(self, one: ServedModel) -> tuple[str, ...]:
        wanted = self.settings.instruments or one.loaded.manifest.contract.instruments
        return tuple(dict.fromkeys(wanted))

    def _source(self, one: ServedModel) -> PredictionSource:
        manifest, training = one.loaded.manifest, one.loaded.manifest.training
        return PredictionSource(
            model=manifest.id,
            version=str(manifest.version),
            sha256=manifest.model.sha256,
            manifest_sha256=one.loaded.bundle.manifest_sha256,
            alias=one.loaded.resolved.alias,
            instruments=self._instruments(one),
            interval=manifest.contract.interval,
            label=manifest.contract.label,
            longest_gap_bars=manifest.contract.longest_gap_bars,
            trained_first_ns=training.span.first_ns,
            trained_last_ns=training.span.last_ns,
            simulated=training.simulated,
            trials=training.trials,
            algorithm=training.algorithm,
            expires_ns=manifest.expires_ns,
            features=manifest.contract.features,
            importance=training.importance,
        )
