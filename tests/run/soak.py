"""Let a live node trade twenty perpetuals for an hour or more, and see what it grows by.

    nice python -m tests.run.soak MINUTES [SEED [FOLDER]]

A rehearsal plays in this process, at the pace of the clock; the node is `aitb live --run
--live-orders` in one of its own, with forty features, two hundred trees, exits and limits. Every
few seconds it is looked at from outside, through /proc. The end is told as one JSON object; samples
and the run stay in FOLDER, if one is given. Leaves with 1 if the node halted, ended, did not trade,
grew by more than `LIMIT_MB_PER_HOUR` after its warm-up, or decides otherwise when it is replayed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.rehearsal import BookModel, RehearsalSettings
from aitb_nautilus.rehearsal.clock import WallClock
from aitb_nautilus.run.replay import replay
from tests.rehearsal_thread import RunningRehearsal, serve_in_thread
from tests.run.node_lab import Node, start_node
from tests.run.twenty import LEARNT, desk_of, sources_of, train_model, twenty_frames

LIMIT_MB_PER_HOUR = 1.0
_SPARE = 30
"""Bars that are there beyond the end."""
_LOOK_S = 5.0
_WARM_S = 120.0
_SETTLE_SHARE, _SETTLE_S = 0.2, 900.0
"""Samples of the first fifth, and of a quarter of an hour at most, are warm-up."""
_SOME = 10
"""Connections and threads that the adapter's pool may have open for a moment."""
_MB = 1e6


class Sample(msgspec.Struct, frozen=True):
    """How a process stands.

    Attributes
    ----------
    at_s
        Since the node was warm.
    rss_mb, pss_mb, private_mb
        Resident memory, with its part of what is shared, and what it alone has written to.
    huge_mb
        Of it in pages of two megabytes.
    cpu_s
        Seconds of the processor so far.
    run_mb
        Size of the run folder.
    """

    at_s: float
    rss_mb: float
    pss_mb: float
    private_mb: float
    huge_mb: float
    files: int
    threads: int
    cpu_s: float
    run_mb: float


class Soaked(msgspec.Struct, kw_only=True):
    """What a soak came to; slopes in MB per hour, after the warm-up.

    Attributes
    ----------
    warm_s
        From the start of the process until all twenty instruments were warm.
    slope, slope_rss, slope_second_half
        Of private memory, of resident memory, of private memory in the second half of what counts.
    slope_low, slope_high
        Between which the slope lies with a confidence of 95 %.
    private_mb
        At the first and at the last sample that counts.
    files, threads
        Most that were open and ran, in the first half of the time and in the second.
    run_mb_per_hour
        By how much the run folder grew.
    """

    minutes: float
    seed: int
    warm_s: float
    samples: int
    slope: float
    slope_low: float
    slope_high: float
    slope_rss: float
    slope_second_half: float
    private_mb: tuple[float, float]
    files: tuple[int, int]
    threads: tuple[int, int]
    cpu_frac: float
    run_mb_per_hour: float
    fills: int
    orders: int
    halts: list[str]
    exit_code: int
    status: str
    bars: int
    differences: int
    replay_is_whole: bool
    replayed: dict[str, int]

    def problems(self, limit: float = LIMIT_MB_PER_HOUR) -> list[str]:
        """Return what is not as it should be."""
        found = [f"halted: {line}" for line in self.halts]
        if (self.exit_code, self.status) != (0, "complete"):
            found.append(f"ended as {self.status} with exit code {self.exit_code}")
        if not self.fills:
            found.append("did not trade")
        if self.differences or not self.replay_is_whole:
            found.append(f"{self.differences} differences in its replay")
        if self.slope >= limit:
            found.append(f"grew by {self.slope:.2f} MB an hour")
        if self.files[1] > self.files[0] + _SOME:
            found.append(f"has {self.files[1]} open files, and had {self.files[0]}")
        if self.threads[1] > self.threads[0] + _SOME:
            found.append(f"has {self.threads[1]} threads, and had {self.threads[0]}")
        return found


