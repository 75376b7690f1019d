"""A client of the rehearsal's spot interface for tests, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.rehearsal import BarSource, Rehearsal, RehearsalSettings, SteppedClock
from tests.rehearsal_client import HOUR_NS, Client
from tests.rehearsal_lab import START_NS, hour_bars

SPOT_ID = "BTCUSDT.BINANCE"
SETTINGS = RehearsalSettings(
    product="spot", balances={"USDT": "10000"}, maker_fee="0.001", taker_fee="0.001"
)


@asynccontextmanager
async def spot_client() -> AsyncIterator[Client]:
    """Run a spot rehearsal on a stepped clock, one bar after its beginning, and connect to it."""
    frame = hour_bars(60)
    source = BarSource(find_instrument(SPOT_ID), frame, HOUR_NS, int(frame.ts_close[49]))
    rehearsal = Rehearsal(SETTINGS, [source], SteppedClock(START_NS))
    await rehearsal.start()
    rehearsal.advance(rehearsal.clock.now_ns() + HOUR_NS)
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(rehearsal, session)
    finally:
        await rehearsal.stop()


async def place(
    client: Client, side: str, quantity: str, price: str | None = None, **more: str
) -> tuple[int, Any]:
    """Place a limit order, or without a price a market order."""
    kind = {"type": "MARKET"}
    if price is not None:
        kind = {"type": "LIMIT", "timeInForce": "GTC", "price": price}
    params = {"symbol": "BTCUSDT", "side": side, "quantity": quantity} | kind | more
    return await client.sign("POST", "/api/v3/order", **params)
