"""Sizings on a whole desk: the real engine, quantities by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from aitb_nautilus.run.load import load_config
from tests.run.desk_lab import A, B, Lab

MINUTES = 365 * 24 * 60
PARITY = {
    "method": "risk_parity",
    "annual_volatility_frac": 0.5,
    "half_life_bars": 4,
    "max_fraction": 10,
}


def swing(high: float, count: int, volume: float = 1e6) -> list[tuple[float, ...]]:
    """Return bars that close at 100 and at another price, one after the other."""
    closes = [(100.0, high)[i % 2] for i in range(count)]
    opens = [closes[0], *closes[:-1]]
    return [(o, max(o, c), min(o, c), c, volume) for o, c in zip(opens, closes, strict=True)]


def cross(instrument_id: str, sizing: dict[str, Any], id_: str, **params: Any) -> dict[str, Any]:
    return {
        "class": "strategies.ema_cross:EmaCross",
        "id": id_,
        "params": {
            "instruments": [instrument_id],
            "interval": "1m",
            "fast": 1,
            "slow": 2,
            "direction": "long",
            "sizing": sizing,
            **params,
        },
    }


def first_quantities(lab: Lab, *strategies: dict[str, Any]) -> dict[str, float]:
    """Return the quantity of each strategy's first fill."""
    found: dict[str, float] = {}
    for fill in lab.run(*strategies).fills:
        found.setdefault(fill["strategy_id"].partition("-")[0], fill["quantity"])
    return found


def test_two_strategies_of_a_desk_carry_the_same_risk_in_any_order(lab: Lab) -> None:
    lab.bars(swing(101.0, 20), A)
    lab.bars(swing(103.0, 20), B)
    # Both swing together, so that the values w of the legs make w[A] * s[A] = w[B] * s[B] = half of
    # 0.5 * 10,000, where s is |log return| * sqrt(minutes a year). Crossed upwards at the high.
    year = math.sqrt(MINUTES)
    wanted = {
        "calm": 2_500 / (math.log(1.01) * year) / 101.0,
        "wild": 2_500 / (math.log(1.03) * year) / 103.0,
    }
    strategies = [cross(A, PARITY, "calm"), cross(B, PARITY, "wild")]
    for order in itertools.permutations(strategies):
        found = first_quantities(lab, *order)
        assert found == {name: math.floor(q * 1_000) / 1_000 for name, q in wanted.items()}


def test_share_of_recent_volume_caps_an_entry_to_whole_lots(lab: Lab) -> None:
    lab.bars(swing(101.0, 12, volume=0.123), A)
    sizing = {
        "method": "fixed_notional",
        "notional": 1_000,
        "max_volume_frac": 0.5,
        "volume_bars": 4,
    }
    # Half of 0.123 is 0.0615, down to a lot of 0.001.
    assert first_quantities(lab, cross(A, sizing, "ema")) == {"ema": 0.061}


def test_entry_below_the_venues_least_value_is_not_sent_and_not_made_larger(lab: Lab) -> None:
    lab.bars(swing(101.0, 12), A)
    data = lab.plain(cross(A, {"method": "fixed_notional", "notional": 4.9}, "ema"))
    for block in data["instruments"]:
        block["min_notional"] = "5"
    outcome = lab.run_plain(data)
    assert outcome.fills == []
    assert outcome.table("orders") == []
    assert any("too small, the venue takes 0 and 5 in value" in r["message"] for r in outcome.log)


@pytest.mark.parametrize(
    ("sizing", "exits"),
    [
        ({"method": "kelly", "payoff": "trades"}, {}),
        ({"method": "equity_fraction", "fraction": 0.2, "max_volume_frac": 0.1}, {}),
        (PARITY, {"chandelier_atr": 3.0, "chandelier_bars": 22, "atr_bars": 22}),
        (
            {"method": "fixed_notional", "notional": 100},
            {"targets": [{"close_frac": 0.5, "frac": 0.02}, {"close_frac": 0.5, "frac": 0.04}]},
        ),
    ],
)
def test_config_that_is_shown_is_read_back_as_the_same(
    lab: Lab, sizing: dict[str, Any], exits: dict[str, Any]
) -> None:
    path = lab.config(cross(A, sizing, "ema", exits=exits))
    desk = load_config(path)
    shown = lab.folder / "shown.toml"
    shown.write_text(desk.toml())
    assert load_config(shown).sha256() == desk.sha256()
