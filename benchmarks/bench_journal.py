"""What the journal costs a back-test with 10,000 orders, in processor time.

The same desk runs in turns with and without a journal: `strategies.ema_cross` with stop and target
on 90 days of simulated one-minute bars, so that each position has three orders and one of them is
cancelled. All that happens to them is a record. Timed is the engine from the first bar to the last,
the journal's opening and closing included; the fills of both must be the same. Of either the
quickest run counts: what a busy machine adds to the others is no cost of ours.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.engine import build_engine
from aitb_nautilus.run.feed import Feed
from aitb_nautilus.run.journalling import RunJournal, journalled
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.preparation import prepare
from benchmarks.children import call
from benchmarks.figures import figure

ROUNDS = 5
ORDERS = 10_000
CONFIG = """
[catalog]
path = "data"

[[venues]]
name = "BINANCE"
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
instruments = ["BTCUSDT-PERP.BINANCE"]
interval = "1m"
fast = 12
slow = 50
sizing = { method = "fixed_notional", notional = 1000 }
exits = { stop_frac = 0.004, target_frac = 0.006 }
"""
SIMULATE = (
    *("-m", "aitb_nautilus", "data", "simulate", "--instrument", "BTCUSDT-PERP.BINANCE"),
    *("--days", "90", "--no-funding"),
)


class Run:
    """One run of the desk.

    Attributes
    ----------
    seconds
        Of the processor.
    orders, records
        How many there were.
    fills
        What filled, to be compared.
    """

    def __init__(self, folder: Path, *, with_journal: bool) -> None:
        preparation = prepare(load_config("desk.toml"), RunState())
        built = build_engine(preparation)
        feed = Feed(preparation.source, preparation.series, preparation.funding)
        context, engine = preparation.context, built.engine
        begin = time.process_time()
        writing = journalled(preparation, folder) if with_journal else nullcontext(RunJournal())
        with writing as journal:
            for _, parts in feed.slices():
                for i, part in enumerate(parts):
                    engine.add_data(part, validate=False, sort=i == len(parts) - 1)
                engine.run(streaming=True)
                engine.clear_data()
            engine.end()
        self.seconds = time.process_time() - begin
        if context.run_state.stop_reason:
            raise SystemExit(context.run_state.stop_reason)
        self.orders = len(context.ledger.orders)
        self.records = 0 if journal.record is None else journal.record.records
        self.fills = [(f.ts, f.side, f.price, f.quantity) for f in context.ledger.fills]
        engine.dispose()


def main() -> None:
    """Run both in turns; quote the median ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "desk.toml").write_text(CONFIG)
        call(folder, *SIMULATE)
        os.chdir(folder)
        Run(folder, with_journal=False)  # what is compiled and read once
        without, with_it = [], []
        for number in range(ROUNDS):
            place = folder / str(number)
            place.mkdir()
            plain = Run(place, with_journal=False)
            written = Run(place, with_journal=True)
            if written.fills != plain.fills or written.orders < ORDERS:
                raise SystemExit(f"{written.orders} orders, {len(written.fills)} fills")
            without.append(plain.seconds)
            with_it.append(written.seconds)
        os.chdir("/")
    cost = min(with_it) - min(without)
    figure(
        "what the journal adds to a back-test with 10,000 orders",
        cost / min(without),
        unit="of it",
        limit=0.15,
        better="lower",
        note=f"quickest of {ROUNDS} each; {written.orders:,} orders, {written.records:,} records, "
        f"{min(without):.1f} s without",
    )
    figure(
        "processor time of the journal an order",
        cost / written.orders * 1e6,
        unit="us",
        better="lower",
        note=f"{written.records / written.orders:.1f} records an order",
    )


if __name__ == "__main__":
    main()
