"""Kill a live node at random moments, and count by the exchange's own books what became of it.

    python -m tests.run.kill_live 25 [SEED [redis]]

A rehearsal plays a market as it is, at the pace of the clock, and keeps its state. A node trades on
it several times a second, is killed with SIGKILL, some of the times while it is still starting, and
the next one goes on after a while in which stops and targets may fill. What is counted comes from
the exchange: its orders, its fills, its position; of ours only the journals are read, to see
whether they know every fill. The runs of a session that is not clean are kept.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from aitb_nautilus.errors import DataError
from aitb_nautilus.messages import (
    BarClosed,
    CloseIntent,
    Fill,
    Intent,
    OrderIntent,
    OrderUpdate,
    Side,
)
from aitb_nautilus.rehearsal import BarSource, BookModel, Rehearsal, RehearsalSettings
from aitb_nautilus.rehearsal.clock import WallClock
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.exits import ExitManager, Exits, make_exits
from aitb_nautilus.risk.journal_chain import Record
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Filled
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.trading_states import TRADER, StateScope
from aitb_nautilus.run.command_client import give
from aitb_nautilus.run.command_messages import Command
from aitb_nautilus.run.state_place import StatePlace
from aitb_nautilus.settings import Settings
from tests.redis_lab import RedisServer
from tests.rehearsal_lab import SPEC
from tests.rehearsal_thread import serve_in_thread
from tests.run.node_lab import BTC, HISTORY, MINUTE_NS, Node, NodeLab, minute_bars

_BARS = 600
_KILLED_EARLY = 0.3
_REDIS_KILLED = 0.4
_SETTLES_S = 1.5
_STEP, _STEPS = 300.0, 120
"""Some 5 of 60,000 a second: a stop or a target is often reached while no node runs."""
_PACE = timedelta(milliseconds=150)
SIZE = Decimal("0.100")


class HurriedSettings(Settings, frozen=True):
    """Settings of `Hurried`."""

    exits: Exits = Exits(stop_frac=0.0002, target_frac=0.0003)


class Hurried(GuardedStrategy):
    """Open by a timer whenever nothing is held or on its way, and leave after a while."""

    settings_type = HurriedSettings
    settings: HurriedSettings

    def __init__(self, settings: HurriedSettings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self._exits = make_exits(settings.exits, self.view, context, (BTC,))
        self._ticks = 0

    def bar_types(self) -> Sequence[str]:
        return [f"{BTC}-1-MINUTE-LAST-EXTERNAL"]

    def bars_before(self) -> int:
        return 20

    def exit_managers(self) -> Mapping[str, ExitManager]:
        return self._exits

    def decide_on_start(self) -> Iterable[Intent]:
        self.clock.set_timer("hurry", _PACE, callback=self._hurry)
        return ()

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        return self._exits[BTC].on_bar(bar)

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        return self._exits[BTC].on_fill(fill)

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        return self._exits[BTC].on_order(order, update)

    def _hurry(self, event: Any) -> None:
        self.notice(event)
        self._ticks += 1
        if any(o.kind == "MARKET" for o in self.view.open_orders(BTC)):
            return
        if not self.view.quantity(BTC):
            side: Side = "BUY" if self._ticks % 2 else "SELL"
            self.act([OrderIntent(instrument_id=BTC, side=side, quantity=SIZE)])
        elif self._ticks % 7 == 0:
            self.act([*self._exits[BTC].cancel_all(), CloseIntent(instrument_id=BTC)])


class Tally(msgspec.Struct):
    """What many kills came to."""

    kills: int = 0
    redis_kills: int = 0
    killed_before_recovered: int = 0
    opening_orders: int = 0
    fills: int = 0
    fills_while_down: int = 0
    duplicates: int = 0
    without_stop: int = 0
    lost_fills: int = 0
    invented_fills: int = 0
    position_differs: int = 0
    halts: int = 0
    reasons: list[str] = msgspec.field(default_factory=list)
    recovery_s: list[float] = msgspec.field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Return whether nothing went wrong."""
        return not (
            self.duplicates
            or self.without_stop
            or self.lost_fills
            or self.invented_fills
            or self.position_differs
            or self.opening_orders < self.kills / 2
        )


