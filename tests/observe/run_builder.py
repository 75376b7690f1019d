"""Write run folders as a run would, with seeded prices and trades that add up to the cent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aitb_nautilus.latency import Latencies
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.observe.latency_record import latency_records, latency_table
from aitb_nautilus.observe.run_record import (
    Ambiguous,
    Costs,
    DataRecord,
    Halt,
    LimitCount,
    Period,
    RunRecord,
    Seconds,
    VenueRecord,
)
from aitb_nautilus.observe.run_tables import MAX_BAR_ROWS, TABLES
from aitb_nautilus.observe.stats import Stats, compute_stats
from tests.observe.model_builder import ModelRecipe, predictions_of

SECOND = 1_000_000_000
START = 1_672_531_200 * SECOND  # 2023-01-01
REASONS = ("exit:signal", "exit:stop", "exit:target_1", "exit:break_even", "exit:time")
ALL_INSTRUMENTS = [
    f"{base}USDT-PERP.BINANCE"
    for base in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "LINK", "BNB", "AVAX")
]
FIRST_PRICES = (16_500.0, 1_200.0, 10.0, 0.34, 0.25, 0.07, 70.0, 5.6, 245.0, 11.0)


@dataclass
class Recipe:
    """What the run should look like."""

    name: str = "EMA cross"
    days: float = 120.0
    interval_s: int = 3600
    instruments: int = 1
    hold_bars: int = 24
    skill: float = 0.0
    trades: bool = True
    leave_open: bool = False
    status: str = "complete"
    simulated: bool = False
    seed: int = 1
    start_ns: int = START
    starting_equity: float = 10_000.0
    fee_bps: float = 5.0
    slippage_bps: float = 1.0
    halts: int = 0
    models: tuple[ModelRecipe, ...] = ()
    params: dict[str, object] = field(default_factory=lambda: {"fast": 12, "slow": 48})
    honesty: tuple[str, ...] = (
        "Fees, slippage and funding are modelled.",
        "With bars alone, a latency below one bar changes nothing.",
        "Market impact is not modelled: the order is assumed small against the bar's volume.",
    )


def build_run(path: Path, recipe: Recipe) -> Path:
    """Write a run folder at `path` and return it."""
    path.mkdir(parents=True)
    rng = np.random.default_rng(recipe.seed)
    n = round(recipe.days * 86_400 / recipe.interval_s)
    ids = ALL_INSTRUMENTS[: recipe.instruments]
    ts = recipe.start_ns + (1 + np.arange(n, dtype=np.int64)) * recipe.interval_s * SECOND
    cash = np.zeros(n)
    held = np.zeros(n)
    market = np.zeros(n)
    tables: dict[str, list[dict[str, object]]] = {name: [] for name in TABLES}
    bars, frames = [], {}
    for k, instrument in enumerate(ids):
        o, h, low, c = _prices(recipe, k, n)
        books = _Books(recipe, instrument, ts, o, c, cash, tables)
        if recipe.trades:
            _trade(rng, recipe, books)
        held += books.held * c
        market += recipe.starting_equity / len(ids) * c / o[0]
        frames[instrument] = BarFrame(ts, o, h, low, c, np.ones(n))
        bars.append(_thin_bars(ts, instrument, (o, h, low, c)))
    equity = recipe.starting_equity + np.cumsum(cash) + held

    arrow = {
        name: pa.Table.from_pylist(sorted(rows, key=_when), schema=TABLES[name])
        for name, rows in tables.items()
    }
    arrow["equity"] = pa.table(
        {"ts": ts, "equity": equity, "market": market, "exposure": held}
    ).cast(TABLES["equity"])
    arrow["bars"] = pa.concat_tables(bars)
    latencies = _latencies(rng)
    arrow["latency"] = latency_table(latencies)
    arrow["predictions"], models = predictions_of(recipe.models, frames, recipe.interval_s * SECOND)
    funding = float(arrow["funding"].column("amount").to_numpy().sum())
    stats = compute_stats(
        ts,
        equity,
        market,
        arrow["positions"],
        arrow["fills"],
        starting_equity=recipe.starting_equity,
        start_ns=recipe.start_ns,
        exposure=held,
        funding=funding,
    )
    for name, table in arrow.items():
        pq.write_table(table, path / f"{name}.parquet", compression="zstd")
    config = _config(recipe, ids)
    (path / "config.toml").write_text(config, encoding="utf-8")
    (path / "log.jsonl").write_text("", encoding="utf-8")
    record = _record(path, recipe, ids, ts, equity, arrow, msgspec.convert(stats, Stats), config)
    predictions = arrow["predictions"].num_rows
    told = {"models": models, "predictions": predictions, "latency": latency_records(latencies)}
    write_record(path, msgspec.structs.replace(record, **told))
    return path


def _latencies(rng: np.random.Generator) -> Latencies:
    """Return some times of a node whose venue answers within tens of milliseconds."""
    latencies = Latencies()
    for stage, median in (("bar age", 80e6), ("guard", 9e3), ("acknowledgement", 12e6)):
        for ns in (median * rng.lognormal(0, 0.5, 200)).astype(int).tolist():
            latencies.spent(stage, ns)
    return latencies


def write_record(path: Path, record: RunRecord) -> None:
    (path / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))


def _prices(recipe, k, n):
    """Prices of the k-th instrument: a longer run begins with the bars of a shorter one."""
    shocks, wicks = (np.random.default_rng([recipe.seed, k, part]) for part in (0, 1))
    volatility = 0.6 * np.sqrt(recipe.interval_s / (365 * 86_400))
    volatility *= np.exp(0.5 * np.sin(np.arange(n) * recipe.interval_s / (40 * 86_400)))
    drift = 0.35 * recipe.interval_s / (365 * 86_400)
    first = FIRST_PRICES[k]
    c = first * np.exp(np.cumsum(volatility * shocks.standard_t(4, n) / np.sqrt(2) + drift))
    o = np.concatenate(([first], c[:-1]))
    reach = volatility[:, None] * np.abs(wicks.standard_normal((n, 2))) * 0.6
    h = np.maximum(o, c) * np.exp(reach[:, 0])
    low = np.minimum(o, c) * np.exp(-reach[:, 1])
    digits = max(0, 5 - int(np.floor(np.log10(first))))
    return tuple(np.round(x, digits) for x in (o, h, low, c))


class _Books:
    """What one instrument's trades move: money and quantity by bar, and the rows of the tables."""

    def __init__(self, recipe, instrument, ts, opens, closes, cash, tables):
        self.recipe, self.instrument, self.ts = recipe, instrument, ts.tolist()
        self.opens, self.closes = opens, closes
        self.cash, self.tables = cash, tables
        self.held = np.zeros(len(ts))
        self.count = 0

    def opening(self, row):
        """Return when a fill at a bar's open stands: a little after it."""
        return self.ts[row] - self.recipe.interval_s * SECOND + SECOND // 10

    def trade(self, at, end, side, reason):
        """Enter at one bar's open and leave at another's; without a reason stay in."""
        self.count += 1
        key = f"{self.instrument}-{self.count:05d}"
        strategy = "EmaCross-001" if self.count % 2 else "EmaCross-002"
        quantity = round(self.recipe.starting_equity / self.recipe.instruments / self.opens[at], 6)
        funding = self._fund(at, end, side * quantity)
        legs = [(at, side, "entry")] + ([] if reason is None else [(end, -side, reason)])
        paid = [self._fill(key, strategy, quantity, *leg) for leg in legs]
        fees, slippage = sum(fill["fee"] for fill in paid), sum(fill["slippage"] for fill in paid)
        entry = paid[0]["price"]
        leave = self.closes[end] if reason is None else paid[1]["price"]
        pnl = side * quantity * (leave - entry) - fees - funding
        is_open = reason is None
        self.tables["positions"].append(
            {
                "position_id": f"P-{key}",
                "strategy_id": strategy,
                "instrument_id": self.instrument,
                "side": "LONG" if side > 0 else "SHORT",
                "quantity": quantity,
                "ts_open": self.opening(at),
                "ts_close": None if is_open else self.opening(end),
                "open_price": entry,
                "close_price": None if is_open else leave,
                "pnl": pnl,
                "fees": fees,
                "slippage": slippage,
                "funding": funding,
                "return_frac": None if is_open else pnl / (entry * quantity),
                "bars_held": end - at,
                "exit_purpose": reason,
            }
        )

    def _fund(self, at, end, quantity):
        every = 8 * 3600 // self.recipe.interval_s or 1
        total = 0.0
        for mark in range(at + every - at % every, end, every):
            amount = quantity * self.closes[mark] * 1e-4
            self.cash[mark] -= amount
            total += amount
            self.tables["funding"].append(
                {
                    "ts": self.ts[mark],
                    "instrument_id": self.instrument,
                    "rate": 1e-4,
                    "quantity": quantity,
                    "price": self.closes[mark],
                    "amount": amount,
                }
            )
        return total

    def _fill(self, key, strategy, quantity, row, way, purpose):
        reference = self.opens[row]
        price = reference * (1 + way * self.recipe.slippage_bps / 1e4)
        common = {
            "ts": self.opening(row),
            "instrument_id": self.instrument,
            "strategy_id": strategy,
            "client_order_id": f"O-{key}-{purpose}",
            "side": "BUY" if way > 0 else "SELL",
            "quantity": quantity,
            "purpose": purpose,
        }
        fill = common | {
            "trade_id": f"T-{key}-{purpose}",
            "price": price,
            "fee": price * quantity * self.recipe.fee_bps / 1e4,
            "liquidity": "TAKER",
            "reference_price": reference,
            "slippage": quantity * reference * self.recipe.slippage_bps / 1e4,
        }
        order = common | {
            "type": "MARKET",
            "reduce_only": purpose != "entry",
            "status": "FILLED",
            "filled_quantity": quantity,
            "average_price": price,
            "ts_last": common["ts"],
        }
        self.tables["fills"].append(fill)
        self.tables["orders"].append(order)
        self.cash[row] -= way * quantity * price + fill["fee"]
        self.held[row:] += way * quantity
        return fill


