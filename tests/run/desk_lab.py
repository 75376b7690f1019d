"""A small desk to try things on: hand-made bars in a catalog, a scripted strategy, a config, a run.

The market is small and even, so that a person can do the sums: tick 0.1, lot 0.001, prices about
100, bars of one minute that begin at `T0`. Bar 1 is the first one; it closes at ``T0 + MINUTE``.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.messages import Intent, OrderIntent
from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.run.backtest import backtest
from catalog.quotes import QuoteFrame
from catalog.store import BarStore

__all__ = [
    "DAY",
    "HOUR",
    "LATENCY",
    "MINUTE",
    "SPOT",
    "T0",
    "A",
    "B",
    "C",
    "Lab",
    "Outcome",
    "buy",
    "flat",
    "read_outcome",
    "sell",
]

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T0 = 1_672_531_200_000_000_000  # 2023-01-01, a Sunday, at midnight: also a time of funding
LATENCY = 50_000_000

A, B, C = "AAAUSDT-PERP.SIM", "BBBUSDT-PERP.SIM", "CCCUSDT-PERP.SIM"
SPOT = "AAAUSDT.SPOTSIM"

_BASES = {A: "BTC", B: "ETH", C: "SOL", SPOT: "BTC"}
_MODULE_NUMBERS = itertools.count(1)

_MODULE = '''
"""A strategy that does what its script says."""

import os
import signal
import time
from collections import Counter
from decimal import Decimal

from msgspec.structs import replace
from nautilus_trader.model import (
    ContingencyType, InstrumentId, OrderSide, Price, Quantity, TimeInForce, TriggerType
)
from nautilus_trader.trading import Strategy

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.messages import CancelIntent, CloseIntent, ModifyIntent, OrderIntent
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings

ON_BAR = {on_bar}
ON_FILL = {on_fill}


class ScriptedSettings(Settings, frozen=True):
    instruments: tuple[str, ...]
    interval: str = "1m"


class Scripted(GuardedStrategy):
    settings_type = ScriptedSettings

    def __init__(self, settings, context, component_id):
        super().__init__(settings, context, component_id)
        self.seen = Counter()

    def bar_types(self):
        interval = Interval.parse(self.settings.interval)
        return [interval.bar_type(i) for i in self.settings.instruments]

    def decide_on_bar(self, bar):
        self.seen[bar.instrument_id] += 1
        return self.on_number(bar, self.seen[bar.instrument_id])

    def on_number(self, bar, number):
        return self.known(ON_BAR.get((bar.instrument_id, number), ()))

    def decide_on_fill(self, fill):
        order = self.view.order(fill.client_order_id)
        purpose = "around the guard" if order is None else order.purpose
        return self.known(ON_FILL.get((fill.instrument_id, purpose), ()))

    def known(self, intents):
        """Put the id of the open order with that purpose where the script has a purpose."""
        ids = self.settings.instruments
        for intent in intents:
            if isinstance(intent, (CancelIntent, ModifyIntent)):
                for order in [o for i in ids for o in self.view.open_orders(i)]:
                    if order.purpose == intent.client_order_id:
                        yield replace(intent, client_order_id=order.client_order_id)
            else:
                yield intent
'''


CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
BACKTEST = """
import sys
from aitb_nautilus.errors import AitbError
from aitb_nautilus.run.backtest import backtest
try:
    record = backtest(sys.argv[1])
except AitbError as e:
    print(e, file=sys.stderr)
    sys.exit(e.exit_code)
print(record.run_dir)
"""


def buy(quantity: str | float = 1, instrument_id: str = A, **terms: Any) -> OrderIntent:
    """Return a wish to buy; at the market unless the terms say otherwise."""
    return OrderIntent(
        instrument_id=instrument_id, side="BUY", quantity=Decimal(str(quantity)), **terms
    )


def sell(quantity: str | float = 1, instrument_id: str = A, **terms: Any) -> OrderIntent:
    """Return a wish to sell; at the market unless the terms say otherwise."""
    return OrderIntent(
        instrument_id=instrument_id, side="SELL", quantity=Decimal(str(quantity)), **terms
    )


def instrument(instrument_id: str) -> dict[str, str]:
    """Return the ``[[instruments]]`` block of one of the lab's instruments."""
    return {
        "id": instrument_id,
        "kind": "perpetual" if "PERP" in instrument_id else "spot",
        "base": _BASES[instrument_id],
        "quote": "USDT",
        "tick_size": "0.1",
        "lot_size": "0.001",
    }


