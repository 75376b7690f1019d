"""What the README tells a newcomer to type works as it stands there."""

from __future__ import annotations

import glob
import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from aitb_nautilus.cli import VERBS, main
from aitb_nautilus.run.backtest import backtest
from catalog.simulate import SimulationSettings, simulate_into
from catalog.store import BarStore

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/decisions/README.md"]


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the README's config, in a folder with simulated bars of its period."""
    monkeypatch.chdir(tmp_path)
    config = tomllib.loads(blocks("toml")[0])
    spec = SimulationSettings(interval="1h", start=config["backtest"]["start"], days=40, seed=7)
    simulate_into(BarStore(Path(config["catalog"]["path"])), spec)
    return config


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
