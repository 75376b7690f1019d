"""``aitb rehearse`` as a person and as a script meets it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.errors import AitbError, ConfigError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.rehearsed import ask_rehearsal, at_rehearsal
from catalog.store import BarStore
from tests.rehearsal_lab import hour_bars

BTC = "BTCUSDT-PERP.BINANCE"
CONFIG = """
[catalog]
path = "data"

[[venues]]
name = "BINANCE"
starting_balance = "10000 USDT"
maker_fee_bps = 2
taker_fee_bps = 4.5
leverage = 3

[risk]
max_order_notional = 5_000
max_position_notional = 5_000
max_orders_per_minute = 30

[[strategies]]
class = "strategies.ema_cross:EmaCross"
id = "ema"

[strategies.params]
instruments = ["BTCUSDT-PERP.BINANCE"]
interval = "1h"
fast = 4
slow = 8
sizing = { method = "fixed_notional", notional = 1_000 }
exits = { stop_frac = 0.03 }
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a config and a catalog of 60 hours."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "desk.toml").write_text(CONFIG)
    BarStore(tmp_path / "data").write(
        find_instrument(BTC), Interval.parse("1h"), hour_bars(60), source="test"
    )
    return tmp_path


@contextmanager
def rehearsing(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run the verb in a process of its own; give the process and what it said at its start."""
    command = [sys.executable, "-m", "aitb_nautilus", "rehearse", "desk.toml", "--port", "0"]
    child = subprocess.Popen(
        [*command, "--json", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        line = child.stdout.readline()
        assert line, child.communicate()[1]
        yield child, json.loads(line)
    finally:
        child.kill()
        child.communicate()


def ask(address: dict[str, Any], path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{address['base_url_http']}{path}", data=data), timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_the_desks_market_and_account_until_a_signal(
    desk: Path, number: signal.Signals
) -> None:
    with rehearsing(desk) as (child, address):
        (symbol,) = address["symbols"]
        assert (symbol["symbol"], symbol["interval"]) == ("BTCUSDT", "1h")
        assert symbol["history"] + symbol["bars"] == 60
        rows = ask(address, "/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=2")
        assert rows[0][6] < time.time() * 1_000 < rows[1][6] + 1
        status = ask(address, "/rehearsal/status")
        assert status["wallet"] == {"USDT": "10000"}
        told = ask(address, "/rehearsal/address")
        assert told == {name: address[name] for name in told}
        pointed = at_rehearsal(load_config(desk / "desk.toml"), address["base_url_http"])
        (venue,) = pointed.config.venues
        assert venue.base_url_ws_trading == address["base_url_ws_trading"]
        assert venue.api_secret is not None
        assert venue.api_secret.reveal() == "rehearsal"
        child.send_signal(number)
        out, err = child.communicate(timeout=10)
        assert (child.returncode, out, err) == (0, "", "")


def test_a_start_says_where_the_market_begins(desk: Path) -> None:
    begins = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(int(hour_bars(60).ts_close[9]) // 10**9))
    with rehearsing(desk, "--start", begins) as (_, address):
        (symbol,) = address["symbols"]
        assert (symbol["history"], symbol["bars"]) == (10, 50)
        assert symbol["first"].startswith(begins)


def test_faults_of_a_file_happen(desk: Path) -> None:
    (desk / "faults.toml").write_text(
        '[[faults]]\nkind = "refuse"\nmatch = "/fapi/v1/time"\nstatus = 418\ncode = -1003\n'
    )
    with rehearsing(desk, "--faults", "faults.toml") as (_, address):
        assert address["faults"] == 1
        with pytest.raises(OSError, match="418"):
            ask(address, "/fapi/v1/time")
        assert ask(address, "/fapi/v1/time")["serverTime"] > 0


def test_a_faster_rehearsal_writes_the_config_for_it_and_says_what_changed(desk: Path) -> None:
    with rehearsing(desk, "--speed", "60") as (_, address):
        assert (address["speed"], address["config"]) == (60, "desk-x60.toml")
        assert address["changes"] == [
            {"path": "risk.max_orders_per_minute", "before": 30, "after": 1800},
            {"path": "strategies[0].params.interval", "before": "1h", "after": "1m"},
        ]
        rows = ask(address, "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=2")
        assert rows[1][0] - rows[0][0] == 60_000
        with pytest.raises(ConfigError, match="was 1, must be 60"):
            at_rehearsal(load_config(desk / "desk.toml"), address["base_url_http"])
        at_rehearsal(load_config(desk / "desk-x60.toml"), address["base_url_http"])
    text = (desk / "desk-x60.toml").read_text()
    assert "For load and faults only" in text
    assert main(["backtest", "desk-x60.toml"]) == 3


def test_a_node_is_not_pointed_at_something_that_is_no_rehearsal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for text, words in (("ftp://x", "is no URL"), (url, "does not answer.*aitb rehearse")):
        with pytest.raises(AitbError, match=words):
            ask_rehearsal(text)


def test_a_desk_on_paper_reaches_the_rehearsal_without_a_change_of_its_config(desk: Path) -> None:
    with rehearsing(desk, "--speed", "60") as (_, address):
        url = address["base_url_http"]
        assert main(["paper", "desk-x60.toml"]) == 3  # the real exchange has no such speed
        command = [sys.executable, "-m", "aitb_nautilus", "paper", "desk-x60.toml", "--json"]
        with subprocess.Popen(
            [*command, "--rehearsal", url],
            cwd=desk,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stderr is not None
            said = ""
            while "recovered in" not in said:
                line = child.stderr.readline()
                assert line, said
                said += line
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=20)
    (folder,) = (desk / "runs").iterdir()
    written = (folder / "config.toml").read_text()
    assert f'base_url_http = "{url}"' in written
    assert "rehearsal_speed = 60" in written
    assert 'api_secret = "env:AITB_REHEARSAL_SECRET"' in written


def test_what_cannot_be_rehearsed_is_refused(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = CONFIG.replace("BINANCE", "BYBIT")
    (desk / "bybit.toml").write_text(other)
    (desk / "minute.toml").write_text(CONFIG.replace('interval = "1h"', 'interval = "1m"'))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, code, said in (
            (["desk.toml", "--speed", "7"], 3, "was 7 for bars of 3600 s, must be one of 1, 2,"),
            (["minute.toml", "--speed", "60"], 3, "was 60 for bars of 60 s, must be one of 1"),
            (["desk.toml", "--start", "2030-01"], 4, "must have bars after 2030-01-01"),
            (["desk.toml", "--start", "soon"], 2, "'soon' is not a time"),
            (["desk.toml", "--port", port], 1, "the port is taken"),
            (["desk.toml", "--faults", "none.toml"], 3, "cannot be read"),
            (["bybit.toml"], 3, "BYBIT"),
        ):
            assert main(["rehearse", *words]) == code
            assert said in " ".join(capsys.readouterr().err.split())
    assert not (desk / "minute-x60.toml").exists()


def test_a_person_reads_how_to_point_a_node_at_it(desk: Path) -> None:
    command = [sys.executable, "-m", "aitb_nautilus", "rehearse", "desk.toml", "--port", "0"]
    with subprocess.Popen(command, cwd=desk, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        begun = ""
        while "Ctrl-C" not in begun:
            begun += child.stdout.readline()
        child.send_signal(signal.SIGINT)
        ended = child.stdout.read()
        assert child.wait(10) == 0
    words = " ".join(begun.split())
    assert "there is no market and no money" in words
    assert "maker 0.0002, taker 0.00045" in words
    assert "base_url_ws_trading ws://127.0.0.1:" in words
    assert "0 fills; wallet 10000 USDT" in " ".join(ended.split())
