"""A small real engine: one or two instruments, a handful of bars, the simulated venue of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    Bar,
    BarType,
    Money,
    OmsType,
    Price,
    Quantity,
    StrategyId,
    TraderId,
    Venue,
)
from nautilus_trader.trading import Controller, ImportableControllerConfig

from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.messages import BarClosed, Fill, Intent, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.guard import Decision, Guard, LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import RiskSettings, build_limits
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.feed import Series
from aitb_nautilus.run.venue_model import SlippageFillModel, VenueClock
from aitb_nautilus.settings import Settings

BTC = "BTCUSDT-PERP.BINANCE"
ETH = "ETHUSDT-PERP.BINANCE"
MINUTE = Interval.parse("1m")
T0 = 1_700_000_040_000_000_000
"""Close of the first bar, ns UTC: a whole minute."""
LATENCY_NS = 50_000_000
ROOMY = RiskSettings(max_order_notional=1e6, max_position_notional=1e6)

KILL = "kill"

type Step = Callable[[Any], Iterable[Intent] | None]


def close_of(number: int) -> int:
    """Return the close of bar `number`, which counts from 1, ns UTC."""
    return T0 + (number - 1) * MINUTE.ns


def flat_bars(count: int, price: float = 30_000.0) -> list[tuple[float, float, float, float]]:
    """Return bars that do not move at all."""
    return [(price, price, price, price)] * count


def make_context(
    risk: RiskSettings = ROOMY, instruments: Sequence[str] = (BTC, ETH), equity: float = 100_000.0
) -> Context:
    """Return what a node gives to its components."""
    ledger = Ledger(equity)
    specs = [find_instrument(i) for i in instruments]
    lots = {
        s.id: LotRules(s.lot, Decimal(s.min_quantity or 0), float(s.min_notional or 0))
        for s in specs
    }
    return Context(
        RunState(),
        ledger,
        Guard(ledger, build_limits(risk), lots),
        {s.id: engine_instrument(s) for s in specs},
    )


class Scripted(GuardedStrategy):
    """Do at bar n what ``steps[n]`` says, and remember what was told."""

    def __init__(self, settings: Settings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.steps: dict[int, Step] = {}
        self.answers: dict[str, Callable[[Any, Any], Iterable[Intent] | None]] = {}
        self.bars: list[BarClosed] = []
        self.fills: list[Fill] = []
        self.updates: list[tuple[Order, OrderUpdate]] = []
        self.refusals: list[Decision] = []

    def bar_types(self) -> Sequence[str]:
        return [MINUTE.bar_type(BTC)]

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        self.bars.append(bar)
        step = self.steps.get(len(self.bars))
        return (step(self) if step else None) or ()

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        self.fills.append(fill)
        return self._reply("fill", fill)

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        self.updates.append((order, update))
        return self._reply("order", order)

    def decide_on_refusal(self, decision: Decision) -> Iterable[Intent]:
        self.refusals.append(decision)
        return self._reply("refusal", decision)

    def _reply(self, what: str, fact: Any) -> Iterable[Intent]:
        answer = self.answers.get(what)
        return (answer(self, fact) if answer else None) or ()

    def statuses(self, client_order_id: Any) -> list[str]:
        """Return what was told of one order, oldest first."""
        return [
            u.status or ("UPDATED" if u.quantity is not None else "REFUSED")
            for o, u in self.updates
            if o.client_order_id == str(client_order_id)
        ]


@dataclass
class Rig:
    """An engine that has run, and what stood in it."""

    engine: BacktestEngine
    context: Context
    components: Sequence[Any]

    @property
    def guard(self) -> Guard:
        return self.context.guard

    @property
    def state(self) -> RunState:
        return self.context.run_state

    def order(self, client_order_id: Any) -> Any:
        """Return the engine's order."""
        return next(
            o for o in self.engine.cache.orders() if str(o.client_order_id) == str(client_order_id)
        )

    def events(self, client_order_id: Any) -> list[str]:
        """Return the kinds of the engine's events of an order."""
        return [type(e).__name__ for e in self.order(client_order_id).events()]

    def quantity(self) -> Decimal:
        """Return the engine's own net quantity of the first instrument."""
        total = Decimal(0)
        for position in self.engine.cache.positions():
            if str(position.instrument_id) == BTC:
                total += Decimal(str(position.signed_qty))
        return total


def run(
    components: Sequence[Any],
    context: Context,
    rows: Sequence[tuple[float, float, float, float]],
    *,
    slippage_bps: float = 0.0,
    opening_ticks: bool = True,
    extra: Sequence[Any] = (),
    actors: Sequence[Any] = (),
    controller: bool = False,
) -> Rig:
    """Run strategies on bars, given as (open, high, low, close), and return the engine after it.

    Each bar is preceded by its opening tick, if its open is not the close before. `extra` is other
    data; with `controller`, a message on the topic `KILL` makes the engine's own controller close
    everything that the strategy named in it holds.
    """
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("AITB-001"),
            logging=LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True),
            bypass_logging=True,
            run_analysis=False,
            shutdown_on_error=True,
            controller=_CONTROLLER if controller else None,
        )
    )
    clock = VenueClock(Settings(), context, "aitb_venue_clock-001", {"BINANCE": LATENCY_NS})
    engine.add_venue(
        Venue("BINANCE"),
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money.from_str("100000 USDT")],
        default_leverage=Decimal(10),
        fee_model=MakerTakerFeeModel(Decimal("0.0002"), Decimal("0.0005")),
        latency_model=StaticLatencyModel(LATENCY_NS),
        fill_model=SlippageFillModel(slippage_bps, False, clock.now, {BTC: MINUTE.ns}),
        reject_stop_orders=False,
    )
    instrument = context.instruments[BTC]
    engine.add_instrument(instrument)
    frame, bars = make_bars(rows)
    engine.add_data(bars)
    if opening_ticks:
        engine.add_data(Series(MINUTE.bar_type(BTC), instrument, frame, LATENCY_NS).ticks(bars, 0))
    for data in extra:
        engine.add_data([data])
    engine.add_actors([clock, *actors])
    engine.add_strategies(list(components))
    try:
        engine.run(streaming=True)
    except RuntimeError:
        # The engine raises for an error in on_start; the wrapper has recorded the real one.
        if not context.run_state.failures:
            raise
    if engine.run_finished is None:
        engine.end()
    return Rig(engine, context, components)


class KillController(Controller):
    """Close what a strategy holds, as the kill switch of a live node does."""

    def on_start(self) -> None:
        self.subscribe_topic(KILL, self._kill)

    def _kill(self, strategy_id: object) -> None:
        self.market_exit_strategy_from_id(StrategyId(str(strategy_id)))


_CONTROLLER = ImportableControllerConfig(
    "tests.risk.rig:KillController",
    "nautilus_trader.common:DataActorConfig",
    {"actor_id": "KILL-001"},
)


def make_bars(rows: Sequence[tuple[float, float, float, float]]) -> tuple[BarFrame, list[Bar]]:
    """Return one-minute bars as arrays and as the engine's objects."""
    closes = np.array([close_of(i + 1) for i in range(len(rows))], np.int64)
    columns = np.array(rows, np.float64).T
    frame = BarFrame(closes, *(np.ascontiguousarray(c) for c in columns), np.full(len(rows), 5.0))
    bar_type = BarType.from_str(MINUTE.bar_type(BTC))
    bars = [
        Bar(bar_type, *(Price(p, 2) for p in row), Quantity.from_str("5.000"), int(ts), int(ts))
        for row, ts in zip(rows, closes, strict=True)
    ]
    return frame, bars