class Killer:
    """A rehearsal, and nodes that are killed on it."""

    def __init__(
        self, folder: Path, lab: NodeLab, seed: int, server: RedisServer | None = None
    ) -> None:
        self.lab, self.tally = lab, Tally()
        self._dice = random.Random(seed)
        self._server = server
        redis = None if server is None else {"url": server.url, "cache": True}
        self._config = lab.write(
            strategies=[{"class": "tests.run.kill_live:Hurried", "id": "hurried"}],
            risk={"max_orders_per_minute": 10_000},
            live={"recovery_secs": 5.0, "holes": "accept"},
            redis=redis,
        )
        self._runs = folder / "runs"

    def kill_many(self, kills: int) -> Tally:
        """Start and kill a node so many times, look at the books each time, and at the end."""
        for _ in range(kills):
            self._kill_one()
        node = self._start()
        self._recovered(node, time.monotonic())
        # What fills once the last node has left, no journal can know.
        self._books(_end_market)
        time.sleep(_SETTLES_S)
        node.stop()
        return self.count()

    @classmethod
    def counting(cls, lab: NodeLab) -> Self:
        """Return one that has killed nothing, and counts what others did at a lab's exchange."""
        one = cls.__new__(cls)
        one.lab, one.tally, one._runs = lab, Tally(), lab.folder / "runs"
        return one

    @staticmethod
    def resume(config: Path, scope: StateScope = TRADER) -> None:
        """Lift a halt, as a person does."""
        command = Command(verb="resume", scope=scope, level="active", reason="the next one")
        give(StatePlace.read(config), command)

    def _start(self) -> Node:
        return self.lab.start("live", str(self._config), "--run", "--live-orders")

    def _kill_one(self) -> None:
        began = time.monotonic()
        node = self._start()
        if self._dice.random() < _KILLED_EARLY:
            node.wait_for("connecting")
            time.sleep(self._dice.uniform(0.0, 1.5))
            self.tally.killed_before_recovered += "recovered in" not in node.said
        else:
            self._recovered(node, began)
            time.sleep(self._dice.uniform(0.0, 4.0))
        server = self._server
        if server is not None and self._dice.random() < _REDIS_KILLED:
            server.kill()
            time.sleep(self._dice.uniform(0.0, 2.0))
            self.tally.redis_kills += 1
        self._say_halts(node)
        node.kill()
        if server is not None and server.process is not None and server.process.poll() is not None:
            server.start()
        self.tally.kills += 1
        before = self._books(_fills_of)
        time.sleep(self._dice.uniform(0.0, 3.0))
        self.tally.fills_while_down += len(self._books(_fills_of)) - len(before)

    def _recovered(self, node: Node, began: float) -> None:
        node.wait_for("recovered in")
        self.tally.recovery_s.append(time.monotonic() - began)
        until = time.monotonic() + _SETTLES_S
        while not (is_safe := self._books(is_protected)) and time.monotonic() < until:
            time.sleep(0.05)
        if not is_safe:
            self.tally.without_stop += 1
            self.tally.reasons.append(f"without its stop: {self._books(_protection)}")

    def _say_halts(self, node: Node) -> None:
        halts = [line for line in node.lines if "halted:" in line]
        self.tally.halts += len(halts)
        self.tally.reasons += halts
        if halts:
            self.resume(self._config)
            self.resume(self._config, StateScope.strategy("hurried"))

    def _books[T](self, look: Any) -> Any:
        return self.lab.running.call(look)

    def count(self) -> Tally:
        """Compare the books of the exchange with the journals."""
        tally = self.tally
        at_venue = self._books(_fills_of)
        opening = self._books(opening_of)
        tally.fills, tally.opening_orders = len(at_venue), len(opening)
        # The strategy opens only where nothing is held: more than its size was opened twice.
        tally.duplicates = self._books(_times_too_large)
        ours: dict[str, int] = {}
        unseen = 0
        for folder in self._runs.iterdir():
            for record in _fills_of_journal(folder):
                assert isinstance(record.body, Filled)
                if record.body.trade_id.startswith("unseen-"):
                    unseen += 1
                ours[record.body.trade_id] = 1
        missing = [one for one in at_venue if one not in ours]
        tally.lost_fills = max(len(missing) - unseen, 0)
        tally.reasons += [f"no journal knows {one}" for one in self._books(_told(missing))]
        last = max(self._runs.iterdir(), key=lambda folder: folder.name)
        held = sum(p.quantity for p in rebuild(last, Ledger(0.0)).positions.values())
        tally.position_differs = int(held != (there := self._books(held_at_venue)))
        if tally.position_differs:
            tally.reasons.append(f"{there} held, and {held} by {last.name}")
        tally.invented_fills = len([one for one in ours if one not in at_venue]) - unseen
        return tally