def _trade(rng, recipe, books):
    """Go long or short for random spells; with skill, more often the right way."""
    last = len(books.ts) - 1
    at = 1 + int(rng.integers(0, recipe.hold_bars))
    while at < last - 2:
        end = at + 2 + int(rng.integers(0, 2 * recipe.hold_bars))
        stays = end >= last
        if stays and not recipe.leave_open:
            return
        end = min(end, last)
        rises = books.closes[end] > books.opens[at]
        side = 1 if (rng.random() < 0.5 + recipe.skill) == rises else -1
        reason = REASONS[int(rng.integers(0, len(REASONS)))]
        books.trade(at, end, side, None if stays else reason)
        if stays:
            return
        at = end + 1 + int(rng.integers(0, recipe.hold_bars))


def _thin_bars(ts, instrument, ohlc):
    o, h, low, c = ohlc
    step = -(-len(ts) // MAX_BAR_ROWS)
    first = np.arange(0, len(ts), step)
    last = np.minimum(first + step, len(ts)) - 1
    return pa.table(
        {
            "ts": ts[last],
            "instrument_id": [instrument] * len(first),
            "open": o[first],
            "high": np.maximum.reduceat(h, first),
            "low": np.minimum.reduceat(low, first),
            "close": c[last],
            "volume": np.ones(len(first)),
        }
    ).cast(TABLES["bars"])


def _when(row):
    return row.get("ts", row.get("ts_open"))


def _config(recipe, ids):
    params = "\n".join(f"{key} = {value!r}" for key, value in recipe.params.items())
    return (
        f'[trader]\nname = "{recipe.name}"\n\n[backtest]\nseed = {recipe.seed}\n\n'
        f'[[strategies]]\nclass = "strategies.ema_cross:EmaCross"\n'
        f"instruments = {ids!r}\n\n[strategies.params]\n{params}\n\n"
        f'[[venues]]\nname = "BINANCE"\ntaker_fee_bps = {recipe.fee_bps}\n'
        f'api_key = "env:BINANCE_KEY"\n'
    )


def _record(path, recipe, ids, ts, equity, tables, stats, config) -> RunRecord:
    interval = {60: "1-MINUTE", 3600: "1-HOUR", 86_400: "1-DAY"}[recipe.interval_s]
    bar_types = [f"{i}-{interval}-LAST-EXTERNAL" for i in ids]
    net = float(equity[-1] - recipe.starting_equity)
    complete = recipe.status == "complete"
    digest = hashlib.sha256(path.name.encode()).hexdigest()
    return RunRecord(
        schema=1,
        run_id=path.name,
        mode="backtest",
        name=recipe.name,
        status=recipe.status,  # type: ignore[arg-type]
        error=None if complete else "strategies.ema_cross: on_bar raised ZeroDivisionError.",
        created="2026-03-02T10:15:30Z",
        fingerprint=digest if complete else None,
        config_sha256=hashlib.sha256(config.encode()).hexdigest(),
        data_sha256=hashlib.sha256(b"data").hexdigest(),
        models=[],
        bars=len(ts) * len(ids),
        predictions=0,
        orders=tables["orders"].num_rows,
        fills=tables["fills"].num_rows,
        seconds=Seconds(
            load=0.84, features=0.31, inference=0.0, engine=4.92, report=None, total=6.3
        ),
        stats=stats if complete else None,
        run_dir=path.name,
        simulated=recipe.simulated,
        currency="USDT",
        period=Period(start=_iso(recipe.start_ns), end=_iso(int(ts[-1]))),
        instruments=list(ids),
        bar_types=bar_types,
        venues=[
            VenueRecord(
                name="BINANCE",
                account="margin",
                maker_fee_bps=2.0,
                taker_fee_bps=recipe.fee_bps,
                slippage_bps=recipe.slippage_bps,
                latency_ms=150.0,
                leverage=1.0,
                starting_balances=[f"{recipe.starting_equity:.0f} USDT"],
            )
        ],
        starting_equity=recipe.starting_equity,
        final_equity=float(equity[-1]) if complete else None,
        costs=Costs(
            fees=stats.fees,
            slippage=stats.slippage,
            funding=stats.funding,
            gross_pnl=net + stats.fees + stats.slippage + stats.funding,
            net_pnl=net,
        )
        if complete
        else None,
        ambiguous=Ambiguous(
            count=3 if recipe.trades else 0,
            pnl_stop_first=-61.3 if recipe.trades else 0.0,
            pnl_target_first=84.2 if recipe.trades else 0.0,
            rule="stop_first",
        ),
        honesty=list(recipe.honesty),
        data=[
            DataRecord(
                bar_type=bar_type,
                rows=len(ts),
                first=_iso(int(ts[0])),
                last=_iso(int(ts[-1])),
                sha256=hashlib.sha256(bar_type.encode()).hexdigest(),
                gaps=k % 2,
                missing=80 * (k % 2),
                sources=[f"{bar_type.split('-')[0]}-2023.csv"],
                repairs=["2 duplicate rows dropped (same values)"] if k % 2 else [],
                simulated=recipe.simulated,
            )
            for k, bar_type in enumerate(bar_types)
        ],
        versions={"aitb_nautilus": "0.1.0", "nautilus_trader": "2.0.0rc7", "python": "3.13.9"},
        halts=[
            Halt(ts=_iso(int(ts[len(ts) // 2])), reason="position notional above 20,000 USDT")
            for _ in range(recipe.halts)
        ],
        refused=7 * recipe.halts,
        limits=[
            LimitCount(limit=name, refused=refused * recipe.halts, shrunk=shrunk * recipe.halts)
            for name, refused, shrunk in (("state", 6, 0), ("max_gross_notional", 1, 4))
            if recipe.halts
        ],
    )


def _iso(ns: int) -> str:
    return datetime.fromtimestamp(ns // SECOND, tz=UTC).isoformat().replace("+00:00", "Z")
