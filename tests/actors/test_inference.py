from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import ModelProto

from actors.inference import OnnxInferenceActor, OnnxInferenceSettings
from aitb_nautilus.errors import AitbError, ConfigError, ModelError
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import LatePrediction, Prediction
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.models.trust import Keyring
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import Settings
from aitb_nautilus.training.samples import TrainingBars
from aitb_nautilus.training.settings import LogisticSettings, ModelSettings, SignLabel
from aitb_nautilus.training.train import train
from catalog.simulate import SimulationSettings, simulate
from tests.actors.desk import Ear, bars_of, frame, run
from tests.model_lab import CONTRACT, DAY_NS, FINGERPRINT, TRAINING, contract_for, graph, put_for
from tests.risk.rig import BTC, ETH, MINUTE, T0, make_context

ALONE = parse_features(["log_return(1)", "zscore(close,5)"], interval="1m", longest_gap_bars=4)
BESIDE = parse_features(["log_return(3)", f"beta({ETH},8)"], interval="1m", longest_gap_bars=4)
RETURN = parse_features(["log_return(1)"], interval="1m")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)
    return Registry(tmp_path / "models")


def actor_of(
    *models: str, context: Context | None = None, name: str = "inference-001", **settings: Any
) -> OnnxInferenceActor:
    given = OnnxInferenceSettings(models=models, **settings)
    return OnnxInferenceActor(given, context or make_context(), name)


def listen(
    frames: Mapping[str, BarFrame], *models: str, known: bool = True, **settings: Any
) -> Ear:
    """Return who listened to models on bars, all in one slice."""
    context = make_context()
    actor = actor_of(*models, context=context, **settings)
    if known:
        actor.foresee(frames)
    ear = Ear(Settings(), context, "ear-001")
    run(context, [bars_of(frames)], [actor, ear])
    assert context.run_state.failures == []
    return ear


# The same in every mode


@pytest.fixture
def two_models(registry: Registry) -> Registry:
    put_for(registry, "alone", ALONE, (BTC, ETH), seed=1)
    put_for(registry, "beside", BESIDE, (BTC, ETH), seed=2)
    return registry


GAPPY = {
    BTC: frame(300, 1, 30_000.0, without=(40, 90, 91, 92, *range(150, 170))),
    ETH: frame(300, 2, 2_000.0, without=(60, 91, *range(155, 168), 230, 231)),
}


@pytest.mark.usefixtures("two_models")
def test_replayed_inline_and_worker_publish_the_same_bit_for_bit() -> None:
    models = "alone", "beside"
    inline = listen(GAPPY, *models, inference="inline")
    others = [
        listen(GAPPY, *models, inference="replayed"),
        listen(GAPPY, *models, inference="replayed", known=False),
        listen(GAPPY, *models, inference="worker"),
    ]
    for other in others:
        assert msgspec.json.encode(other.heard) == msgspec.json.encode(inline.heard)
        assert (other.heard_at, other.late) == (inline.heard_at, [])
    counts = {
        (m, i): sum(p.model == m and p.instrument_id == i for p in inline.heard)
        for m in models
        for i in (BTC, ETH)
    }
    # 276 and 283 bars; the features of two instruments wait for the other one's bar.
    assert counts["alone", BTC] > counts["beside", BTC] > 230
    assert counts["alone", ETH] > counts["beside", ETH] > 230


def test_prediction_says_what_the_model_answers_to_the_features_of_its_bar(
    two_models: Registry,
) -> None:
    heard = listen(GAPPY, "alone@1", valid_bars=3).heard
    rows = FeatureEngine(ALONE, ETH).batch(GAPPY[ETH])
    session = two_models.verify("alone").session
    assert [p.ts_event for p in heard if p.instrument_id == ETH] == rows.ts_close[
        rows.valid
    ].tolist()
    told = next(p for p in heard if p.instrument_id == ETH and p.ts_event == rows.ts_close[100])
    answer = session.predict_row(rows.values[100]).probability
    ts = int(rows.ts_close[100])
    assert answer is not None
    assert told == Prediction(
        ETH,
        "alone",
        "1",
        2 * answer - 1,
        answer,
        None,
        None,
        CONTRACT.label.horizon_ns,
        ts,
        ts,
        ts,
        ts + 3 * MINUTE.ns,
    )


