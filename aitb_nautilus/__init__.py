"""An event-driven machine-learning trading engine built on NautilusTrader.

The same work that the command line does is a plain call for launcher scripts:

>>> from aitb_nautilus import backtest, train  # doctest: +SKIP
>>> report = train("my_desk.toml")  # doctest: +SKIP
>>> record = backtest("my_desk.toml")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aitb_nautilus.observe.report import write_report
    from aitb_nautilus.run.backtest import backtest
    from aitb_nautilus.run.live import live, paper
    from aitb_nautilus.run.load import load_config
    from aitb_nautilus.run.training import train

__all__ = ["__version__", "backtest", "live", "load_config", "paper", "train", "write_report"]

__version__ = "0.1.0"

_WHERE = {
    "backtest": "aitb_nautilus.run.backtest",
    "live": "aitb_nautilus.run.live",
    "load_config": "aitb_nautilus.run.load",
    "paper": "aitb_nautilus.run.live",
    "train": "aitb_nautilus.run.training",
    "write_report": "aitb_nautilus.observe.report",
}


def __getattr__(name: str) -> Any:
    """Import a public call when it is first used; the engine takes half a second to load."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
