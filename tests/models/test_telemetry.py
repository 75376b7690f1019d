"""A desk tells nobody what it runs: ONNX Runtime's reports to its maker are off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
VARIABLE = "ORT_DISABLE_TELEMETRY"


def import_runtime(home: Path, **variables: str) -> str:
    """Import the runtime in a new process with a home of its own; return the variable there."""
    inherited = {k: v for k, v in os.environ.items() if k != VARIABLE and not k.startswith("XDG_")}
    lines = f"import os, aitb_nautilus.models.runtime; print(os.environ[{VARIABLE!r}])"
    done = subprocess.run(
        [sys.executable, "-c", lines],
        env=inherited | {"HOME": str(home), "PYTHONPATH": str(CHECKOUT)} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_runtime_keeps_and_reports_nothing(tmp_path: Path) -> None:
    assert import_runtime(tmp_path) == "1"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_runtime_leaves_a_choice_of_the_user(tmp_path: Path) -> None:
    assert import_runtime(tmp_path, **{VARIABLE: "true"}) == "true"
