"""What the journal costs a back-test with 10,000 orders or more, in processor time.

Three desks: one that sends an order at every third bar, one that sends one at every tenth, and one
on recorded bars. Each is `strategies.ema_cross` with stop and target, so that each position has
three orders and one of them is cancelled; all that happens to them is a record. Within one run the
journal is there for every second thousand of bars, and the next run has it in the other ones: see
`added`. The median counts, and the journal's opening and closing are added; the fills of all runs
must be the same.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.run.engine import build_engine
from aitb_nautilus.run.feed import Feed
from aitb_nautilus.run.journalling import journalled
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.preparation import prepare
from benchmarks.children import call
from benchmarks.figures import figure, skip
from benchmarks.recorded import ABSENT, BTC, market_file

RUNS = 4
STRETCH = 1_000
"""Bars."""
ORDERS = 10_000
LIMIT = 0.15
AITB = ("-m", "aitb_nautilus")
PERPETUAL = "BTCUSDT-PERP.BINANCE"
CONFIG = """
[catalog]
path = "data"

[backtest]
{period}

[[venues]]
name = "BINANCE"
account = "{account}"
starting_balance = "100000 USDT"
maker_fee_bps = 2
taker_fee_bps = 5

[risk]
max_order_notional = 1e6
max_position_notional = 1e6
max_orders_per_minute = 1000

[[strategies]]
class = "strategies.ema_cross:EmaCross"
id = "ema"

[strategies.params]
instruments = ["{instrument}"]
interval = "1m"
fast = {fast}
slow = {slow}
direction = "{direction}"
sizing = {{ method = "fixed_notional", notional = 1000 }}
exits = {{ stop_frac = {stop}, target_frac = {target} }}
"""


class Desk(NamedTuple):
    """One desk.

    Attributes
    ----------
    name
        What is said of it.
    data
        Command that fetches its bars.
    config
        Its config.
    """

    name: str
    data: tuple[str, ...]
    config: str


def simulated(name: str, days: int, fast: int, slow: int) -> Desk:
    """Return a desk on bars of one minute that are simulated."""
    command = ("simulate", "--instrument", PERPETUAL, "--days", str(days), "--no-funding")
    config = CONFIG.format(
        period="",
        account="margin",
        instrument=PERPETUAL,
        fast=fast,
        slow=slow,
        direction="both",
        stop=0.004,
        target=0.006,
    )
    return Desk(name, ("data", *command), config)


def recorded(name: str, file: Path) -> Desk:
    """Return a desk on four months of BTCUSDT by the minute."""
    config = CONFIG.format(
        period='start = "2023-01-01"\nend = "2023-05-01"',
        account="cash",
        instrument=BTC,
        fast=12,
        slow=26,
        direction="long",
        stop=0.01,
        target=0.02,
    )
    return Desk(name, ("data", "import", str(file), "--instrument", BTC), config)


class Run:
    """One run of the desk in the current folder, with the journal in every second stretch of bars.

    Attributes
    ----------
    spent
        Seconds of the processor in each stretch.
    frame
        What its opening and closing add, as a fraction of the stretches without it.
    bars, orders, records
        How many there were.
    seconds
        Of the processor in an ordinary stretch without it.
    fills
        What filled, to be compared.
    """

    def __init__(self, folder: Path, *, first: bool) -> None:
        preparation = prepare(load_config("desk.toml"), RunState())
        built = build_engine(preparation)
        feed = Feed(preparation.source, preparation.series, preparation.funding, STRETCH)
        context, engine = preparation.context, built.engine
        spent: list[float] = []
        opening = now = time.process_time()
        with journalled(preparation, folder) as kept:
            journal = context.chronicle.journal
            assert isinstance(journal, Journal)
            opening = (now := time.process_time()) - opening
            for number, (_, parts) in enumerate(feed.slices()):
                written = bool(number % 2) is not first
                context.chronicle.journal = journal if written else None
                for i, part in enumerate(parts):
                    engine.add_data(part, validate=False, sort=i == len(parts) - 1)
                engine.run(streaming=True)
                engine.clear_data()
                if written:
                    journal.flush()
                begin, now = now, time.process_time()
                spent.append(now - begin)
            engine.end()
            now = time.process_time()
        closing = time.process_time() - now
        if context.run_state.stop_reason:
            raise SystemExit(context.run_state.stop_reason)
        whole = self.spent = spent[:-1]  # the last stretch is shorter
        self.seconds = statistics.median(one for i, one in enumerate(whole) if bool(i % 2) is first)
        self.frame = (opening + closing) / (self.seconds * len(spent))
        self.bars = context.ledger.heard
        self.orders = len(context.ledger.orders)
        self.records = 0 if kept.record is None else kept.record.records
        self.fills = [(f.ts, f.side, f.price, f.quantity) for f in context.ledger.fills]
        engine.dispose()


def added(one: list[float], other: list[float]) -> list[float]:
    """Return what the journal adds to neighbouring stretches, as a fraction.

    Of two neighbours one run has the journal in the second, the other run in the first: of the
    ratio of ratios, neither what the stretches hold nor what the machine did meanwhile is left.
    """
    return [
        math.sqrt(one[i + 1] / one[i] * other[i] / other[i + 1]) - 1
        for i in range(2, len(one) - 1, 2)
    ]


def measure(desk: Desk, folder: Path) -> None:
    """Run a desk, and print what its journal costs."""
    (folder / "desk.toml").write_text(desk.config)
    call(folder, *AITB, *desk.data)
    os.chdir(folder)
    runs = []
    for number in range(RUNS):
        place = folder / str(number)
        place.mkdir()
        runs.append(Run(place, first=bool(number % 2)))
    os.chdir("/")
    one = runs[0]
    if one.orders < ORDERS or any(run.fills != one.fills for run in runs):
        raise SystemExit(f"{one.orders} orders, {[len(run.fills) for run in runs]} fills")
    adds = [add for i in range(0, RUNS, 2) for add in added(runs[i].spent, runs[i + 1].spent)]
    low, middle, high = statistics.quantiles(adds, n=4)
    frame = statistics.median(run.frame for run in runs)
    cost = (middle + frame) * statistics.median(run.seconds for run in runs)
    figure(
        f"what the journal adds to a back-test, {desk.name}",
        middle + frame,
        unit="of it",
        limit=LIMIT,
        better="lower",
        note=f"median of {len(adds)} pairs of stretches, half of them {low:.3f} to {high:.3f}; "
        f"{one.orders:,} orders, {one.bars:,} bars",
    )
    figure(
        f"processor time of the journal an order, {desk.name}",
        cost * one.bars / STRETCH / one.orders * 1e6,
        unit="us",
        better="lower",
        note=f"{sum(run.records for run in runs) / RUNS * 2 / one.orders:.1f} records an order",
    )


def main() -> None:
    """Measure the desks one after the other."""
    desks = [simulated("dense desk", 45, 5, 10), simulated("calmer desk", 90, 12, 50)]
    file = market_file()
    if file is None:
        skip("what the journal adds to a back-test, recorded bars", ABSENT)
    else:
        desks.append(recorded("recorded bars", file))
    for desk in desks:
        with tempfile.TemporaryDirectory() as name:
            measure(desk, Path(name))


if __name__ == "__main__":
    main()
