"""A wrong, absurd or contradictory limit is refused when the config is read, in one paragraph."""

from __future__ import annotations

import math
import re
import tomllib
from typing import Any

import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.risk import limit_blocks
from aitb_nautilus.risk.limit_settings import RuleSettings
from aitb_nautilus.risk.limits import RiskSettings, build_limits, refuse_unknown_scopes
from aitb_nautilus.settings import decode
from tests.conftest import CHECKOUT

BOTH = {"max_order_notional": 1_000.0, "max_position_notional": 2_000.0}
STREAK = {"losses": 3, "pause_minutes": 60}
SCOPE = {"strategy": "ema"}
AGE = {"max_quote_age_ms": 500}
REFERENCE = {"instrument": "R", "max_divergence_frac": 0.01, "max_age_minutes": 5}


def read(**risk: Any) -> RiskSettings:
    return decode(BOTH | risk, RiskSettings, "desk.toml")


@pytest.mark.parametrize("key", BOTH)
def test_order_and_position_notional_must_be_there(key: str) -> None:
    data = {k: v for k, v in BOTH.items() if k != key}
    with pytest.raises(ConfigError, match=rf"desk.toml: .*{key}"):
        decode(data, RiskSettings, "desk.toml")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((name, value) for name in ("max_gross_notional", "max_net_notional",
                                     "max_turnover_per_day") for value in (0, -1.0, 1e13)),
        *((name, value) for name in ("max_open_orders", "max_orders_per_day")
          for value in (0, -1, 2.5, 10**10)),
        *((name, value) for name in ("max_concentration_frac", "max_daily_loss_frac")
          for value in (0.0, 1.0, 25, -0.1)),
        ("max_leverage", 0),
        ("max_leverage", 200),
        ("max_stale_bars", 0),
        ("max_clock_skew_ms", -1),
        ("loss_cooldown_minutes", 0),
        ("loss_cooldown_minutes", 1e6),
        ("max_gross_notional", "much"),
        ("max_gross_notional", True),
    ],
)  # fmt: skip
def test_absurd_figure_is_refused_by_its_name(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"desk.toml: {key}: was .*must"):
        read(**{key: value})


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("key", ["max_gross_notional", "max_leverage", "max_daily_loss_frac"])
def test_what_is_no_number_is_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"desk.toml: {key}: was {value}"):
        read(**{key: value})


