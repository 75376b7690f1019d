"""Actors that publish predictions inside a whole back-test."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import ConfigError, ModelError, RunError
from tests.run.desk_lab import MINUTE, T0, A, B, Lab, Outcome, flat

ACTOR = '''
"""An actor that says what its script says."""

from aitb_nautilus.messages import LatePrediction, Prediction
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.settings import Settings

MINUTE = 60_000_000_000


class SaySettings(Settings, frozen=True):
    model: str = "up"
    instruments: tuple[str, ...] = ("AAAUSDT-PERP.SIM",)
    interval: str = "1m"
    trained_last_ns: int | None = None
    expires_ns: int | None = None
    shift_ns: int = 0
    fails: bool = False
    silent: bool = False


class Say(GuardedActor):
    settings_type = SaySettings

    def __init__(self, settings, context, component_id):
        super().__init__(settings, context, component_id)
        self.ahead = 0
        context.add_source(
            PredictionSource(
                model=settings.model,
                version="3",
                sha256="5" * 64,
                instruments=settings.instruments,
                interval=settings.interval,
                label=Label(kind="sign", horizon_bars=2, horizon_ns=2 * MINUTE),
                longest_gap_bars=0,
                trained_last_ns=settings.trained_last_ns,
                expires_ns=settings.expires_ns,
            )
        )

    def bar_types(self):
        return [f"{i}-1-MINUTE-LAST-EXTERNAL" for i in self.settings.instruments]

    def foresee(self, frames):
        if self.settings.fails:
            raise ValueError("boom")
        self.ahead = {i: len(f) for i, f in frames.items()}

    def hear_bar(self, bar):
        if self.settings.silent:
            return
        ts = bar.ts + self.settings.shift_ns
        up = 0.75 if bar.close > bar.open else 0.25
        self.publish_prediction(
            Prediction(
                bar.instrument_id, self.settings.model, "3", 2 * up - 1, up, None, None,
                2 * MINUTE, ts, ts, self.now(), ts + MINUTE,
            )
        )
        if bar.close == bar.open:
            self.publish_late(
                LatePrediction(bar.instrument_id, self.settings.model, "3", ts, ts, MINUTE)
            )


class Ticks(Say):
    def bar_types(self):
        return ["AAAUSDT-PERP.SIM-100-TICK-LAST-EXTERNAL"]
'''
HEARER = """
class Hearer(Scripted):
    def predictions(self):
        return [("{model}", i) for i in self.settings.instruments]
