"""A live node on the engine's own Binance adapter against a rehearsal, in a process of its own.

Prints one JSON object: what the strategy saw. Used by `test_engine_adapter`.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections import Counter
from typing import Any, Self

from nautilus_trader.adapters.binance import (
    BinanceDataClientConfig,
    BinanceDataClientFactory,
    BinanceEnvironment,
    BinanceExecutionClientConfig,
    BinanceExecutionClientFactory,
    BinanceProductType,
)
from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.live import LiveNodeBuilder, LiveNodeConfig
from nautilus_trader.model import (
    AccountId,
    BarType,
    BookType,
    ClientOrderId,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    StrategyId,
    TraderId,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from aitb_nautilus.messages import CloseIntent
from aitb_nautilus.rehearsal import Fault, RehearsalSettings, SteppedClock
from aitb_nautilus.risk.decision_ids import Place, decision_id
from tests.rehearsal_client import HOUR_NS, bar_source
from tests.rehearsal_thread import RunningRehearsal, serve_in_thread

IID = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
BARS = BarType.from_str("BTCUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL")
STEP_NS = HOUR_NS // 24
KINDS = ("bar", "quote", "trade", "deltas", "history")
LIMIT_S = 12.0
OURS = (
    decision_id(
        "AITB-001", "S-001", Place(("call", str(n)), 0), CloseIntent(instrument_id=str(IID))
    )
    for n in itertools.count()
)
"""Ids as our strategies give them: hashes of decisions."""


class Session(Strategy):
    """Does one thing after the other, each when the one before has been answered."""

    running: RunningRehearsal

    def __new__(cls, *_: Any) -> Self:
        return super().__new__(cls, StrategyConfig(strategy_id=StrategyId("S-001")))

    def __init__(self, running: RunningRehearsal) -> None:
        self.running = running
        self.seen: Counter[str] = Counter()
        self.told: list[str] = []
        self.bars: list[list[str]] = []
        self.ids: dict[str, list[str]] = {}
        self.stage = 0
        self.order: Any = None

    def on_start(self) -> None:
        self.told.append(f"start {self.cache.instrument(IID).id}")
        self.told.append(f"reconciled orders {len(self.cache.orders_open())}")
        positions = [str(p.signed_qty) for p in self.cache.positions_open()]
        self.told.append(f"reconciled positions {positions}")
        self.subscribe_bars(BARS)
        self.subscribe_quotes(IID)
        self.subscribe_trades(IID)
        self.subscribe_book_deltas(IID, BookType.L2_MBP)
        self.request_bars(BARS, limit=10)

    def on_historical_bars(self, bars: Any) -> None:
        self.seen["history"] += len(bars)

    def on_bar(self, bar: Any) -> None:
        self.seen["bar"] += 1
        self.bars.append([str(v) for v in (bar.open, bar.high, bar.low, bar.close, bar.volume)])

    def on_trade(self, _: Any) -> None:
        self.seen["trade"] += 1

    def on_book_deltas(self, _: Any) -> None:
        self.seen["deltas"] += 1

    def on_order_event(self, event: Any) -> None:
        name = type(event).__name__
        self.ids.setdefault(str(event.client_order_id), []).append(name.removeprefix("Order"))
        if name not in ("OrderInitialized", "OrderSubmitted"):
            self.told.append(name.removeprefix("Order"))

    def on_quote(self, quote: Any) -> None:
        self.seen["quote"] += 1
        if self.order is not None and not self.order_is_settled():
            return
        self.next_stage(quote)

    def order_is_settled(self) -> bool:
        order = self.cache.order(self.order.client_order_id)
        waits = self.stage in (2, 5)  # these rest: accepted is enough
        return order.is_closed or (waits and str(order.status).endswith("ACCEPTED"))

    def next_stage(self, quote: Any) -> None:
        make, quantity = self.order_factory, Quantity.from_str("0.010")
        self.stage += 1
        match self.stage:
            case 1:
                self.running.call(
                    lambda r: r.exchange.faults.arm(
                        Fault(kind="duplicate_event", match="ORDER_TRADE_UPDATE TRADE")
                    )
                )
                self.order = make.market(IID, OrderSide.BUY, quantity, client_order_id=ours())
            case 2:
                low = Price.from_str(f"{float(str(quote.bid_price)) - 1_000:.1f}0")
                self.order = make.limit(IID, OrderSide.BUY, quantity, low)
            case 3:
                self.cancel_order(self.order.client_order_id)
                return
            case 4:
                self.running.call(
                    lambda r: r.exchange.faults.arm(
                        Fault(kind="refuse", match="WS order.place", status=400, code=-2019)
                    )
                )
                self.order = make.market(IID, OrderSide.BUY, quantity)
            case 5:
                low = Price.from_str(f"{float(str(quote.bid_price)) - 500:.1f}0")
                self.order = make.stop_market(
                    IID, OrderSide.SELL, quantity, low, reduce_only=True, client_order_id=ours()
                )
            case 6:
                self.cancel_order(self.order.client_order_id)
                return
            case 7:
                high = Price.from_str(f"{float(str(quote.ask_price)) + 0.5:.1f}0")
                self.order = make.stop_market(IID, OrderSide.BUY, quantity, high)
            case 8 if min(self.seen[kind] for kind in KINDS) == 0:
                self.stage -= 1  # a quick session waits until all kinds of data have come
                return
            case 8:
                self.told.append("done")
                self.order = None
                return
            case _:
                return
        self.submit_order(self.order)


def ours() -> ClientOrderId:
    """Return one more id of ours."""
    return ClientOrderId(next(OURS))


def place_by_hand(running: RunningRehearsal) -> None:
    """Leave a position and a resting order behind, as a session before this one did."""

    def work(rehearsal: Any) -> None:
        rehearsal.advance(rehearsal.clock.now_ns() + HOUR_NS)
        common = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.020"}
        rehearsal.exchange.venue.place(common | {"type": "MARKET"})
        low = {"type": "LIMIT", "timeInForce": "GTC", "price": "58000.0"}
        rehearsal.exchange.venue.place(common | low)

    running.call(work)


def drive(session: Session, running: RunningRehearsal, stop: Any) -> None:
    """Move the clock on until the session is done."""
    until = time.monotonic() + LIMIT_S
    while "done" not in session.told and time.monotonic() < until:
        running.call(lambda r: r.advance(r.clock.now_ns() + STEP_NS))
        time.sleep(0.05)
    time.sleep(0.2)
    stop()


def main() -> None:
    clock = SteppedClock(time.time_ns())
    with serve_in_thread(RehearsalSettings(), [bar_source(400, 300)], clock) as running:
        place_by_hand(running)
        config = LiveNodeConfig(
            environment=Environment.LIVE,
            trader_id=TraderId("AITB-001"),
            logging=LoggerConfig(stdout_level=LogLevel.OFF),
            delay_post_stop_secs=0.2,
        )
        common = {
            "product_type": BinanceProductType.USD_M,
            "environment": BinanceEnvironment.LIVE,
            "base_url_http": running.url_http,
            "base_url_ws": running.url_ws,
            "api_key": "rehearsal",
            "api_secret": "rehearsal",
        }
        node = (
            LiveNodeBuilder.from_config("AITB", config)
            .add_data_client(None, BinanceDataClientFactory(), BinanceDataClientConfig(**common))
            .add_exec_client(
                None,
                BinanceExecutionClientFactory(),
                BinanceExecutionClientConfig(
                    account_id=AccountId("BINANCE-001"),
                    base_url_ws_trading=running.url_ws_api,
                    **common,
                ),
            )
            .build()
        )
        session = Session(running)
        node.add_strategy(session)
        stop = node.handle().stop
        threading.Thread(target=drive, args=(session, running, stop), daemon=True).start()
        node.run()
        venue = running.call(
            lambda r: {
                "fills": len(r.exchange.venue.fills),
                "position": r.exchange.venue.account.position("BTCUSDT").amount,
                "open": len(r.exchange.venue.orders.open()),
            }
        )
    json.dump(
        {
            "seen": session.seen,
            "told": session.told,
            "bars": session.bars,
            "ids": session.ids,
            "venue": venue,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
