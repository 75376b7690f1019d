"""What the README tells a newcomer to type works as it stands there."""

from __future__ import annotations

import glob
import json
import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from aitb_nautilus import backtest, train
from aitb_nautilus.cli import VERBS, main
from catalog.simulate import SimulationSettings, simulate_into
from catalog.store import BarStore

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/features.md",
    "docs/training.md",
    "docs/models.md",
    "docs/predictions.md",
    "docs/redis.md",
    "docs/decisions/README.md",
]


def blocks(language: str, page: str = "README.md") -> list[str]:
    """Return a page's code blocks in a language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    return [block for name, block in fenced if name == language]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the README's config, in a folder with simulated bars of its period."""
    monkeypatch.chdir(tmp_path)
    config = tomllib.loads(blocks("toml")[0])
    spec = SimulationSettings(interval="1h", start=config["backtest"]["start"], days=40, seed=7)
    simulate_into(BarStore(Path(config["catalog"]["path"])), spec)
    return config


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with simulated bars from before 2023 until after it began."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "keys"))
    spec = SimulationSettings(interval="1h", start="2022-09-01", days=160, seed=7)
    simulate_into(BarStore(Path("data")), spec)


def commands(page: str, name: str) -> list[list[str]]:
    """Return the words of the commands in a page's one block that trains a config."""
    (block,) = [block for block in blocks("", page) if f"aitb train {name}" in block]
    return [line.split()[1:] for line in block.splitlines()]


def newest_run() -> dict[str, Any]:
    run: dict[str, Any] = json.loads((max(Path("runs").iterdir()) / "run.json").read_text())
    return run


def test_data_commands_of_the_readme_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    january = 1_672_531_200_000
    rows = [f"{january + h * 3_600_000},100,101,99,100.5,12" for h in range(48)]
    with zipfile.ZipFile("BTCUSDT-1h-2023-01.zip", "w") as archive:
        archive.writestr("BTCUSDT-1h-2023-01.csv", "\n".join(kline(row) for row in rows))
    Path("my_bars.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    commands = next(block for block in blocks("") if "aitb data import" in block)
    for line in commands.splitlines():
        words = [hit for word in line.split()[1:] for hit in sorted(glob.glob(word)) or [word]]
        assert main(words) == 0, line
    listed = capsys.readouterr().out
    assert "BTCUSDT.BINANCE" in listed
    assert "ETHUSDT.BINANCE" in listed


def kline(row: str) -> str:
    """Return a row as Binance's kline files have it: twelve columns, no header."""
    close_time = int(row.partition(",")[0]) + 3_599_999
    return f"{row},{close_time},1200,10,6,600,0"


def test_config_of_the_readme_runs_as_it_stands(desk: dict[str, Any]) -> None:
    Path("my_desk.toml").write_text(blocks("toml")[0])
    run = backtest("my_desk.toml")
    assert run.status == "complete"
    assert run.simulated
    assert run.fills > 0


def test_strategy_of_the_readme_runs_beside_its_config(desk: dict[str, Any]) -> None:
    Path("breakout.py").write_text(blocks("python")[0])
    desk["strategies"] = tomllib.loads(blocks("toml")[1])["strategies"]
    Path("breakout.toml").write_text(tomli_w.dumps(desk))
    run = backtest("breakout.toml")
    assert run.status == "complete"
    assert run.fills > 0


@pytest.mark.usefixtures("history")
def test_desks_of_the_page_on_predictions_run() -> None:
    page = "docs/predictions.md"
    single, ensemble, stream = (tomllib.loads(block) for block in blocks("toml", page))
    Path("btc.toml").write_text(tomli_w.dumps(single))
    assert commands("README.md", "btc.toml") == commands(page, "btc.toml")
    for words in commands(page, "btc.toml"):
        assert main(words) == 0, words
    assert [model["id"] for model in newest_run()["models"]] == ["btc_up"]

    linear = single["model"] | {"id": "btc_linear", "algorithm": {"kind": "logistic"}}
    Path("linear.toml").write_text(tomli_w.dumps(single | {"model": linear}))
    report = train("linear.toml")
    assert (report.model.id, report.model.version) == ("btc_linear", 1)
    assert main(["models", "promote", "btc_linear@1", "production"]) == 0
    strategy = single["strategies"][0]
    listener = strategy | {"params": strategy["params"] | {"model": "btc"}}
    Path("ensemble.toml").write_text(tomli_w.dumps(single | ensemble | {"strategies": [listener]}))
    run = backtest("ensemble.toml")
    assert [model.id for model in run.models] == ["btc_up", "btc_linear", "btc"]
    assert run.models[2].members == ["btc_up", "btc_linear"]

    scheduled = linear | {"id": "btc_up"} | stream["model"]
    Path("again.toml").write_text(tomli_w.dumps(single | {"model": scheduled}))
    assert main(["train", "again.toml", "--walk-forward"]) == 0
    desk = single | {"actors": stream["actors"], "backtest": {"start": "2022-12-10"}}
    Path("stream.toml").write_text(tomli_w.dumps(desk))
    (model,) = backtest("stream.toml").models
    assert (model.id, model.sample) == ("btc_up", "walk-forward")
    assert model.figures is not None
    assert model.figures.rows > 100


def test_launcher_of_the_readme_runs(
    desk: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my_desk.toml").write_text(blocks("toml")[0])
    exec(compile(blocks("python")[1], "README.md", "exec"), {})
    value, folder = capsys.readouterr().out.split()
    assert float(value) != 0
    assert Path(folder, "report.html").is_file()


def test_every_command_of_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets, page
        assert set(re.findall(r"(?:^|`)aitb ([a-z][a-z-]+)", text, re.MULTILINE)) <= set(VERBS), (
            page
        )


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / page).read_text()):
            assert (ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}"