def theil_sen(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of the slopes of all pairs, and bounds of it at 95 %.

    Sen (1968), Estimates of the Regression Coefficient Based on Kendall's Tau. The bounds take
    samples for independent, which those of a process are not: they are too near.
    """
    xs, ys = np.asarray(x), np.asarray(y)
    first, second = np.triu_indices(len(xs), 1)
    slopes = np.sort((ys[second] - ys[first]) / (xs[second] - xs[first]))
    count, pairs = len(xs), len(slopes)
    reach = 1.96 * np.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(int((pairs - reach) / 2), 0)
    high = min(int((pairs + reach) / 2) + 1, pairs - 1)
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])


def look(pid: int, began: float, run: Path) -> Sample:
    """Look at a process and its run folder, from outside."""
    proc = Path("/proc") / str(pid)
    sizes = {}
    for line in (proc / "smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        sizes[name.rstrip(":")] = int(value) * 1024 / _MB
    # The name of the program stands in brackets and may hold spaces.
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Sample(
        at_s=round(time.monotonic() - began, 3),
        rss_mb=sizes["Rss"],
        pss_mb=sizes["Pss"],
        private_mb=sizes["Private_Dirty"],
        huge_mb=sizes["AnonHugePages"],
        files=len(os.listdir(proc / "fd")),
        threads=int(fields[17]),
        cpu_s=ticks / os.sysconf("SC_CLK_TCK"),
        run_mb=sum(p.stat().st_size for p in run.rglob("*") if p.is_file()) / _MB,
    )


def soak(folder: Path, minutes: float, seed: int = 1) -> Soaked:
    """Let a node trade for so many minutes, and return what was seen."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["AITB_HOME"] = str(folder / "home")
    frames = twenty_frames(LEARNT + round(minutes) + _SPARE, seed)
    registry = train_model(folder, frames)
    _wait_for_the_middle_of_a_minute()
    settings = RehearsalSettings(book=BookModel(steps=60), leverage=5)
    with serve_in_thread(settings, sources_of(frames), WallClock()) as running:
        venue = {
            "base_url_http": running.url_http,
            "base_url_ws": running.url_ws,
            "base_url_ws_trading": running.url_ws_api,
            "api_key": "env:REHEARSAL_KEY",
            "api_secret": "env:REHEARSAL_SECRET",
        }
        config = desk_of(folder, registry, venue)
        node = start_node(folder, "live", str(config), "--run", "--live-orders")
        try:
            return _watch(folder, node, running, minutes, seed)
        finally:
            node.kill()


def _watch(
    folder: Path, node: Node, running: RunningRehearsal, minutes: float, seed: int
) -> Soaked:
    started = time.monotonic()
    node.wait_for("warm after", _WARM_S)
    began = time.monotonic()
    (run,) = (folder / "runs").iterdir()
    samples: list[Sample] = []
    with (folder / "samples.jsonl").open("wb") as file:
        while time.monotonic() < began + minutes * 60 and node.process.poll() is None:
            samples.append(look(node.process.pid, began, run))
            file.write(msgspec.json.encode(samples[-1]) + b"\n")
            file.flush()
            time.sleep(_LOOK_S)
    halts = [line for line in node.lines if "halted:" in line]
    code, _, _ = node.stop()
    venue = running.call(
        lambda r: (len(r.exchange.venue.fills), sum(1 for _ in r.exchange.venue.orders))
    )
    record = msgspec.json.decode((run / "run.json").read_bytes(), type=RunRecord)
    again = replay(run)
    settled = min(_SETTLE_SHARE * minutes * 60, _SETTLE_S)
    counted = [one for one in samples if one.at_s >= settled]
    hours = [one.at_s / 3600 for one in counted]
    private = [one.private_mb for one in counted]
    half, middle = len(counted) // 2, len(samples) // 2
    slope, low, high = theil_sen(hours, private)
    first, last = counted[0], counted[-1]
    early, late = samples[:middle], samples[middle:]
    return Soaked(
        minutes=minutes,
        seed=seed,
        warm_s=round(began - started, 2),
        samples=len(counted),
        slope=slope,
        slope_low=low,
        slope_high=high,
        slope_rss=theil_sen(hours, [one.rss_mb for one in counted])[0],
        slope_second_half=theil_sen(hours[half:], private[half:])[0],
        private_mb=(first.private_mb, last.private_mb),
        files=(max(one.files for one in early), max(one.files for one in late)),
        threads=(max(one.threads for one in early), max(one.threads for one in late)),
        cpu_frac=(last.cpu_s - first.cpu_s) / (last.at_s - first.at_s),
        run_mb_per_hour=(last.run_mb - first.run_mb) / (hours[-1] - hours[0]),
        fills=venue[0],
        orders=venue[1],
        halts=halts,
        exit_code=code,
        status=record.status,
        bars=record.bars,
        differences=again.differences,
        replay_is_whole=again.is_whole,
        replayed=dict(again.equal),
    )


def _wait_for_the_middle_of_a_minute() -> None:
    """A node that comes up at the turn of a minute would be warm a minute later."""
    second = time.time() % 60
    if not 5 <= second < 40:
        time.sleep((5 - second) % 60)


def main() -> int:
    """Run from the command line; leave with 1 if anything went wrong."""
    minutes = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if len(sys.argv) > 3:
        soaked = soak(Path(sys.argv[3]).absolute(), minutes, seed)
    else:
        with tempfile.TemporaryDirectory() as folder:
            soaked = soak(Path(folder), minutes, seed)
    problems = soaked.problems()
    told = msgspec.to_builtins(soaked) | {"problems": problems}
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told)).decode() + "\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
