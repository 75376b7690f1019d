from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from actors.ensemble import EnsembleActor, EnsembleSettings
from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import BarClosed, Prediction
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import decode
from tests.actors.stage import Listener, Speaker, number_of, said, sign_label, source
from tests.risk.rig import BTC, ETH, MINUTE, Rig, close_of, flat_bars, make_context, run

TWO = [{"model": "a"}, {"model": "b"}]


def settings(**more: Any) -> EnsembleSettings:
    """Return settings of an ensemble of two; `more` is laid over them."""
    told = {"name": "both", "instruments": [BTC], "members": TWO}
    return decode(told | more, EnsembleSettings, "desk.toml", "actors[2].params")


def ensemble(context: Context, id_: str = "E-001", **more: Any) -> EnsembleActor:
    return EnsembleActor(settings(**more), context, id_)


def heard(
    a: Mapping[int, Any],
    b: Mapping[int, Any],
    rows: Sequence[tuple[float, float, float, float]] = flat_bars(4),
    **more: Any,
) -> tuple[Listener, Rig]:
    """Run two models by their scripts and an ensemble, and return who listened to that."""
    context = make_context()
    actors = [Speaker(context, "a", a), Speaker(context, "b", b), ensemble(context, **more)]
    listener = Listener(context, "both")
    rig = run([listener], context, rows, actors=actors)
    return listener, rig


def closes(*prices: float) -> list[tuple[float, float, float, float]]:
    """Return bars that close there."""
    return [(price, price, price, price) for price in prices]


@pytest.mark.parametrize(("changes", "said"), [
    ({"name": "Both!"}, "the model id 'Both!' must be"),
    ({"members": TWO[:1]}, "must be array of length >= 2"),
    ({"members": [*TWO, {"model": "a", "weight": 2.0}]}, "members names one of them twice"),
    ({"members": [*TWO, {"model": "both"}]}, "members names both, which is the ensemble itself"),
    ({"members": [{"model": "a", "weight": 0.0}, {"model": "b"}]}, "members[0].weight: was 0.0"),
    ({"members": [{"model": "a", "wieght": 1.0}, {"model": "b"}]}, "did you mean 'weight'?"),
    ({"instruments": []}, "instruments"),
    ({"instruments": [BTC, BTC]}, "instruments names one of them twice"),
    ({"weights": "recent_logloss"}, "Did you mean recent_log_loss?"),
    ({"sharpness": 0.0}, "sharpness: was 0.0"),
    ({"window": 10}, "min_resolved was 50, must be at most window, which is 10"),
])  # fmt: skip
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**changes)
    assert said in str(caught.value)


def test_member_whose_actor_does_not_stand_before_is_refused() -> None:
    context = make_context()
    context.add_source(source("a"))
    context.add_source(source("btc_logit"))
    with pytest.raises(ConfigError) as caught:
        ensemble(context, members=[{"model": "a"}, {"model": "btc_logi"}])
    assert str(caught.value) == (
        "E-001: members: model btc_logi: is not published by any actor before this one, did you "
        "mean btc_logit? The actors of an ensemble's members must stand before it in the config."
    )
    with pytest.raises(ConfigError, match="known are none"):
        ensemble(make_context())


@pytest.mark.parametrize(("changes", "said"), [
    ({"interval": "5m"}, "model b: has the interval 5m, must be that of a, which is 1m"),
    ({"label": sign_label(2)}, 'model b: has the label {"kind":"sign","horizon_bars":2,'),
    ({"label": sign_label(cost_bps=5.0)}, '"parameters":{"cost_bps":5.0}}, must be that of a'),
    ({"label": Label(kind="return", horizon_bars=1, horizon_ns=MINUTE.ns,
                     parameters={"cost_bps": 0.0})}, '{"kind":"return",'),
])  # fmt: skip
def test_members_that_foretell_other_things_are_refused(changes: Any, said: str) -> None:
    context = make_context()
    context.add_source(source("a"))
    context.add_source(source("b", **changes))
    with pytest.raises(ConfigError) as caught:
        ensemble(context)
    assert said in str(caught.value)


def test_recent_log_loss_needs_a_label_that_a_close_decides() -> None:
    label = Label(kind="triple_barrier", horizon_bars=5, horizon_ns=5 * MINUTE.ns)
    context = make_context()
    context.add_source(source("a", label=label))
    context.add_source(source("b", label=label))
    with pytest.raises(ConfigError, match="kind sign or return, whose outcome a close decides"):
        ensemble(context, weights="recent_log_loss")
    assert ensemble(context).source.label == label


def test_name_that_is_published_already_is_refused() -> None:
    context = make_context()
    for model in ("a", "b", "both"):
        context.add_source(source(model))
    with pytest.raises(ConfigError, match="model both: is published by two actors"):
        ensemble(context)


