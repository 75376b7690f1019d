"""The script that makes `.venv`: which Python it takes, and what it installs."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bootstrap() -> ModuleType:
    """Return tools/bootstrap.py as a module; it is a script and in no package."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "tools" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(path: Path, script: str) -> str:
    """Write an executable shell script and return its path."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_python_that_runs_the_tests_fits(bootstrap: ModuleType) -> None:
    assert bootstrap.probe(sys.executable) == sys.version_info[:3]


@pytest.mark.parametrize(
    "script",
    [
        "echo 'pyenv: version `3.13` is not installed' >&2; exit 127",  # a shim without its Python
        "echo 3 12 1",  # an older Python behind a newer name
        "echo 3 15 0",
        "",  # a release candidate or a free-threaded build: the probe prints nothing
    ],
)
def test_python_that_fails_or_is_another_version_is_refused(
    bootstrap: ModuleType, tmp_path: Path, script: str
) -> None:
    assert bootstrap.probe(program(tmp_path / "python3.13", script)) is None


def test_python_that_is_no_program_is_refused(bootstrap: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "python3.13").write_bytes(b"\x00\x01")
    (tmp_path / "python3.13").chmod(0o755)
    assert bootstrap.probe(str(tmp_path / "python3.13")) is None
    assert bootstrap.probe(str(tmp_path / "absent")) is None


def test_candidates_are_searched_on_the_path_then_in_pyenv_and_uv(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [
        "path/python3.13",
        "pyenv/versions/3.13.7/bin/python3.13",
        "uv/cpython-3.13.7-linux/bin/python3.13",
        "path/python3.14",
        "path/python3",
    ]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        program(tmp_path / place, "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    found = [c for c in bootstrap.candidates() if c.startswith(str(tmp_path))]
    assert found == [str(tmp_path / place) for place in places]


def test_its_own_environment_is_no_candidate(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    inside = program(tmp_path / "bin" / "python3.13", "exit 0")
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert inside not in list(bootstrap.candidates())


def test_uv_of_the_lock_file_is_pinned_with_its_hashes(bootstrap: ModuleType) -> None:
    lines = bootstrap.block_of("uv").splitlines()
    assert re.fullmatch(r"uv==\d+\.\d+\.\d+ \\", lines[0])
    assert len(lines) > 2
    assert all(line.startswith("    --hash=sha256:") for line in lines[1:])
    assert not lines[-1].endswith("\\")


@pytest.mark.parametrize(
    ("answer", "fits"), [("uv 0.13.9 (x)", True), ("uv 0.7.22", False), ("other 9.9", False)]
)
def test_uv_that_is_too_old_is_passed_over(
    bootstrap: ModuleType, tmp_path: Path, answer: str, fits: bool
) -> None:
    assert bootstrap.new_enough(program(tmp_path / "uv", f"echo '{answer}'")) is fits
