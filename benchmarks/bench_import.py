"""Time `aitb data import` of two years of minute bars from Parquet, in a fresh process.

Beside it stands what pyarrow takes to read the same columns and to write them as they are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.figures import figure, skip
from benchmarks.recorded import ABSENT, BARS, BTC, market_file

ROUNDS = 3
COLUMNS = ["open_time", "open", "high", "low", "close", "volume"]
LIMIT_S = 30.0


def import_seconds(file: Path, catalog: Path) -> float:
    """Import into a new catalog and return the wall time of the whole process."""
    begin = time.perf_counter()
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "aitb_nautilus", "data", "import", str(file)),
            *("--catalog", str(catalog), "--instrument", BTC, "--json"),
        ],
        check=True,
        stdout=subprocess.PIPE,
    )
    seconds = time.perf_counter() - begin
    added = json.loads(done.stdout)["rows_added"]
    if added != BARS:
        raise SystemExit(f"{added} bars were imported, not {BARS}")
    return seconds


def copy_seconds(file: Path, folder: Path) -> float:
    """Read the same columns and write them with zstd, which is all that cannot be avoided."""
    begin = time.perf_counter()
    pq.write_table(
        pq.read_table(file, columns=COLUMNS), folder / "copy.parquet", compression="zstd"
    )
    return time.perf_counter() - begin


def main() -> None:
    """Print the median of some imports beside the limit."""
    file = market_file()
    name = f"import of {BARS:,} bars from Parquet"
    if file is None:
        skip(name, ABSENT)
        return
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        copies = sorted(copy_seconds(file, folder) for _ in range(ROUNDS))
        imports = sorted(import_seconds(file, folder / f"data-{i}") for i in range(ROUNDS))
    seconds, copy = imports[ROUNDS // 2], copies[ROUNDS // 2]
    figure(
        name,
        seconds,
        unit="s",
        limit=LIMIT_S,
        better="lower",
        note=f"median of {ROUNDS}; pyarrow copies the columns in {copy:.2f} s",
    )


if __name__ == "__main__":
    main()
