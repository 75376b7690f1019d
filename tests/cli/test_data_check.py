from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import find_instrument
from catalog.store import BarStore
from tests.bar_samples import plain_csv, walk

BTC = find_instrument("BTCUSDT.BINANCE")
ETH = find_instrument("ETHUSDT.BINANCE")
MINUTE = Interval("1m")


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    store = BarStore(tmp_path / "data")
    store.write(BTC, MINUTE, walk(3000).take(np.r_[0:1000, 1080:3000]), source="a.csv")
    return store


def check(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["data", "check", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_gap_is_a_warning_and_shown_with_its_times(
    capsys: pytest.CaptureFixture[str], store: BarStore
) -> None:
    code, out, _ = check(capsys, "--catalog", store.path)
    assert code == 0
    (line,) = (line for line in out.splitlines() if line.startswith("gap "))
    assert line.split()[1:6] == ["2023-01-01", "16:40", "2023-01-01", "17:59", "80"]
    assert "1h 20m without bars" in line
    assert "usable: gap (80 bars). 2.67% of the time is missing, 1h 20m in all." in out


def test_json_has_every_place(capsys: pytest.CaptureFixture[str], store: BarStore) -> None:
    code, out, _ = check(capsys, "--catalog", store.path, "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["verdict"] == "usable"
    (series,) = answer["series"]
    assert (series["rows"], series["missing"]) == (2920, 80)
    assert series["findings"] == [
        {
            "kind": "gap",
            "severity": "warning",
            "bars": 80,
            "meaning": "no bar where one belongs",
            "runs": [
                {
                    "first_open": "2023-01-01T16:40:00Z",
                    "last_open": "2023-01-01T17:59:00Z",
                    "bars": 80,
                    "note": "1h 20m without bars",
                }
            ],
        }
    ]


def test_several_series_are_summed_up_and_one_is_detailed(
    capsys: pytest.CaptureFixture[str], store: BarStore
) -> None:
    store.write(ETH, MINUTE, walk(500), source="seed 1", simulated=True)
    code, out, _ = check(capsys, "--catalog", store.path)
    assert code == 0
    rows = {line.split()[0]: line.split() for line in out.splitlines() if "USDT" in line}
    assert rows[BTC.id][2:] == ["2,920", "80", "-", "-", "-", "usable"]
    assert rows[ETH.id][2:] == ["500", "-", "-", "-", "-", "sound"]
    code, out, _ = check(capsys, "--catalog", store.path, ETH.id)
    assert "simulated" in out
    assert "sound: nothing was found." in out
    _, by_type, _ = check(capsys, "--catalog", store.path, MINUTE.bar_type(ETH.id))
    assert by_type == out


def test_broken_file_leaves_with_4_and_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bars = walk(100)
    broken = dataclasses.replace(bars, high=np.where(np.arange(100) == 9, bars.low, bars.high))
    path = plain_csv(tmp_path / "a[1].csv", broken.take(np.r_[0:50, 49:100]))
    code, out, _ = check(capsys, path)
    assert code == 4
    assert "a[1].csv" in out
    assert "broken range" in out
    assert "repeated bar" in out
    assert "An import refuses this without --repair." in out.replace("\n", " ").replace("  ", " ")
    code, out, _ = check(capsys, path, "--json")
    assert (code, json.loads(out)["verdict"]) == (4, "broken")


def test_many_places_are_cut_and_shown_by_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = plain_csv(tmp_path / "a.csv", walk(400).take(np.arange(400) % 40 > 0))
    _, out, _ = check(capsys, path)
    assert "and 4 more places" in out
    _, out, _ = check(capsys, path, "--all")
    assert "more places" not in out
    assert out.count("1m without bars") == 9


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["BTCUSD.BINANCE"], 4, "did you mean BTCUSDT.BINANCE?"),
        (["missing.csv"], 4, "missing.csv: is not there"),
        (["--start", "2030-01"], 4, "has no bars in the range"),
        (["--interval", "1x"], 2, "is not known"),
    ],
)
def test_what_is_not_there_is_one_paragraph(
    capsys: pytest.CaptureFixture[str],
    store: BarStore,
    words: list[str],
    code: int,
    message: str,
) -> None:
    found, out, err = check(capsys, *words, "--catalog", store.path)
    assert (found, out) == (code, "")
    assert message in err


def test_range_narrows_what_is_checked(capsys: pytest.CaptureFixture[str], store: BarStore) -> None:
    code, out, _ = check(capsys, "--catalog", store.path, "--start", "2023-01-01T18:00")
    assert code == 0
    assert "sound" in out


def test_empty_catalog_has_nothing_to_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = check(capsys, "--catalog", tmp_path / "none")
    assert code == 0
    assert "nothing to check" in out


@pytest.mark.parametrize("width", [80, 120])
def test_output_fits_the_terminal(
    capsys: pytest.CaptureFixture[str],
    store: BarStore,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    store.write(ETH, Interval("1h"), walk(500, every="1h"), source="b.csv")
    for words in ([], [BTC.id]):
        _, out, _ = check(capsys, "--catalog", store.path, *words)
        assert max(map(len, out.splitlines())) <= width
