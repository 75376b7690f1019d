"""Nodes as people start them, in processes of their own, against a rehearsal of the exchange.

The rehearsal's clock stands on a whole minute and is stepped once the node is warm: a minute passes
in a tenth of a second. The times of bars run ahead of the node's clock then, as its fills do not.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tomli_w

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.rehearsal import BarSource, RehearsalSettings, SteppedClock
from tests.rehearsal_lab import SPEC
from tests.rehearsal_thread import RunningRehearsal, serve_in_thread
from tests.run.desk_lab import CHECKOUT, ENVIRONMENT, Outcome

BTC = "BTCUSDT-PERP.BINANCE"
MINUTE_NS = 60_000_000_000
HISTORY = 900
_STEP_NS = MINUTE_NS // 6
LIMIT_S = 120.0
"""So long is waited for what would come in a moment on a quiet machine."""
_FROM_S, _UNTIL_S = 2.0, 45.0
"""Seconds of a minute at which a lab begins: a node awaits a bar that has just closed for two."""


def minute_bars(count: int, seed: int = 7, step: float = 20.0) -> BarFrame:
    """Return a random walk of minutes around 60,000 with one decimal; `step` is its deviation."""
    rng = np.random.default_rng(seed)
    close = np.round(60_000 + np.cumsum(rng.normal(0, step, count)), 1)
    opened = np.concatenate([[60_000.0], close[:-1]])
    high = np.round(np.maximum(opened, close) + rng.integers(1, 50, count) / 10, 1)
    low = np.round(np.minimum(opened, close) - rng.integers(1, 50, count) / 10, 1)
    first = 1_700_000_040_000_000_000
    ts = first + np.arange(1, count + 1, dtype=np.int64) * MINUTE_NS
    return BarFrame(ts, opened, high, low, close, np.round(rng.uniform(1, 50, count), 3))


def dearer(frame: BarFrame, row: int, factor: float) -> BarFrame:
    """Return bars whose prices are so many times as high from a row on."""
    prices = {}
    for name in ("open", "high", "low", "close"):
        column = np.array(getattr(frame, name))
        column[row:] = np.round(column[row:] * factor, 1)
        prices[name] = column
    return BarFrame(frame.ts_close, **prices, volume=frame.volume)


class Node:
    """A node in a process of its own.

    Parameters
    ----------
    process
        The running verb.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str, limit_s: float = LIMIT_S) -> None:
        """Wait until the node says something."""
        until = time.monotonic() + limit_s
        while text not in self.said:
            assert self.process.poll() is None, f"it ended: {self.said}"
            assert time.monotonic() < until, f"it never said {text!r}: {self.said}"
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, float]:
        """Send a signal; return exit code, stdout, and how many seconds it took.

        Seconds in which it wanted to run, and others had the processor, do not count.
        """
        began, queued = time.monotonic(), _Queued(self.process.pid)
        self.process.send_signal(number)
        code, out = self.end()
        return code, out, time.monotonic() - began - queued.end()

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and stdout."""
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        code = self.process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        self.process.stdout.close()
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code, out

    def kill(self) -> None:
        """End it at once, if it is still there."""
        self.process.kill()
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.end()


class _Queued:
    """How long the main thread of a process has waited for a processor, from now to its end."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/task/{pid}/schedstat")
        self._seen: list[int] = []
        self._is_over = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """Return the seconds; 0 where the system does not tell."""
        self._is_over.set()
        self._thread.join()
        return (self._seen[-1] - self._seen[0]) / 1e9 if self._seen else 0.0

    def _watch(self) -> None:
        while not self._is_over.wait(0.02):
            self._look()

    def _look(self) -> None:
        with suppress(OSError, IndexError):
            self._seen.append(int(self._path.read_text().split()[1]))


