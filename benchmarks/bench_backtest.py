"""Bars per second of a whole back-test against the bare engine, and its memory.

The bare engine runs the same bars with a Python strategy that does nothing, and without opening
ticks. Ours runs `strategies.ema_cross` with its exits through the guard, opening ticks included.
Each is timed in a process of its own, from the first bar read to the end of the engine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 3
FILE = "bars_1m/binance_spot_BTCUSDT_1m_2022-01_2023-12.parquet"
BAR_TYPE = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"
BARS = 1_051_120

CONFIG = """
[catalog]
path = "data"

[[venues]]
name = "BINANCE"
account = "cash"
starting_balance = "10000 USDT"
maker_fee_bps = 10
taker_fee_bps = 10

[risk]
max_order_notional = 20000
max_position_notional = 20000

[[strategies]]
class = "strategies.ema_cross:EmaCross"
id = "ema"

[strategies.params]
instruments = ["BTCUSDT.BINANCE"]
interval = "1m"
fast = 200
slow = 800
direction = "long"
sizing = { method = "equity_fraction", fraction = 0.5 }
exits = { stop_frac = 0.01, target_frac = 0.02 }
"""


def market_file() -> Path:
    """Return where the recorded bars should be."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "market"
    return Path(os.environ.get("AITB_MARKET_DATA", beside)) / FILE


def call(folder: Path, *arguments: str) -> tuple[str, float]:
    """Run Python in a folder; return what it printed, and its peak memory in GiB."""
    child = subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=subprocess.PIPE)
    assert child.stdout is not None
    text = child.stdout.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(arguments)} left with {child.returncode}")
    return text, usage.ru_maxrss / 2**20


def figure(name: str, value: float, **rest: object) -> None:
    """Print one figure as JSON."""
    print(json.dumps({"figure": name, "value": value, **rest}), flush=True)


def main() -> None:
    """Import the bars once, then time both in turns; quote the median ratio."""
    file = market_file()
    if not file.is_file():
        reason = f"no recorded market data: {FILE}"
        print(json.dumps({"figure": "back-test against the bare engine", "skipped": reason}))
        return
    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "desk.toml").write_text(CONFIG)
        aitb = ("-m", "aitb_nautilus")
        call(folder, *aitb, "data", "import", str(file), "--instrument", "BTCUSDT.BINANCE")
        ratios, peaks = [], []
        note = ""
        for _ in range(ROUNDS):
            text, _ = call(folder, str(here / "bare_engine.py"), "data", BAR_TYPE)
            bare = json.loads(text)
            text, peak = call(folder, *aitb, "backtest", "desk.toml", "--json")
            run = json.loads(text)
            if not bare["bars"] == run["bars"] == BARS:
                raise SystemExit(f"{bare['bars']} and {run['bars']} bars, not {BARS}")
            ours = run["bars"] / run["seconds"]["engine"]
            theirs = bare["bars"] / bare["seconds"]
            ratios.append(ours / theirs)
            peaks.append(peak)
            note = f"last: {ours:,.0f} against {theirs:,.0f} bars/s, {run['fills']} fills"
        ratio = sorted(ratios)[len(ratios) // 2]
        figure(
            "bars/s of a back-test over those of the bare engine",
            round(ratio, 3),
            unit="x",
            limit=1 / 3,
            better="higher",
            note=f"median of {ROUNDS}; {note}",
        )
        figure(
            "peak memory of a back-test on a million bars",
            round(max(peaks), 2),
            unit="GiB",
            limit=3.0,
            better="lower",
            note="report included",
        )


if __name__ == "__main__":
    main()
