from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_publisher_killed_at_any_moment_leaves_the_old_version_loading():
    words = [sys.executable, "-m", "tests.models.kill_publish", "20"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    # Lock, history, folder, three files with an fsync each, rename, and the folders' fsyncs.
    assert counted["steps"] >= 12
    assert counted["random_kills"] == 20
    assert counted["leftovers"] > 3, "no kill met the moment that matters"