@pytest.mark.usefixtures("two_models")
def test_row_that_waits_for_a_bar_that_never_comes_has_expired_or_is_told_late() -> None:
    lacking = {BTC: frame(60, 1, 30_000.0), ETH: frame(60, 2, 2_000.0, without=(50,))}
    lost = T0 + 50 * MINUTE.ns
    one = listen(lacking, "beside", instruments=(BTC,))
    two = listen(lacking, "beside", instruments=(BTC,), valid_bars=2)
    assert lost not in [p.ts_event for p in one.heard]
    told = next(p for p in two.heard if p.ts_event == lost)
    assert told.ts_inference == lost + MINUTE.ns
    assert [p.ts_event for p in two.heard if p.ts_event != lost] == [p.ts_event for p in one.heard]


@pytest.mark.usefixtures("two_models")
def test_actor_says_what_it_publishes_and_how_long_it_took() -> None:
    context = make_context()
    actor = actor_of("alone", "beside", context=context, instruments=(BTC,))
    assert actor.bar_types() == [MINUTE.bar_type(BTC), MINUTE.bar_type(ETH)]
    assert list(context.sources) == ["alone", "beside"]
    actor.foresee(GAPPY)
    assert 0 < context.seconds["features"] < 5
    assert 0 < context.seconds["inference"] < 5


def test_source_tells_where_the_predictions_come_from(registry: Registry) -> None:
    training = msgspec.structs.replace(TRAINING, importance={"log_return(1)": 0.25})
    for seed in (1, 2):
        put_for(registry, "m", RETURN, (BTC, ETH), seed=seed, training=training)
    registry.promote("m@1", "production")
    context = make_context()
    actor_of("m@production", context=context)
    source = context.sources["m"]
    bundle = registry.read("m@1")
    assert (source.version, source.alias) == ("1", "production")
    assert source.sha256 == bundle.manifest.model.sha256
    assert source.manifest_sha256 == bundle.manifest_sha256
    assert source.label == CONTRACT.label
    assert (source.trained_first_ns, source.trained_last_ns) == (0, 90 * DAY_NS)
    assert source.instruments == (BTC, ETH)
    assert source.importance == {"log_return(1)": 0.25}
    assert (source.interval, source.longest_gap_bars) == ("1m", 120)
    assert (source.trials, source.simulated, source.algorithm) == (3, True, "logistic")


@pytest.mark.parametrize("inference", ["replayed", "inline", "worker"])
def test_model_falls_silent_when_it_expires_in_the_run(registry: Registry, inference: str) -> None:
    begins = 4_000_000_020_000_000_000  # a whole minute, long after the test publishes
    expires = begins + 30 * MINUTE.ns + 20_000_000_000
    put_for(registry, "m", RETURN, (BTC,), expires_ns=expires)
    heard = listen({BTC: frame(60, 1, 30_000.0, start=begins)}, "m", inference=inference).heard
    first = begins + (RETURN.warmup - 1) * MINUTE.ns
    assert [p.ts_event for p in heard] == list(range(first, begins + 31 * MINUTE.ns, MINUTE.ns))
    assert [p.expires_ns - p.ts_event for p in heard[-2:]] == [MINUTE.ns, 20_000_000_000]


# Threads


def threaded(
    registry: Registry, change: Callable[[ModelProto], None] | None = None, **settings: Any
) -> tuple[Context, Any, Ear]:
    put_for(registry, "m", RETURN, (BTC,), change=change)
    context = make_context()
    actor = actor_of("m", context=context, inference="worker", **settings)
    return context, actor, Ear(Settings(), context, "ear-001")


def test_worker_answers_through_the_engines_clock(registry: Registry) -> None:
    context, actor, ear = threaded(registry)
    frames = {BTC: frame(8, 1, 30_000.0)}

    def wait() -> None:
        end = time.monotonic() + 20
        workers = actor._workers
        while len(workers._workers[0]._answers) < len(workers) and time.monotonic() < end:
            time.sleep(0.001)

    run(context, [[bar] for bar in bars_of(frames)], [actor, ear], wait)
    assert context.run_state.failures == []
    inline = listen(frames, "m", inference="inline").heard
    # The answer to the last bar has no time left to be heard in.
    assert [p.probability for p in ear.heard] == [p.probability for p in inline[:-1]]
    assert len(ear.heard) == 8 - RETURN.warmup
    for told in ear.heard:
        assert told.ts_features == told.ts_event
        assert told.ts_inference == told.ts_event + 1_000_000
    assert ear.late == []