def test_source_sums_up_its_members() -> None:
    context = make_context()
    context.add_source(
        source("a", version="3", trained_first_ns=50, trained_last_ns=100, expires_ns=900,
               trials=4, longest_gap_bars=9, features=("rsi(14)", "candle_body"))
    )  # fmt: skip
    context.add_source(
        source("b", version="walk-forward", simulated=True, expires_ns=800, longest_gap_bars=2,
               features=("rsi(14)", "rsi(7)"))
    )  # fmt: skip
    made = ensemble(context).source
    assert context.sources["both"] is made
    assert (made.version, made.members) == ("a@3+b@walk-forward", ("a", "b"))
    assert (made.trained_first_ns, made.trained_last_ns, made.expires_ns) == (50, 100, 800)
    assert (made.trials, made.simulated, made.longest_gap_bars) == (5, True, 2)
    assert made.features == ("rsi(14)", "candle_body", "rsi(7)")
    assert (made.interval, made.label, made.instruments) == ("1m", sign_label(), (BTC,))


def test_source_of_members_without_training_or_expiry_has_none() -> None:
    context = make_context()
    for model in "ab":
        context.add_source(source(model))
    made = ensemble(context).source
    assert (made.trained_first_ns, made.trained_last_ns, made.expires_ns) == (None, None, None)
    assert (made.simulated, made.trials) == (False, 2)


def test_sha256_is_that_of_the_settings_and_the_members() -> None:
    def sha256(b: str = "a", **more: Any) -> str:
        context = make_context()
        context.add_source(source("a"))
        context.add_source(source("b", sha256=b * 64))
        return ensemble(context, **more).source.sha256

    heavier = [{"model": "a"}, {"model": "b", "weight": 2.0}]
    assert sha256() == sha256(weights="fixed")
    different = [sha256(), sha256("c"), sha256(members=heavier), sha256(weights="recent_log_loss")]
    assert len(set(different)) == 4


def test_actor_listens_to_all_members_and_to_its_own_bars() -> None:
    context = make_context()
    for model in "ab":
        context.add_source(source(model, instruments=(BTC, ETH)))
    made = ensemble(context, instruments=[BTC, ETH])
    assert made.bar_types() == [MINUTE.bar_type(BTC), MINUTE.bar_type(ETH)]
    assert set(made.predictions()) == {("a", BTC), ("a", ETH), ("b", BTC), ("b", ETH)}


def test_probability_and_confidence_by_hand() -> None:
    a = {1: 0.5, 2: said("a", 2, 0.25, bars=4, expected_return=0.01)}
    b = {1: 1.0, 2: said("b", 2, 0.75, bars=3, expected_return=0.03, ts_features=close_of(2) + 7)}
    members = [{"model": "a", "weight": 3.0}, {"model": "b"}]
    listener, rig = heard(a, b, members=members)
    assert rig.state.failures == []
    first, second = listener.heard
    assert listener.at == [1, 2]
    # 0.75 of 0.5 and 0.25 of 1; variance 0.75 * 0.125^2 + 0.25 * 0.375^2 = 0.046875
    assert (first.probability, first.score) == (0.625, 0.25)
    assert first.confidence == 1 - 2 * math.sqrt(0.046875)
    assert first.expected_return is None
    assert (first.model, first.version, first.instrument_id) == ("both", "a@1+b@1", BTC)
    assert (first.ts_event, first.ts_inference) == (close_of(1), close_of(1))
    assert (first.horizon_ns, first.expires_ns) == (MINUTE.ns, close_of(2))
    assert second.probability == 0.375
    assert second.expected_return == pytest.approx(0.015, abs=1e-17)
    assert second.ts_features == close_of(2) + 7
    assert second.expires_ns == close_of(5)


def test_expected_return_that_one_member_lacks_is_none() -> None:
    listener, _ = heard({1: said("a", 1, 0.5, expected_return=0.01)}, {1: 0.5})
    assert [one.expected_return for one in listener.heard] == [None]


def test_silent_member_silences_the_ensemble() -> None:
    listener, rig = heard({1: 0.6, 2: 0.6, 3: 0.6, 4: 0.6}, {1: 0.6, 3: 0.6})
    assert rig.state.failures == []
    assert [number_of(one.ts_event) for one in listener.heard] == [1, 3]


def test_member_that_comes_late_completes_the_set_while_nothing_newer_is_there() -> None:
    a = {1: said("a", 1, 0.6, bars=3), 3: 0.7}
    b = {2: said("b", 1, 0.8, bars=3), 3: said("b", 2, 0.9, bars=3), 4: said("b", 3, 0.9, bars=3)}
    listener, rig = heard(a, b)
    assert rig.state.failures == []
    (one,) = listener.heard
    assert (one.ts_event, one.ts_inference, listener.at) == (close_of(1), close_of(2), [2])
    assert one.probability == pytest.approx(0.7, abs=1e-16)


def test_answer_that_expires_while_another_is_waited_for_silences_the_ensemble() -> None:
    listener, rig = heard({1: 0.6}, {2: said("b", 1, 0.8, bars=3)})
    assert rig.state.failures == []
    assert listener.heard == []


