"""Make `.venv` with what `requirements.lock` says, or do nothing if it stands already.

Needs only a Python of 3.11 or newer and its standard library, since nothing is installed yet. uv,
itself pinned in the lock file, does the work, quicker than pip would. It builds on a
Python that the project runs on; where there is none, uv fetches one. Packages come from the index
that the machine is set up for, and each file must have a hash that the lock file lists.
"""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
TOOLS = ROOT / ".venv-tools"
STAMP = VENV / ".installed"
WANTED = ((3, 13), (3, 14))  # the first is fetched; `.python-version` and pyproject.toml agree
OLDEST_UV = (0, 8)  # knows `uv venv --clear`

OFFLINE = (
    "installing failed; the installer's own words are above. If it could not reach the package "
    "index, see to the network, to a proxy (HTTPS_PROXY) or to a mirror in the configuration of "
    "pip or uv, and run make again"
)

# What a candidate says of itself. A pyenv shim named python3.13 may exist and fail, or be another
# Python; one built without a header lacks a module; for a free-threaded one there are few wheels.
PROBE = """
import ctypes, sqlite3, ssl, sys, sysconfig, zlib
final = sys.version_info.releaselevel == "final" and sys.implementation.name == "cpython"
if final and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print(*sys.version_info[:3])
"""


def main() -> None:
    """Bring `.venv` up to date."""
    python = VENV / "bin" / "python"
    wanted = stamp()
    found = STAMP.read_text().splitlines() if STAMP.exists() and python.exists() else []
    if found == wanted:
        return
    start = time.monotonic()
    STAMP.unlink(missing_ok=True)
    # Scripts in a .venv name its place: one that was moved, or not finished, is made anew.
    uv = find_uv()
    if found[:1] != wanted[:1] or not probe(str(python)):
        make_venv(uv)
    install(uv, python)
    STAMP.write_text("\n".join(wanted) + "\n")
    say(f"ready in {time.monotonic() - start:.0f} s: {VENV.name}")


def stamp() -> list[str]:
    """Return what the installation depends on: its place, and the files that say what is in it."""
    digest = hashlib.sha256()
    for path in (LOCK, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return [str(ROOT), digest.hexdigest()]


def make_venv(uv: str) -> None:
    """Make an empty `.venv` on the first Python that fits."""
    venv = [uv, "venv", "--quiet", "--clear", "--no-project", str(VENV), "--python"]
    for python in candidates():
        if version := probe(python):
            say(f"Python {dotted(version)} found: {python}")
            call([*venv, python], "making .venv failed")
            return
    fetched = dotted(WANTED[0])
    say(f"no Python {' or '.join(map(dotted, WANTED))} here; uv fetches {fetched}")
    call(
        [*venv, fetched, "--managed-python"],
        f"uv could not fetch Python {fetched}; its own words are above. Install it yourself "
        f"(Debian, Ubuntu: apt install python{fetched}; macOS: brew install python@{fetched}; "
        f"anywhere: pyenv install {fetched}) and run make again",
    )


def candidates() -> Iterator[str]:
    """Yield every place where a Python may be, each once."""
    home = Path.home()
    pyenv = os.environ.get("PYENV_ROOT") or home / ".pyenv"
    data = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
    uv = os.environ.get("UV_PYTHON_INSTALL_DIR") or Path(data, "uv", "python")
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if f]
    folders += ["/usr/local/bin", "/opt/homebrew/bin", "/usr/bin", str(home / ".local" / "bin")]
    places = [sys.executable]
    for version in map(dotted, WANTED):
        places += [os.path.join(folder, f"python{version}") for folder in folders]
        places += glob.glob(f"{pyenv}/versions/{version}*/bin/python{version}")
        places += glob.glob(f"{uv}/cpython-{version}*/bin/python{version}")
    places += [os.path.join(folder, "python3") for folder in folders]
    for place in dict.fromkeys(places):
        # A virtual environment of ours is not a base to build on.
        if os.access(place, os.X_OK) and not Path(place).is_relative_to(VENV):
            yield place