@pytest.mark.parametrize(
    ("how", "features", "inferences"),
    [("inline", 9 - RETURN.warmup, 9 - RETURN.warmup), ("worker", 9 - RETURN.warmup, None)],
)
def test_rows_and_answers_are_timed_where_they_are_made_at_their_bar(
    registry: Registry, how: str, features: int, inferences: int | None
) -> None:
    put_for(registry, "m", RETURN, (BTC,))
    context = make_context()
    actor = actor_of("m", context=context, inference=how)
    ear = Ear(Settings(), context, "ear-001")

    def wait() -> None:
        end = time.monotonic() + 20
        workers = actor._workers
        while how == "worker" and time.monotonic() < end:
            if len(workers._workers[0]._answers) >= len(workers):
                break
            time.sleep(0.001)

    run(context, [[bar] for bar in bars_of({BTC: frame(8, 1, 30_000.0)})], [actor, ear], wait)
    of = context.latencies.of
    assert of["feature"].count == features
    assert of["inference"].count == (len(ear.heard) if inferences is None else inferences)
    assert of["inference"].count > 0
    assert of["inference"].below_zero == 0


def test_answers_that_were_looked_up_are_not_timed(registry: Registry) -> None:
    put_for(registry, "m", RETURN, (BTC,))
    context, frames = make_context(), {BTC: frame(8, 1, 30_000.0)}
    actor = actor_of("m", context=context)
    actor.foresee(frames)
    run(context, [bars_of(frames)], [actor, ear := Ear(Settings(), context, "ear-001")])
    assert ear.heard
    assert context.latencies.of["feature"].count == 0


