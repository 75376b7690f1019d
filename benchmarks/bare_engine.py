"""The engine alone, with a Python strategy that does nothing: what a back-test is measured against.

Run as ``python benchmarks/bare_engine.py CATALOG BAR_TYPE``; prints bars and seconds as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from typing import Self

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import AccountType, Bar, BarType, Money, OmsType, StrategyId, Venue
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.trading import Strategy, StrategyConfig

from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import find_instrument


class Nothing(Strategy):
    """Count bars."""

    def __new__(cls, _: str) -> Self:
        return super().__new__(cls, StrategyConfig(strategy_id=StrategyId("NOTHING-001")))

    def __init__(self, bar_type: str) -> None:
        super().__init__(StrategyConfig(strategy_id=StrategyId("NOTHING-001")))
        self.bar_type = BarType.from_str(bar_type)
        self.seen = 0

    def on_start(self) -> None:
        self.subscribe_bars(self.bar_type)

    def on_bar(self, _: Bar) -> None:
        self.seen += 1


def main(catalog: str, bar_type: str) -> None:
    """Read the bars, run the engine, print bars and seconds."""
    instrument_id = str(BarType.from_str(bar_type).instrument_id)
    began = time.perf_counter()
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True),
            bypass_logging=True,
            run_analysis=False,
        )
    )
    engine.add_venue(
        Venue("BINANCE"),
        OmsType.NETTING,
        AccountType.CASH,
        [Money.from_str("10000 USDT")],
        fee_model=MakerTakerFeeModel(Decimal("0.001"), Decimal("0.001")),
    )
    engine.add_instrument(engine_instrument(find_instrument(instrument_id)))
    strategy = Nothing(bar_type)
    engine.add_strategy(strategy)
    engine.add_data(ParquetDataCatalog(catalog).query_bars([bar_type]))
    engine.run()
    print(json.dumps({"bars": strategy.seen, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(*sys.argv[1:])
