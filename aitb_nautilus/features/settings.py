"""The `[features]` section of a config."""

from __future__ import annotations

from typing import Annotated

import msgspec

from aitb_nautilus.settings import Settings

__all__ = ["FeatureSettings"]


class FeatureSettings(Settings, frozen=True):
    """Which features a model sees, and of which bars.

    Parameters
    ----------
    columns
        One text a feature, in the order in which the model sees them:
        ``["log_return(1)", "rsi(14)@1h", "beta(eth,60)"]``.
    interval
        The base bar size: one row of features for each of its bars.
    instruments
        Short names for instruments, usable in `columns`.
    longest_gap_bars
        So many missing base bars in a row count as bars without a trade, at the last close. After
        more, features warm up anew.
    """

    columns: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    interval: str = "1m"
    instruments: dict[str, str] = msgspec.field(default_factory=dict)
    longest_gap_bars: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 120
