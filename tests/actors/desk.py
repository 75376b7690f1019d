"""A real engine for tests of actors: bars of several instruments in slices, and who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType,
    Bar,
    BarType,
    Money,
    OmsType,
    Price,
    Quantity,
    TraderId,
    Venue,
)

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import (
    LATE_PREDICTION,
    BarClosed,
    LatePrediction,
    Prediction,
)
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import Settings
from tests.features.feature_bars import market
from tests.risk.rig import MINUTE, T0

__all__ = ["Ear", "bars_of", "frame", "run"]


def frame(
    count: int, seed: int, price: float, without: Sequence[int] = (), start: int = T0
) -> BarFrame:
    """Return one-minute bars in prices of two decimals from a first close on, some missing."""
    bars = market(count, seed=seed, price=price)
    columns = [np.round(c, 2) for c in (bars.open, bars.high, bars.low, bars.close)]
    times = start + np.arange(count, dtype=np.int64) * MINUTE.ns
    there = np.isin(np.arange(count), without, invert=True)
    return BarFrame(times, *columns, np.round(bars.volume, 3)).take(there)


def bars_of(frames: Mapping[str, BarFrame]) -> list[Bar]:
    """Return the engine's bars in order of time, those of one time in the order of the frames."""
    found = []
    for place, (name, f) in enumerate(frames.items()):
        bar_type = BarType.from_str(MINUTE.bar_type(name))
        for ts, *prices, volume in zip(
            f.ts_close, f.open, f.high, f.low, f.close, f.volume, strict=True
        ):
            values = [Price(p, 2) for p in prices]
            size = Quantity.from_str(f"{volume:.3f}")
            found.append((int(ts), place, Bar(bar_type, *values, size, int(ts), int(ts))))
    return [bar for *_, bar in sorted(found, key=lambda one: one[:2])]


class Ear(GuardedActor):
    """Remember what is said, and when it was heard."""

    def __init__(self, settings: Settings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.bars: list[tuple[str, int]] = []
        self.heard: list[Prediction] = []
        self.heard_at: list[int] = []
        self.late: list[LatePrediction] = []

    def bar_types(self) -> Sequence[str]:
        names = dict.fromkeys(i for s in self.context.sources.values() for i in s.instruments)
        return [MINUTE.bar_type(name) for name in names]

    def predictions(self) -> Sequence[tuple[str, str]]:
        return [(s.model, i) for s in self.context.sources.values() for i in s.instruments]

    def starting(self) -> None:
        self.subscribe_topic(LATE_PREDICTION, self._hear_late)

    def hear_bar(self, bar: BarClosed) -> None:
        self.bars.append((bar.instrument_id, bar.ts))

    def hear_prediction(self, prediction: Prediction) -> None:
        assert self.bars.count((prediction.instrument_id, prediction.ts_event)) == 1
        self.heard.append(prediction)
        self.heard_at.append(self.now())

    def _hear_late(self, message: object) -> None:
        assert isinstance(message, LatePrediction)
        self.late.append(message)


def run(
    context: Context,
    slices: Sequence[Sequence[Bar]],
    actors: Sequence[Any],
    between: Callable[[], None] = lambda: None,
) -> None:
    """Run actors on bars; call `between` after each slice, while the engine stands still."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("AITB-001"),
            logging=LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True),
            bypass_logging=True,
            run_analysis=False,
            shutdown_on_error=True,
        )
    )
    engine.add_venue(
        Venue("BINANCE"),
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money.from_str("100000 USDT")],
        default_leverage=Decimal(10),
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
    )
    for name in {str(bar.bar_type.instrument_id) for part in slices for bar in part}:
        engine.add_instrument(context.instruments[name])
    engine.add_actors(list(actors))
    for part in slices:
        engine.add_data(list(part))
        engine.run(streaming=True)
        engine.clear_data()
        if context.run_state.stop_reason:
            break
        between()
    if engine.run_finished is None:
        engine.end()
    engine.dispose()
