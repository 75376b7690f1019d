"""A node that is killed while it writes loses no decision that it acted on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.risk.kill_journal import Tally

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("on_disk", ["before", "soon"])
def test_kills_at_random_moments_lose_nothing_that_was_acted_on(on_disk: str) -> None:
    # In a process of its own: it forks, which one with threads must not.
    words = [sys.executable, "-m", "tests.risk.kill_journal", "15", "7", on_disk]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    tally = msgspec.json.decode(done.stdout, type=Tally)
    assert tally.kills == 15
    assert tally.told > 0
    assert (tally.lost, tally.broken, tally.unnamed) == (0, 0, 0)
