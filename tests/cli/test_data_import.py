from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.cli import main
from catalog.store import BarStore
from tests.bar_samples import (
    PLAIN_HEADER,
    csv_text,
    kline_zip,
    plain_csv,
    plain_rows,
    same_bars,
    walk,
)

ROOT = Path(__file__).parents[2]
BAR_TYPE = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["data", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    code, out, _ = run(capsys, *words, "--json")
    assert code == 0
    return json.loads(out)


def test_import_of_a_binance_month_in_one_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path
) -> None:
    bars = walk(1000)
    path = kline_zip(tmp_path, "BTCUSDT-1m-2023-01", bars)
    code, out, err = run(capsys, "import", path, "--catalog", catalog)
    assert (code, err) == (0, "")
    assert "BTCUSDT.BINANCE" in out
    assert "2023-01-01 00:00" in out
    assert "1,000 rows added from 1 file" in out
    assert same_bars(BarStore(catalog).read(BAR_TYPE), bars)


def test_json_is_one_object_with_every_series(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path
) -> None:
    path = kline_zip(tmp_path, "BTCUSDT-1m-2023-01", walk(1000))
    answer = run_json(capsys, "import", path, "--catalog", catalog)
    assert (answer["files"], answer["rows_added"], answer["rows_same"]) == (1, 1000, 0)
    (series,) = answer["series"]
    assert series["bar_type"] == BAR_TYPE
    assert (series["first"], series["last"]) == ("2023-01-01T00:01:00Z", "2023-01-01T16:40:00Z")
    assert series["repairs"] == []
    again = run_json(capsys, "import", path, path, "--catalog", catalog)
    assert (again["files"], again["rows_added"], again["rows_same"]) == (1, 0, 1000)


def test_config_adds_an_instrument(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path
) -> None:
    path = kline_zip(tmp_path, "NEWUSDT-1m-2023-01", walk(100))
    code, _, err = run(capsys, "import", path, "--catalog", catalog)
    assert code == 3
    block = err[err.index("[[instruments]]") : err.index("(or say")]
    config = tmp_path / "desk.toml"
    config.write_text(block)
    answer = run_json(capsys, "import", path, "--catalog", catalog, "--config", config)
    assert answer["series"][0]["instrument_id"] == "NEWUSDT.BINANCE"


def test_perpetuals_and_other_venues_by_option(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path
) -> None:
    path = kline_zip(tmp_path, "BTCUSDT-1m-2023-01", walk(100))
    words = ["import", path, "--catalog", catalog]
    perpetual = run_json(capsys, *words, "--market", "perpetual")
    assert perpetual["series"][0]["instrument_id"] == "BTCUSDT-PERP.BINANCE"
    bybit = run_json(capsys, *words, "--venue", "bybit")
    assert bybit["series"][0]["instrument_id"] == "BTCUSDT-SPOT.BYBIT"
    named = run_json(capsys, *words, "--instrument", "BTCUSDT=BTCUSDT.BINANCE_US")
    assert named["series"][0]["instrument_id"] == "BTCUSDT.BINANCE_US"


def test_columns_of_any_name_without_header_and_with_close_stamps(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path
) -> None:
    bars = walk(100)
    path = tmp_path / "nameless.csv"
    rows = [[r[5], r[4], r[3], r[2], r[1], int(str(r[0])) + 59_999] for r in plain_rows(bars)]
    path.write_text(csv_text(rows))
    run_json(
        capsys,
        "import",
        path,
        "--catalog",
        catalog,
        "--instrument",
        "BTCUSDT.BINANCE",
        "--columns",
        "volume=1,close=2,low=3",
        "--columns",
        "high=4,open=5,time=6",
        "--time",
        "close",
    )
    assert same_bars(BarStore(catalog).read(BAR_TYPE), bars)


def test_repairs_are_shown_by_import_and_by_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path
) -> None:
    bars = walk(100)
    path = plain_csv(tmp_path / "BTCUSDT.csv", bars.take(slice(None, None, -1)))
    code, _, err = run(capsys, "import", path, "--catalog", catalog)
    assert code == 4
    assert "--repair sort" in err
    code, out, _ = run(capsys, "import", path, "--catalog", catalog, "--repair", "sort")
    assert code == 0
    assert "repaired BTCUSDT.BINANCE 1m: sort, 99 rows of BTCUSDT.csv" in " ".join(out.split())
    _, out, _ = run(capsys, "list", "--catalog", catalog)
    assert "repaired BTCUSDT.BINANCE 1m: sort, 99 rows of BTCUSDT.csv" in " ".join(out.split())


