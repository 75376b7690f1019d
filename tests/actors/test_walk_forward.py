from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.ensemble import EnsembleActor, EnsembleSettings
from actors.walk_forward import WalkForwardActor, WalkForwardSettings
from aitb_nautilus.errors import ConfigError, ModelError
from aitb_nautilus.messages import BarClosed, Prediction
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import decode
from tests.actors.stage import Listener, Speaker, number_of
from tests.risk.rig import BTC, ETH, MINUTE, T0, close_of, flat_bars, make_context, run
from tests.stream_files import Row, row, write_stream_file

HALF, THIRD = float(np.float32(0.5)), float(np.float32(1 / 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "btc.parquet"


def actor(context: Context, path: Path, **more: Any) -> WalkForwardActor:
    told = decode({"path": str(path)} | more, WalkForwardSettings, "desk.toml")
    return WalkForwardActor(told, context, "W-001")


def heard(path: Path, rows: list[Row], count: int = 6, **more: Any) -> Listener:
    """Run the stream of some rows over bars 1 to `count`, and return who listened."""
    context = make_context()
    speaker = actor(context, write_stream_file(path, rows), **more)
    listener = Listener(context, "btc")
    rig = run([listener], context, flat_bars(count), actors=[speaker])
    assert rig.state.failures == []
    return listener


def test_each_row_is_published_at_its_bar_under_the_version_of_its_window(path: Path) -> None:
    listener = heard(path, [row(2, 1 / 3, 1), row(3, 0.5, 1), row(4, 0.75, 2)])
    assert listener.at == [2, 3, 4]
    assert [one.probability for one in listener.heard] == [THIRD, HALF, 0.75]
    assert [one.version for one in listener.heard] == [
        "btc/window-1", "btc/window-1", "btc/window-2"
    ]  # fmt: skip
    first = listener.heard[0]
    assert (first.model, first.instrument_id) == ("btc", BTC)
    assert first.score == 2 * THIRD - 1
    assert (first.expected_return, first.confidence) == (None, None)
    assert first.horizon_ns == 2 * MINUTE.ns
    assert first.ts_event == first.ts_features == first.ts_inference == close_of(2)
    assert first.expires_ns == close_of(3)


def test_rows_before_the_first_bar_are_skipped(path: Path) -> None:
    rows = [row(n, 0.25) for n in range(-50, 1)] + [row(1, 0.75)]
    assert [one.probability for one in heard(path, rows).heard] == [0.75]


def test_bar_without_a_row_says_nothing(path: Path) -> None:
    listener = heard(path, [row(2), row(5), row(6), row(90)])
    assert [number_of(one.ts_event) for one in listener.heard] == [2, 5, 6]


class Noted(WalkForwardActor):
    """An actor outside of an engine, which keeps what it would publish."""

    def __init__(self, settings: Any, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.published: list[Prediction] = []

    def now(self) -> int:
        return 0

    def publish_prediction(self, prediction: Prediction) -> None:
        self.published.append(prediction)


def test_row_without_a_bar_is_left_out(path: Path) -> None:
    write_stream_file(path, [row(n) for n in range(1, 7)])
    noted = Noted(WalkForwardSettings(path=str(path)), make_context(), "W-001")
    for number in (1, 4, 5, 8):
        noted.hear_bar(BarClosed(BTC, close_of(number), 1.0, 1.0, 1.0, 1.0, 1.0))
    assert [number_of(one.ts_event) for one in noted.published] == [1, 4, 5]


def test_answers_hold_for_the_bars_that_are_wanted(path: Path) -> None:
    (one,) = heard(path, [row(1, expected=0.25)], valid_bars=3).heard
    assert one.expires_ns == close_of(4)
    assert one.expected_return == 0.25


def test_instruments_are_those_of_the_stream_or_the_wanted_ones(path: Path) -> None:
    rows = [row(1), row(1, instrument=ETH)]
    write_stream_file(path, rows, instruments=(BTC, ETH))
    for more, wanted in (({}, (BTC, ETH)), ({"instruments": [ETH]}, (ETH,))):
        context = make_context()
        made = actor(context, path, **more)
        assert context.sources["btc"].instruments == wanted
        assert made.bar_types() == [MINUTE.bar_type(one) for one in wanted]


def test_source_says_that_every_answer_is_out_of_sample(path: Path) -> None:
    context = make_context()
    write_stream_file(path, [row(1)])
    made = actor(context, path).source
    assert context.sources == {"btc": made}
    assert (made.version, made.algorithm, made.interval) == ("walk-forward", "logistic", "1m")
    assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert made.label == Label(
        kind="sign", horizon_bars=2, horizon_ns=2 * MINUTE.ns, parameters={"cost_bps": 5.0}
    )
    assert (made.longest_gap_bars, made.simulated, made.trials) == (1, True, 3)
    assert (made.trained_first_ns, made.trained_last_ns, made.expires_ns) == (None, None, None)
    assert made.features == ("rsi(14)",)


def test_instrument_that_the_stream_lacks_is_refused(path: Path) -> None:
    write_stream_file(path, [row(1)])
    with pytest.raises(ConfigError) as caught:
        actor(make_context(), path, instruments=["BTCUSDT.BINANCE"])
    assert str(caught.value) == (
        f"W-001: instruments: BTCUSDT.BINANCE: is not in {path}, did you mean {BTC}?"
    )


@pytest.mark.parametrize(("changes", "said"), [
    ({"valid_bars": 0}, "valid_bars: was 0, must be int >= 1"),
    ({"instruments": [BTC, BTC]}, "instruments names one of them twice"),
    ({"paths": "x"}, "did you mean 'path'?"),
])  # fmt: skip
def test_settings_that_cannot_work_are_refused(path: Path, changes: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode({"path": str(path)} | changes, WalkForwardSettings, "desk.toml")
    assert said in str(caught.value)


def test_absent_or_leaking_stream_is_refused_before_the_run(path: Path) -> None:
    with pytest.raises(ModelError, match="is not there"):
        actor(make_context(), path)
    window = {
        "model_version": "btc/window-1",
        "train_first_ns": T0 - 100 * MINUTE.ns,
        "train_last_ns": T0,
        "test_first_ns": T0,
        "test_last_ns": T0 + MINUTE.ns,
    }
    write_stream_file(path, [row(1), row(2)], windows=[window])
    with pytest.raises(ModelError, match="answered by a model that was trained on bars of that"):
        actor(make_context(), path)


def test_stream_takes_part_in_an_ensemble(path: Path) -> None:
    context = make_context()
    rows = [row(n, 0.75) for n in (1, 2, 4)]
    stream = actor(context, write_stream_file(path, rows))
    other = Speaker(context, "other", {1: 0.25, 3: 0.25, 4: 0.5}, label=stream.source.label)
    told = {"name": "both", "instruments": [BTC], "members": [{"model": "btc"}, {"model": "other"}]}
    both = EnsembleActor(decode(told, EnsembleSettings, "desk.toml"), context, "E-001")
    listener = Listener(context, "both")
    rig = run([listener], context, flat_bars(5), actors=[stream, other, both])
    assert rig.state.failures == []
    assert [(number_of(one.ts_event), one.probability) for one in listener.heard] == [
        (1, 0.5), (4, 0.625)
    ]  # fmt: skip
    assert listener.heard[0].version == "btc@walk-forward+other@1"
