"""Limits that never act are said once, at the start; limits under which nothing passes refused."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.errors import ConfigError
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.load import load_config
from tests.run.desk_lab import A, B, Lab, buy, flat, instrument

LINE = (
    "risk.max_order_notional is 5,000 and risk.max_position_notional is 4,000, which acts first: "
    "an order is part of its position"
)
CAPS = {"max_order_notional": 5_000.0, "max_position_notional": 4_000.0}


def dear(**least: str) -> list[dict[str, str]]:
    """Return A and B with a smallest order each."""
    return [instrument(i) | {"min_notional": least[n]} for i, n in ((A, "a"), (B, "b"))]


def test_run_says_once_before_its_first_bar_what_never_acts(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    told: list[tuple[str, str]] = []
    desk = load_config(lab.config(lab.strategy({1: [buy()]}), risk=CAPS))
    record = backtest(desk, tell=lambda level, line: told.append((level, line)))
    assert told == [("WARNING", LINE)]
    assert [(one["component"], one["message"]) for one in lab.last().log] == [("risk", LINE)]
    assert record.fills == 1


def test_config_is_shown_with_what_never_acts_and_remains_a_config(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lab.config(lab.strategy({}), risk=CAPS)
    assert main(["show-config", str(path)]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith(f"\n# {LINE}\n")
    assert tomllib.loads(shown)["risk"]["max_order_notional"] == 5_000
    assert main(["show-config", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remarks"] == [LINE]


def test_config_without_such_limits_is_shown_without_remarks(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show-config", str(lab.config(lab.strategy({})))]) == 0
    assert "#" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("risk", "key", "cap"),
    [
        ({"max_order_notional": 4.0}, "risk.max_order_notional", "4"),
        ({"max_gross_notional": 4.5}, "risk.max_gross_notional", "4.5"),
        ({"correlation": {"max_cluster_notional": 4.9}},
         "risk.correlation.max_cluster_notional", "4.9"),
        ({"rules": [{"scope": {"strategy": "scripted"}, "max_turnover_per_day": 3.0}]},
         "risk.rules[0].max_turnover_per_day", "3"),
    ],
)  # fmt: skip
def test_limit_below_every_smallest_order_is_refused_before_the_run(
    lab: Lab, risk: dict[str, Any], key: str, cap: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.bars(flat(100, 5))
    lab.bars(flat(100, 5), B)
    both = lab.strategy({}, instruments=(A, B))
    path = lab.config(both, risk=risk, instruments=dear(a="5", b="20"))
    with pytest.raises(ConfigError) as caught:
        backtest(path)
    assert caught.value.where == f"{path}: {key}"
    assert caught.value.found == f"was {cap}"
    assert caught.value.wanted == (
        f"must be at least 5, which the smallest order in {A} is worth (min_notional): no order "
        f"could ever pass"
    )
    assert caught.value.todo == "Raise it, or trade what takes smaller orders"
    assert main(["backtest", str(path)]) == 3
    assert "no order could ever pass" in capsys.readouterr().err.replace("\n", " ")


def test_limit_below_some_smallest_orders_is_said(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    lab.bars(flat(100, 5), B)
    risk = {"max_order_notional": 10.0, "rules": [{"scope": {"instrument": A},
                                                   "max_position_notional": 5.0}]}  # fmt: skip
    both = lab.strategy({}, instruments=(A, B))
    outcome = lab.run(both, risk=risk, instruments=dear(a="5", b="20"))
    assert [one["message"] for one in outcome.log] == [
        "risk.max_order_notional is 10 and the smallest order in BBBUSDT-PERP.SIM is worth 20 "
        "(min_notional): nothing can open there"
    ]