def test_weights_by_recent_log_loss_by_hand() -> None:
    """Horizon one bar; up, up, down: a gives 3/4 to up each time, b 1/4."""
    rows = closes(100.0, 101.0, 102.0, 101.5)
    quarter = dict.fromkeys(range(1, 5), 0.25)
    three = dict.fromkeys(range(1, 5), 0.75)
    listener, rig = heard(three, quarter, rows, weights="recent_log_loss", min_resolved=1, window=2)
    assert rig.state.failures == []
    # Odds of a against b: 1, 3 (one up), 9 (two ups), then the window of two holds up and down: 1.
    wanted = [0.5 * 0.75 + 0.5 * 0.25, 0.75 * 0.75 + 0.25 * 0.25, 0.9 * 0.75 + 0.1 * 0.25, 0.5]
    assert [one.probability for one in listener.heard] == pytest.approx(wanted, abs=1e-15)


def test_weights_follow_the_sharpness_by_the_length_of_the_horizon() -> None:
    rows = closes(100.0, 101.0, 102.0, 103.0)
    context = make_context()
    label = sign_label(2)
    actors = [
        Speaker(context, "a", dict.fromkeys(range(1, 5), 0.75), label=label),
        Speaker(context, "b", dict.fromkeys(range(1, 5), 0.25), label=label),
        ensemble(context, weights="recent_log_loss", min_resolved=1, sharpness=4.0),
    ]
    listener = Listener(context, "both")
    run([listener], context, rows, actors=actors)
    # From bar 3 on the first has come true: odds 3^(4/2); from bar 4 on the second: 3^4.
    wanted = [0.5, 0.5, 0.9 * 0.75 + 0.1 * 0.25, (81 * 0.75 + 0.25) / 82]
    assert [one.probability for one in listener.heard] == pytest.approx(wanted, abs=1e-15)


class Noted(EnsembleActor):
    """An ensemble outside of an engine, which keeps what it would publish."""

    def __init__(self, settings: Any, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.published: list[Prediction] = []

    def now(self) -> int:
        return 0

    def publish_prediction(self, prediction: Prediction) -> None:
        self.published.append(prediction)


def test_each_instrument_has_weights_of_its_own() -> None:
    context = make_context()
    for model in "ab":
        context.add_source(source(model, instruments=(BTC, ETH)))
    wanted = settings(instruments=[BTC, ETH], weights="recent_log_loss", min_resolved=1)
    both = Noted(wanted, context, "E-001")
    for number, prices in ((1, (100.0, 100.0)), (2, (101.0, 99.0))):
        for instrument, price in zip((BTC, ETH), prices, strict=True):
            ts = close_of(number)
            both.hear_bar(BarClosed(instrument, ts, price, price, price, price, 1.0))
            for model, probability in (("a", 0.75), ("b", 0.25)):
                both.hear_prediction(said(model, number, probability, instrument_id=instrument))
    # At the second bar a was right about BTC, and b about ETH: odds 3 to 1 each.
    assert [one.instrument_id for one in both.published] == [BTC, ETH, BTC, ETH]
    wanted = [0.5, 0.5, 0.625, 0.375]
    assert [one.probability for one in both.published] == pytest.approx(wanted, abs=1e-15)


def test_return_below_the_costs_counts_as_not_up() -> None:
    rows = closes(100.0, 100.04, 100.08)
    context = make_context()
    label = sign_label(1, cost_bps=5.0)
    actors = [
        Speaker(context, "a", dict.fromkeys(range(1, 4), 0.75), label=label),
        Speaker(context, "b", dict.fromkeys(range(1, 4), 0.25), label=label),
        ensemble(context, weights="recent_log_loss", min_resolved=1),
    ]
    listener = Listener(context, "both")
    run([listener], context, rows, actors=actors)
    wanted = [0.5, 0.25 * 0.75 + 0.75 * 0.25, 0.1 * 0.75 + 0.9 * 0.25]
    assert [one.probability for one in listener.heard] == pytest.approx(wanted, abs=1e-15)


def test_ensemble_of_an_ensemble_is_heard() -> None:
    context = make_context()
    actors = [
        Speaker(context, "a", {1: 0.2}),
        Speaker(context, "b", {1: 0.4}),
        ensemble(context, name="inner"),
        Speaker(context, "c", {1: 0.9}),
        ensemble(context, "E-002", members=[{"model": "inner"}, {"model": "c"}]),
    ]
    listener = Listener(context, "both")
    rig = run([listener], context, flat_bars(2), actors=actors)
    assert rig.state.failures == []
    (one,) = listener.heard
    assert one.probability == pytest.approx((0.3 + 0.9) / 2, abs=1e-15)
    assert one.version == "inner@(a@1+b@1)+c@1"
    assert context.sources["both"].trials == 3


@pytest.mark.parametrize("probability", [1.5, -0.1, math.nan])
def test_member_that_says_no_probability_stops_the_run(probability: float) -> None:
    listener, rig = heard({2: said("a", 2, probability)}, {2: 0.5})
    (failure,) = rig.state.failures
    assert failure.component == "E-001"
    assert "model a: said" in failure.error
    assert listener.heard == []
