import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aitb_nautilus.cli import main
from catalog.store import BarStore
from tests.exchange_servers import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    ArchiveServer,
    BinanceServer,
    Fault,
    running,
)

START_MS = 1_704_067_200_000  # 2024-01-01
BTC_1M = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def binance():
    return BinanceServer(START_MS + 2 * DAY_MS)


def download(url, *more):
    what = ["--exchange", "binance", "--symbol", "BTC/USDT", "--interval", "1m"]
    period = ["--start", "2024-01-01", "--end", "2024-01-01T10:00"]
    return main(["data", "download", *what, *period, "--rate-limit", "1", "--url", url, *more])


def test_download_prints_one_json_object_and_notices_go_to_stderr(binance, capsys):
    binance.missing = {START_MS + 3 * MINUTE_MS}
    binance.faults.append(Fault(status=429, headers={"Retry-After": "0.1"}))
    with running(binance) as url:
        assert download(url, "--json") == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["source"] == "ccxt"
    assert answer["exchange"] == "binance"
    assert answer["retries"] == 1
    (series,) = answer["series"]
    assert series["bar_type"] == BTC_1M
    assert (series["bars_added"], series["bars_held"], series["bars_missing"]) == (599, 599, 1)
    gap = {"first": "2024-01-01T00:04:00Z", "last": "2024-01-01T00:04:00Z", "bars": 1}
    assert series["gaps"] == [gap]
    assert "binance: BTC/USDT 1m: HTTP 429; waiting 0.1 s" in err


@pytest.mark.parametrize("width", ["80", "120"])
def test_people_read_a_table_gaps_and_notes_within_the_width(binance, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    binance.missing = set(range(START_MS + HOUR_MS, START_MS + 3 * HOUR_MS, 10 * MINUTE_MS))
    with running(binance) as url:
        assert download(url, "--symbol", "FOO/USDT") == 0
    out, _ = capsys.readouterr()
    assert max(len(line) for line in out.splitlines()) <= int(width)
    flat = " ".join(out.split())
    assert "BTCUSDT.BINANCE 1m 2024-01-01" in flat
    assert "gap BTCUSDT.BINANCE: 2024-01-01 01:00 to 2024-01-01 01:01, 1 bar" in flat
    assert "gap BTCUSDT.BINANCE: and 7 smaller" in flat
    assert "note FOOUSDT.BINANCE is not in the package's table" in flat
    assert "1,176 bars added to data in" in flat
    assert {s.rows for s in BarStore(Path("data")).list()} == {588}


def test_archive_is_downloaded_and_a_missing_month_leaves_with_exit_four(capsys):
    archive = ArchiveServer()
    months = range(1_672_531_200_000, 1_675_209_600_000, HOUR_MS)
    archive.add_month("BTCUSDT", "1h", "2023-01", months, "futures/um")
    words = ["data", "download", "--source", "binance-archive", "--market", "um", "--symbol"]
    words += ["BTCUSDT", "--interval", "1h", "--start", "2023-01", "--catalog", "cat"]
    with running(archive) as url:
        assert main([*words, "--end", "2023-01", "--url", url, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert main([*words, "--end", "2023-02", "--url", url]) == 4
    assert answer["series"][0]["instrument_id"] == "BTCUSDT-PERP.BINANCE"
    assert answer["bars_added"] == 744
    _, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "BTCUSDT-1h-2023-02.zip: is not in the archive" in err


def test_config_describes_an_instrument_that_the_package_lacks(binance, capsys):
    Path("desk.toml").write_text(
        '[[instruments]]\nid = "FOO.BINANCE"\nkind = "spot"\nbase = "FOO"\nquote = "USDT"\n'
        'symbol = "FOOUSDT"\ntick_size = "0.01"\nlot_size = "0.001"\n'
    )
    with running(binance) as url:
        assert download(url, "--symbol", "FOO/USDT", "--config", "desk.toml", "--json") == 0
    series = json.loads(capsys.readouterr().out)["series"]
    assert [s["instrument_id"] for s in series] == ["BTCUSDT.BINANCE", "FOO.BINANCE"]


def test_prices_finer_than_the_tick_are_refused_and_rounded_on_wish(binance, capsys):
    def finer(rows):
        for row in rows:
            row[1] = row[4] = row[2]
        rows[0][2] = "40000.129"
        rows[0][1] = rows[0][3] = rows[0][4] = "39990"
        return rows

    binance.faults.extend([Fault(change=finer), Fault(change=finer)])
    with running(binance) as url:
        assert download(url) == 4
        assert "40000.129" in capsys.readouterr().err
        assert download(url, "--repair", "round-prices") == 0
    store = BarStore(Path("data"))
    assert store.read(BTC_1M).high[0] == 40000.13
    assert store.series(BTC_1M).repairs[0].rule == "round-prices"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--exchange", "binnance"], 2, "did you mean 'binance'?"),
        ([], 2, "--exchange is missing"),
        (["--exchange", "binance", "--market", "um"], 2, "--market: means nothing with"),
        (["--source", "binance-archive", "--rate-limit", "5"], 2, "--rate-limit: means nothing"),
        (["--source", "binance-archive"], 2, "'2024-01-01' is not a month"),
        (["--source", "archive"], 2, "'archive' is not one of"),
    ],
)
def test_wrong_command_line_is_one_paragraph_and_exit_two(words, code, said, capsys):
    common = ["--symbol", "BTC/USDT", "--interval", "1m", "--start", "2024-01-01"]
    assert main(["data", "download", *common, *words]) == code
    assert said in capsys.readouterr().err
    assert not Path("data").exists()


def test_ctrl_c_keeps_what_came_and_leaves_with_one_paragraph(binance, tmp_path):
    binance.faults.extend([Fault(), Fault(delay_s=30)])
    root = Path(__file__).parents[2]
    with running(binance) as url:
        words = ["-m", "aitb_nautilus", "data", "download", "--exchange", "binance", "--symbol"]
        words += ["BTC/USDT", "--interval", "1m", "--start", "2024-01-01", "--url", url]
        process = subprocess.Popen(
            [sys.executable, *words, "--catalog", str(tmp_path / "cat"), "--rate-limit", "1"],
            cwd=root,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        deadline = time.monotonic() + 30
        while len(binance.asked("/api/v3/klines")) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert out == ""
    assert err == (
        "error: aitb data download: interrupted. What came so far is kept. "
        "Run the same command again to go on.\n"
    )
    assert len(BarStore(tmp_path / "cat").read(BTC_1M)) == 1000
