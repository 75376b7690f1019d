"""A real live node in a process of its own: a local feed, the engine's sandbox, one strategy.

    python -m tests.run.live_node CONFIG JOURNAL

Bars and quotes come every `PACE_S`. The strategy opens, rests a stop and an entry far away, closes,
and begins again. Each order that leaves is a line on stdout: when, which action, whether an exit.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.adapters.sandbox import (
    SandboxExecutionClientConfig,
    SandboxExecutionClientFactory,
)
from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.config import DataClientConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNodeBuilder, LiveNodeConfig
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.model import (
    AccountId,
    AccountType,
    Bar,
    Money,
    OmsType,
    Price,
    Quantity,
    QuoteTick,
    TraderId,
    Venue,
)

from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.messages import (
    ORDER_SENT,
    BarClosed,
    CancelIntent,
    CloseIntent,
    Intent,
    OrderIntent,
    OrderSent,
)
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.commands import NodeCommands
from aitb_nautilus.run.config import DeskConfig
from aitb_nautilus.run.load import Desk, read_toml
from aitb_nautilus.settings import Settings, decode
from tests.risk.rig import BTC, MINUTE, make_context

PACE_S = 0.03
SIZE = Decimal("0.01")


def tell(**words: Any) -> None:
    sys.stdout.write(json.dumps({"t": time.time_ns(), **words}) + "\n")
    sys.stdout.flush()


class Restless(GuardedStrategy):
    """Open, protect, close, and begin again."""

    def __init__(self, settings: Settings, context: Any, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.bars = 0

    def bar_types(self) -> Sequence[str]:
        return [MINUTE.bar_type(BTC)]

    def decide_on_start(self) -> Iterable[Intent]:
        self.subscribe_topic(ORDER_SENT, self.sent)
        return ()

    def sent(self, message: Any) -> None:
        assert isinstance(message, OrderSent)
        order = self.context.ledger.orders[message.client_order_id]
        tell(action=message.action, exit=order.is_exit, kind=order.kind)

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        step, self.bars = self.bars % 6, self.bars + 1
        held = self.view.quantity(BTC)
        if step == 0 and not held:
            yield OrderIntent(instrument_id=BTC, side="BUY", quantity=SIZE)
        elif step == 2 and held:
            yield self.away("SELL", "STOP_MARKET", trigger_price=bar.close * 0.95, reduce_only=True)
            yield self.away("BUY", "LIMIT", price=bar.close * 0.95)
        elif step == 4:
            for order in self.view.open_orders(BTC):
                yield CancelIntent(client_order_id=order.client_order_id)
            yield CloseIntent(instrument_id=BTC)

    def away(self, side: Any, kind: Any, **terms: Any) -> OrderIntent:
        return OrderIntent(instrument_id=BTC, side=side, kind=kind, quantity=SIZE, **terms)


class FeedConfig(DataClientConfig):
    def __init__(self) -> None:
        super().__init__()


class Feed(MarketDataClient):
    """Bars of a quiet market, as fast as they come."""

    def __init__(self, *, name: str, config: Any, cache: Any, clock: Any) -> None:
        venue = Venue("BINANCE")
        super().__init__(name=name, config=config, cache=cache, clock=clock, venue=venue)
        self.instrument = engine_instrument(find_instrument(BTC))
        self.bar_type: Any = None

    async def _connect(self) -> None:
        self._handle_instrument(self.instrument)
        self.task = self.create_task(self._pump(), "pump")

    async def _disconnect(self) -> None:
        self.task.cancel()

    async def _subscribe_bars(self, command: Any) -> None:
        self.bar_type = command.bar_type

    async def _unsubscribe_bars(self, command: Any) -> None:
        self.bar_type = None

    async def _subscribe_funding_rates(self, command: Any) -> None:
        pass

    async def _unsubscribe_funding_rates(self, command: Any) -> None:
        pass

    async def _subscribe_quotes(self, command: Any) -> None:
        pass

    async def _pump(self) -> None:
        bid, ask = Price.from_str("29999.90"), Price.from_str("30000.10")
        close, size = Price.from_str("30000.00"), Quantity.from_str("5.000")
        while True:
            await asyncio.sleep(PACE_S)
            now = self.clock.timestamp_ns()
            quote = QuoteTick(self.instrument.id, bid, ask, size, size, now, now)
            self._handle_data(quote)
            if self.bar_type is not None:
                self._handle_data(Bar(self.bar_type, close, ask, bid, close, size, now, now))


class FeedFactory(DataClientFactory):
    @staticmethod
    def create(*, name: str, config: Any, cache: Any, clock: Any) -> Feed:
        return Feed(name=name, config=config, cache=cache, clock=clock)


def build(actors: Sequence[Any], strategies: Sequence[Any]) -> Any:
    """Return a live node whose orders go to the engine's sandbox."""
    config = LiveNodeConfig(
        environment=Environment.SANDBOX,
        trader_id=TraderId("AITB-001"),
        logging=LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True),
        exec_engine=LiveExecutionEngineConfig(reconciliation=False),
        delay_post_stop_secs=0.2,
        data_clients={"BINANCE": FeedConfig()},
    )
    sandbox = SandboxExecutionClientConfig(
        venue=Venue("BINANCE"),
        starting_balances=[Money.from_str("100000 USDT")],
        account_type=AccountType.MARGIN,
        oms_type=OmsType.NETTING,
        default_leverage=Decimal(10),
        account_id=AccountId("BINANCE-001"),
        fee_model=MakerTakerFeeModel(Decimal("0.0002"), Decimal("0.0005")),
        reject_stop_orders=False,
    )
    builder = LiveNodeBuilder.from_config("AITB", config, data_factories={"BINANCE": FeedFactory()})
    factory = SandboxExecutionClientFactory()
    node = builder.add_simulated_exec_client("BINANCE", factory, sandbox).build()
    for actor in actors:
        node.add_actor(actor)
    for strategy in strategies:
        node.add_strategy(strategy)
    return node


async def main(config: Path, journal: Path) -> None:
    desk = Desk(config, decode(read_toml(config), DeskConfig, str(config)), (), ())
    context = make_context(desk.config.risk)
    strategy = Restless(Settings(), context, "restless-001")
    about = {"mode": "paper", "run_id": "a-test"}
    opened = Opened(run_id="a-test", config_sha256="0" * 64, mode="paper")
    commands = NodeCommands(desk, context, [strategy], about)
    with commands, Journal(journal, opened, time.time_ns()) as context.chronicle.journal:
        node = build([commands.actor], [strategy])
        handle = node.handle()
        running = asyncio.create_task(node.run_async())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, handle.stop)
        tell(action="running")
        await running
    for failure in context.run_state.failures:
        tell(action="failed", error=failure.error, trace=failure.trace)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
