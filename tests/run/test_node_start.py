"""What a node waits for before it can protect anything: the start of its process."""

from __future__ import annotations

import subprocess
import sys

NOT_NEEDED = {
    "aiohttp": "serves a rehearsal",
    "aitb_nautilus.rehearsal": "serves a rehearsal",
    "ccxt": "downloads",
    "duckdb": "answers queries",
    "lightgbm": "trains",
    "onnx": "exports models",
    "pandas": "is for the engine's reports",
    "plotly": "draws",
    "sklearn": "trains",
}


def test_live_verb_imports_nothing_that_no_node_needs() -> None:
    code = "import sys, aitb_nautilus.cli.live; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "aitb_nautilus.run.node" in loaded
    found = {name: NOT_NEEDED[name] for name in NOT_NEEDED.keys() & loaded}
    assert not found, found
