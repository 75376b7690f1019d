"""The threshold strategy's decisions, without an engine; its runs are in `tests.run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.messages import BarClosed, OrderIntent
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.risk.sources import PredictionSource
from strategies.threshold import Threshold
from tests.risk.rig import BTC, ETH, MINUTE, close_of, make_context
from tests.strategies.hand_desk import MODEL, HandDesk, predict, settings

CLOSE = "close exit:signal"
STOP = {"stop_frac": 0.1}


def answers(probabilities: Sequence[float], **changes: Any) -> list[list[str]]:
    """Return what is answered to each, one a bar, if all is filled at the next open."""
    desk = HandDesk(**changes)
    return [desk.step(probability) for probability in probabilities]


# Levels


WALK = [0.5, 0.55, 0.52, 0.5, 0.49, 0.45, 0.5, 0.51, 0.45, 0.55, 0.5]


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        (
            "both",
            [[], ["BUY"], [], [], [CLOSE], ["SELL"], [], [CLOSE], ["SELL"], [CLOSE, "BUY"], []],
        ),
        ("long", [[], ["BUY"], [], [], [CLOSE], [], [], [], [], ["BUY"], []]),
        ("short", [[], [], [], [], [], ["SELL"], [], [CLOSE], ["SELL"], [CLOSE], []]),
    ],
)
def test_side_is_opened_at_its_level_and_kept_until_beyond_the_other(
    direction: str, expected: list[list[str]]
) -> None:
    assert answers(WALK, direction=direction) == expected


def test_exit_at_the_other_side_s_entry_makes_it_always_in_the_market() -> None:
    levels = {"long_enter": 0.55, "long_exit": 0.45, "short_enter": 0.45, "short_exit": 0.55}
    walk = [0.5, 0.55, 0.46, 0.45, 0.54, 0.55]
    turns = [[], ["BUY"], [], [CLOSE, "SELL"], [], [CLOSE, "BUY"]]
    assert answers(walk, **levels) == turns


def test_wide_room_between_the_levels_is_left_flat() -> None:
    levels = {"long_enter": 0.7, "long_exit": 0.65, "short_enter": 0.3, "short_exit": 0.35}
    walk = [0.69, 0.7, 0.64, 0.31, 0.3, 0.36]
    assert answers(walk, **levels) == [[], ["BUY"], [CLOSE], [], ["SELL"], [CLOSE]]


def step_of(side: int, probability: float, direction: str) -> int:
    """Return the side that is wanted at the default levels: what the settings say, in plain."""
    if probability >= 0.55 and direction != "short":
        return 1
    if probability <= 0.45 and direction != "long":
        return -1
    if (side > 0 and probability < 0.5) or (side < 0 and probability > 0.5):
        return 0
    return side


@given(
    st.sampled_from(["long", "short", "both"]),
    st.lists(st.tuples(st.sampled_from([0.1, 0.45, 0.48, 0.5, 0.52, 0.55, 0.9]), st.booleans())),
)
@hypothesis_settings(max_examples=150, deadline=None)
def test_held_side_is_that_of_a_plain_state_machine(
    direction: str, facts: list[tuple[float, bool]]
) -> None:
    desk = HandDesk(direction=direction, exits=STOP)
    held = target = 0  # the side now, and once all that is on its way has filled
    for probability, fills in facts:
        desk.bar()
        desk.predict(probability)
        if held == target:
            target = step_of(held, probability, direction)
        elif held and not target and step_of(held, probability, direction) == -held:
            target = -held
        if fills:
            desk.fill()
            held = target
        assert desk.side == held
        assert desk.resting().count("exit:stop") == (1 if held and held == target else 0)
    desk.fill()
    assert desk.side == target
    assert abs(desk.held) in (0, Decimal("0.1"))


# When it acts


def test_nothing_is_entered_on_a_bar_without_its_prediction() -> None:
    desk = HandDesk()
    desk.step(0.5)
    assert [desk.bar() for _ in range(3)] == [[], [], []]
    assert desk.predict(0.6) == ["BUY"]


def test_second_prediction_of_a_bar_and_an_older_one_are_not_looked_at() -> None:
    desk = HandDesk()
    desk.hold(0.6)
    desk.bar()
    assert desk.predict(0.55) == []
    assert desk.predict(0.1) == []
    assert desk.predict(0.1, ts_event=close_of(1)) == []
    assert desk.step(0.1) == [CLOSE, "SELL"]


def test_prediction_that_comes_a_bar_later_is_acted_on() -> None:
    desk = HandDesk()
    desk.bar()
    desk.bar()
    assert desk.predict(0.6, ts_event=close_of(1)) == ["BUY"]


def test_each_instrument_has_its_own_predictions_and_position() -> None:
    strategy = Threshold(settings(instruments=[BTC, ETH]), make_context(), "threshold-001")
    assert strategy.bar_types() == [MINUTE.bar_type(BTC), MINUTE.bar_type(ETH)]
    assert strategy.predictions() == [(MODEL, BTC), (MODEL, ETH)]
    assert list(strategy.decide_on_prediction(predict(0.6, close_of(1)))) == [
        OrderIntent(instrument_id=BTC, side="BUY")
    ]
    other = predict(0.4, close_of(1), instrument_id=ETH)
    assert list(strategy.decide_on_prediction(other)) == [
        OrderIntent(instrument_id=ETH, side="SELL")
    ]


def test_nothing_is_entered_while_the_size_is_not_known() -> None:
    sizing = {"method": "volatility_target", "annual_volatility_frac": 0.5, "half_life_bars": 3}
    desk = HandDesk(sizing=sizing)
    decided = []
    for close in (100.0, 101.0, 100.0, 101.0):
        desk.bar(close)
        decided.append(desk.predict(0.6))
    assert decided == [[], [], [], ["BUY"]]


def test_entry_without_a_price_has_no_size() -> None:
    strategy = Threshold(settings(), make_context(), "threshold-001")
    assert strategy.size(OrderIntent(instrument_id=BTC, side="BUY")) == 0


# Exits, and orders on their way


def test_turn_cancels_what_rests_before_it_closes_and_enters() -> None:
    desk = HandDesk(exits={"stop_frac": 0.1, "target_frac": 0.2})
    desk.hold(0.6)
    assert desk.resting() == ["exit:stop", "exit:target"]
    assert desk.step(0.4) == ["cancel exit:stop", "cancel exit:target", CLOSE, "SELL"]
    assert desk.fill() == ["place exit:stop", "place exit:target"]
    assert desk.held == Decimal("-0.1")
    assert [(o.side, o.quantity) for o in desk.open()] == [("BUY", Decimal("0.1"))] * 2
    assert desk.order("exit:stop").trigger_price == pytest.approx(33_000.0)


def test_trailing_stop_follows_the_bars_between_two_predictions() -> None:
    desk = HandDesk(exits={"trailing_frac": 0.1})
    desk.hold(0.6)
    assert desk.bar(33_000.0) == ["change exit:trailing"]
    assert desk.order("exit:trailing").trigger_price == pytest.approx(29_700.0)


def test_position_that_a_stop_closed_is_opened_again_by_the_next_signal() -> None:
    desk = HandDesk(exits=STOP)
    desk.hold(0.6)
    desk.fill_order(desk.order("exit:stop"))
    assert desk.side == 0
    assert desk.step(0.52) == []
    assert desk.step(0.6) == ["BUY"]


@pytest.mark.parametrize("probability", [0.6, 0.52, 0.4])
def test_nothing_is_sent_while_an_entry_is_on_its_way(probability: float) -> None:
    desk = HandDesk()
    assert desk.step(0.6) == ["BUY"]
    desk.bar()
    assert desk.predict(probability) == []
    desk.fill()
    assert desk.held == Decimal("0.1")


def test_turn_on_its_way_is_not_repeated_and_not_taken_back() -> None:
    desk = HandDesk(exits=STOP)
    desk.hold(0.6)
    desk.step(0.4)
    for probability in (0.4, 0.48, 0.6):
        assert desk.bar() == []
        assert desk.predict(probability) == []
    desk.fill()
    assert desk.held == Decimal("-0.1")


@pytest.mark.parametrize(
    ("probability", "answer", "side"),
    [(0.52, [], 0), (0.6, [], 0), (0.48, [], 0), (0.4, ["SELL"], -1)],
)
def test_time_exit_at_this_bar_is_not_repeated_but_turned(
    probability: float, answer: list[str], side: int
) -> None:
    desk = HandDesk(exits={"max_bars": 1, "stop_frac": 0.1})
    desk.hold(0.6)
    assert desk.bar() == ["cancel exit:stop", "close exit:time"]
    assert desk.predict(probability) == answer
    desk.fill()
    assert desk.side == side
    assert abs(desk.held) in (0, Decimal("0.1"))
    assert desk.resting() == (["exit:stop"] if side else [])


def test_close_on_its_way_is_left_alone_by_bars_and_by_signals() -> None:
    desk = HandDesk(exits={"max_bars": 3, "trailing_frac": 0.1})
    desk.hold(0.6)
    assert desk.step(0.48) == ["cancel exit:trailing", CLOSE]
    for _ in range(4):
        assert desk.bar(33_000.0) == []
        assert desk.predict(0.48) == []
    desk.fill()
    assert (desk.side, desk.resting()) == (0, [])


def test_close_that_the_venue_refused_leaves_the_position_with_its_stop() -> None:
    desk = HandDesk(exits=STOP)
    desk.hold(0.6)
    desk.step(0.48)
    desk.update(desk.order("exit:signal"), "REJECTED")
    assert desk.order("exit:stop").is_open
    assert desk.bar() == []
    assert desk.predict(0.48) == ["cancel exit:stop", CLOSE]


def test_nothing_is_opened_while_a_close_of_what_is_gone_is_on_its_way() -> None:
    desk = HandDesk(exits={"max_bars": 1, "stop_frac": 0.1})
    desk.hold(0.6)
    stop = desk.order("exit:stop")
    desk.bar()
    stop.status = "ACCEPTED"  # the venue filled it before it heard the cancel
    desk.fill_order(stop)
    assert (desk.side, desk.resting()) == (0, ["exit:time"])
    assert desk.predict(0.6) == []
    desk.fill()
    assert (desk.side, desk.resting()) == (0, [])
    assert desk.step(0.6) == ["BUY"]


def test_signal_exit_takes_back_what_is_left_of_an_entry() -> None:
    desk = HandDesk(exits=STOP)
    desk.step(0.6)
    desk.fill_order(desk.order("entry"), Decimal("0.04"))
    desk.bar()
    assert desk.predict(0.6) == []
    desk.bar()
    assert desk.predict(0.4) == ["cancel entry", "cancel exit:stop", CLOSE, "SELL"]
    desk.fill()
    assert desk.held == Decimal("-0.1")


def test_close_of_a_part_is_not_turned() -> None:
    desk = HandDesk(exits={"max_bars": 1})
    desk.step(0.6)
    entry = desk.order("entry")
    desk.fill_order(entry, Decimal("0.04"))
    assert desk.bar() == ["close exit:time"]
    desk.fill_order(entry)  # the rest comes after the close was sent
    assert desk.predict(0.4) == []
    desk.fill()
    assert desk.held == Decimal("0.06")
    assert desk.bar() == ["close exit:time"]
    assert desk.predict(0.3) == ["SELL"]


FACTS = st.one_of(
    st.tuples(st.just("bar"), st.sampled_from([29_000.0, 30_000.0, 31_000.0])),
    st.tuples(st.just("predict"), st.sampled_from([0.1, 0.48, 0.5, 0.52, 0.9])),
    st.tuples(st.sampled_from(["fill", "part", "refuse"]), st.integers(0, 3)),
)


@given(st.lists(FACTS, max_size=30), st.sampled_from([0, 2]))
@hypothesis_settings(max_examples=100, deadline=None)
def test_no_more_than_one_entry_and_one_close_are_ever_on_their_way(
    facts: list[tuple[str, float]], cooldown_bars: int
) -> None:
    exits = {"stop_frac": 0.01, "target_frac": 0.02, "max_bars": 3}
    desk = HandDesk(exits=exits, max_blind_bars=2, cooldown_bars=cooldown_bars)
    desk.bar()
    for kind, value in facts:
        orders = desk.open()
        if kind == "bar":
            desk.bar(value)
        elif kind == "predict":
            desk.predict(value)
        elif orders:
            order = orders[int(value) % len(orders)]
            if kind != "refuse":
                desk.fill_order(order, order.leaves / 2 if kind == "part" else None)
            elif order.kind == "MARKET":
                desk.update(order, "REJECTED")
        market = [order.reduce_only for order in desk.open() if order.kind == "MARKET"]
        assert market.count(True) <= 1
        assert market.count(False) <= 1
        assert abs(desk.held) <= Decimal(3_000) / 29_000


# A model that falls silent


def test_position_is_closed_after_so_many_bars_without_a_prediction() -> None:
    desk = HandDesk(max_blind_bars=2, exits=STOP)
    desk.hold(0.6)
    assert [desk.bar(), desk.bar()] == [[], []]
    assert desk.bar() == ["cancel exit:stop", "close exit:blind"]
    assert desk.bar() == []  # it is on its way
    desk.fill()
    assert (desk.side, desk.resting()) == (0, [])


def test_prediction_in_time_begins_the_count_anew() -> None:
    desk = HandDesk(max_blind_bars=2)
    desk.hold(0.6)
    for _ in range(3):
        assert [desk.bar(), desk.bar()] == [[], []]
        assert desk.predict(0.55) == []
    assert desk.side == 1


def test_prediction_of_a_bar_that_was_answered_is_no_sign_of_life() -> None:
    desk = HandDesk(max_blind_bars=1)
    desk.hold(0.6)
    assert desk.bar() == []
    assert desk.predict(0.6, ts_event=close_of(1)) == []
    assert desk.bar() == ["close exit:blind"]


def test_silence_is_left_to_the_other_exits_where_no_limit_is_set() -> None:
    desk = HandDesk(max_blind_bars=None)
    desk.hold(0.6)
    assert [desk.bar() for _ in range(100)] == [[]] * 100


def test_silence_without_a_position_is_no_matter() -> None:
    desk = HandDesk(max_blind_bars=1)
    assert [desk.bar() for _ in range(5)] == [[]] * 5
    assert desk.predict(0.6) == ["BUY"]


# What holds back entries


@pytest.mark.parametrize(
    ("bars", "expected"), [(0, [["BUY"]]), (1, [[], ["BUY"]]), (3, [[], [], [], ["BUY"]])]
)
def test_cooldown_lets_so_many_bars_pass_after_a_stop(bars: int, expected: list[list[str]]) -> None:
    desk = HandDesk(cooldown_bars=bars, exits=STOP)
    desk.hold(0.6)
    desk.bar()
    desk.predict(0.6)
    desk.fill_order(desk.order("exit:stop"))
    assert [desk.step(0.6) for _ in expected] == expected


def test_cooldown_closes_on_the_opposite_signal_and_does_not_turn() -> None:
    desk = HandDesk(cooldown_bars=1)
    desk.hold(0.6)
    assert [desk.step(0.4) for _ in range(3)] == [[CLOSE], [], ["SELL"]]


@pytest.mark.parametrize(
    ("probability", "expected", "answer"),
    [
        (0.6, 0.002, ["BUY"]),
        (0.6, 0.001, ["BUY"]),
        (0.6, 0.0009, []),
        (0.6, -0.002, []),
        (0.4, -0.001, ["SELL"]),
        (0.4, -0.0009, []),
        (0.4, 0.002, []),
    ],
)
def test_entry_needs_an_expected_return_towards_its_side(
    probability: float, expected: float, answer: list[str]
) -> None:
    desk = HandDesk(min_expected_return=0.001)
    assert desk.step(probability, expected_return=expected) == answer


@pytest.mark.parametrize(("confidence", "answer"), [(0.8, ["BUY"]), (0.79, [])])
def test_entry_needs_the_confidence_that_is_asked_for(confidence: float, answer: list[str]) -> None:
    assert HandDesk(min_confidence=0.8).step(0.6, confidence=confidence) == answer


def test_exit_needs_neither_confidence_nor_expected_return() -> None:
    desk = HandDesk(min_confidence=0.8, min_expected_return=0.001)
    desk.step(0.6, confidence=0.9, expected_return=0.01)
    assert desk.step(0.4, confidence=0.1, expected_return=0.01) == [CLOSE]


@pytest.mark.parametrize(
    ("changes", "paragraph"),
    [
        (
            {"min_confidence": 0.5},
            "threshold-001: min_confidence: model direction gives no confidence. "
            "Leave min_confidence out, or name a model that does.",
        ),
        (
            {"min_expected_return": 0.0},
            "threshold-001: min_expected_return: model direction gives no expected return. "
            "Leave min_expected_return out, or name a model that does.",
        ),
    ],
)
def test_model_that_does_not_give_what_is_asked_for_stops_the_run(
    changes: dict[str, Any], paragraph: str
) -> None:
    desk = HandDesk(**changes)
    with pytest.raises(ConfigError) as caught:
        desk.step(0.5)
    assert str(caught.value) == paragraph


def test_filter_of_a_larger_bar_holds_back_entries_until_it_closes() -> None:
    # Bars 3, 5 and 7 close a bar of two minutes. Its return is known at bar 5: 102 / 100 - 1, about
    # 0.0198; at bar 7 it is 103 / 102 - 1, about 0.0098. Bar 6 falls, and is in neither yet.
    desk = HandDesk(filters=[{"feature": "log_return(1)@2m", "long_min": 0.01}])
    decided = []
    for close in (100.0, 100.0, 100.0, 100.0, 102.0, 90.0, 103.0):
        desk.bar(close)
        decided.append(desk.predict(0.6))
        for order in desk.open():
            desk.update(order, "CANCELED")
    assert decided == [[], [], [], [], ["BUY"], ["BUY"], []]


def test_filter_holds_back_one_side_and_never_an_exit() -> None:
    desk = HandDesk(filters=[{"feature": "log_return(1)", "short_max": -0.01}])
    desk.bar(100.0)
    desk.bar(100.0)
    assert desk.predict(0.6) == ["BUY"]
    desk.fill()
    desk.bar(100.0)
    assert desk.predict(0.4) == [CLOSE]
    desk.fill()
    desk.bar(98.0)
    assert desk.predict(0.4) == ["SELL"]


# Settings


@pytest.mark.parametrize(
    ("changes", "paragraph"),
    [
        ({"long_enter": 0.5}, "long_exit was 0.5, must be less than long_enter, which is 0.5."),
        ({"short_enter": 0.5}, "short_enter was 0.5, must be less than short_exit, which is 0.5."),
        ({"long_exit": 0.4}, "short_enter was 0.45, must be at most long_exit, which is 0.4."),
        ({"short_exit": 0.6}, "short_exit was 0.6, must be at most long_enter, which is 0.55."),
        ({"long_enter": 1.4}, "long_enter: was 1.4, must be float <= 1.0."),
        ({"direction": "longs"}, "direction: was 'longs', must be one of long, short, both."),
        ({"instruments": [BTC, BTC]}, "instruments names one of them twice."),
        ({"interval": "1x"}, "the interval '1x' is not known"),
        ({"model": ""}, "model: was '', must be str of length >= 1."),
        ({"cooldown_bars": -1}, "cooldown_bars: was -1, must be int >= 0."),
        ({"max_blind_bars": 0}, "max_blind_bars: was 0, must be int >= 1."),
        ({"min_expected_return": -0.1}, "min_expected_return: was -0.1, must be float >= 0.0."),
        ({"long_entre": 0.6}, "unknown key 'long_entre', did you mean 'long_enter'?"),
        (
            {"filters": [{"feature": "rsi(14)@90s", "long_min": 1}]},
            "filters[0].feature 'rsi(14)@90s': an interval of 1m 30s",
        ),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], paragraph: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**changes)
    assert paragraph in str(caught.value)
    assert str(caught.value).startswith("desk.toml: strategies[0].params")


@pytest.mark.parametrize(
    "levels",
    [
        {"direction": "long", "long_enter": 0.42, "long_exit": 0.38},
        {"direction": "short", "short_enter": 0.6, "short_exit": 0.61},
    ],
)
def test_levels_of_a_side_that_is_not_traded_contradict_nothing(
    levels: Mapping[str, Any],
) -> None:
    assert settings(**levels).direction == levels["direction"]


def source(interval: str) -> PredictionSource:
    return PredictionSource(
        model=MODEL,
        version="3",
        sha256="0" * 64,
        instruments=(BTC,),
        interval=interval,
        label=Label(kind="sign", horizon_bars=1, horizon_ns=MINUTE.ns),
        longest_gap_bars=0,
    )


@pytest.mark.parametrize(
    ("changes", "paragraph"),
    [
        ({"interval": "10m"}, "interval: was 10m, but model direction answers bars of 5m, must"),
        ({"max_blind_bars": 4}, "max_blind_bars: was 4, but model direction answers every 5 bars"),
    ],
)
def test_model_of_another_pace_than_the_bars_is_refused(
    changes: dict[str, Any], paragraph: str
) -> None:
    context = make_context()
    context.add_source(source("5m"))
    with pytest.raises(ConfigError, match=paragraph):
        Threshold(settings(**changes), context, "threshold-001")
    assert Threshold(settings(max_blind_bars=5), context, "threshold-001")
    assert Threshold(settings(interval="5m", max_blind_bars=1), context, "threshold-001")


def test_model_of_a_slower_pace_is_not_taken_for_a_silent_one() -> None:
    desk = HandDesk(max_blind_bars=5)
    desk.hold(0.6)
    for number in range(1, 16):
        assert desk.bar() == []
        if number % 5 == 0:
            desk.predict(0.6)
    assert desk.side == 1


def test_bar_that_is_not_sound_stops_a_strategy_with_filters() -> None:
    filters = [{"feature": "log_return(1)", "long_min": 0.0}]
    strategy = Threshold(settings(filters=filters), make_context(), "threshold-001")
    bar = BarClosed(BTC, close_of(1), 100.0, 99.0, 98.0, 100.0, 1.0)
    with pytest.raises(DataError, match="prices must be finite, above zero"):
        strategy.decide_on_bar(bar)
