"""``aitb quickstart`` as a newcomer runs it, and runs it again."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.models.registry import Registry

CHECKOUT = Path(__file__).resolve().parents[2]
HOME = Path("try/it")
WITHOUT_SKLEARN = """
import sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())

from aitb_nautilus.cli import main

sys.exit(main(["quickstart"]))
"""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class Quickstarted(NamedTuple):
    """A folder in which it ran twice, the second time with a config that a user had changed."""

    folder: Path
    first: Answer
    written: str
    edited: str
    again: Answer


def aitb(folder: Path, *words: str) -> Answer:
    """Run a command line in a folder, in this process, on a screen of 80 columns."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(folder),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patch.setenv("AITB_HOME", str(folder.parent / f"{folder.name}-keys"))
        patch.setenv("COLUMNS", "80")
        code = main(words)
    return Answer(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def quickstarted(tmp_path_factory: pytest.TempPathFactory) -> Quickstarted:
    folder = tmp_path_factory.mktemp("newcomer")
    first = aitb(folder, "quickstart", "--folder", str(HOME))
    config = folder / HOME / "quickstart.toml"
    written = config.read_text()
    edited = written.replace('start = "2024-09-01"', 'start = "2024-12-01"')
    assert edited != written
    config.write_text(edited)
    again = aitb(folder, "quickstart", "--folder", str(HOME), "--json")
    return Quickstarted(folder, first, written, edited, again)


def test_quickstart_tells_five_steps_and_what_to_try_next(quickstarted: Quickstarted) -> None:
    code, out, err = quickstarted.first
    assert code == 0, err
    steps = [line.split()[:2] for line in err.splitlines() if "/5" in line]
    assert steps == [
        ["1/5", "config"],
        ["2/5", "simulated"],
        ["3/5", "trained"],
        ["4/5", "promoted"],
        ["5/5", "back-test"],
    ]
    assert max(map(len, err.splitlines())) <= 80
    assert "better than what needs no model" in err
    assert "momentum@production is version 1" in err
    assert "simulated data" in out
    assert "momentum@1, out of sample" in out
    assert "What to try next" in out
    assert "aitb models show momentum --models try/it/models" in out
    assert "aitb quickstart --folder try/it" in out


def test_quickstart_keeps_everything_in_its_folder(quickstarted: Quickstarted) -> None:
    assert {p.name for p in quickstarted.folder.iterdir()} == {"try"}
    made = {p.name for p in (quickstarted.folder / HOME).iterdir()}
    assert made == {"quickstart.toml", "data", "models", "runs"}
    assert '"quickstart/' not in quickstarted.written


def test_quickstart_again_keeps_bars_config_and_model_and_adds_a_run(
    quickstarted: Quickstarted,
) -> None:
    folder = quickstarted.folder / HOME
    assert quickstarted.again.code == 0, quickstarted.again.err
    assert (folder / "quickstart.toml").read_text() == quickstarted.edited
    assert "stays as it is" in quickstarted.again.err
    assert "momentum@1 as before" in quickstarted.again.err
    assert "momentum@production is version 1 already" in quickstarted.again.err
    assert Registry(folder / "models").versions("momentum") == [1]
    assert len(list((folder / "runs").iterdir())) == 2


def test_quickstart_json_names_model_and_predictions(quickstarted: Quickstarted) -> None:
    run = json.loads(quickstarted.again.out)
    assert run["status"] == "complete"
    assert run["simulated"]
    assert run["run_dir"].startswith("try/it/runs/")
    (model,) = run["models"]
    assert (model["id"], model["version"], model["alias"]) == ("momentum", "1", "production")
    assert (model["sample"], model["simulated"]) == ("out", True)
    assert run["predictions"] == model["figures"]["rows"] > 10_000
    assert model["figures"]["log_loss"] < model["figures"]["log_loss_prior"]
    assert run["fills"] > 100


def test_quickstart_without_the_training_packages_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SKLEARN],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'aitb-nautilus[train]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
