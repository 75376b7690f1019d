import json
from pathlib import Path

import pytest

from aitb_nautilus.cli import main
from catalog.simulate import SimulationSettings, simulate
from catalog.store import BarStore

PERP = "BTCUSDT-PERP.BINANCE"
PERP_5M = "BTCUSDT-PERP.BINANCE-5-MINUTE-LAST-EXTERNAL"


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def test_options_reach_the_simulation_and_the_answer_is_one_json_object(capsys):
    words = ["--instrument", PERP, "--interval", "5m", "--days", "3", "--seed", "7"]
    words += ["--alpha", "reversion", "--alpha-strength", "0.1", "--alpha-halflife", "20"]
    words += ["--volatility", "0.9", "--start", "2023-05-01", "--catalog", "cat"]
    assert main(["data", "simulate", *words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["simulated"] is True
    assert answer["settings"]["seed"] == 7
    (series,) = answer["series"]
    assert series["bar_type"] == PERP_5M
    assert series["rows_added"] == 864
    assert series["funding_settlements"] == 9
    assert series["first"] == "2023-05-01T00:05:00Z"

    store = BarStore(Path("cat"))
    assert store.series(PERP_5M).simulated
    spec = SimulationSettings(
        instruments=(PERP,),
        interval="5m",
        days=3,
        seed=7,
        alpha="reversion",
        alpha_strength=0.1,
        alpha_halflife_bars=20,
        volatility_annual_frac=0.9,
        start="2023-05-01",
    )
    assert store.read(PERP_5M).close.tolist() == simulate(spec)[PERP].close.tolist()


@pytest.mark.parametrize("width", ["80", "120"])
def test_people_read_what_was_made_and_that_it_is_simulated(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    words = ["data", "simulate", "--days", "2", "--instrument", PERP, "--alpha", "momentum"]
    assert main(words) == 0
    out, _ = capsys.readouterr()
    assert max(len(line) for line in out.splitlines()) <= int(width)
    flat = " ".join(out.split())
    assert "2,880 simulated bars added to data" in flat
    assert "nothing about a real market" in flat
    assert "Planted alpha: momentum, correlation 0.05" in flat


def test_same_command_twice_changes_nothing_another_seed_needs_replace(capsys):
    words = ["data", "simulate", "--days", "1", "--json"]
    assert main(words) == 0
    assert main(words) == 0
    first, again = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["series"][0]["rows_added"] == 1440
    assert again["series"][0]["rows_added"] == 0
    assert main([*words, "--seed", "2"]) == 4
    assert main([*words, "--seed", "2", "--replace"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--instrument", "BTCUSD.BINANCE"], 3, "did you mean 'BTCUSDT.BINANCE'"),
        (["--alpha-strength", "0.7"], 3, "simulation: alpha_strength: was 0.7"),
        (["--days", "0"], 3, "simulation: days: was 0"),
        (["--volatility", "nan"], 3, "must be a finite number"),
        (["--interval", "7m"], 3, "7m"),
        (["--start", "soon"], 3, "'soon' is not a time"),
        (["--alpha", "gamma"], 2, "'gamma' is not one of"),
        (["--days", "many"], 2, "'many' is not a valid integer"),
    ],
)
def test_impossible_simulation_is_refused_and_nothing_is_stored(words, code, said, capsys):
    assert main(["data", "simulate", *words]) == code
    assert said in capsys.readouterr().err
    assert not Path("data").exists()


def test_config_describes_an_instrument_that_the_package_lacks(capsys):
    Path("desk.toml").write_text(
        '[[instruments]]\nid = "ODD.VENUE"\nkind = "spot"\nbase = "ODD"\nquote = "USDT"\n'
        'tick_size = "0.5"\nlot_size = "1"\n'
    )
    words = ["--instrument", "ODD.VENUE", "--config", "desk.toml", "--days", "1"]
    assert main(["data", "simulate", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["series"][0]["rows_added"] == 1440
