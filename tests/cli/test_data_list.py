from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import find_instrument
from catalog.provenance import Source
from catalog.store import BarStore
from tests.bar_samples import walk

BTC = find_instrument("BTCUSDT.BINANCE")
THETA = find_instrument("THETAUSDT-PERP.BINANCE")


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    store = BarStore(tmp_path / "data")
    kept = walk(3000).take(np.r_[0:1000, 1080:3000])
    sources = [Source(f"a-very-long-name-of-a-file-{i}.zip", "ab" * 32) for i in range(3)]
    store.write(BTC, Interval("1m"), kept, source=sources)
    store.write(BTC, Interval("1h"), walk(48, every="1h"), source="seed [7]", simulated=True)
    ts = np.array([1_672_531_200_000_000_000], np.int64)
    store.write_funding(THETA.id, ts, np.array([1e-4]), "rates.csv")
    return store.path


@pytest.mark.parametrize("width", [80, 120])
def test_list_shows_every_series_within_the_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    catalog: Path,
    width: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["data", "list", "--catalog", str(catalog)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    by_start = {tuple(line.split()[:2]): line for line in lines}
    assert "simulated" in by_start[BTC.id, "1h"]
    minutes = by_start[BTC.id, "1m"].split()
    assert minutes[2:6] == ["2023-01-01", "2023-01-03", "2,920", "1"]
    assert by_start[THETA.id, "rates"].split()[2] == "2023-01-01"
    assert ("[7]" in by_start[BTC.id, "1h"]) == (width == 120)


def test_json_tells_sources_gaps_and_label(
    capsys: pytest.CaptureFixture[str], catalog: Path
) -> None:
    assert main(["data", "list", "--catalog", str(catalog), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    minute, hour = answer["series"]
    assert (minute["rows"], minute["gaps"], minute["missing"], minute["simulated"]) == (
        2920,
        1,
        80,
        False,
    )
    assert [s["sha256"] for s in minute["sources"]] == ["ab" * 32] * 3
    assert (hour["simulated"], hour["interval"], hour["last"]) == (
        True,
        "1h",
        "2023-01-03T00:00:00Z",
    )
    assert answer["funding"][0]["instrument_id"] == THETA.id


def test_empty_catalog_says_how_to_fill_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["data", "list", "--catalog", str(tmp_path / "none")]) == 0
    assert "aitb data import FILES" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_damaged_file_is_named_with_exit_code_4(
    capsys: pytest.CaptureFixture[str], catalog: Path
) -> None:
    path = sorted(catalog.rglob("*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:-10])
    assert main(["data", "list", "--catalog", str(catalog)]) == 4
    assert path.name in capsys.readouterr().err.replace("\n", "")