def test_funding_rates(capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path) -> None:
    path = tmp_path / "BTCUSDT-fundingRate-2023-01.csv"
    path.write_text("calc_time,hours,last_funding_rate\n1672531200003,8,0.0001\n")
    answer = run_json(capsys, "import", path, "--catalog", catalog, "--kind", "funding")
    assert answer["series"] == [
        {
            "instrument_id": "BTCUSDT-PERP.BINANCE",
            "first": "2023-01-01T00:00:00Z",
            "last": "2023-01-01T00:00:00Z",
            "rows_added": 1,
            "rows_same": 0,
            "rows_replaced": 0,
            "files": 1,
        }
    ]
    code, out, _ = run(capsys, "import", path, "--catalog", catalog, "--kind", "funding")
    assert code == 0
    assert "0 rows added" in out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["missing.csv"], (4, "missing.csv: is not there")),
        (["GOOD", "--interval", "5min"], (2, "did you mean 5m?")),
        (["GOOD", "--interval", "5m"], (4, "has a row every 1m")),
        (["GOOD", "--repair", "srt"], (2, "did you mean 'sort'?")),
        (["GOOD", "--columns", "open"], (2, "has no NAME=VALUE")),
        (["GOOD", "--columns", "opne=open"], (2, "did you mean 'open'?")),
        (["GOOD", "--columns", "open=opn"], (4, "did you mean 'open'?")),
        (["GOOD", "--start", "yesterday"], (2, "is not a time")),
        (["GOOD", "--start", "2023-02", "--end", "2023-01"], (2, "is an empty range")),
        (["GOOD", "--start", "2030-01"], (4, "has no row in the range")),
        (["GOOD", "--instrument", "A.B", "--instrument", "C.D"], (2, "SYMBOL=ID for each")),
        (["GOOD", "--instrument", "BTCUSD.BINANCE"], (3, "did you mean 'BTCUSDT.BINANCE'?")),
        (["GOOD", "--symbol", "BTCUSDT"], (2, "has no column of symbols")),
        (["GOOD", "--config", "missing.toml"], (3, "cannot be read")),
        (["GOOD", "--market", "futures"], (2, "spot")),
        ([], (2, "FILES")),
    ],
)
def test_bad_input_is_one_paragraph_with_its_exit_code(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    catalog: Path,
    words: list[str],
    wanted: tuple[int, str],
) -> None:
    good = kline_zip(tmp_path, "BTCUSDT-1m-2023-01", walk(100))
    given = [str(good) if word == "GOOD" else word for word in words]
    code, message = wanted
    found, out, err = run(capsys, "import", *given, "--catalog", catalog)
    assert (found, out) == (code, "")
    assert message in err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert not list(catalog.rglob("*.parquet"))


def test_error_in_json_is_one_object(capsys: pytest.CaptureFixture[str], catalog: Path) -> None:
    code, out, err = run(capsys, "import", "missing.csv", "--catalog", catalog, "--json")
    assert code == json.loads(out)["error"]["exit_code"] == 4
    assert err.startswith("error: ")


def test_long_table_with_filter(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path
) -> None:
    path = tmp_path / "long.csv"
    rows = [
        [*r, s, x] for s, x in (("BTCUSDT", "a"), ("ETHUSDT", "b")) for r in plain_rows(walk(50))
    ]
    path.write_text(csv_text(rows, [*PLAIN_HEADER, "symbol", "exchange"]))
    answer = run_json(capsys, "import", path, "--catalog", catalog, "--filter", "exchange=b")
    assert [s["instrument_id"] for s in answer["series"]] == ["ETHUSDT.BINANCE"]


def test_output_fits_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    catalog: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = kline_zip(tmp_path, "THETAUSDT-1m-2023-01", walk(1200, price=200))
    words = [
        "import",
        path,
        "--catalog",
        catalog,
        "--market",
        "perpetual",
        "--repair",
        "round-volumes",
    ]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "THETAUSDT-PERP.BINANCE" in out
    assert max(map(len, out.splitlines())) <= 80


def test_reading_the_catalog_does_not_load_what_it_does_not_need(
    tmp_path: Path, catalog: Path
) -> None:
    path = kline_zip(tmp_path, "BTCUSDT-1m-2023-01", walk(100))
    code = (
        "import sys; from aitb_nautilus.cli import main; "
        f"assert main(['data', 'import', {str(path)!r}, '--catalog', {str(catalog)!r}]) == 0; "
        f"assert main(['data', 'check', '--catalog', {str(catalog)!r}]) == 0; "
        "print(sorted({'ccxt', 'plotly', 'pandas', 'duckdb', 'aiohttp'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


QUOTES = """event_time,bid,bid_qty,ask,ask_qty
1700000000000,100.10,1.0,100.20,2.0
1700000000500,100.20,1.5,100.30,0.5
"""
TRADES = "time,price,qty\n" + "".join(
    f"{1_700_000_000_000 + 400 * n},{100 + n % 3}.0,0.5\n" for n in range(20)
)


def test_quotes_are_imported_listed_and_named_in_the_answer(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path
) -> None:
    path = tmp_path / "BTCUSDT-quotes.csv"
    path.write_text(QUOTES)
    words = ("import", path, "--kind", "quotes", "--market", "perpetual", "--catalog", catalog)
    told = run_json(capsys, *words)
    assert (told["kind"], told["rows_added"]) == ("quotes", 2)
    assert told["series"][0]["instrument_id"] == "BTCUSDT-PERP.BINANCE"
    assert told["series"][0]["first"] == "2023-11-14T22:13:20Z"
    listed = run_json(capsys, "list", "--catalog", catalog)
    assert listed["quotes"][0]["rows"] == 2
    code, out, _ = run(capsys, "list", "--catalog", catalog)
    assert code == 0
    assert "quotes" in out


def test_trades_become_bars_of_the_interval_that_must_be_given(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, catalog: Path
) -> None:
    path = tmp_path / "BTCUSDT-trades.csv"
    path.write_text(TRADES)
    words = ("import", path, "--kind", "trades", "--catalog", catalog)
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "was given no --interval" in err
    told = run_json(capsys, *words, "--interval", "1s")
    assert told["series"][0]["bar_type"] == "BTCUSDT.BINANCE-1-SECOND-LAST-EXTERNAL"
    # 20 trades in 7.6 s make 8 bars, of which the first and the last are left out.
    assert told["rows_added"] == 6