def start_node(folder: Path, *words: str, secret: str = "rehearsal") -> Node:
    """Start a verb of the command line in a folder, with the keys of a rehearsal."""
    keys = {"REHEARSAL_KEY": "rehearsal", "REHEARSAL_SECRET": secret}
    process = subprocess.Popen(
        [sys.executable, "-m", "aitb_nautilus", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT, **keys, "PYTHONPATH": str(CHECKOUT)},
    )
    return Node(process)


class NodeLab:
    """A folder with a config, and a rehearsal that it trades at."""

    def __init__(
        self, folder: Path, running: RunningRehearsal, spec: InstrumentSettings = SPEC
    ) -> None:
        self.folder = folder
        self.spec = spec
        self.running = running
        self._nodes: list[Node] = []
        self._playing = threading.Event()
        self._until: Callable[[Any], bool] | None = None
        self._over = threading.Event()
        self._player = threading.Thread(target=self._play, daemon=True)
        self._player.start()

    def plain(self, **sections: Any) -> dict[str, Any]:
        """Return a config as plain data; `sections` are laid over it, `venue` over the venue."""
        sizing = {"method": "equity_fraction", "fraction": 0.5}
        params = {
            "instruments": [self.spec.id],
            "interval": "1m",
            "fast": 2,
            "slow": 4,
            "sizing": sizing,
        }
        venue = {
            "name": "BINANCE",
            "account": "margin",
            "leverage": 5.0,
            "starting_balance": "10000 USDT",
            "maker_fee_bps": 2.0,
            "taker_fee_bps": 5.0,
            "latency_ms": 20.0,
            "base_url_http": self.running.url_http,
            "base_url_ws": self.running.url_ws,
            "base_url_ws_trading": self.running.url_ws_api,
            "api_key": "env:REHEARSAL_KEY",
            "api_secret": "env:REHEARSAL_SECRET",
        }
        data: dict[str, Any] = {
            "catalog": {"path": str(self.folder / "data")},
            "backtest": {"runs": str(self.folder / "runs")},
            "risk": {
                "max_order_notional": 20_000.0,
                "max_position_notional": 20_000.0,
                "price_band_frac": 0.5,
            },
            "live": {"snapshot_secs": 1.0},
            "venues": [venue | sections.pop("venue", {})],
            "instruments": [msgspec.to_builtins(self.spec)],
            "strategies": [
                {"class": "strategies.ema_cross:EmaCross", "id": "ema", "params": params}
            ],
        }
        for name, values in sections.items():
            both = isinstance(values, Mapping) and isinstance(data.get(name), Mapping)
            data[name] = {**data[name], **values} if both else values
        return data

    def write(self, name: str = "desk", **sections: Any) -> Path:
        """Write a config."""
        path = self.folder / f"{name}.toml"
        path.write_text(tomli_w.dumps(_without_none(self.plain(**sections))))
        return path

    def start(self, *words: str, secret: str = "rehearsal") -> Node:
        """Start a verb of the command line."""
        node = start_node(self.folder, *words, secret=secret)
        self._nodes.append(node)
        return node

    def play(self, until: Callable[[Any], bool] | None = None) -> None:
        """Let the market go on, once somebody listens: what it tells now cannot be asked for."""
        limit = time.monotonic() + LIMIT_S
        stream = f"{self.spec.raw_symbol.lower()}@kline_1m"
        while not self.running.call(lambda r: r.exchange.hub.wanted(stream)):
            assert time.monotonic() < limit, "nobody has subscribed to bars"
            time.sleep(0.05)
        self.go_on(until)

    def go_on(self, until: Callable[[Any], bool] | None = None) -> None:
        """Let the market go on, whoever listens.

        Parameters
        ----------
        until
            Looks at the rehearsal before each step; once it is true, the market stands still.
        """
        self._until = until
        self._playing.set()

    def wait_for_stand(self) -> None:
        """Wait until the market stands still."""
        limit = time.monotonic() + LIMIT_S
        while self._playing.is_set():
            assert time.monotonic() < limit, "the market goes on"
            time.sleep(0.02)

    def wait_until(self, number: int) -> None:
        """Wait until so many bars have been played."""
        until = time.monotonic() + LIMIT_S
        begin = self.running.call(lambda r: r.timeline.exchange_ns)
        while self.running.call(lambda r: r.clock.now_ns()) < begin + number * MINUTE_NS:
            assert time.monotonic() < until, "the market does not go on"
            time.sleep(0.05)

    def pause(self) -> None:
        """Let the market stand still."""
        self._playing.clear()

    def close(self) -> None:
        """End the market, and whatever still trades at it."""
        for node in self._nodes:
            node.kill()
        self._over.set()
        self._playing.set()
        self._player.join(LIMIT_S)

    def _play(self) -> None:
        while self._playing.wait() and not self._over.is_set():
            if self.running.call(self._step):
                time.sleep(0.03)
            else:
                self._playing.clear()

    def _step(self, rehearsal: Any) -> bool:
        """Let the market go on, unless it should stand still: nothing happens in between."""
        if self._until is not None and self._until(rehearsal):
            return False
        rehearsal.advance(rehearsal.clock.now_ns() + _STEP_NS)
        return True

    def last(self) -> Outcome:
        """Return the newest run folder."""
        folder = max((self.folder / "runs").iterdir(), key=lambda p: p.stat().st_mtime_ns)
        record = msgspec.json.decode((folder / "run.json").read_bytes(), type=RunRecord)
        return Outcome(folder, record)

    def venue(self) -> dict[str, Any]:
        """Return what the exchange knows: fills, position, open orders."""
        return self.running.call(
            lambda r: {
                "fills": len(r.exchange.venue.fills),
                "position": r.exchange.venue.account.position("BTCUSDT").amount,
                "open": len(r.exchange.venue.orders.open()),
            }
        )


