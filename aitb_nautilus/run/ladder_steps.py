"""When the drawdown of a run was beyond a step of its ladder."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal

import numpy as np

from aitb_nautilus.market.bars import FloatArray, TimeArray
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.returns import DAY_NS, running_peak
from aitb_nautilus.observe.risk_record import LadderStep
from aitb_nautilus.risk.limit_blocks import DrawdownSettings
from aitb_nautilus.run.limit_usage import Usage
from aitb_nautilus.run.stretches import Stretches

__all__ = ["drawdown_of", "ladder_steps", "ladder_usages"]

_MOST = 200
_STEPS: tuple[Literal["shrink", "reduce", "halt"], ...] = ("shrink", "reduce", "halt")


def drawdown_of(
    ts: TimeArray, equity: FloatArray, starting_equity: float, window_days: float | None = None
) -> FloatArray:
    """Return the fall below the peak at each close, as a fraction of it, shape (n,).

    Parameters
    ----------
    window_days
        The peak is the highest equity of so many days; None: of all time.
    """
    peak = running_peak(equity, starting_equity)
    if window_days is not None:
        peak = _peak_of_late(ts, equity, round(window_days * DAY_NS))
    fallen: FloatArray = np.where(peak > 0, 1 - equity / np.where(peak > 0, peak, 1.0), 0.0)
    return np.maximum(fallen, 0.0)


def ladder_steps(ladder: DrawdownSettings, ts: TimeArray, drawdown: FloatArray) -> list[LadderStep]:
    """Return the times beyond each step, in order of time; of more than 200 the deepest."""
    found: list[tuple[float, int, LadderStep]] = []
    for step in _STEPS:
        bound = getattr(ladder, f"{step}_frac")
        if bound is None:
            continue
        beyond = np.concatenate([[False], drawdown >= bound, [False]])
        changes = np.flatnonzero(np.diff(beyond))
        for first, after in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True):
            deepest = float(drawdown[first:after].max())
            end = None if after == len(ts) else iso(int(ts[after]))
            entry = LadderStep(step=step, start=iso(int(ts[first])), end=end, deepest_frac=deepest)
            found.append((deepest, first, entry))
    deepest_first = sorted(found, key=lambda one: -one[0])[:_MOST]
    return [entry for _, _, entry in sorted(deepest_first, key=lambda one: one[1])]


def ladder_usages(
    ladder: DrawdownSettings, stretches: Stretches, drawdown: FloatArray
) -> Iterator[Usage]:
    """Yield how near each step was."""
    for step in _STEPS:
        bound = getattr(ladder, f"{step}_frac")
        if bound is not None:
            yield f"risk.drawdown.{step}_frac", bound, stretches.largest(drawdown) / bound


def _peak_of_late(ts: TimeArray, equity: FloatArray, window_ns: int) -> FloatArray:
    """Return the highest equity of the window that ends at each close."""
    best: deque[tuple[int, float]] = deque()
    peaks = []
    for at, value in zip(ts.tolist(), equity.tolist(), strict=True):
        while best and best[-1][1] <= value:
            best.pop()
        best.append((at, value))
        while best[0][0] <= at - window_ns:
            best.popleft()
        peaks.append(best[0][1])
    return np.array(peaks)
