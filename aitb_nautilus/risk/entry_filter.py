"""Entries only while some features of the instrument lie within bounds.

The features are those that models see, by the same kernels, computed from the strategy's own closed
bars. A larger bar size, such as ``rsi(14)@4h``, is therefore built from closed bars only: between
two closes of the larger bar its value stands still, and nothing of the unfinished one is in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import FeatureSet, parse_features
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.settings import Settings

__all__ = ["EntryFilter", "Filter", "filter_features"]


class Filter(Settings, frozen=True):
    """Bounds within which a feature must lie for an entry; absent means not bounded.

    Attributes
    ----------
    feature
        Such as ``sma_ratio(20)@1h`` or ``rsi(14)``; see ``aitb features list``. Of the instrument
        that is traded. Mind the warm-up: ``sma_ratio(20)@1h`` needs 21 hours of one-minute bars,
        ``ema_ratio(12,26)@1h`` 16 days and ``rsi(14)@4h`` 66, since an exponential average sees
        far back.
    long_min, long_max
        Smallest and largest value at which a long position may be opened, in the feature's unit.
    short_min, short_max
        The same for a short position.
    """

    feature: str
    long_min: float | None = None
    long_max: float | None = None
    short_min: float | None = None
    short_max: float | None = None

    def __post_init__(self) -> None:
        """Refuse a filter that lets everything through, or nothing."""
        if {self.long_min, self.long_max, self.short_min, self.short_max} == {None}:
            raise ValueError(
                "has no bound, must have at least one of long_min, long_max, short_min, short_max"
            )
        for side in ("long", "short"):
            low, high = self._bounds(is_long=side == "long")
            if low is not None and high is not None and low > high:
                raise ValueError(f"{side}_min was {low}, must be at most {side}_max, {high}")

    def passes(self, value: float, *, is_long: bool) -> bool:
        """Return whether a position on that side may be opened at that value."""
        low, high = self._bounds(is_long=is_long)
        return (low is None or value >= low) and (high is None or value <= high)

    def _bounds(self, *, is_long: bool) -> tuple[float | None, float | None]:
        if is_long:
            return self.long_min, self.long_max
        return self.short_min, self.short_max


def filter_features(filters: Sequence[Filter], interval: Interval) -> FeatureSet:
    """Return the features that filters name, one column each.

    Parameters
    ----------
    filters
        At least one.
    interval
        Of the bars that will be given.

    Raises
    ------
    ValueError
        For a feature that is unknown, named twice, or of another instrument. Says which.
    """
    names: list[str] = []
    for i, one in enumerate(filters):
        here = f"filters[{i}].feature {one.feature!r}"
        try:
            alone = parse_features([one.feature], interval=interval)
        except ConfigError as e:
            raise ValueError(ConfigError(here, e.found, e.wanted, e.todo).paragraph()) from e
        if alone.others:
            raise ValueError(f"{here}: sees {alone.others[0]}, must see the traded instrument only")
        if alone.names[0] in names:
            first = names.index(alone.names[0])
            raise ValueError(f"{here}: is that of filters[{first}], put all its bounds into one")
        names.append(alone.names[0])
    return parse_features(names, interval=interval)


class EntryFilter:
    """The filters of one instrument, with one feature engine for all of them.

    Parameters
    ----------
    filters
        All must pass; without any, everything passes.
    interval
        Of the bars given to `update`.

    Notes
    -----
    Nothing passes before the slowest of the features has warmed up, and again after a gap in the
    bars that is too long for the feature engine to fill (more than 120 bars).
    """

    def __init__(self, filters: Sequence[Filter], interval: Interval) -> None:
        self._filters = tuple(filters)
        self._engine = FeatureEngine(filter_features(filters, interval)) if filters else None
        self._values: list[float] | None = None if filters else []

    @property
    def bars_before(self) -> int:
        """Return how many bars its features look back."""
        return 0 if self._engine is None else self._engine.features.warmup

    def update(self, bar: BarClosed) -> None:
        """Take in a closed bar.

        Raises
        ------
        DataError
            If the bar is not sound, or not in order.
        """
        if self._engine is None:
            return
        row = self._engine.update(bar.ts, bar.open, bar.high, bar.low, bar.close, bar.volume)
        self._values = None if row is None else row.tolist()

    def passes(self, *, is_long: bool) -> bool:
        """Return whether a position on that side may be opened after the last bar."""
        if self._engine is None:
            return True
        return self._values is not None and all(
            one.passes(value, is_long=is_long)
            for one, value in zip(self._filters, self._values, strict=True)
        )
