"""What all tests share: where recorded market data are, and the visible skip where they are not.

Some tests have threads, and the engine's objects that others left may be let go on the main thread
alone (see `aitb_nautilus.run.interpreter`); so garbage is looked for there, after each module.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.redis_lab import ABSENT, RedisServer

CHECKOUT = Path(__file__).resolve().parent.parent
# Before any test imports ONNX Runtime by itself: it would keep an id of the machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# How long an example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")
gc.disable()
NO_DATA = "no recorded market data: neither ../shared/market nor AITB_MARKET_DATA is there"


def find_market_dir() -> Path | None:
    """Return the folder of recorded market data, or None where there is none.

    A variable that names no folder is a mistake, not an absence, and stops the tests.
    """
    named = os.environ.get("AITB_MARKET_DATA")
    if named:
        if not Path(named).is_dir():
            raise pytest.UsageError(f"AITB_MARKET_DATA: {named} is not a folder")
        return Path(named).resolve()
    beside = CHECKOUT.parent / "shared" / "market"
    return beside if beside.is_dir() else None


@pytest.fixture(scope="session")
def market_dir() -> Path:
    """Return the folder of recorded market data; a test that asks for it needs no other mark."""
    found = find_market_dir()
    if found is None:
        pytest.skip(NO_DATA)
    return found


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Give a Redis of the test's own while it runs."""
    if shutil.which("redis-server") is None:
        pytest.skip(ABSENT)
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture(scope="module", autouse=True)
def _garbage_of_a_module() -> Iterator[None]:
    yield
    gc.collect(1)
    if not gc.get_freeze_count():  # a node on this process's own thread has ended
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs data that are absent, and begin with the files whose tests take long.

    Tests of nodes wait for what happens elsewhere: begun last, one worker would wait alone while
    the others have nothing left to do.
    """
    absent = find_market_dir() is None
    for item in items:
        if "market_dir" in getattr(item, "fixturenames", ()):
            item.add_marker("realdata")
        if absent and item.get_closest_marker("realdata"):
            item.add_marker(pytest.mark.skip(reason=NO_DATA))
    first = {item.path for item in items if item.get_closest_marker("slow") or _has_nodes(item)}
    items.sort(key=lambda item: item.path not in first)


def pytest_collection_finish() -> None:
    """Look no more for garbage among what the tests themselves are: a million objects that stay.

    It took half a second, and every lab of a node begins with a look.
    """
    gc.freeze()


def _has_nodes(item: pytest.Item) -> bool:
    """Whether the file of a test imports what starts a node in a process of its own."""
    module = vars(item.module) if isinstance(item, pytest.Function) else {}
    return "NodeLab" in module or "Node" in module
