"""Time what it costs a node that its limits remember: at an order, a fill, a close.

The same events reach two guards in turns, one with the trader's state file as its keeper and one
without, as in a back-test. With ``live.on_disk = "before"`` each write waits for the disk, so that
this is a measure of the disk as much as of the program; with ``soon`` it does not. The durable
journal, which each order waits for as well, is timed beside it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from aitb_nautilus.messages import BarClosed, Fill, OrderIntent
from aitb_nautilus.risk.disk import OnDisk
from aitb_nautilus.risk.guard import Guard, LotRules
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_records import Intended, Opened
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import RiskSettings, build_limits
from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.settings import decode
from benchmarks.figures import figure

X = "BTCUSDT-PERP.BINANCE"
SECOND = 10**9
EVENTS = 300
RISK = {
    "max_order_notional": 1e9,
    "max_position_notional": 1e9,
    "max_orders_per_day": 10**6,
    "max_turnover_per_day": 1e12,
    "max_daily_loss_frac": 0.5,
    "cooldown_minutes": 0.001,
    "loss_streak": {"losses": 1_000, "pause_minutes": 1},
    "drawdown": {"shrink_frac": 0.6, "reduce_frac": 0.8, "window_days": 30},
}


class Desk:
    """A guard, and events that reach it."""

    def __init__(self) -> None:
        self.ledger = Ledger(1e6)
        limits = build_limits(decode(RISK, RiskSettings, "bench"))
        self.guard = Guard(self.ledger, limits, {X: LotRules(Decimal("0.001"))})
        self.now = 1_700_000_000 * SECOND
        self.count = 0

    def order(self) -> None:
        """Judge an order; the limits count it."""
        wish = OrderIntent(instrument_id=X, side="BUY", quantity=Decimal("0.01"))
        assert self.guard.judge(wish, "ema-001", self.now).allowed

    def fill(self) -> None:
        """Fill what was ordered, and close it at the next one."""
        self.count += 1
        side = "BUY" if self.count % 2 else "SELL"
        names = f"O-{self.count}", f"T-{self.count}"
        fill = Fill(
            "ema-001", X, *names, self.now, side, 30_000.0, Decimal("0.01"), 0.1, "TAKER"
        )  # fmt: skip
        self.ledger.apply_fill(fill)
        self.guard.hear_fill(fill)

    def close(self) -> None:
        """Close a bar."""
        self.now += 60 * SECOND
        price = 30_000.0 + self.count % 7
        bar = BarClosed(X, self.now, price, price, price, price, 1.0)
        self.ledger.apply_bar(bar)
        self.guard.hear_bar(bar)


def measure(path: Path, on_disk: OnDisk) -> None:
    """Measure one way of writing, and print."""
    plain, kept = Desk(), Desk()
    opened = Opened(run_id="bench", config_sha256="0" * 64)
    with (
        StateFile(path / f"{on_disk}.sqlite", by_node=True, memories=on_disk) as file,
        Journal(path / f"j-{on_disk}.sqlite", opened, kept.now, on_disk=on_disk) as journal,
    ):
        kept.guard.memory.keeper = file
        kept.guard.hearing.heard = kept.guard.memory.fills
        spent: dict[str, list[float]] = {}
        for _ in range(EVENTS):
            for name in ("close", "order", "fill"):
                _time(spent, f"{name}, kept", getattr(kept, name))
                _time(spent, f"{name}, in memory only", getattr(plain, name))
            body = Intended(action="submit", because="bench")
            _time(spent, "journal", lambda b=body: journal.append(b, kept.now, "s", X, "O"))
    for name, seconds in spent.items():
        middle, high = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
        note = f"median of {EVENTS}; 95 % within {high * 1e6:,.0f} µs"
        words = f"memory, on the disk {on_disk}: {name}"
        figure(words, middle * 1e6, unit="µs", better="lower", note=note)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        measure(Path(folder), "before")
        measure(Path(folder), "soon")


def _time(spent: dict[str, list[float]], name: str, do: Callable[[], object]) -> None:
    began = time.perf_counter()
    do()
    spent.setdefault(name, []).append(time.perf_counter() - began)


if __name__ == "__main__":
    main()
