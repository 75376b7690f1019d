"""``aitb halt``, ``resume``, ``flatten`` and ``status`` where no node runs, and wrong words."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.risk.state_lock import StateLock
from aitb_nautilus.risk.trading_states import Halt

CONFIG = """
[trader]
id = "DESK-007"

[risk]
max_order_notional = 5_000
max_position_notional = 5_000

[[venues]]
name = "BINANCE"
starting_balance = "10000 USDT"
maker_fee_bps = 2
taker_fee_bps = 5

[[strategies]]
class = "nowhere:AtAll"
id = "ema"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "desk.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def aitb(config: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def give(verb: str, *words: str) -> tuple[int, dict[str, Any]]:
        code = main([verb, str(config), *words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return give


def kept(config: Path) -> list[Halt]:
    with StateFile(config.parent / "state" / "DESK-007.sqlite") as file:
        return file.read()


def test_halt_without_a_node_holds_from_the_next_start(aitb: Any, config: Path) -> None:
    code, answer = aitb("halt", "--reason", "holidays")
    assert (code, answer["done"], answer["node"]) == (0, True, False)
    assert answer["said"].endswith(
        f"No node runs for trader DESK-007 ({config.parent / 'state'}); it holds from the next "
        f"start"
    )
    (halt,) = kept(config)
    assert (halt.reason, halt.level, halt.cause) == ("holidays", "halted", "command")
    assert halt.who.partition("@")[2] == socket.gethostname()
    code, again = aitb("halt", "--reason", "again")
    assert (code, again["done"]) == (0, True)
    assert [h.reason for h in kept(config)] == ["holidays"]


def test_status_without_a_node_tells_what_holds_and_what_was_changed(aitb: Any) -> None:
    code, status = aitb("status")
    assert (code, status["running"]) == (0, False)
    assert [s["level"] for s in status["scopes"]] == ["active"]
    aitb("halt", "--strategy", "ema", "--reducing")
    aitb("halt", "--reason", "holidays")
    aitb("resume", "--reason", "they are over")
    _, status = aitb("status")
    trader, ema = status["scopes"]
    assert (trader["level"], ema["level"]) == ("active", "reducing")
    assert ema["halts"][0]["reason"] == "no reason was given"
    changes = [(c["scope"]["kind"], c["level"], c["reason"]) for c in status["changes"]]
    assert changes == [
        ("trader", "active", "they are over"),
        ("trader", "halted", "holidays"),
        ("strategy", "reducing", "no reason was given"),
    ]


def test_status_is_read_from_any_folder(
    aitb: Any, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aitb("halt")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert aitb("status")[1]["scopes"][0]["level"] == "halted"


@pytest.mark.parametrize("words", [[], ["--reason", "  "]])
def test_resume_without_a_reason_is_refused(aitb: Any, config: Path, words: list[str]) -> None:
    aitb("halt")
    code, answer = aitb("resume", *words)
    assert (code, answer["error"]["found"]) == (2, "got no reason")
    assert len(kept(config)) == 1


def test_resume_lifts_a_limits_halt_of_the_killed_node(aitb: Any, config: Path) -> None:
    path = config.parent / "state" / "DESK-007.sqlite"
    path.parent.mkdir()
    with StateFile(path) as file:
        file.keep(Halt(5, "equity lies 20% below its peak", cause="limit", flatten=True))
    code, answer = aitb("resume", "--reason", "looked at it")
    assert code == 0
    assert "Lifted: halted since 1970-01-01T00:00:00Z by guard: equity lies 20%" in answer["said"]
    assert kept(config) == []
    code, answer = aitb("resume", "--reason", "looked at it")
    assert (code, answer["done"]) == (0, True)


def test_flatten_without_a_node_fails_and_says_what_to_do(aitb: Any, config: Path) -> None:
    code, answer = aitb("flatten", "--reason", "enough")
    assert code == 1
    assert "no node runs" in answer["error"]["found"]
    assert f"aitb halt {config}" in answer["error"]["todo"]


def test_two_scopes_at_once_are_refused(aitb: Any) -> None:
    code, answer = aitb("halt", "--strategy", "ema", "--instrument", "BTCUSDT.BINANCE")
    assert (code, answer["error"]["found"]) == (2, "got --strategy and --instrument")


@pytest.mark.parametrize(
    ("words", "found", "wanted"),
    [
        (["--strategy", "emu"], "was 'emu'", "did you mean ema?"),
        (["--instrument", "BTCUSDT.BINANC"], "was 'BTCUSDT.BINANC'", "did you mean BTCUSDT.BIN"),
    ],
)
def test_scope_that_the_config_does_not_have_is_refused(
    aitb: Any, config: Path, words: list[str], found: str, wanted: str
) -> None:
    code, answer = aitb("halt", *words)
    assert (code, answer["error"]["found"]) == (3, found)
    assert answer["error"]["wanted"].startswith(wanted)
    assert kept(config) == []


def test_instrument_is_halted_for_all_strategies(aitb: Any, config: Path) -> None:
    assert aitb("halt", "--instrument", "BTCUSDT-PERP.BINANCE")[0] == 0
    assert kept(config)[0].scope.options == " --instrument BTCUSDT-PERP.BINANCE"


def test_config_that_is_broken_elsewhere_can_be_halted(aitb: Any, config: Path) -> None:
    config.write_text(CONFIG.replace("max_order_notional", "max_ordr_notional") + "\n[nonsense]\n")
    code, answer = aitb("halt", "--reason", "it is broken")
    assert (code, answer["done"]) == (0, True)


def test_file_that_is_no_config_is_refused(aitb: Any, config: Path) -> None:
    config.write_text("[trader]\nid = 'small'\n")
    code, answer = aitb("halt")
    assert code == 3
    assert answer["error"]["where"].endswith("desk.toml: trader.id")


def test_process_that_holds_the_trader_and_takes_no_command_is_named(
    aitb: Any, config: Path
) -> None:
    with StateLock(config.parent / "state" / "DESK-007.sqlite"):
        code, answer = aitb("resume", "--reason", "fine")
        assert code == 1
        assert f"in use by another process ({os.getpid()})" in answer["error"]["found"]
        code, answer = aitb("halt", "--reason", "stop it")
        assert (code, answer["done"], answer["obeyed"]) == (1, False, False)
        assert "The halt is written" in answer["said"]
    assert [h.reason for h in kept(config)] == ["stop it"]


def test_answers_are_good_to_read(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["halt", str(config), "--reason", "[bold]news[/bold]"]) == 0
    assert capsys.readouterr().out.startswith("done the trader is halted: nothing opens any more. ")
    assert main(["status", str(config)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("No node runs for DESK-007 (")
    assert "the trader  halted" in out
    assert "[bold]news[/bold]" in out
