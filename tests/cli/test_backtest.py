"""``aitb backtest`` and ``show-config`` as a user runs them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from aitb_nautilus.cli import main

CHECKOUT = Path(__file__).resolve().parents[2]

CONFIG = """
[catalog]
path = "data"

[[venues]]
name = "BINANCE"
account = "cash"
starting_balance = "10000 USDT"
maker_fee_bps = 10
taker_fee_bps = 10

[risk]
max_order_notional = 5000
max_position_notional = 5000

[[strategies]]
class = "strategies.ema_cross:EmaCross"
id = "ema"

[strategies.params]
instruments = ["BTCUSDT.BINANCE"]
interval = "1m"
fast = 5
slow = 20
direction = "long"
sizing = { method = "fixed_notional", notional = 1000 }
exits = { stop_frac = 0.002, target_frac = 0.003 }
"""


def start(folder: Path, *words: str, hash_seed: str = "0") -> subprocess.Popen[str]:
    """Start a process of its own, for what a process has: signals and a hash seed."""
    return subprocess.Popen(
        [sys.executable, "-m", "aitb_nautilus", *words],
        cwd=folder,
        env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def aitb(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in a folder, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a config and 20 days of simulated bars."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "desk.toml").write_text(CONFIG)
    done = aitb(folder, "data", "simulate", "--days", "20", "--instrument", "BTCUSDT.BINANCE")
    assert done.returncode == 0, done.stderr
    return folder


def test_backtest_prints_one_json_object_with_the_keys_of_the_contract(desk: Path) -> None:
    done = aitb(desk, "backtest", "desk.toml", "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert {
        "run_id",
        "mode",
        "fingerprint",
        "config_sha256",
        "data_sha256",
        "models",
        "bars",
        "predictions",
        "orders",
        "fills",
        "seconds",
        "stats",
        "run_dir",
    } <= run.keys()
    assert {"load", "features", "inference", "engine", "report", "total"} <= run["seconds"].keys()
    assert {
        "total_return",
        "market_return",
        "sharpe",
        "sortino",
        "calmar",
        "max_drawdown",
        "profit_factor",
        "win_rate",
        "trades",
        "fees",
        "slippage",
        "funding",
    } <= run["stats"].keys()
    assert run["bars"] == 20 * 1440
    assert run["fills"] > 10
    assert run["simulated"]
    folder = desk / run["run_dir"]
    names = {"config.toml", "run.json", "log.jsonl", "report.html", "journal.sqlite"}
    tables = (
        "orders",
        "fills",
        "positions",
        "equity",
        "funding",
        "bars",
        "past",
        "predictions",
        "latency",
    )
    risk = ("risk", "risk_parts", "tails", "refusals")
    names |= {f"{table}.parquet" for table in (*tables, *risk)}
    assert {p.name for p in folder.iterdir()} == names
    assert json.loads((folder / "run.json").read_text()) == run


def test_backtest_gives_one_fingerprint_at_any_hash_seed(desk: Path) -> None:
    children = [
        start(desk, "backtest", "desk.toml", "--json", hash_seed=seed) for seed in ("1", "2")
    ]
    runs = [json.loads(child.communicate(timeout=120)[0]) for child in children]
    assert runs[0]["fingerprint"] == runs[1]["fingerprint"]
    assert runs[0]["run_id"] != runs[1]["run_id"]


def test_backtest_summary_names_result_and_report(desk: Path) -> None:
    done = aitb(desk, "backtest", "desk.toml")
    assert done.returncode == 0, done.stderr
    assert "simulated" in done.stdout.lower()
    assert "report.html" in done.stdout


def test_backtest_resolved_config_gives_the_same_run_again(desk: Path) -> None:
    first = json.loads(aitb(desk, "backtest", "desk.toml", "--json").stdout)
    again = json.loads(aitb(desk, "backtest", f"{first['run_dir']}/config.toml", "--json").stdout)
    assert again["fingerprint"] == first["fingerprint"]
    assert again["config_sha256"] == first["config_sha256"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_run_as_interrupted(desk: Path, number: signal.Signals) -> None:
    slow = CONFIG.replace("fast = 5", "fast = 2").replace("slow = 20", "slow = 3")
    name = f"slow-{number.name.lower()}"
    (desk / f"{name}.toml").write_text(slow)
    child = start(desk, "backtest", f"{name}.toml", "--json")
    deadline = time.monotonic() + 60
    while not list((desk / "runs").glob(f"*-{name}/run.json")):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 1, err
    assert number.name in json.loads(out)["error"]["found"]
    (folder,) = (desk / "runs").glob(f"*-{name}")
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "interrupted"
    assert run["bars"] < 20 * 1440
    assert (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (
            ("fast = 5", "fasst = 5"),
            3,
            ["strategies[0].params: unknown key 'fasst'", "'fast'"],
        ),
        (
            ("fast = 5", 'fast = "5"'),
            3,
            ["strategies[0].params.fast: was '5', must be int"],
        ),
        (("fast = 5", "fast = 50"), 3, ["fast was 50", "slow"]),
        (("notional = 1000 ", "notional = nan "), 3, ["notional", "nan", "finite"]),
        (("max_order_notional = 5000", "max_order_notional = -1"), 3, ["max_order_notional", "-1"]),
        (("ema_cross:EmaCross", "ema_cros:EmaCross"), 3, ["ema_cros", "ema_cross"]),
        (("ema_cross:EmaCross", "ema_cross:EmaCros"), 3, ["EmaCros", "EmaCross"]),
        (("ema_cross:EmaCross", "ema_cross:Ema"), 3, ["GuardedStrategy"]),
        (('["BTCUSDT.BINANCE"]', '["BTCUSD.BINANCE"]'), 3, ["BTCUSD.BINANCE", "BTCUSDT.BINANCE"]),
        (('["BTCUSDT.BINANCE"]', '["ETHUSDT.BINANCE"]'), 4, ["ETHUSDT", "aitb data import"]),
        (("[risk]", '[backtest]\nstart = "2030-01-01"\n[risk]'), 4, ["0 bars", "2024"]),
    ],
)
def test_bad_input_gets_one_paragraph_and_its_exit_code(
    desk: Path, change: tuple[str, str], code: int, words: list[str]
) -> None:
    before = set((desk / "runs").glob("*")) if (desk / "runs").exists() else set()
    (desk / "bad.toml").write_text(CONFIG.replace(*change))
    done = aitb(desk, "backtest", "bad.toml")
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().split("\n\n")) == 1
    for word in words:
        assert word in done.stderr
    after = set((desk / "runs").glob("*")) if (desk / "runs").exists() else set()
    assert after == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("max_order_notional = 5000\n", ""),
         ["bad.toml: risk: key 'max_order_notional' is missing, it has no default."]),
        (("[risk]", "[risk]\nmax_leverage = 0"), ["bad.toml: risk.max_leverage: was 0, must be"]),
        (("[risk]", "[risk]\nmax_leverage = 'three'"),
         ["risk.max_leverage: was 'three', must be float."]),
        (("[risk]", "[risk]\nmax_daily_loss = -20.0"), ["risk.max_daily_loss: was -20.0, must be"]),
        (("[risk]", "[risk]\nmax_drawdown = 0.2"), ["'max_drawdown'", "did you mean 'drawdown'?"]),
        (("[risk]", "[risk.drawdown]\nreduce_frac = 0.3\nhalt_frac = 0.2\n[risk]"),
         ["risk.drawdown.halt_frac: was 0.2, must be above reduce_frac, which is 0.3: steps go "
          "upwards. Raise it, or lower reduce_frac."]),
        (("[risk]", "[risk]\nbook = { max_spread_frac = 0.1 }"),
         ["risk.book: key 'max_quote_age_ms' is missing"]),
        (("[[strategies]]", "[[risk.rules]]\nscope = { strategy = 'emma' }\n"
          "max_open_orders = 3\n[[strategies]]"),
         ["risk.rules[0].scope.strategy: was 'emma', did you mean 'ema'?"]),
    ],
    ids=lambda value: value[0][:60] if isinstance(value, list) else "",
)  # fmt: skip
@pytest.mark.parametrize("verb", ["backtest", "show-config"])
def test_wrong_limit_is_refused_wherever_the_config_is_read(
    desk: Path, verb: str, change: tuple[str, str], words: list[str]
) -> None:
    (desk / "bad.toml").write_text(CONFIG.replace(*change))
    done = aitb(desk, verb, "bad.toml")
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.strip().split("\n\n")) == 1
    for word in words:
        assert word in " ".join(done.stderr.split())


def test_missing_config_names_the_nearest_file(desk: Path) -> None:
    done = aitb(desk, "backtest", "desc.toml")
    assert done.returncode == 3
    assert "Did you mean desk.toml?" in done.stderr


def test_show_config_prints_toml_that_loads_again(desk: Path) -> None:
    done = aitb(desk, "show-config", "desk.toml")
    assert done.returncode == 0, done.stderr
    shown = tomllib.loads(done.stdout)
    assert shown["strategies"][0]["params"]["direction"] == "long"
    assert shown["venues"][0]["slippage_bps"] == 1.0
    (desk / "shown.toml").write_text(done.stdout)
    hashes = {
        json.loads(aitb(desk, "show-config", name, "--json").stdout)["sha256"]
        for name in ("desk.toml", "shown.toml")
    }
    assert len(hashes) == 1


def test_show_config_schema_describes_every_section(desk: Path) -> None:
    done = aitb(desk, "show-config", "--schema")
    assert done.returncode == 0, done.stderr
    schema = json.loads(done.stdout)
    desk_schema = schema["$defs"]["DeskConfig"]
    assert set(desk_schema["required"]) == {"risk", "venues"}
    assert not desk_schema["additionalProperties"]
    assert {"trader", "catalog", "instruments", "strategies", "actors", "backtest"} <= set(
        desk_schema["properties"]
    )
