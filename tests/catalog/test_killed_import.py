"""A kill, Ctrl-C or a full disk in the middle of an import loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.market.instruments import find_instrument
from catalog.store import BarStore
from tests.bar_samples import kline_zip, same_bars, walk

type Running = subprocess.Popen[str]

ROOT = Path(__file__).parents[2]
QUARTER = Interval("15m")
BTC = find_instrument("BTCUSDT.BINANCE")
BAR_TYPE = QUARTER.bar_type(BTC.id)


@pytest.fixture(scope="module")
def bars() -> BarFrame:
    """Return five months of bars."""
    return walk(150 * 96, every="15m")


@pytest.fixture(scope="module")
def files(bars: BarFrame, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the bars in five files that do not end with their months."""
    folder = tmp_path_factory.mktemp("files")
    return [
        kline_zip(folder, f"BTCUSDT-15m-2023-{i + 1:02}", bars.take(slice(a, b)), "15m")
        for i, (a, b) in enumerate(pairwise(range(0, 151 * 96, 30 * 96)))
    ]


def start(files: list[Path], catalog: Path, *before: str) -> Running:
    """Start an import in a process of its own."""
    words = [sys.executable, "-m", "aitb_nautilus", "data", "import", *map(str, files)]
    return launch([*before, *words, "--catalog", str(catalog)])


def launch(words: list[str]) -> Running:
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def finish(running: Running) -> str:
    """Wait for the end and return what was said on stderr."""
    return running.communicate(timeout=60)[1]


@contextmanager
def stuck_on_a_pipe(files: list[Path], catalog: Path) -> Iterator[Running]:
    """Start an import whose last file never comes: a pipe that somebody opened and left silent."""
    pipe = catalog.parent / "BTCUSDT-15m-2023-12.csv"
    os.mkfifo(pipe)
    running = start([*files, pipe], catalog)
    writer = os.open(pipe, os.O_WRONLY)  # returns as soon as the import opens the other end
    try:
        yield running
    finally:
        os.close(writer)


# Stops inside the writing: after two months are staged, or after two are renamed into place.
STOPPED = """
import os, sys
from pathlib import Path
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import find_instrument
from catalog.staging import Staging
from catalog.store import BarStore
from tests.bar_samples import walk

calls = 0

def stop_after_two(real):
    def wrapped(*words, **options):
        global calls
        real(*words, **options)
        calls += 1
        if calls == 2:
            print("here", flush=True)
            sys.stdin.readline()
    return wrapped

if sys.argv[2] == "staging":
    Staging.stage = stop_after_two(Staging.stage)
else:
    os.replace = stop_after_two(os.replace)
btc, quarter = find_instrument("BTCUSDT.BINANCE"), Interval("15m")
BarStore(Path(sys.argv[1])).write(btc, quarter, walk(150 * 96, every="15m"), source="test")
"""


def kill_while(moment: str, files: list[Path], catalog: Path) -> None:
    """Kill an import at a moment, and see that it was that moment."""
    if moment == "reading":
        with stuck_on_a_pipe(files, catalog) as running:
            running.kill()
            finish(running)
        return
    running = launch([sys.executable, "-c", STOPPED, str(catalog), moment])
    assert running.stdout is not None
    assert running.stdout.readline() == "here\n", finish(running)
    running.kill()
    finish(running)
    assert unfinished(catalog) == (2 if moment == "staging" else 3)


def unfinished(catalog: Path) -> int:
    return len(list(catalog.rglob("*.unfinished")))


def contents(catalog: Path) -> dict[str, bytes]:
    return {str(p.relative_to(catalog)): p.read_bytes() for p in catalog.rglob("*.parquet")}


@pytest.mark.parametrize(("moment", "there"), [("reading", 0), ("staging", 0), ("renaming", 2)])
def test_kill_leaves_whole_files_and_the_next_import_completes(
    moment: str, there: int, bars: BarFrame, files: list[Path], tmp_path: Path
) -> None:
    catalog = tmp_path / "data"
    kill_while(moment, files, catalog)
    assert len(list(catalog.rglob("*.parquet"))) == there

    store = BarStore(catalog)
    for series in store.list():
        part = store.read(series.bar_type)
        assert len(store.engine_bars(BAR_TYPE)) == len(part) == series.rows
        rows = bars.ts_close.searchsorted(part.ts_close)
        assert same_bars(part, bars.take(rows))

    again = start(files, catalog)
    error = finish(again)
    assert again.returncode == 0, error
    assert same_bars(store.read(BAR_TYPE), bars)
    assert unfinished(catalog) == 0
    undisturbed = BarStore(tmp_path / "undisturbed")
    undisturbed.write(BTC, QUARTER, bars, source="test")
    assert store.data_sha256(BAR_TYPE) == undisturbed.data_sha256(BAR_TYPE)


@pytest.mark.parametrize("moment", ["reading", "staging", "renaming"])
def test_kill_of_an_import_into_a_full_catalog_loses_no_stored_bar(
    moment: str, bars: BarFrame, files: list[Path], tmp_path: Path
) -> None:
    catalog = tmp_path / "data"
    store = BarStore(catalog)
    store.write(BTC, QUARTER, bars.take(slice(0, None, 2)), source="every other bar")
    kill_while(moment, files, catalog)
    kept = store.read(BAR_TYPE)
    assert set(bars.ts_close[::2].tolist()) <= set(kept.ts_close.tolist())
    store.write(BTC, QUARTER, bars, source="all")
    assert same_bars(store.read(BAR_TYPE), bars)
    assert unfinished(catalog) == 0


def test_interrupt_leaves_the_catalog_as_it_was(
    bars: BarFrame, files: list[Path], tmp_path: Path
) -> None:
    catalog = tmp_path / "data"
    BarStore(catalog).write(BTC, QUARTER, bars.take(slice(0, 100)), source="test")
    before = contents(catalog)
    with stuck_on_a_pipe(files, catalog) as running:
        running.send_signal(signal.SIGINT)
        error = finish(running)
    assert running.returncode == 130, error
    assert "interrupted" in error
    assert "Traceback" not in error
    assert contents(catalog) == before
    assert unfinished(catalog) == 0


def test_full_disk_is_one_paragraph_and_leaves_the_catalog_as_it_was(
    bars: BarFrame, files: list[Path], tmp_path: Path
) -> None:
    catalog = tmp_path / "data"
    BarStore(catalog).write(BTC, QUARTER, bars.take(slice(0, 100)), source="test")
    before = contents(catalog)
    no_file_above_30_kb = 'ulimit -f 60 && exec "$@"'
    running = start(files, catalog, "sh", "-c", no_file_above_30_kb, "sh")
    error = finish(running)
    assert running.returncode == 4, error
    assert "cannot be written: file too large, needs more room. Nothing was changed." in error
    assert len(error.strip().splitlines()) == 1
    assert contents(catalog) == before
    assert unfinished(catalog) == 0
