"""A node that is killed at any moment loses no halt that was acknowledged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from tests.risk.kill_states import Tally

ROOT = Path(__file__).parents[2]


def test_kills_at_random_moments_lose_no_halt_that_was_told() -> None:
    # In a process of its own: it forks, which one with threads must not.
    words = [sys.executable, "-m", "tests.risk.kill_states", "30", "7"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    tally = msgspec.json.decode(done.stdout, type=Tally)
    assert tally.kills == 30
    assert tally.told > 30
    assert (tally.lost, tally.invented) == (0, 0)
