"""Checks that find a look into the future. Each is itself tested on a planted leak.

A check returns what it found; `refuse` turns that into an error. The first two take any function
from bars to values, so that they hold for features, labels, predictions and a user's own pipeline:

>>> import numpy as np
>>> from aitb_nautilus.market.bars import BarFrame
>>> closes = np.array([3.0, 5.0, 4.0, 6.0])
>>> bars = BarFrame(np.arange(4) * 60, closes, closes, closes, closes, closes)
>>> def centred(bars):
...     return bars.ts_close, bars.close - bars.close.mean()
>>> [leak.check for leak in check_cut_history(centred, bars, [2])]
['cut history']
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import TimeArray
from aitb_nautilus.training.samples import Samples
from aitb_nautilus.training.splits import Fold, Spans, overlapping

__all__ = [
    "Leak",
    "changed_future",
    "check_changed_future",
    "check_cut_history",
    "check_fitted_inside",
    "check_splits",
    "refuse",
]

type Values = tuple[TimeArray, NDArray[Any]]
type FromBars = Callable[[BarFrame], Values]
"""From bars to the times when each value is known, (n,) int64, and the values, (n,) or (n, k)."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One look into the future.

    Attributes
    ----------
    check
        Which check found it.
    where, found
        For an error.
    """

    check: str
    where: str
    found: str


def refuse(leaks: Sequence[Leak]) -> None:
    """Raise if there is a leak.

    Raises
    ------
    DataError
        Naming the first, and how many there are.
    """
    if leaks:
        first = leaks[0]
        more = f" (the first of {len(leaks)} such findings)" if len(leaks) > 1 else ""
        raise DataError(
            f"leak check {first.check!r}: {first.where}",
            f"{first.found}{more}",
            "the past must not know the future",
            "Nothing that was trained or measured this way can be trusted",
        )


def check_cut_history(compute: FromBars, bars: BarFrame, cuts: Iterable[int]) -> list[Leak]:
    """Find values that are others when the history ends at a bar than when it goes on.

    Parameters
    ----------
    cuts
        Numbers of bars after which to end the history.
    """
    whole = compute(bars)
    leaks = []
    for cut in cuts:
        part = compute(bars.take(slice(0, cut)))
        end = int(bars.ts_close[cut - 1])
        if leak := _difference("cut history", end, _until(whole, end), _until(part, end)):
            leaks.append(leak)
    return leaks


def check_changed_future(
    compute: FromBars, bars: BarFrame, cuts: Iterable[int], seed: int = 1
) -> list[Leak]:
    """Find values of the past that change when the future does.

    Parameters
    ----------
    cuts
        Numbers of bars after which all bars are replaced by others.
    seed
        Of the other future.
    """
    whole = compute(bars)
    leaks = []
    for cut in cuts:
        other = compute(changed_future(bars, cut, seed))
        end = int(bars.ts_close[cut - 1])
        if leak := _difference("changed future", end, _until(whole, end), _until(other, end)):
            leaks.append(leak)
    return leaks


def changed_future(bars: BarFrame, cut: int, seed: int = 1) -> BarFrame:
    """Return the same bars up to a bar, and sound but quite different ones after it."""
    random = np.random.default_rng(seed)
    factor = np.ones((len(bars), 2))
    factor[cut:] = np.exp(random.normal(0.5, 0.2, (len(bars) - cut, 2)))
    price, volume = factor[:, 0], factor[:, 1]
    return BarFrame(
        bars.ts_close,
        bars.open * price,
        bars.high * price,
        bars.low * price,
        bars.close * price,
        bars.volume * volume,
    )


def check_splits(samples: Samples, folds: Iterable[Fold]) -> list[Leak]:
    """Find rows whose label shares a bar with a test that they are trained for."""
    spans = Spans.of(samples)
    leaks = []
    for fold in folds:
        shared = overlapping(spans, fold.train, spans, fold.test)
        both = np.intersect1d(fold.train, fold.test)
        if len(both) or len(shared):
            row = int(both[0] if len(both) else shared[0])
            leaks.append(
                Leak(
                    "label windows",
                    f"fold {fold.number}",
                    f"{len(np.union1d(shared, both)):,} of its {len(fold.train):,} training rows "
                    f"look at bars of its test, such as the row of {_time(int(samples.ts[row]))}, "
                    f"whose label ends at {_time(int(samples.last_ns[row]))}",
                )
            )
    return leaks


def check_fitted_inside(
    fit: Callable[[Samples, Fold], bytes], samples: Samples, folds: Iterable[Fold], seed: int = 1
) -> list[Leak]:
    """Find a fit that depends on rows outside of its fold's training.

    By its scaler, its calibration, when it stops, or its labels: every other row and its label are
    replaced, and the fit must stay the same in every byte.

    Parameters
    ----------
    fit
        From samples and a fold to the bytes of the fitted model.
    """
    return [
        Leak(
            "fitted inside the fold",
            f"fold {fold.number}",
            "the model changes when rows change that it must not have seen",
        )
        for fold in folds
        if fit(samples, fold) != fit(_outside_changed(samples, fold, seed), fold)
    ]


def _outside_changed(samples: Samples, fold: Fold, seed: int) -> Samples:
    random = np.random.default_rng(seed)
    outside = np.ones(len(samples), np.bool_)
    outside[fold.train] = False
    rows, up, forward = samples.rows.copy(), samples.up.copy(), samples.forward.copy()
    rows[outside] = 100.0 + 10.0 * random.normal(size=rows[outside].shape)
    up[outside] = ~up[outside]
    forward[outside] = 5.0 - forward[outside]
    return dataclasses.replace(samples, rows=rows, up=up, forward=forward)


def _until(values: Values, end_ns: int) -> Values:
    kept = values[0] <= end_ns
    return values[0][kept], values[1][kept]


def _difference(check: str, end_ns: int, whole: Values, part: Values) -> Leak | None:
    """Return the first difference of two sets of values, compared bit for bit."""
    where = f"up to {_time(end_ns)}"
    if not np.array_equal(whole[0], part[0]):
        return Leak(
            check, where, f"{len(whole[0]):,} values with the future, {len(part[0]):,} without"
        )
    same = (whole[1] == part[1]) | ((whole[1] != whole[1]) & (part[1] != part[1]))
    # Equal numbers of other bits: 0.0 and -0.0.
    same &= np.signbit(whole[1]) == np.signbit(part[1])
    if same.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~same)[0])
    column = f" in column {at[1]}" if len(at) > 1 else ""
    return Leak(
        check,
        where,
        f"the value at {_time(int(whole[0][at[0]]))}{column} was {whole[1][at]!s} with the future "
        f"and {part[1][at]!s} without",
    )


def _time(ts_ns: int) -> str:
    return f"{np.datetime64(ts_ns, 'ns').astype('datetime64[s]')}Z"