def probe(python: str) -> tuple[int, ...] | None:
    """Return the version of a Python, or None if it does not run or does not fit."""
    try:
        done = subprocess.run(
            [python, "-c", PROBE], env=clean(), capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()
    return version if version[:2] in WANTED else None


def find_uv() -> str:
    """Return uv: the user's own, or the one that the lock file pins, put beside `.venv`."""
    home = Path.home()
    ours = TOOLS / "bin" / "uv"
    for place in (ours, shutil.which("uv"), home / ".local/bin/uv", home / ".cargo/bin/uv"):
        if place and new_enough(str(place)):
            return str(place)
    say("installing uv into .venv-tools")
    where = []
    if runs(sys.executable, "-m", "venv", "--clear", str(TOOLS)):
        pip = TOOLS / "bin" / "python"
    elif has_pip(Path(sys.executable)):
        pip = Path(sys.executable)
        where = ["--upgrade", "--target", str(TOOLS)]
        TOOLS.mkdir(exist_ok=True)
    else:
        fail(
            f"{sys.executable} has neither venv nor pip, so nothing can be installed. Install one "
            "of them (Debian, Ubuntu: apt install python3-venv), or uv, and run make again"
        )
    pinned = TOOLS / "uv.lock"
    pinned.write_text(block_of("uv"))
    hashed = ["--require-hashes", "--no-deps", "-r", str(pinned)]
    call([str(pip), "-m", "pip", "install", "-qq", *where, *hashed], OFFLINE)
    return str(ours)


def new_enough(uv: str) -> bool:
    """Return whether this is a uv that runs and knows what is asked of it."""
    try:
        done = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    match = re.match(r"uv (\d+)\.(\d+)", done.stdout)
    return bool(match) and tuple(map(int, match.groups())) >= OLDEST_UV


def block_of(package: str) -> str:
    """Return the lines of one package in the lock file: its version and its hashes."""
    lines = LOCK.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{package}=="))
    end = start + 1
    while end < len(lines) and lines[end].startswith("    --hash"):
        end += 1
    return "\n".join(lines[start:end]) + "\n"


def install(uv: str, python: Path) -> None:
    """Install what the lock file lists, then the project itself as an editable package."""
    say("installing what requirements.lock lists")
    hashed = ["--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)]
    by_uv = [uv, "pip", "install", "--quiet", "--python", str(python)]
    # Compiled now, as pip does: where Python may write no bytecode, as in many containers, each
    # start of a node would compile everything anew, which takes longer than all else.
    if not succeeds([*by_uv, "--compile-bytecode", *hashed]):
        # uv does not read pip's configuration, which may know a mirror or a proxy.
        say("uv did not manage; trying pip, which may be set up for your network")
        pips = [p for p in (TOOLS / "bin" / "python", Path(sys.executable)) if has_pip(p)]
        if not pips:
            fail(OFFLINE)
        by_pip = [str(pips[0]), "-m", "pip", "--python", str(python), "install", "-qq"]
        call([*by_pip, *hashed], OFFLINE)
    # The build backend is in the lock file: no second, unhashed set of packages is fetched.
    call(
        [*by_uv, "--no-deps", "--no-index", "--no-build-isolation", "--editable", str(ROOT)],
        "installing the project itself failed",
    )


def has_pip(python: Path) -> bool:
    """Return whether a Python has pip."""
    return python.exists() and runs(str(python), "-m", "pip", "--version")


def clean() -> dict[str, str]:
    """Return the environment without what would lead another Python, or pip, astray."""
    astray = {"PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV"}
    astray |= {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"}
    # As pip does: trust what the machine trusts, for those behind a proxy with its own authority.
    system = {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}
    return system | {key: value for key, value in os.environ.items() if key not in astray}


def runs(*command: str) -> bool:
    """Return whether a command ends well."""
    done = subprocess.run(command, env=clean(), capture_output=True, check=False)
    return done.returncode == 0


def succeeds(command: list[str]) -> bool:
    """Run a command that speaks to the user itself, and return whether it ended well."""
    return subprocess.run(command, env=clean(), check=False).returncode == 0


def call(command: list[str], trouble: str) -> None:
    """Run a command, or leave with one paragraph."""
    if not succeeds(command):
        fail(trouble)


def fail(paragraph: str) -> NoReturn:
    """Leave with one paragraph on stderr."""
    sys.exit(f"bootstrap: {paragraph}.")


def say(line: str) -> None:
    """Tell the user what happens, on stderr."""
    print(f"bootstrap: {line}", file=sys.stderr, flush=True)


def dotted(version: tuple[int, ...]) -> str:
    """Return (3, 13) as "3.13"."""
    return ".".join(map(str, version))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        fail("interrupted; run make again to go on")
