"""What all tests share: where recorded market data are, and the visible skip where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
# Before any test imports ONNX Runtime by itself: it would keep an id of the machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses recorded data, and skip it, saying why, where there are none."""
    absent = find_market_dir() is None
    for item in items:
        if "market_dir" in getattr(item, "fixturenames", ()):
            item.add_marker("realdata")
        if absent and item.get_closest_marker("realdata"):
            item.add_marker(pytest.mark.skip(reason=NO_DATA))
