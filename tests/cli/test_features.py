"""``aitb features`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.features.kernels import KERNELS
from catalog.simulate import SimulationSettings, simulate_into
from catalog.store import BarStore

BTC = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"
ETH = "ETHUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Make a catalog of two instruments over two days."""
    spec = SimulationSettings(instruments=("BTCUSDT.BINANCE", "ETHUSDT.BINANCE"), days=2)
    simulate_into(BarStore(tmp_path / "data"), spec)
    return tmp_path / "data"


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("width", ["80", "120"])
def test_list_names_every_feature_within_the_width(width, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert main(["features", "list"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name}" in out for name in KERNELS)
    assert max(map(len, out.splitlines())) <= int(width)
    assert f"{len(KERNELS)} features" in out


def test_list_of_one_family_as_json(capsys) -> None:
    features = answer(capsys, "features", "list", "--family", "momentum")["features"]
    assert {f["family"] for f in features} == {"momentum"}
    rsi = next(f for f in features if f["name"] == "rsi")
    assert rsi["example"] == "rsi(14)"
    assert rsi["warmup_bars"] == 393
    assert rsi["range"] == [0.0, 100.0]
    assert rsi["parameters"][0]["accepted"] == "from 1 to 700"


def test_show_tells_formula_source_and_values_of_a_simulated_market(capsys) -> None:
    assert main(["features", "show", "rsi"]) == 0
    out = capsys.readouterr().out
    for words in ("100 G / (G + L)", "Wilder (1978)", "from 1 to 700", "393 bars", "simulated"):
        assert words in out
    shown = answer(capsys, "features", "show", "beta")
    assert shown["simulated"] is True
    assert len(shown["values"]) == 5
    assert all(0 < value["value"] < 2 for value in shown["values"])


def test_unknown_feature_is_a_usage_error_with_the_nearest_name(capsys) -> None:
    assert main(["features", "show", "zscor"]) == 2
    assert "did you mean zscore?" in capsys.readouterr().err


def test_compute_writes_what_the_engine_computes(capsys, catalog: Path) -> None:
    words = ["rsi(14)", "beta(eth,60)", "log_return(1)@5m", "--short", "eth=ETHUSDT.BINANCE"]
    words += ["--bars", BTC, "--catalog", str(catalog), "--output", "out/rows.parquet"]
    found = answer(capsys, "features", "compute", *words)
    assert found["simulated"] is True
    assert found["rows"] == 2880 - 392
    assert found["rows_not_valid"] == 392
    assert found["bars"] == {"BTCUSDT.BINANCE": BTC, "ETHUSDT.BINANCE": ETH}

    features = parse_features(words[:3], interval="1m", instruments={"eth": "ETHUSDT.BINANCE"})
    store = BarStore(catalog)
    frames = {"BTCUSDT.BINANCE": store.read(BTC), "ETHUSDT.BINANCE": store.read(ETH)}
    rows = FeatureEngine(features, "BTCUSDT.BINANCE").batch(frames)
    table = pq.read_table("out/rows.parquet")
    assert table.column_names == ["ts", *features.names]
    assert table.schema.metadata[b"fingerprint"].decode() == features.fingerprint
    assert table.schema.metadata[b"simulated"] == b"True"
    for i, name in enumerate(features.names):
        column = table.column(name).to_numpy()
        assert column.dtype == np.float32
        assert np.array_equal(column, rows.values[rows.valid, i])
    assert found["features"][0]["max"] == float(rows.values[rows.valid, 0].max())
    assert [p.name for p in Path("out").iterdir()] == ["rows.parquet"]


def test_compute_reads_the_warmup_before_the_start(capsys, catalog: Path) -> None:
    words = ["features", "compute", "rsi(14)", "--bars", BTC, "--catalog", str(catalog)]
    all_of_it = answer(capsys, *words, "--output", "all.parquet")
    assert all_of_it["first"] > "2024-01-01"
    part = answer(
        capsys,
        *words,
        "--start",
        "2024-01-02",
        "--end",
        "2024-01-02T12:00",
        "--output",
        "a.parquet",
    )
    assert (part["first"], part["last"]) == ("2024-01-02T00:00:00Z", "2024-01-02T12:00:00Z")
    assert (part["rows"], part["rows_not_valid"]) == (721, 0)
    assert part["bars_read"] == 721 + 392 + 120
    whole = pq.read_table("all.parquet").to_pydict()
    first = whole["ts"].index(pq.read_table("a.parquet")["ts"][0].as_py())
    assert (
        pq.read_table("a.parquet")["rsi(14)"].to_pylist() == whole["rsi(14)"][first : first + 721]
    )


def test_compute_shows_figures_for_people(capsys, catalog: Path) -> None:
    words = ["rsi(14)", "zscore(volume,50)", "--bars", BTC, "--catalog", str(catalog)]
    assert main(["features", "compute", *words]) == 0
    out = capsys.readouterr().out
    assert "2,488 rows of simulated BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL" in out
    assert "392 rows before the end of a warm-up of 393 bars are left out" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "code", "wanted"),
    [
        (["rsi(0)", "--bars", BTC], 3, "n was 0, n must be a whole number from 1 to 700"),
        (["rsi(14)", "--bars", "nonsense"], 2, "--bars nonsense"),
        (["rsi(14)", "--bars", BTC, "--start", "soon"], 2, "--start soon"),
        (["rsi(14)", "--bars", BTC, "--output", "rows.csv"], 2, "must end with .parquet"),
        (["rsi(700)", "--bars", BTC], 4, "none of them after the warm-up"),
        (["beta(SOLUSDT.BINANCE,60)", "--bars", BTC], 4, "has no bars SOLUSDT.BINANCE-1-MINUTE"),
        (["rsi(14)", "--bars", BTC, "--start", "2030-01-01"], 4, "has 0 bars here"),
    ],
)
def test_compute_says_what_is_wrong(words, code, wanted, capsys, catalog: Path) -> None:
    assert main(["features", "compute", *words, "--catalog", str(catalog)]) == code
    err = capsys.readouterr().err
    assert wanted in err
    assert err.count("\n") == 1
    assert not list(Path.cwd().glob("rows*"))
