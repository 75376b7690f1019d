"""Levels of a probability at which a side is opened and left, with room between the two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from aitb_nautilus.settings import Settings

__all__ = ["Level", "Levels"]

Level = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Levels(Settings, frozen=True, kw_only=True):
    """Where each side is opened and left; a base of settings.

    Attributes
    ----------
    direction
        Sides that may be opened. The levels of a side that may not are not looked at.
    long_enter, long_exit
        Probabilities in [0, 1]: a long position is opened at `long_enter` or above, and left below
        `long_exit`, which is lower.
    short_enter, short_exit
        The same downwards: opened at `short_enter` or below, left above `short_exit`, which is
        higher. With both sides, `short_enter` is at most `long_exit` and `short_exit` at most
        `long_enter`: otherwise one probability would keep one side and open the other.

    Examples
    --------
    >>> levels = Levels()
    >>> [levels.signal(p) for p in (0.55, 0.5, 0.45)]
    [1, 0, -1]
    >>> [levels.keeps(p, is_long=True) for p in (0.5, 0.49)]
    [True, False]
    """

    direction: Literal["long", "short", "both"] = "both"
    long_enter: Level = 0.55
    long_exit: Level = 0.5
    short_enter: Level = 0.45
    short_exit: Level = 0.5

    def __post_init__(self) -> None:
        """Refuse levels that contradict each other."""
        for low, high, may_touch in self._pairs():
            below, above = getattr(self, low), getattr(self, high)
            if below > above or (below == above and not may_touch):
                wanted = "at most" if may_touch else "less than"
                raise ValueError(f"{low} was {below}, must be {wanted} {high}, which is {above}")

    def signal(self, probability: float) -> int:
        """Return +1 if a long position may be opened at that probability, -1 if a short, else 0."""
        if self.direction != "short" and probability >= self.long_enter:
            return 1
        if self.direction != "long" and probability <= self.short_enter:
            return -1
        return 0

    def keeps(self, probability: float, *, is_long: bool) -> bool:
        """Return whether a position is kept at that probability.

        Where one side's exit level is the other's entry level, it is not kept at that very level.
        """
        signal = self.signal(probability)
        if is_long:
            return probability >= self.long_exit and signal >= 0
        return probability <= self.short_exit and signal <= 0

    def _pairs(self) -> Iterator[tuple[str, str, bool]]:
        """Yield names of levels, the lower one first, and whether they may be equal."""
        if self.direction != "short":
            yield "long_exit", "long_enter", False
        if self.direction != "long":
            yield "short_enter", "short_exit", False
        if self.direction == "both":
            yield "short_enter", "long_exit", True
            yield "short_exit", "long_enter", True
