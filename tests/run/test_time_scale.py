"""A config at another speed: what is shortened, what rises, what stays."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.run import time_scale
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.time_scale import scale_config, scale_desk


def test_examples() -> None:
    assert doctest.testmod(time_scale).failed == 0


def test_durations_shrink_rates_rise_and_the_machine_stays() -> None:
    plain = {
        "venues": [{"latency_ms": 50.0, "leverage": 3}],
        "risk": {"max_orders_per_minute": 30, "loss_cooldown_minutes": 60, "flag": True},
        "strategies": [{"params": {"exits": {"max_bars": 10}, "interval": "4h", "wait_secs": 90}}],
        "features": {"interval": "4h", "columns": ["rsi(14)@1d"]},
        "backtest": {"start": "2023-01-01"},
    }
    scaled, changes = scale_config(plain, 4, "desk.toml")
    assert scaled["venues"] == plain["venues"]
    assert scaled["risk"] == {
        "max_orders_per_minute": 120,
        "loss_cooldown_minutes": 15,
        "flag": True,
    }
    params = scaled["strategies"][0]["params"]
    assert params == {"exits": {"max_bars": 10}, "interval": "1h", "wait_secs": 22.5}
    assert (scaled["features"], scaled["backtest"]) == (plain["features"], plain["backtest"])
    assert [change.path for change in changes] == [
        "risk.max_orders_per_minute",
        "risk.loss_cooldown_minutes",
        "strategies[0].params.interval",
        "strategies[0].params.wait_secs",
    ]


@pytest.mark.parametrize("speed", [7, 50_000_000_000_000])
def test_a_speed_that_makes_no_interval_is_refused_with_its_place(speed: int) -> None:
    plain = {"strategies": [{"params": {"interval": "1h"}}]}
    with pytest.raises(ConfigError, match=r"desk.toml: strategies\[0\].params.interval"):
        scale_config(plain, speed, "desk.toml")


def test_bars_that_the_config_does_not_say_cannot_be_scaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stubborn.py").write_text(
        """
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings


class Stubborn(GuardedStrategy):
    settings_type = Settings

    def bar_types(self):
        return ["BTCUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL"]
"""
    )
    (tmp_path / "desk.toml").write_text(
        """
[risk]
max_order_notional = 1_000
max_position_notional = 1_000
[[venues]]
name = "BINANCE"
starting_balance = "1 USDT"
maker_fee_bps = 1
taker_fee_bps = 1
[[strategies]]
class = "stubborn:Stubborn"
id = "stubborn"
"""
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="rehearse it at speed 1"):
        scale_desk(load_config("desk.toml"), 60, tmp_path / "desk-x60.toml")
