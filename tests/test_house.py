"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from aitb_nautilus import __version__

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("aitb_nautilus", "actors", "strategies", "catalog")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST = 400  # the aim is 60 to 300; a little more where splitting would tear one idea apart
IDS = [str(path.relative_to(ROOT)) for path in MODULES]


def texts() -> Iterator[tuple[str, str]]:
    """Yield name and text of every file that is in git, or would be."""
    if not (ROOT / ".git").exists():
        pytest.skip("this folder is not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file():
            yield name, path.read_bytes().decode("utf-8", errors="replace")


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level name of everything that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_docker_folder_does_not_shadow_the_docker_sdk() -> None:
    assert not (ROOT / "docker" / "__init__.py").exists()


FORBIDDEN = {
    "a4aa2ac280bb8d1a",
    "2960ad205cb64ff3",
    "e1ea64fffcf3b3cf",
    "08d54e49cb09e297",
    "216d3696f4fb08b1",
    "869ef9d66837b22b",
}
"""The first 16 digits of the sha256 of indexes' hosts and of machines' folders: what must not be
named is not named here either."""


def words(text: str) -> set[str]:
    """Return words, pairs of words joined by a dot, and folders, as they would name a place."""
    pairs = re.findall(r"(?=\b(\w+\.\w+)\b)", text)
    return {*re.findall(r"\w+", text), *pairs, *re.findall(r"(?=(/\w+/\.?))", text)} | {
        folder.rstrip(".") for folder in re.findall(r"(?=(/\w+/\.))", text)
    }


def test_no_file_names_an_index_or_a_path_of_one_machine() -> None:
    named = {word: name for name, text in texts() for word in words(text)}
    short = {hashlib.sha256(word.encode()).hexdigest()[:16]: word for word in named}
    found = [f"{named[word]}: {word}" for key, word in short.items() if key in FORBIDDEN]
    assert found == []


def test_words_find_a_host_and_a_folder_wherever_they_stand() -> None:
    assert {"b.example", "example"} <= words("see https://a.b.example/simple")
    assert {"/home/", "/home/.", "/me/"} <= words("x=/home/.cache and y/home/me/z")


def test_lock_file_has_a_hash_for_every_package_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not re.search(r"^\s*-(-index|i |-find-links|f |-extra)", lock, re.MULTILINE)
    packages = re.findall(
        r"^([a-z0-9][a-z0-9._-]*)==.*\\\n((?:    --hash=sha256:.*\n)*)", lock, re.M
    )
    assert len(packages) == len(re.findall(r"^[a-z0-9]", lock, re.MULTILINE)) > 20
    assert [name for name, hashes in packages if not hashes] == []


def test_lock_file_holds_every_package_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    named += project["build-system"]["requires"]
    wanted = {re.split(r"[=><~! \[]", name)[0].replace("_", "-").lower() for name in named}
    locked = set(
        re.findall(r"^([a-z0-9][a-z0-9.-]*)==", (ROOT / "requirements.lock").read_text(), re.M)
    )
    assert wanted - locked == set()


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    asked = (ROOT / ".python-version").read_text().strip()
    assert project["requires-python"].startswith(f">={asked},")


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_module_imports_at_its_top_and_never_pickle(path: Path) -> None:
    tree = ast.parse(path.read_text())
    inside = [
        node.lineno
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inside == [], "an import inside a function: something sits on the wrong floor"
    assert {"pickle", "joblib", "cloudpickle", "dill"}.isdisjoint(imported(tree))


IMPORTED_AS = {"scikit_learn": "sklearn", "ta_lib": "talib"}


def declared(requirements: list[str]) -> set[str]:
    """Return the names under which required packages are imported."""
    names = {re.split(r"[=><~!]", name)[0].replace("-", "_") for name in requirements}
    return {IMPORTED_AS.get(name, name) for name in names}


def foreign(paths: list[Path]) -> set[str]:
    """Return what files import that is neither ours nor Python's."""
    used = {name for path in paths for name in imported(ast.parse(path.read_text()))}
    return used - sys.stdlib_module_names - {*PACKAGES, "tests", "benchmarks"}


def test_packages_that_are_declared_are_those_that_are_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    core = declared(project["project"]["dependencies"])
    train = declared(project["project"]["optional-dependencies"]["train"])
    training = [p for p in MODULES if "training" in p.parts]
    assert foreign([p for p in MODULES if p not in training]) == core
    assert foreign(training) - core == train
    around = [p for f in ("tests", "benchmarks", "examples") for p in (ROOT / f).rglob("*.py")]
    assert foreign(around) - core - train <= declared(project["dependency-groups"]["dev"])


def test_no_module_is_longer_than_can_be_read_in_one_go() -> None:
    lengths = [len(path.read_text().splitlines()) for path in MODULES]
    assert [name for name, n in zip(IDS, lengths, strict=True) if n > LONGEST] == []


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert [name for name, path in zip(IDS, MODULES, strict=True) if path.stem in drawers] == []