@dataclass(frozen=True)
class Outcome:
    """A run folder, read back from the disk."""

    folder: Path
    record: RunRecord

    @property
    def raw(self) -> dict[str, Any]:
        """Return run.json as plain data."""
        data: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return data

    def table(self, name: str) -> list[dict[str, Any]]:
        """Return a table's rows; times as int ns."""
        table = pq.read_table(self.folder / f"{name}.parquet")
        assert table.schema.equals(TABLES[name])
        columns = [
            c.cast(pa.int64()) if pa.types.is_timestamp(c.type) else c for c in table.columns
        ]
        return pa.Table.from_arrays(columns, names=table.column_names).to_pylist()

    @property
    def fills(self) -> list[dict[str, Any]]:
        return self.table("fills")

    @property
    def trips(self) -> list[dict[str, Any]]:
        return self.table("positions")

    def fill(self, purpose: str) -> dict[str, Any]:
        """Return the one fill of a purpose."""
        found = [f for f in self.fills if f["purpose"] == purpose]
        assert len(found) == 1, f"{purpose}: {self.fills}"
        return found[0]

    @property
    def log(self) -> list[dict[str, str]]:
        lines = (self.folder / "log.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def read_outcome(folder: Path) -> Outcome:
    """Return a run folder."""
    record = msgspec.json.decode((folder / "run.json").read_bytes(), type=RunRecord)
    return Outcome(folder, record)


class Lab:
    """Everything of a run in one temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = BarStore(folder / "data")

    def bars(
        self,
        rows: Sequence[Sequence[float] | None],
        instrument_id: str = A,
        interval: str = "1m",
        start: int = T0,
        simulated: bool = False,
    ) -> BarFrame:
        """Write bars (open, high, low, close and perhaps volume); None leaves one out."""
        step = Interval.parse(interval)
        there = [(i, (*row, 10.0)[:5]) for i, row in enumerate(rows) if row is not None]
        closes = np.array([start + (i + 1) * step.ns for i, _ in there], np.int64)
        values = np.array([row for _, row in there], np.float64).T
        frame = BarFrame(closes, *(np.ascontiguousarray(column) for column in values))
        spec = msgspec.convert(instrument(instrument_id), InstrumentSettings)
        self.store.write(spec, step, frame, source="hand", simulated=simulated)
        return frame

    def quotes(self, rows: Sequence[Sequence[float]], instrument_id: str = A) -> None:
        """Write quotes: ns after `T0`, bid, ask, and perhaps the sizes of both."""
        whole = [(*row, 5.0, 5.0)[:5] for row in rows]
        ts, bid, ask, bid_size, ask_size = zip(*whole, strict=True)
        frame = QuoteFrame(
            T0 + np.array(ts, np.int64),
            *(np.round(np.array(prices, np.float64), 1) for prices in (bid, ask)),
            *(np.array(sizes, np.float64) for sizes in (bid_size, ask_size)),
        )
        spec = msgspec.convert(instrument(instrument_id), InstrumentSettings)
        self.store.write_quotes(spec, frame, "hand")

    def funding(self, times: Sequence[int], rates: Sequence[float], instrument_id: str = A) -> None:
        """Write funding rates by the time of their settlement."""
        self.store.write_funding(
            instrument_id, np.array(times, np.int64), np.array(rates, np.float64), "hand"
        )

    def strategy(
        self,
        on_bar: Mapping[Any, Sequence[Intent]] | None = None,
        on_fill: Mapping[Any, Sequence[Intent]] | None = None,
        *,
        instruments: Sequence[str] = (A,),
        interval: str = "1m",
        id_: str = "scripted",
        code: str = "",
        cls: str = "Scripted",
    ) -> dict[str, Any]:
        """Write a module with a scripted strategy and return its ``[[strategies]]`` block.

        Parameters
        ----------
        on_bar, on_fill
            What is wished after the bar of a number, and after a fill of an order of a purpose. A
            key is that number or purpose, or a pair of instrument and it. A cancel or change names
            its order by purpose.
        code
            Python that follows the class, such as one derived from it; `cls` then names that.
        """
        name = f"lab_strategy_{next(_MODULE_NUMBERS)}"
        texts = {
            "{on_bar}": repr(_by_instrument(on_bar or {}, instruments)),
            "{on_fill}": repr(_by_instrument(on_fill or {}, instruments)),
        }
        text = _MODULE
        for mark, script in texts.items():
            text = text.replace(mark, script)
        (self.folder / f"{name}.py").write_text(text + "\n\n" + textwrap.dedent(code))
        return {
            "class": f"{name}:{cls}",
            "id": id_,
            "params": {"instruments": list(instruments), "interval": interval},
        }

    def plain(self, *strategies: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
        """Return a config as plain data; `sections` are laid over the lab's own."""
        venue = {
            "maker_fee_bps": 2.0,
            "taker_fee_bps": 5.0,
            "slippage_bps": 10.0,
            "latency_ms": LATENCY / 1e6,
        }
        data: dict[str, Any] = {
            "catalog": {"path": str(self.folder / "data")},
            "risk": {
                "max_order_notional": 1e6,
                "max_position_notional": 1e6,
                "max_orders_per_minute": 100_000,
                "price_band_frac": 1.0,
            },
            "backtest": {"runs": str(self.folder / "runs")},
            "instruments": [instrument(i) for i in _BASES],
            "venues": [
                {
                    "name": "SIM",
                    "account": "margin",
                    "leverage": 10.0,
                    "starting_balance": "10000 USDT",
                    **venue,
                },
                {
                    "name": "SPOTSIM",
                    "account": "cash",
                    "starting_balance": "10000 USDT",
                    **venue,
                },
            ],
            "strategies": [dict(s) for s in strategies],
        }
        terms = sections.pop("venue", {})
        for block in data["venues"]:
            block.update(terms)
        for section, values in sections.items():
            if isinstance(values, Mapping):
                data[section] = {**data.get(section, {}), **values}
            else:
                data[section] = values
        return data

    def config(self, *strategies: Mapping[str, Any], name: str = "desk", **sections: Any) -> Path:
        """Write a config; `sections` are laid over the lab's own, `venue` over every venue."""
        return self.write(self.plain(*strategies, **sections), name)

    def write(self, data: Mapping[str, Any], name: str = "desk") -> Path:
        """Write plain data as a config."""
        path = self.folder / f"{name}.toml"
        path.write_text(tomli_w.dumps(data))
        return path

    def run(self, *strategies: Mapping[str, Any], **sections: Any) -> Outcome:
        """Run a desk to its end."""
        return self.run_plain(self.plain(*strategies, **sections))

    def run_plain(self, data: Mapping[str, Any]) -> Outcome:
        """Run a desk of plain data to its end."""
        return self.run_file(self.write(data))

    def run_file(self, path: Path) -> Outcome:
        """Run a config file to its end."""
        return self.read(Path(backtest(path).run_dir))

    def trade(
        self,
        rows: Sequence[Sequence[float] | None],
        on_bar: Mapping[Any, Sequence[Intent]],
        on_fill: Mapping[Any, Sequence[Intent]] | None = None,
        *,
        code: str = "",
        cls: str = "Scripted",
        **sections: Any,
    ) -> Outcome:
        """Write bars of `A`, and run one scripted strategy on them."""
        self.bars(rows)
        return self.run(self.strategy(on_bar, on_fill, code=code, cls=cls), **sections)

    def process(
        self, path: Path, *, code: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a config in a process of its own, to its end."""
        return subprocess.run(
            [sys.executable, "-c", code or BACKTEST, str(path)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **ENVIRONMENT, **(env or {})},
            timeout=120,
        )

    def start(self, path: Path) -> subprocess.Popen[str]:
        """Start a config in a process of its own, and return once its first bars are done."""
        process = subprocess.Popen(
            [sys.executable, "-c", BACKTEST, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "trading\n", process.communicate()[1]
        return process

    def read(self, folder: Path) -> Outcome:
        """Return a run folder."""
        return read_outcome(folder)

    def last(self) -> Outcome:
        """Return the newest run folder."""
        return self.read(max((self.folder / "runs").iterdir(), key=lambda p: p.stat().st_mtime_ns))


def _by_instrument(
    script: Mapping[Any, Sequence[Intent]], instruments: Sequence[str]
) -> dict[tuple[str, Any], list[Intent]]:
    return {
        key if isinstance(key, tuple) else (instruments[0], key): list(intents)
        for key, intents in script.items()
    }


def flat(price: float, count: int = 1) -> list[tuple[float, float, float, float]]:
    """Return bars in which nothing happens."""
    return [(price, price, price, price)] * count
