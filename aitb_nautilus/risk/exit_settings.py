"""What a config says of exits."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import chain, pairwise
from typing import Annotated

import msgspec

from aitb_nautilus.settings import Settings

__all__ = ["Exits", "Target"]

Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Multiple = Annotated[float, msgspec.Meta(gt=0, le=100)]
Bars = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class Target(Settings, frozen=True):
    """One of several targets; `frac` or `atr` says where.

    Attributes
    ----------
    close_frac
        Part of the position that is closed there, of all that was bought or sold to open it.
    frac
        In favour of the entry price, as a fraction of it.
    atr
        In favour of the entry price, in average true ranges at the entry.
    """

    close_frac: Annotated[float, msgspec.Meta(gt=0, le=1)]
    frac: Positive | None = None
    atr: Multiple | None = None

    def __post_init__(self) -> None:
        """Refuse a target that stands nowhere, or in two places."""
        if (self.frac is None) == (self.atr is None):
            raise ValueError("must say where it stands by one of frac and atr")


class Exits(Settings, frozen=True):
    """How a position ends. Absent means not used.

    Of several stops the tightest counts, and a stop never moves back. All that trails does so at
    closed bars. An average true range is that of closed bars; nothing is entered before it is
    known.

    Attributes
    ----------
    stop_frac
        Stop this far against the entry price, as a fraction of it.
    stop_atr
        Stop this far against the entry price, in average true ranges at the entry.
    target_frac
        Take profit this far in favour of the entry price, as a fraction of it.
    target_atr
        The same in average true ranges at the entry.
    targets
        Several of them instead, each with the part of the position that it closes, the nearest
        first. What none of them closes is left to the other exits.
    trailing_frac
        Stop this far from the best close since entry, as a fraction of that close.
    trailing_atr
        Stop this many average true ranges from the best close since entry.
    chandelier_atr
        Stop this many average true ranges from the highest high of the last `chandelier_bars` bars
        since entry; of a short position, from the lowest low.
    chandelier_bars
        Bars in which the chandelier looks for its extreme.
    break_even_frac
        Once a close is this far in favour of the entry price, as a fraction of it, the stop is
        moved to where the position costs nothing.
    break_even_atr
        The same in average true ranges at the entry.
    break_even_cost_bps
        What entering and leaving cost together, in basis points of the entry price: the moved stop
        stands this far in favour of it.
    max_bars
        Close at the market after so many bars.
    signal
        Close when the strategy's own signal turns. False leaves the position to the other exits.
    atr_bars
        Bars in the average true range.
    """

    stop_frac: Fraction | None = None
    stop_atr: Multiple | None = None
    target_frac: Positive | None = None
    target_atr: Multiple | None = None
    targets: tuple[Target, ...] = ()
    trailing_frac: Fraction | None = None
    trailing_atr: Multiple | None = None
    chandelier_atr: Multiple | None = None
    chandelier_bars: Bars | None = None
    break_even_frac: Fraction | None = None
    break_even_atr: Multiple | None = None
    break_even_cost_bps: Annotated[float, msgspec.Meta(ge=0, le=1_000)] = 10.0
    max_bars: Annotated[int, msgspec.Meta(ge=1)] | None = None
    signal: bool = True
    atr_bars: Bars = 14

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        for problem in chain(self._in_targets(), self._in_stops(), self._in_break_even()):
            raise ValueError(problem)
        if not self.signal and not (self.has_stop or self.all_targets or self.max_bars):
            raise ValueError(
                "signal was false and there is no other exit, so a position would never end; "
                "must have a stop, a target or max_bars"
            )

    @property
    def all_targets(self) -> tuple[Target, ...]:
        """Return the targets, a single one among them."""
        if self.target_frac is None and self.target_atr is None:
            return self.targets
        return (Target(close_frac=1.0, frac=self.target_frac, atr=self.target_atr),)

    @property
    def has_stop(self) -> bool:
        """Return whether a stop rests from the entry on."""
        return not all(
            one is None
            for one in (
                self.stop_frac,
                self.stop_atr,
                self.trailing_frac,
                self.trailing_atr,
                self.chandelier_atr,
            )
        )

    @property
    def needs_atr(self) -> bool:
        """Return whether anything is measured in average true ranges."""
        return any(target.atr is not None for target in self.all_targets) or not all(
            one is None
            for one in (
                self.stop_atr,
                self.trailing_atr,
                self.chandelier_atr,
                self.break_even_atr,
            )
        )

    def _in_targets(self) -> Iterator[str]:
        ways = [self.target_frac is not None, self.target_atr is not None, bool(self.targets)]
        if sum(ways) > 1:
            yield "must have one of target_frac, target_atr and targets, not several"
        total = sum((Decimal(repr(one.close_frac)) for one in self.targets), Decimal(0))
        if total > 1:
            yield f"targets close {total} of the position, must be at most all of it, 1"
        for unit in ("frac", "atr"):
            places = [getattr(one, unit) for one in self.targets]
            told = [place for place in places if place is not None]
            if any(first >= then for first, then in pairwise(told)):
                yield f"targets stand at {unit} {told}, must be in order, the nearest first"

    def _in_stops(self) -> Iterator[str]:
        if self.chandelier_atr is not None and self.chandelier_bars is None:
            yield "chandelier_atr needs chandelier_bars, the bars in which it looks for its extreme"
        if self.chandelier_atr is None and self.chandelier_bars is not None:
            yield "chandelier_bars is given without chandelier_atr, how far the stop hangs below"

    def _in_break_even(self) -> Iterator[str]:
        gain, ranges = self.break_even_frac, self.break_even_atr
        if gain is not None and ranges is not None:
            yield "must have one of break_even_frac and break_even_atr, not both"
        if gain is not None and gain * 1e4 <= self.break_even_cost_bps:
            yield (
                f"break_even_frac was {gain:g}, must be above break_even_cost_bps, which is "
                f"{self.break_even_cost_bps:g} or {self.break_even_cost_bps / 1e4:g}: the stop "
                f"would stand beyond the market"
            )
        for name, mine, unit in (
            ("break_even_frac", gain, "frac"),
            ("break_even_atr", ranges, "atr"),
        ):
            places = [getattr(one, unit) for one in self.all_targets]
            if mine is None or not places or None in places:
                continue
            if mine >= places[-1]:
                yield (
                    f"{name} was {mine:g}, must be below the last target, {places[-1]:g}: nothing "
                    f"would be left to protect"
                )
