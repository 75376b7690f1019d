"""What the tests of `aitb_nautilus.run` share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.desk_lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Return an empty catalog and what is needed to run a desk on it."""
    path, modules = list(sys.path), set(sys.modules)
    yield Lab(tmp_path)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("lab_"):
            del sys.modules[name]