def _fills_of_journal(folder: Path) -> list[Record]:
    """Return the fills of a journal; a node that was killed while it made one has sent nothing."""
    try:
        return list(read(folder, Wanted(kinds=(Filled.kind,))))
    except DataError:
        return []


def _fills_of(rehearsal: Rehearsal) -> list[str]:
    return [str(fill.trade_id) for fill in rehearsal.exchange.venue.fills]


def _told(trade_ids: Sequence[str]) -> Callable[[Rehearsal], list[str]]:
    """Return what tells fills, with the time and the order of each."""

    def tell(rehearsal: Rehearsal) -> list[str]:
        fills = rehearsal.exchange.venue.fills
        return [str(fill) for fill in fills if str(fill.trade_id) in trade_ids]

    return tell


def _end_market(rehearsal: Rehearsal) -> None:
    """Let no price change from now on; orders are still taken."""
    rehearsal.finished = True


def opening_of(rehearsal: Rehearsal) -> list[int]:
    """Return which orders opened something."""
    orders = rehearsal.exchange.venue.orders
    return [order.order_id for order in orders if not order.reduce_only and order.filled]


def _times_too_large(rehearsal: Rehearsal) -> int:
    """Return after how many fills more was held than the strategy ever opens."""
    held, found = Decimal(0), 0
    rules = rehearsal.exchange.venue.markets["BTCUSDT"].rules
    for fill in rehearsal.exchange.venue.fills:
        held += rules.size(fill.quantity) * (1 if fill.side == "BUY" else -1)
        found += abs(held) > SIZE
    return found


def held_at_venue(rehearsal: Rehearsal) -> Decimal:
    """Return the position, base currency."""
    venue: Any = rehearsal.exchange.venue
    rules = venue.markets["BTCUSDT"].rules
    held: Decimal = rules.size(venue.account.position("BTCUSDT").amount)
    return held


def _protection(rehearsal: Rehearsal) -> tuple[int, int]:
    """Return the position, and how much of it resting stops close; in lots."""
    venue: Any = rehearsal.exchange.venue
    held = venue.account.position("BTCUSDT").amount
    side = "SELL" if held > 0 else "BUY"
    waiting = rehearsal.exchange.triggers.waiting("BTCUSDT")  # type: ignore[attr-defined]
    stops = [o for o in waiting if o.side == side and o.reduce_only]
    return held, sum(o.quantity for o in stops)


def is_protected(rehearsal: Rehearsal) -> bool:
    held, stopped = _protection(rehearsal)
    return abs(held) <= stopped


def kill_live(folder: Path, kills: int, seed: int, server: RedisServer | None = None) -> Tally:
    """Kill a live node so many times, and return what was found."""
    frame = minute_bars(HISTORY + _BARS, seed=seed, step=_STEP)
    source = BarSource(SPEC, frame, MINUTE_NS, int(frame.ts_close[HISTORY - 1]))
    settings = RehearsalSettings(book=BookModel(steps=_STEPS))
    with serve_in_thread(settings, [source], WallClock()) as running:
        lab = NodeLab(folder, running)
        try:
            return Killer(folder, lab, seed, server).kill_many(kills)
        finally:
            lab.close()


def main() -> int:
    """Run from the command line; leave with 1 if anything went wrong."""
    kills = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with ExitStack() as ending:
        folder, server = Path(tempfile.mkdtemp()), None
        if "redis" in sys.argv:
            server = RedisServer(folder / "redis")
            ending.callback(server.kill)
        tally = kill_live(folder, kills, seed, server)
    took = np.array(tally.recovery_s)
    told = msgspec.to_builtins(tally) | {
        "recovery_median_s": round(float(np.median(took)), 2),
        "recovery_p95_s": round(float(np.quantile(took, 0.95)), 2),
        "recovery_s": len(took),
    }
    if tally.is_clean:
        shutil.rmtree(folder)
    else:
        told["runs"] = str(folder)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told)).decode() + "\n")
    return int(not tally.is_clean)


if __name__ == "__main__":
    sys.exit(main())
