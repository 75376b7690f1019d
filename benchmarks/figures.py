"""Print figures as ``benchmarks/README.md`` says."""

from __future__ import annotations

import json


def figure(name: str, value: float, **rest: object) -> None:
    """Print one figure; `rest` holds unit, better, and perhaps limit and note."""
    print(json.dumps({"figure": name, "value": round(value, 3), **rest}), flush=True)


def skip(name: str, reason: str) -> None:
    """Say that a figure could not be measured."""
    print(json.dumps({"figure": name, "skipped": reason}), flush=True)