@pytest.fixture
def _held_back() -> Iterator[None]:
    """Let no other thread have a turn while the engine computes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(30)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_held_back")
def test_answer_that_misses_its_deadline_is_told_as_late_and_never_as_prediction(
    registry: Registry,
) -> None:
    context, actor, ear = threaded(registry, deadline_ms=7.0)
    run(context, [bars_of({BTC: frame(8, 1, 30_000.0)})], [actor, ear])
    assert context.run_state.failures == []
    assert ear.heard == []
    # Not the last bar: the engine's clock stands still after it.
    assert ear.late == [
        LatePrediction(BTC, "m", "1", ts, ts + 7_000_000, 7_000_000)
        for ts in range(T0 + (RETURN.warmup - 1) * MINUTE.ns, T0 + 7 * MINUTE.ns, MINUTE.ns)
    ]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold a worker's thread in its answers; the events tell that one was begun, and let it go."""
    begun, go_on, predict = threading.Event(), threading.Event(), ModelSession.predict_row

    def wait_and_predict(self: ModelSession, row: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            assert go_on.wait(60)
        return predict(self, row)

    monkeypatch.setattr(ModelSession, "predict_row", wait_and_predict)
    yield begun, go_on
    go_on.set()


def test_row_for_which_the_queue_has_no_room_is_late_at_once(
    registry: Registry, held: tuple[threading.Event, threading.Event]
) -> None:
    put_for(registry, "m", RETURN, (BTC, ETH))
    context = make_context()
    actor = actor_of("m", context=context, inference="worker", queue_size=1, deadline_ms=50.0)
    ear = Ear(Settings(), context, "ear-001")
    begun, told = held
    btc, eth = (bars_of({name: frame(100, 1, 30_000.0)}) for name in (BTC, ETH))
    # The thread has BTC's first row in hand from then until the last bar has been told.
    n = RETURN.warmup
    both = [bar for pair in zip(btc[n:], eth[n:], strict=True) for bar in pair]
    steps = iter([partial(begun.wait, 60), told.set])

    def go_on() -> None:
        next(steps)()

    run(context, [[*eth[: n - 1], *btc[:n]], both], [actor, ear], go_on)
    assert context.run_state.failures == []
    late = [(it.instrument_id, it.ts_event, it.ts - it.ts_event) for it in ear.late]
    rows = [bar.ts_event for bar in btc]
    # BTC's row waits each time, and ETH's finds no room.
    assert sorted(late) == sorted(
        [
            *((BTC, ts, 50_000_000) for ts in rows[n - 1 : -1]),
            *((ETH, ts, 0) for ts in rows[n:]),
        ]
    )
    assert {it.deadline_ns for it in ear.late} == {50_000_000}


def test_row_that_the_next_bar_overtakes_is_told_late_and_the_newest_is_answered(
    registry: Registry, held: tuple[threading.Event, threading.Event]
) -> None:
    patient = {"valid_bars": 50, "deadline_ms": 50 * MINUTE.ns / 1e6}
    context, actor, ear = threaded(registry, **patient)
    begun, free = held
    bars, n = bars_of({BTC: frame(12, 1, 30_000.0)}), RETURN.warmup

    def answered() -> None:
        free.set()
        end = time.monotonic() + 60
        workers = actor._workers
        while len(workers._workers[0]._answers) < len(workers) and time.monotonic() < end:
            time.sleep(0.001)

    steps = iter([partial(begun.wait, 60), answered, lambda: None])

    def go_on() -> None:
        next(steps)()

    run(context, [bars[:n], bars[n:10], bars[10:]], [actor, ear], go_on)
    assert context.run_state.failures == []
    rows = [bar.ts_event for bar in bars]
    # The first was in hand; of the others that came meanwhile only the last is of use.
    assert [it.ts_event for it in ear.late][: 9 - n] == rows[n:9]
    for it in ear.late:
        assert it.ts_event + MINUTE.ns <= it.ts <= it.ts_event + 2 * MINUTE.ns
        assert it.deadline_ns == 50 * MINUTE.ns
    assert [told.ts_event for told in ear.heard][:2] == [rows[n - 1], rows[9]]


def linear(model: ModelProto) -> None:
    """Let the probability be the sum itself, which may leave [0, 1]."""
    model.graph.node[1].op_type = "Identity"


def put_wild(registry: Registry) -> None:
    """Publish a model that answers any return above half a per mille with the impossible."""
    registry.publish(
        "wild",
        graph([1000.0], bias=0.5, change=linear),
        contract=contract_for(RETURN, (BTC,)),
        training=TRAINING,
        probe_rows=np.zeros((1, 1), np.float32),
    )


@pytest.mark.parametrize("inference", ["inline", "worker"])
def test_error_of_a_model_stops_the_run(registry: Registry, inference: str) -> None:
    put_wild(registry)
    context = make_context()
    actor = actor_of("wild", context=context, inference=inference)
    ear = Ear(Settings(), context, "ear-001")
    bars = [[bar] for bar in bars_of({BTC: frame(60, 1, 30_000.0)})]
    run(context, bars, [actor, ear], lambda: time.sleep(0.01))
    (failure,) = context.run_state.failures
    assert failure.component == "inference-001"
    assert "answered with the probability" in failure.error
    assert len(ear.bars) < 60
    assert context.guard.halts


def test_error_of_a_model_is_found_before_the_run_where_its_bars_are_known(
    registry: Registry,
) -> None:
    put_wild(registry)
    with pytest.raises(ModelError, match="answered to row"):
        actor_of("wild").foresee({BTC: frame(60, 1, 30_000.0)})


@pytest.mark.parametrize("how", ["inline", "replayed", "worker"])
def test_no_thread_is_left_after_a_run(registry: Registry, how: str) -> None:
    put_for(registry, "m", RETURN, (BTC,))
    listen({BTC: frame(9, 1, 30_000.0)}, "m", inference=how, known=False)
    assert [t.name for t in threading.enumerate() if t.name.startswith("inference ")] == []


# What is refused


def refusal(*models: str, **settings: Any) -> AitbError:
    """Return why an actor cannot be made."""
    with pytest.raises(AitbError) as e:
        actor_of(*models, **settings)
    assert "\n" not in str(e.value)
    return e.value


def test_model_that_aitb_train_published_is_taken(registry: Registry) -> None:
    bars = simulate(SimulationSettings(instruments=(BTC,), days=3, seed=1))
    settings = ModelSettings(
        id="m", instruments=(BTC,), label=SignLabel(horizon_bars=5), algorithm=LogisticSettings()
    )
    train(settings, ALONE, TrainingBars(bars, "ab" * 32, True), registry)
    actor = actor_of("m")
    assert actor.bar_types() == [MINUTE.bar_type(BTC)]
    assert set(actor.context.sources["m"].importance) == set(ALONE.names)
    assert actor.context.sources["m"].longest_gap_bars == 4
    heard = listen({BTC: frame(60, 1, 30_000.0)}, "m").heard
    assert len(heard) == 60 - ALONE.warmup + 1


@pytest.mark.usefixtures("two_models")
@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("alnoe",), "models: model 'alnoe': is not there, did you mean 'alone'?"),
        (("alone@7",), "model alone@7: is not there, versions are 1"),
        (("alone@production",), "model alone@production: has no alias 'production'"),
        (("alone@",), "model reference 'alone@'"),
        (("Alone",), "model reference 'Alone'"),
    ],
)
def test_model_that_is_not_there_is_refused(models: tuple[str, ...], said: str) -> None:
    error = refusal(*models)
    assert error.exit_code == 5
    assert said in str(error)


