"""A limit that another one always meets first is kept, and said in one line with both values."""

from __future__ import annotations

from typing import Any

import pytest

from aitb_nautilus.risk.limit_settings import RiskSettings
from aitb_nautilus.risk.limit_shadows import shadowed
from aitb_nautilus.run.load import read_toml
from aitb_nautilus.settings import decode
from tests.conftest import CHECKOUT

BOTH = {"max_order_notional": 1_000.0, "max_position_notional": 2_000.0}
EMA = {"strategy": "ema"}
EMA_AT_V = {"strategy": "ema", "venue": "V"}


def read(**risk: Any) -> RiskSettings:
    return decode(BOTH | risk, RiskSettings, "desk.toml")


def lines(**risk: Any) -> list[str]:
    return [str(one) for one in shadowed(read(**risk))]


@pytest.mark.parametrize(
    ("risk", "said"),
    [
        ({"max_order_notional": 2_000.5},
         "risk.max_order_notional is 2,000.5 and risk.max_position_notional is 2,000, which acts "
         "first: an order is part of its position"),
        ({"max_position_notional": 1e9, "max_gross_notional": 40_000.0},
         "risk.max_position_notional is 1,000,000,000 and risk.max_gross_notional is 40,000, which "
         "acts first: a position is part of gross exposure"),
        ({"max_turnover_per_day": 999.0},
         "risk.max_order_notional is 1,000 and risk.max_turnover_per_day is 999, which acts first: "
         "an order is part of the day's turnover"),
        ({"correlation": {"max_cluster_notional": 1_500.0}},
         "risk.max_position_notional is 2,000 and risk.correlation.max_cluster_notional is 1,500, "
         "which acts first: a position is part of what moves together"),
        ({"max_gross_notional": 5_000.0, "correlation": {"max_cluster_notional": 6_000.0}},
         "risk.correlation.max_cluster_notional is 6,000 and risk.max_gross_notional is 5,000, "
         "which acts first: what moves together is part of gross exposure"),
        ({"max_orders_per_minute": 30, "max_orders_per_day": 20},
         "risk.max_orders_per_minute is 30 and risk.max_orders_per_day is 20, which acts first: a "
         "minute is part of its day"),
        # 2 in each of 1,440 minutes are 2,880.
        ({"max_orders_per_minute": 2, "max_orders_per_day": 2_881},
         "risk.max_orders_per_day is 2,881 and risk.max_orders_per_minute is 2, which acts first: "
         "a day has 1,440 minutes"),
        ({"cooldown_minutes": 30, "low_profit": {"trades": 2, "pause_minutes": 30}},
         "risk.low_profit.pause_minutes is 30 and risk.cooldown_minutes is 30, which acts first: "
         "that holds after every trade"),
        ({"cooldown_minutes": 30, "rules": [{"scope": EMA, "loss_cooldown_minutes": 20}]},
         "risk.rules[0].loss_cooldown_minutes is 20 and risk.cooldown_minutes is 30, which acts "
         "first: that holds after every trade"),
        ({"max_gross_notional": 5_000.0, "rules": [{"scope": EMA, "max_net_notional": 5_001.0}]},
         "risk.rules[0].max_net_notional is 5,001 and risk.max_gross_notional is 5,000, which acts "
         "first: net exposure is never above gross"),
        # The rule for all of a strategy holds in each of its venues.
        ({"rules": [{"scope": EMA, "max_open_orders": 3},
                    {"scope": EMA_AT_V, "max_open_orders": 4}]},
         "risk.rules[1].max_open_orders is 4 and risk.rules[0].max_open_orders is 3, which acts "
         "first: its scope holds all of risk.rules[1]"),
        ({"rules": [{"scope": {"venue": "V"}, "max_gross_notional": 900.0},
                    {"scope": {"instrument": "X.V"}, "max_order_notional": 901.0}]},
         "risk.rules[1].max_order_notional is 901 and risk.rules[0].max_gross_notional is 900, "
         "which acts first: an order is part of gross exposure"),
        ({"rules": [{"scope": EMA, "cooldown_minutes": 60}, {"scope": EMA_AT_V,
                                                             "cooldown_minutes": 59}]},
         "risk.rules[1].cooldown_minutes is 59 and risk.rules[0].cooldown_minutes is 60, which "
         "acts first: its scope holds all of risk.rules[1]"),
    ],
)  # fmt: skip
def test_limit_that_never_acts_is_said_with_what_acts_first(
    risk: dict[str, Any], said: str
) -> None:
    assert lines(**risk) == [said]


def test_the_tightest_of_those_that_act_first_is_named() -> None:
    (order, position) = shadowed(read(max_order_notional=1e9, max_position_notional=5_000.0,
                                      max_gross_notional=4_000.0,
                                      max_turnover_per_day=3_000.0))  # fmt: skip
    assert (order.key, order.by, order.by_value) == (
        "risk.max_order_notional", "risk.max_turnover_per_day", 3_000.0)  # fmt: skip
    assert (position.key, position.by) == ("risk.max_position_notional", "risk.max_gross_notional")


@pytest.mark.parametrize(
    "risk",
    [
        {},
        {"max_order_notional": 2_000.0},
        {"max_gross_notional": 2_000.0, "max_turnover_per_day": 1_000.0},
        {"max_orders_per_minute": 2, "max_orders_per_day": 2_880},
        {"max_orders_per_day": 3},  # 120 a minute is the default, which nobody chose
        {"cooldown_minutes": 30, "low_profit": {"trades": 2, "pause_minutes": 31}},
        # Neither scope holds the other one.
        {"rules": [{"scope": EMA, "max_gross_notional": 900.0},
                   {"scope": {"venue": "V"}, "max_gross_notional": 901.0}]},
        {"rules": [{"scope": {"instrument": "X.V"}, "max_position_notional": 900.0}]},
        # A pair of shorts and longs: the net of one strategy may be above the trader's.
        {"max_net_notional": 500.0, "rules": [{"scope": EMA, "max_net_notional": 900.0}]},
    ],
)  # fmt: skip
def test_limits_that_can_act_are_not_said(risk: dict[str, Any]) -> None:
    assert lines(**risk) == []


@pytest.mark.parametrize("name", ["portfolio", "quickstart"])
def test_shipped_configs_hold_no_limit_that_never_acts(name: str) -> None:
    path = CHECKOUT / "configs" / f"{name}.toml"
    assert shadowed(decode(read_toml(path)["risk"], RiskSettings, str(path))) == []