"""


def speaker(lab: Lab, name: str = "say", cls: str = "Say", **params: Any) -> dict[str, Any]:
    (lab.folder / "lab_speaker.py").write_text(ACTOR)
    return {"class": f"lab_speaker:{cls}", "id": name, "params": params}


def hearer(lab: Lab, model: str = "up", **more: Any) -> dict[str, Any]:
    return lab.strategy(code=HEARER.replace("{model}", model), cls="Hearer", **more)


ROWS = [(100, 101, 99, 101), (101, 101, 100, 100), (100, 100, 100, 100), (100, 104, 100, 104)]


def talk(lab: Lab, **params: Any) -> Outcome:
    lab.bars(ROWS)
    return lab.run(hearer(lab), actors=[speaker(lab, **params)])


def test_predictions_stand_in_the_run_folder_beside_what_happened(lab: Lab) -> None:
    outcome = talk(lab)
    table = pq.read_table(outcome.folder / "predictions.parquet")
    assert table.column("ts").cast("int64").to_pylist() == [T0 + n * MINUTE for n in (1, 2, 3, 4)]
    assert table.column("probability").to_pylist() == [0.75, 0.25, 0.25, 0.75]
    assert table.column("score").to_pylist() == [0.5, -0.5, -0.5, 0.5]
    assert table.column("expected_return").to_pylist() == [None] * 4
    # Two bars ahead: 101 to 100, 100 to 104, and then the bars end.
    assert table.column("forward_return").to_pylist() == [100 / 101 - 1, 104 / 100 - 1, None, None]
    assert table.column("up").to_pylist() == [False, True, None, None]
    assert set(table.column("model").to_pylist()) == {"up"}
    assert set(table.column("version").to_pylist()) == {"3"}
    record = outcome.record
    assert record.predictions == 4
    (model,) = record.models
    assert (model.id, model.version, model.sha256) == ("up", "3", "5" * 64)
    assert model.figures is not None
    assert (model.figures.rows, model.figures.resolved, model.figures.late) == (4, 2, 1)
    assert "1 answer of up@3 came too late and was not traded." in record.honesty


def test_run_without_models_has_an_empty_table(lab: Lab) -> None:
    lab.bars(flat(100, 3))
    outcome = lab.run(lab.strategy({}))
    assert pq.read_table(outcome.folder / "predictions.parquet").num_rows == 0
    assert (outcome.record.models, outcome.record.predictions) == ([], 0)


@pytest.mark.parametrize(
    ("last_ns", "sample", "words"),
    [
        (None, "walk-forward", "had seen nothing of its time or after it"),
        (T0 - 2 * MINUTE, "out", "opened after all that its training looked at"),
        (T0 - 2 * MINUTE + 1, "in", "the model has seen this time"),
    ],
)
def test_run_says_whether_the_model_has_seen_its_time(
    lab: Lab, last_ns: int | None, sample: str, words: str
) -> None:
    outcome = talk(lab, **({} if last_ns is None else {"trained_last_ns": last_ns}))
    assert outcome.record.models[0].sample == sample
    assert [note for note in outcome.record.honesty if words in note]


def test_model_that_has_expired_before_the_run_is_refused_and_nothing_is_written(lab: Lab) -> None:
    with pytest.raises(ModelError, match="expired at 2023-01-01T00:01:00Z, before the run's first"):
        talk(lab, expires_ns=T0 + MINUTE)
    assert not (lab.folder / "runs").exists()


def test_model_that_expires_in_the_run_is_told_of(lab: Lab) -> None:
    notes = talk(lab, expires_ns=T0 + 3 * MINUTE).record.honesty
    assert "up@3 expired at 2023-01-01T00:03:00Z: it gave no predictions after that." in notes


@pytest.mark.parametrize(
    ("model", "instruments", "words"),
    [
        ("upp", (A,), "listens to the model 'upp', which no actor publishes, did you mean 'up'?"),
        ("up", (A, B), f"wants the model up for {B}, it answers for {A}"),
    ],
)
def test_strategy_that_waits_for_what_nobody_says_is_a_config_error(
    lab: Lab, model: str, instruments: tuple[str, ...], words: str
) -> None:
    lab.bars(ROWS)
    lab.bars(ROWS, B)
    with pytest.raises(ConfigError) as e:
        lab.run(hearer(lab, model, instruments=instruments), actors=[speaker(lab)])
    assert words in str(e.value)
    assert "scripted-001" in str(e.value)


def test_two_actors_under_one_name_are_a_config_error(lab: Lab) -> None:
    lab.bars(ROWS)
    with pytest.raises(ConfigError, match="model up: is published by two actors"):
        lab.run(hearer(lab), actors=[speaker(lab), speaker(lab, "again")])


def test_bars_that_only_an_actor_wants_are_in_the_run(lab: Lab) -> None:
    lab.bars(ROWS)
    lab.bars(ROWS, B)
    outcome = lab.run(hearer(lab), actors=[speaker(lab, instruments=[A, B])])
    assert outcome.record.bars == 8
    assert outcome.record.predictions == 8


def test_text_of_an_actor_that_is_no_bar_type_is_a_config_error(lab: Lab) -> None:
    lab.bars(ROWS)
    with pytest.raises(ConfigError, match=r"actors say-001.bar_types\(\)"):
        lab.run(lab.strategy({}), actors=[speaker(lab, cls="Ticks")])


def test_error_while_working_ahead_fails_the_run_with_its_place(lab: Lab) -> None:
    with pytest.raises(RunError, match=r"say-001.foresee: raised ValueError: boom"):
        talk(lab, fails=True)
    assert lab.last().record.status == "failed"


def test_prediction_of_a_time_at_which_no_bar_closes_is_a_defect_that_is_told(lab: Lab) -> None:
    with pytest.raises(RunError, match=r"answered for .* at 2023-01-01T00:00:30Z, where no bar"):
        talk(lab, shift_ns=-MINUTE // 2)


def test_model_that_says_nothing_is_told_of(lab: Lab) -> None:
    outcome = talk(lab, silent=True)
    assert outcome.record.predictions == 0
    assert "up@3 gave no prediction at all in this run." in outcome.record.honesty