def test_folder_without_models_is_refused(registry: Registry) -> None:
    error = refusal("m", registry="elsewhere")
    assert error.exit_code == 5
    assert "Train one: aitb train CONFIG" in str(error)
    assert registry.ids() == []


def test_withdrawn_model_is_refused(two_models: Registry) -> None:
    two_models.promote("alone@1", "production")
    two_models.withdraw("alone@1", "it lost money")
    error = refusal("alone@production")
    assert error.exit_code == 5
    assert "it lost money" in str(error)


def test_model_that_has_expired_when_the_run_begins_is_refused(registry: Registry) -> None:
    expires = 4 * 10**18
    put_for(registry, "m", RETURN, (BTC,), expires_ns=expires)
    for begins, refused in ((expires - 1, False), (expires, True)):
        context = msgspec.structs.replace(make_context(), begins_ns=begins)
        if not refused:
            assert actor_of("m", context=context).context.sources["m"].expires_ns == expires
            continue
        error = refusal("m", context=context)
        assert error.exit_code == 5
        assert "m@1: expired at 2096-10-02T07:06:40Z (it is 2096-10-02T07:06:40Z)" in str(error)
        assert context.sources == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feature_fingerprint": FINGERPRINT}, "The code of a feature has changed since"),
        ({"longest_gap_bars": 5}, "The code of a feature has changed since"),
        ({"features": ("log_return(1)", "zscore(close,6)")}, "The code of a feature has changed"),
        ({"features": ("log_return(1)", "magic(6)")}, "there is no feature 'magic'"),
        ({"features": ("log_return(1)", "log_return(01)")}, "a feature that this code does not"),
        ({"features": ("log_return(1)", "zscore( close,5)")}, "was trained on zscore( close,5)"),
    ],
)
def test_model_of_other_features_than_the_code_computes_is_refused(
    registry: Registry, changes: dict[str, Any], said: str
) -> None:
    contract = msgspec.structs.replace(contract_for(ALONE), **changes)
    put_for(registry, "m", ALONE, contract=contract)
    error = refusal("m")
    assert error.exit_code == 5
    assert "model m@1" in str(error)
    assert said in str(error)


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "bundle.sig"])
def test_bundle_with_one_changed_byte_is_refused(registry: Registry, name: str) -> None:
    put_for(registry, "m", RETURN)
    path = registry.root / "m" / "1" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    assert refusal("m").exit_code == 5


def test_bundle_of_a_stranger_is_refused(registry: Registry, tmp_path: Path) -> None:
    stranger = Registry(registry.root, Keyring(tmp_path / "other"))
    put_for(stranger, "m", RETURN)
    error = refusal("m")
    assert error.exit_code == 5
    assert "neither your own key nor one that you trust" in str(error)


def test_model_without_a_probability_is_refused(registry: Registry) -> None:
    def rename(model: ModelProto) -> None:
        model.graph.output[0].name = model.graph.node[1].output[0] = "expected_return"

    put_for(registry, "m", RETURN, change=rename)
    error = refusal("m")
    assert error.exit_code == 5
    assert "m@1: gives expected_return only, must give a probability" in str(error)


@pytest.mark.usefixtures("two_models")
def test_config_that_cannot_be_meant_is_refused(registry: Registry) -> None:
    put_for(registry, "hourly", parse_features(["log_return(1)"], interval="1h"), (BTC, ETH))
    put_for(registry, "alone", ALONE, (BTC, ETH), seed=9)
    for error, said in (
        (refusal("alone", "beside", "alone@1"), "alone and alone@1 are the same model"),
        (
            refusal("alone", "hourly"),
            "hourly answers bars of 1h, those before it answer bars of 1m",
        ),
        (
            refusal("alone", instruments=(BTC, "ETHUSDT.BINANCE")),
            f"alone was not trained on ETHUSDT.BINANCE, did you mean {ETH}?",
        ),
    ):
        assert isinstance(error, ConfigError)
        assert error.where.startswith("inference-001: ")
        assert said in str(error)


@pytest.mark.usefixtures("two_models")
def test_two_actors_with_one_model_are_refused() -> None:
    context = make_context()
    actor_of("alone", context=context)
    with pytest.raises(ConfigError, match="model alone: is published by two actors"):
        actor_of("alone", context=context, name="inference-002")
