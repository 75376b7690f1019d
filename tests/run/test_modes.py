"""What ``aitb show-config --diff`` says of two modes: what differs, and what one has alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.observe.run_record import Mode
from aitb_nautilus.run.config import LiveSettings
from aitb_nautilus.run.load import Desk, load_config
from aitb_nautilus.run.modes import mode_differences, mode_view, of_one_mode
from tests.run.desk_lab import Lab


@pytest.fixture
def path(lab: Lab) -> Path:
    return lab.config(
        lab.strategy({}),
        live={"on_stop": "hold", "dead_man_secs": 0.0},
        paper={"fills": "bars"},
        redis={"url": "redis://127.0.0.1:6379"},
    )


def differing(desk: Desk, left: Mode, right: Mode) -> dict[str, tuple[Any, Any]]:
    rows, _ = mode_differences(desk, left, right)
    return {one.key: (one.left, one.right) for one in rows}


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_every_key_of_a_nodes_sections_is_a_difference_to_a_backtest(
    path: Path, mode: Mode
) -> None:
    found = differing(load_config(path), "backtest", mode)
    assert found["live.on_stop"] == (None, "hold")
    assert {f"live.{name}" for name in LiveSettings.__struct_fields__} <= found.keys()
    assert found["redis.url"] == (None, "redis://127.0.0.1:6379")


def test_paper_and_live_share_a_nodes_sections_and_differ_in_what_fills(path: Path) -> None:
    desk = load_config(path)
    _, same = mode_differences(desk, "paper", "live")
    assert {"data", "clock", "runs", "live", "redis", "risk", "strategies"} <= set(same)
    assert differing(desk, "paper", "live")["execution.SIM.fills"] == ("bars", "the venue's")


def test_no_section_of_a_config_is_left_out_of_all_modes(path: Path) -> None:
    desk = load_config(path)
    seen = {name for mode in ("backtest", "paper", "live") for name in mode_view(desk, mode)}
    # These are told as data and execution, of which they say what it is like.
    assert set(desk.plain()) - seen == {"backtest", "paper", "venues"}


def test_people_read_the_sections_of_one_mode_below_the_rest(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show-config", str(path), "--diff", "backtest", "live"]) == 0
    table, _, alone = capsys.readouterr().out.partition("\nOnly in live: [live]\n")
    assert "on_stop" not in table
    assert "on_stop = hold" in alone
    assert "\nOnly in live: [redis]\n" in alone
    assert "url = redis://127.0.0.1:6379" in alone
    assert main(["show-config", str(path), "--diff", "paper", "backtest"]) == 0
    assert "\nOnly in paper: [live]\n" in capsys.readouterr().out
    assert main(["show-config", str(path), "--diff", "paper", "live"]) == 0
    assert "Only in" not in capsys.readouterr().out


def test_scripts_read_each_key_of_them_as_a_difference(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show-config", str(path), "--diff", "live", "backtest", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    row = {"key": "live.on_stop", "left": "hold", "right": None}
    assert row in told["differences"]
    rows, _ = mode_differences(load_config(path), "live", "backtest")
    assert msgspec.to_builtins(rows) == told["differences"]
    assert list(of_one_mode(rows)) == ["live", "redis"]
