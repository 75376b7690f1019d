"""Time `aitb data import` of two years of minute bars from Parquet, in a fresh process.

Beside it stands what pyarrow takes to read the same columns and to write them as they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

ROUNDS = 3
FILE = "bars_1m/binance_spot_BTCUSDT_1m_2022-01_2023-12.parquet"
COLUMNS = ["open_time", "open", "high", "low", "close", "volume"]
BARS = 1_051_120
LIMIT_S = 30.0


def market_file() -> Path:
    """Return where the recorded bars should be."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "market"
    return Path(os.environ.get("AITB_MARKET_DATA", beside)) / FILE


def import_seconds(file: Path, catalog: Path) -> float:
    """Import into a new catalog and return the wall time of the whole process."""
    begin = time.perf_counter()
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "aitb_nautilus", "data", "import", str(file)),
            *("--catalog", str(catalog), "--instrument", "BTCUSDT.BINANCE", "--json"),
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
    if not file.is_file():
        print(json.dumps({"figure": name, "skipped": f"no recorded market data: {FILE}"}))
        return
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        copies = sorted(copy_seconds(file, folder) for _ in range(ROUNDS))
        imports = sorted(import_seconds(file, folder / f"data-{i}") for i in range(ROUNDS))
    seconds, copy = imports[ROUNDS // 2], copies[ROUNDS // 2]
    print(
        json.dumps(
            {
                "figure": name,
                "value": round(seconds, 2),
                "unit": "s",
                "limit": LIMIT_S,
                "better": "lower",
                "note": f"median of {ROUNDS}; pyarrow copies the columns in {copy:.2f} s",
            }
        )
    )


if __name__ == "__main__":
    main()