@pytest.mark.parametrize(
    ("risk", "words"),
    [
        ({"max_gros_notional": 1.0}, ["max_gros_notional", "max_gross_notional"]),
        ({"liquidity": {}}, ["liquidity", "must set max_volume_frac or min_bar_value"]),
        ({"liquidity": {"max_volume_frac": 0.1, "bars": 0}}, ["liquidity.bars", "was 0"]),
        ({"loss_streak": {"losses": 3}}, ["loss_streak", "pause_minutes"]),
        ({"loss_streak": {"losses": 0, "pause_minutes": 1}}, ["loss_streak.losses", "was 0"]),
        ({"stop_guard": {"stops": 1, "pause_minutes": 1}}, ["stop_guard", "window_minutes"]),
        ({"correlation": {}}, ["correlation", "must set max_volatility_frac"]),
        ({"correlation": {"max_risk_share_frac": 0.2}}, ["correlation", "must be set as well"]),
        ({"correlation": {"max_cluster_notional": 1.0, "shrinkage": 1.5}},
         ["correlation.shrinkage", "was 1.5"]),
        ({"drawdown": {}}, ["drawdown", "must set"]),
        ({"drawdown": {"shrink_frac": 0.2, "reduce_frac": 0.1}},
         ["reduce_frac: was 0.1", "above shrink_frac, which is 0.2"]),
        ({"drawdown": {"shrink_frac": 0.1, "halt_frac": 0.1}},
         ["halt_frac: was 0.1", "above shrink_frac"]),
        ({"drawdown": {"halt_frac": 0.2, "window_days": 0}}, ["drawdown.window_days", "was 0"]),
        ({"drawdown": {"window_days": 30}}, ["drawdown", "must set"]),
        ({"drawdown": {"halt_frac": 25}}, ["drawdown.halt_frac", "was 25"]),
        ({"drawdown": {"halt_frac": 0.05}, "max_daily_loss_frac": 0.05},
         ["max_daily_loss_frac: was 0.05", "below drawdown.halt_frac"]),
        ({"max_gross_notional": 10.0, "max_net_notional": 11.0},
         ["max_net_notional: was 11", "at most max_gross_notional, which is 10"]),
        ({"rules": [{"max_gross_notional": 1.0}]}, ["rules[0]", "scope"]),
        ({"rules": [{"scope": {}, "max_gross_notional": 1.0}]},
         ["rules[0].scope", "must name a venue, a strategy or an instrument"]),
        ({"rules": [{"scope": SCOPE}]}, ["rules[0]", "sets no limit"]),
        ({"rules": [{"scope": SCOPE, "max_concentration_frac": 0.2}]},
         ["rules[0]", "max_concentration_frac"]),
        ({"max_leverage": 2.0, "rules": [{"scope": SCOPE, "max_leverage": 3.0}]},
         ["rules[0].max_leverage: was 3", "at most risk.max_leverage, which is 2"]),
        ({"book": AGE | {"max_spread_frac": 0.001}, "rules": [
            {"scope": SCOPE, "book": AGE | {"max_spread_frac": 0.002}}]},
         ["rules[0].book.max_spread_frac: was 0.002", "at most risk.book.max_spread_frac"]),
        ({"book": {"max_quote_age_ms": 0}}, ["book.max_quote_age_ms", "was 0"]),
        ({"book": {"max_spread_frac": 0.1}}, ["book", "max_quote_age_ms"]),
        ({"book": AGE | {"max_spread_frac": -0.1}}, ["book.max_spread_frac", "was -0.1"]),
        ({"book": AGE | {"max_spread": 0.1}}, ["book", "max_spread", "max_spread_frac"]),
        ({"book": 5}, ["book", "was 5"]),
        ({"max_prediction_age_minutes": 0}, ["max_prediction_age_minutes", "was 0"]),
        ({"max_daily_loss": -5}, ["max_daily_loss", "was -5"]),
        ({"cooldown_minutes": -1}, ["cooldown_minutes", "was -1"]),
        ({"cooldown_minutes": 30, "loss_cooldown_minutes": 30},
         ["loss_cooldown_minutes: was 30", "above cooldown_minutes, which is 30"]),
        ({"reference": REFERENCE}, ["reference"]),
        ({"rules": [{"scope": SCOPE, "reference": REFERENCE}]},
         ["rules[0]", "reference needs scope.instrument"]),
        ({"rules": [{"scope": {"instrument": "R"}, "reference": REFERENCE}]},
         ["rules[0]", "reference.instrument was 'R'", "must be another"]),
        ({"rules": [{"scope": {"instrument": "X"}, "reference": REFERENCE | {"scale": 0}}]},
         ["rules[0].reference.scale", "was 0"]),
        ({"rules": [{"scope": {"instrument": "X"}, "reference": {"instrument": "R"}}]},
         ["rules[0].reference", "max_divergence_frac"]),
        ({"rules": [{"scope": SCOPE, "max_order_notional": 1_001.0}]},
         ["rules[0].max_order_notional: was 1001", "at most risk.max_order_notional",
          "a rule only tightens"]),
        ({"rules": [{"scope": SCOPE, "loss_streak": STREAK},
                    {"scope": SCOPE, "max_order_notional": 1.0}]},
         ["rules[1].scope: is that of rules[0], must be another one", "into one rule"]),
        ({"rules": [{"scope": SCOPE, "max_gross_notional": 1.0, "max_net_notional": 2.0}]},
         ["rules[0].max_net_notional: was 2"]),
        ({"cooldown_minutes": 30, "rules": [{"scope": SCOPE, "cooldown_minutes": 29}]},
         ["rules[0].cooldown_minutes: was 29", "at least risk.cooldown_minutes, which is 30",
          "a rule only tightens"]),
        ({"loss_cooldown_minutes": 9, "rules": [{"scope": SCOPE, "loss_cooldown_minutes": 8}]},
         ["rules[0].loss_cooldown_minutes: was 8", "at least risk.loss_cooldown_minutes"]),
        ({"book": AGE | {"min_book_notional": 5_000.0},
          "rules": [{"scope": SCOPE, "book": AGE | {"min_book_notional": 4_999.0}}]},
         ["rules[0].book.min_book_notional: was 4999", "at least risk.book.min_book_notional"]),
        ({"liquidity": {"min_bar_value": 10.0},
          "rules": [{"scope": SCOPE, "liquidity": {"min_bar_value": 9.0}}]},
         ["rules[0].liquidity.min_bar_value: was 9", "at least risk.liquidity.min_bar_value"]),
        ({"rules": [{"scope": {"venue": "BINANCE", "instrument": "X.KRAKEN"},
                     "max_gross_notional": 1.0}]},
         ["rules[0].scope.venue: was 'BINANCE'", "X.KRAKEN", "no order lies in both"]),
    ],
)  # fmt: skip
def test_contradiction_is_refused_with_both_sides(risk: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**risk)
    for word in ["desk.toml", *words]:
        assert word in str(caught.value)


