"""Bars per second of a whole back-test against the bare engine, and its memory.

The bare engine runs the same bars with a Python strategy that does nothing, and without opening
ticks. Ours runs `strategies.ema_cross` with its exits through the guard, opening ticks included.
Each is timed in a process of its own, from the first bar read to the end of the engine.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.children import call
from benchmarks.figures import figure, skip
from benchmarks.recorded import ABSENT, BARS, BTC, market_file

ROUNDS = 3
BAR_TYPE = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"

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


def main() -> None:
    """Import the bars once, then time both in turns; quote the median ratio."""
    file = market_file()
    if file is None:
        skip("back-test against the bare engine", ABSENT)
        return
    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "desk.toml").write_text(CONFIG)
        aitb = ("-m", "aitb_nautilus")
        call(folder, *aitb, "data", "import", str(file), "--instrument", BTC)
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
            ratio,
            unit="x",
            limit=1 / 3,
            better="higher",
            note=f"median of {ROUNDS}; {note}",
        )
        figure(
            "peak memory of a back-test on a million bars",
            max(peaks),
            unit="GiB",
            limit=3.0,
            better="lower",
            note="report included",
        )


if __name__ == "__main__":
    main()
