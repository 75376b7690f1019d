"""An exchange by the wall's clock, perpetuals or spot, for nodes that it makes end at the start."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from aitb_nautilus.rehearsal import BarSource, RehearsalSettings
from aitb_nautilus.rehearsal.clock import WallClock
from tests.rehearsal_lab import SPEC
from tests.rehearsal_thread import serve_in_thread
from tests.run.node_lab import HISTORY, MINUTE_NS, NodeLab, minute_bars
from tests.run.test_live import SECRET

__all__ = ["PRODUCTS", "config_of", "refusing_lab"]

_OF: Final = {"usd_m": {"account": "margin"}, "spot": {"account": "cash", "leverage": 1.0}}
PRODUCTS: Final = tuple(_OF)


@contextmanager
def refusing_lab(folder: Path, product: str) -> Iterator[NodeLab]:
    """Give a lab while the block runs."""
    frame = minute_bars(HISTORY + 600)
    spec = (
        SPEC
        if product == "usd_m"
        else msgspec.structs.replace(SPEC, id="BTCUSDT.BINANCE", kind="spot")
    )
    source = BarSource(spec, frame, MINUTE_NS, int(frame.ts_close[HISTORY - 1]))
    gc.collect()  # the engine's objects of other tests may not be dropped by the exchange's thread
    settings = RehearsalSettings(product=product, api_secret=SECRET)
    with serve_in_thread(settings, [source], WallClock()) as running:
        lab = NodeLab(folder, running, spec)
        try:
            yield lab
        finally:
            lab.close()


def config_of(lab: NodeLab, live: Mapping[str, float], **venue: Any) -> str:
    """Write a config of its market, with keys of ``[live]`` and more of the venue."""
    (strategy,) = lab.plain()["strategies"]
    strategy["params"]["direction"] = "long"
    product = "usd_m" if "PERP" in lab.spec.id else "spot"
    return str(lab.write(strategies=[strategy], venue=_OF[product] | venue, live=live))