def test_contradiction_says_where_what_is_what_may_be_and_what_to_do() -> None:
    with pytest.raises(ConfigError) as caught:
        read(max_gross_notional=10.0, max_net_notional=11.0)
    error = caught.value
    assert error.where == "desk.toml: max_net_notional"
    assert error.found == "was 11"
    assert error.wanted == (
        "must be at most max_gross_notional, which is 10: net exposure is never above gross"
    )
    assert error.todo == "Lower it, or raise max_gross_notional"
    assert error.exit_code == 3


def test_what_is_just_as_tight_as_the_trader_s_is_taken() -> None:
    floors = {"cooldown_minutes": 30, "book": AGE | {"min_book_notional": 5_000.0},
              "liquidity": {"min_bar_value": 10.0}}  # fmt: skip
    scope = {"venue": "V", "instrument": "X.V"}
    (rule,) = read(**floors, rules=[{"scope": scope} | floors]).rules
    assert rule.cooldown_minutes == 30


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({"strategy": "emma"}, ["rules[0].scope.strategy", "was 'emma'", "did you mean 'ema'?"]),
        ({"venue": "KRAKEN"}, ["rules[0].scope.venue", "must be one of BINANCE"]),
        ({"instrument": "ETHUSDT"}, ["rules[0].scope.instrument", "did you mean"]),
    ],
)
def test_rule_for_what_the_desk_does_not_have_is_refused(
    scope: dict[str, str], words: list[str]
) -> None:
    risk = read(rules=[{"scope": scope, "max_gross_notional": 1.0}])
    with pytest.raises(ConfigError) as caught:
        refuse_unknown_scopes(
            risk,
            "desk.toml",
            venues=["BINANCE"],
            strategies=["ema"],
            instruments=["ETHUSDT.BINANCE"],
        )
    for word in ["desk.toml: risk.", *words]:
        assert word in str(caught.value)


def test_reference_that_the_desk_does_not_know_is_refused() -> None:
    reference = REFERENCE | {"instrument": "ETHUSD.BINANCE"}
    rule = {"scope": {"instrument": "ETHUSDT-PERP.BINANCE"}, "reference": reference}
    with pytest.raises(ConfigError) as caught:
        refuse_unknown_scopes(
            read(rules=[rule]),
            "desk.toml",
            venues=["BINANCE"],
            strategies=["ema"],
            instruments=["ETHUSDT-PERP.BINANCE", "ETHUSDT.BINANCE"],
        )
    assert "desk.toml: risk.rules[0].reference.instrument" in str(caught.value)
    assert "did you mean 'ETHUSDT.BINANCE'?" in str(caught.value)


def test_rule_for_an_instrument_is_held_against_those_of_the_config_first() -> None:
    risk = read(rules=[{"scope": {"instrument": "SOLUSD.BINANCE"}, "max_gross_notional": 1.0}])
    every = ["SOLUSDT.BINANCE", "BTCUSDT-PERP.BINANCE", "SOLUSDT-PERP.BINANCE"]

    def said(*likely: list[str]) -> str:
        with pytest.raises(ConfigError) as caught:
            refuse_unknown_scopes(
                risk, "a.toml", venues=[], strategies=[], instruments=every, likely=likely
            )
        return caught.value.wanted

    assert said(every[1:], every) == "did you mean 'SOLUSDT-PERP.BINANCE'?"
    assert said(every[1:2]) == "must be one of BTCUSDT-PERP.BINANCE"
    assert said() == "did you mean 'SOLUSDT.BINANCE'?"


def test_order_of_limits_is_refusing_first_and_the_ladder_before_what_else_shrinks() -> None:
    limits = build_limits(
        read(
            max_gross_notional=5_000.0,
            max_daily_loss_frac=0.01,
            drawdown={"shrink_frac": 0.1},
            rules=[{"scope": SCOPE, "max_orders_per_day": 3, "max_order_notional": 10.0}],
        )
    )
    shrinking = [limit.shrinks for limit in limits]
    assert shrinking == sorted(shrinking)
    assert next(limit.name for limit in limits if limit.shrinks) == "drawdown"
    assert [limit.key for limit in limits if limit.place != "risk"] == [
        "risk.rules[0].max_orders_per_day",
        "risk.rules[0].max_order_notional",
    ]


DOCS = (CHECKOUT / "docs" / "risk.md").read_text()


def test_example_in_the_docs_is_read() -> None:
    text = DOCS.partition("```toml\n")[2].partition("```")[0]
    risk = decode(tomllib.loads(text)["risk"], RiskSettings, "docs/risk.md")
    assert len(build_limits(risk)) > 15


def test_every_key_stands_in_the_docs() -> None:
    blocks = [RiskSettings, RuleSettings, *(vars(limit_blocks)[n] for n in limit_blocks.__all__)]
    keys = {key for b in blocks if hasattr(b, "__struct_fields__") for key in b.__struct_fields__}
    missing = {key for key in keys if not re.search(rf"\b{key}\b", DOCS)}
    assert missing <= {"stops", "losses", "trades", "rules"}, missing
