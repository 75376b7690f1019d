"""Bars per second of a back-test with replayed predictions over those of one without a model.

A small LightGBM model is trained on recorded bars, and traded by `strategies.threshold` on the
months after. The other back-test sends the same orders at the same bars and has no model, see
``silent_threshold.py``. Each runs in a process of its own; their fingerprints are equal.

A back-test goes through its bars in slices. Each process waits after each slice until the other has
done the same one, so both meet the same neighbours on the machine. The answers that are computed
beforehand count as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.run.backtest import backtest
from benchmarks.children import call, home
from benchmarks.figures import figure, skip
from benchmarks.recorded import ABSENT, BTC, market_file

ROUNDS = 3
LIMIT = 0.6
NAME = "bars/s of a back-test with replayed predictions over those of one without a model"

COMMON = """
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

[backtest]
start = "2023-01-01"
end = "2023-04-01"
"""
MODEL = """
[features]
interval = "1m"
columns = [
    "log_return(1)", "log_return(5)", "log_return(15)", "log_return(60)", "rsi(14)",
    "zscore(close,30)", "zscore(close,120)", "range_position(60)", "rsi(14)@5m",
]

[model]
id = "btc_up"
instruments = ["BTCUSDT.BINANCE"]
start = "2022-10-01"
end = "2023-01-01"
label = { kind = "sign", horizon_bars = 15 }
algorithm = { kind = "lightgbm", trees = 100 }
folds = { count = 2 }

[[actors]]
class = "actors.inference:OnnxInferenceActor"
id = "inference"
params = { models = ["btc_up"] }
"""
STRATEGY = """
[[strategies]]
class = "{cls}"
id = "threshold"

[strategies.params]
instruments = ["BTCUSDT.BINANCE"]
interval = "1m"
model = "btc_up"
direction = "long"
long_enter = 0.56
long_exit = 0.47
sizing = {{ method = "equity_fraction", fraction = 0.5 }}
exits = {{ stop_frac = 0.01, target_frac = 0.02 }}
{more}
"""


type Told = dict[str, Any]


def trade(config: str, *, paced: bool) -> None:
    """Run one back-test; print the seconds of each slice, by clock and processor, then the rest.

    Where it is paced it waits for a line before each slice. The first one, which has the start of
    the engine in it, is not measured.
    """
    began = [0.0, 0.0, 0.0]

    def next_slice(done: int, _total: int, _time: str) -> None:
        now = [float(done), time.perf_counter(), time.process_time()]
        if began[0]:
            print(json.dumps([b - a for a, b in zip(began, now, strict=True)]), flush=True)
        if paced:
            sys.stdin.readline()
        began[:] = [float(done), time.perf_counter(), time.process_time()]

    record = backtest(config, next_slice)
    assert record.seconds is not None
    ahead = record.seconds.features + record.seconds.inference
    told = {"ahead": ahead, "run_dir": record.run_dir, "fingerprint": record.fingerprint}
    print(json.dumps({**told, "bars": record.bars, "fills": record.fills}))


def start(folder: Path, config: str) -> subprocess.Popen[str]:
    """Start a paced back-test."""
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), config, "paced"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | home(folder),
    )


def step(child: subprocess.Popen[str]) -> list[float] | Told:
    """Let a back-test do its next slice, or its end; return what it says of it."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    line = child.stdout.readline()
    if not line:
        raise SystemExit(f"a back-test left with {child.wait()}")
    found: list[float] | Told = json.loads(line)
    return found


def together(folder: Path) -> tuple[NDArray[np.float64], Told]:
    """Run both back-tests in step.

    Returns
    -------
    array, dict
        (slices, 2, 3): with and without a model; bars, seconds by the clock and of the processor.
        And what the run with a model said at its end.
    """
    children = [start(folder, "with.toml"), start(folder, "without.toml")]
    slices = []
    while True:
        with_model, without = (step(child) for child in children)
        if isinstance(with_model, dict) or isinstance(without, dict):
            break
        slices.append([with_model, without])
    assert isinstance(with_model, dict)
    assert isinstance(without, dict)
    for child in children:
        child.communicate()
    if with_model["fingerprint"] != without["fingerprint"]:
        raise SystemExit(f"not the same orders: {with_model} and {without}")
    return np.array(slices), with_model


def main() -> None:
    """Train once, then run both a few times; quote the median over all slices."""
    file = market_file()
    if file is None:
        skip(NAME, ABSENT)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with_model = STRATEGY.format(cls="strategies.threshold:Threshold", more="")
        (folder / "with.toml").write_text(COMMON + MODEL + with_model)
        aitb = ("-m", "aitb_nautilus")
        call(folder, *aitb, "data", "import", str(file), "--instrument", BTC)
        call(folder, *aitb, "train", "with.toml", "--json")
        text, _ = call(folder, str(Path(__file__).resolve()), "with.toml")
        told = json.loads(text.splitlines()[-1])
        said = f'said = "{folder / told["run_dir"] / "predictions.parquet"}"'
        cls = "benchmarks.silent_threshold:SilentThreshold"
        (folder / "without.toml").write_text(COMMON + STRATEGY.format(cls=cls, more=said))
        rounds = [together(folder) for _ in range(ROUNDS)]
    slices = np.concatenate([part for part, _ in rounds])
    ahead = min(told["ahead"] for _, told in rounds) / told["bars"]
    us = (slices[:, :, 1:] / slices[:, :, :1] + [[[ahead], [0.0]]]) * 1e6
    what = f"{told['bars']:,} bars, {told['fills']} fills"
    rest = {"unit": "x", "better": "higher"}
    for place, figure_name in enumerate((NAME, "the same in time of the processor")):
        ours, bare = np.median(us[:, :, place], axis=0)
        ratio = float(np.median(us[:, 1, place] / us[:, 0, place]))
        note = f"median of {len(us)} slices; {ours:.1f} against {bare:.1f} us a bar; {what}"
        limit = {"limit": LIMIT} if place == 0 else {}
        figure(figure_name, ratio, **rest, **limit, note=note)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        trade(sys.argv[1], paced=len(sys.argv) > 2)
    else:
        main()