@contextmanager
def node_lab(
    folder: Path,
    funding: Mapping[int, str] | None = None,
    base: str = "BTC",
    jump: tuple[int, float] | None = None,
    **settings: Any,
) -> Iterator[NodeLab]:
    """Give a lab while the block runs.

    Parameters
    ----------
    funding
        Rates by the number of the played bar at whose close they are settled.
    base
        What is traded on spot.
    jump
        From which played bar on prices are so many times as high.
    settings
        Of the rehearsal.
    """
    frame = minute_bars(HISTORY + 3_000)
    if jump is not None:
        frame = dearer(frame, HISTORY + jump[0], jump[1])
    spot = settings.get("product") == "spot"
    pair = msgspec.structs.replace(SPEC, id=f"{base}USDT.BINANCE", base=base, kind="spot")
    spec = pair if spot else SPEC
    # The engine's objects that other tests left may not be dropped by the rehearsal's thread.
    gc.collect()
    collects = gc.isenabled()
    gc.disable()
    closes = frame.ts_close.tolist()
    rates = [(closes[HISTORY - 1 + n], rate) for n, rate in (funding or {}).items()]
    source = BarSource(spec, frame, MINUTE_NS, closes[HISTORY - 1], rates)
    # A node that comes up at the turn of a minute misses a bar that the clock never closes.
    second = time.time_ns() % MINUTE_NS / 1e9
    if not _FROM_S <= second < _UNTIL_S:
        time.sleep((_FROM_S - second) % 60)
    clock = SteppedClock(time.time_ns() // MINUTE_NS * MINUTE_NS)
    with serve_in_thread(RehearsalSettings(**settings), [source], clock) as running:
        lab = NodeLab(folder, running, spec)
        try:
            yield lab
        finally:
            lab.close()
            if collects:
                gc.enable()


def json_of(out: str) -> dict[str, Any]:
    """Return the one JSON object that a verb printed, and nothing else."""
    lines = out.splitlines()
    assert len(lines) == 1, out
    told: dict[str, Any] = json.loads(lines[0])
    return told


def _without_none(value: Any) -> Any:
    """Leave out what is absent; TOML has no null."""
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_none(v) for v in value]
    return value
