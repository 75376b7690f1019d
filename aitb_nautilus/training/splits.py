"""Chronological folds and windows, purged and embargoed.

A row that closes at t and whose label looks ahead until t1 spans [t, t1]. If that span touches the
span of a row that is tested, the two share bars, and training on one tells the answer to the other.
So rows whose spans touch a test are taken out of its training (purge). What follows a test closely
resembles it, because features look back; so rows that begin within the embargo after a test are
taken out as well.

>>> import numpy as np
>>> spans = Spans(np.arange(12), np.arange(12) + 2)
>>> test = np.array([5, 6])
>>> train = purged(spans, np.ones(12, bool), test, purge_ns=0, embargo_ns=1)
>>> [int(i) for i in np.flatnonzero(train)]
[0, 1, 2, 10, 11]

The labels of 3 and 4 look into the test, that of 6 looks at 7 and 8, and 9 is embargoed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.intervals import TimeArray
from aitb_nautilus.training.samples import Samples
from aitb_nautilus.training.settings import FoldSettings

__all__ = [
    "Fold",
    "Places",
    "Spans",
    "chronological_folds",
    "holdout",
    "overlapping",
    "purged",
    "walk_forward_windows",
]

type Places = NDArray[np.int64]

_FEWEST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Spans:
    """First and last bar that each of n rows spans, (n,) int64 each, ns UTC."""

    first: TimeArray
    last: TimeArray

    @classmethod
    def of(cls, samples: Samples) -> Spans:
        """Return the spans of samples: from their own bar to the last one of their label."""
        return cls(samples.ts, samples.last_ns)


@dataclass(frozen=True, slots=True)
class Fold:
    """One split: places of rows among the samples, in order."""

    number: int
    train: Places
    test: Places


def overlapping(spans: Spans, train: Places, test_spans: Spans, test: Places) -> Places:
    """Return the rows of `train` whose spans share a bar with the span of a row of `test`."""
    if not len(test):
        return train[:0]
    begins, ends = test_spans.first[test], test_spans.last[test]
    order = np.argsort(begins, kind="stable")
    reaches = np.maximum.accumulate(ends[order])
    # Of the tests that begin no later than a row ends, does any reach to where the row begins?
    before = np.searchsorted(begins[order], spans.last[train], "right")
    touched: NDArray[np.bool_] = (before > 0) & (
        reaches[np.maximum(before, 1) - 1] >= spans.first[train]
    )
    shared: Places = train[touched]
    return shared


def purged(
    spans: Spans,
    wanted: NDArray[np.bool_],
    test: Places,
    *,
    purge_ns: int,
    embargo_ns: int,
) -> NDArray[np.bool_]:
    """Return which rows may be trained on for a test.

    Parameters
    ----------
    spans
        Of all n rows.
    wanted
        (n,) bool: the rows that one would like to train on.
    test
        Places of the tested rows.
    purge_ns
        Free time before a test, besides the spans themselves.
    embargo_ns
        Free time after a test.

    Returns
    -------
    (n,) bool
        The wanted rows that are not tested, whose spans end more than `purge_ns` before a tested
        span begins or begin more than `embargo_ns` after one ends.
    """
    left = wanted.copy()
    left[test] = False
    # The trained spans are widened, not the tested ones.
    wide = Spans(spans.first - embargo_ns, spans.last + purge_ns)
    left[overlapping(wide, np.flatnonzero(left), spans, test)] = False
    return left


def chronological_folds(
    samples: Samples, settings: FoldSettings, *, purge_ns: int, embargo_ns: int
) -> tuple[Fold, ...]:
    """Return folds in order of time, each tested on rows that came after its training.

    Parameters
    ----------
    samples
        All with labels.

    Raises
    ------
    DataError
        If there are too few rows.
    """
    ts, spans = samples.ts, Spans.of(samples)
    n = len(samples)
    first = int(n * settings.first_train_share)
    edges = np.linspace(first, n, settings.count + 1).astype(np.int64)
    # Rows of one time stay together, whichever instrument they are of.
    cuts = [int(np.searchsorted(ts, ts[edge], "left")) for edge in edges[:-1]] + [n]
    folds = []
    for k in range(settings.count):
        test = np.arange(cuts[k], cuts[k + 1])
        wanted = np.zeros(n, np.bool_)
        begin = max(0, cuts[k] - first) if settings.window == "rolling" else 0
        wanted[begin : cuts[k]] = True
        train = np.flatnonzero(
            purged(spans, wanted, test, purge_ns=purge_ns, embargo_ns=embargo_ns)
        )
        _refuse_few(len(train), len(test), f"fold {k + 1} of {settings.count}")
        folds.append(Fold(k + 1, train, test))
    return tuple(folds)


def walk_forward_windows(
    samples: Samples, *, train_ns: int, step_ns: int, purge_ns: int, embargo_ns: int
) -> Iterator[Fold]:
    """Yield a training window and the stretch after it, again and again until the data end.

    Parameters
    ----------
    samples
        Also those without a label: they are tested on, but not trained on.
    train_ns, step_ns
        Length of the two.

    Raises
    ------
    DataError
        If the data are shorter than one window and one step, or a window has too few rows.
    """
    ts, known, spans = samples.ts, samples.known, Spans.of(samples)
    begin, end = int(ts[0]), int(ts[-1])
    if begin + train_ns > end:
        days = (end - begin) / 86_400e9
        raise DataError(
            "walk-forward",
            f"the rows of features reach over {days:.1f} days",
            f"must be more than the training window of {train_ns / 86_400e9:g} days",
            "Train on a longer span, or set a shorter model.walk_forward.train_days",
        )
    number, at = 1, begin + train_ns
    while at <= end:
        first, last = (int(np.searchsorted(ts, t, "left")) for t in (at, at + step_ns))
        test = np.arange(first, last)
        if len(test):
            wanted = known & (ts >= at - train_ns) & (ts < at)
            train = np.flatnonzero(
                purged(spans, wanted, test, purge_ns=purge_ns, embargo_ns=embargo_ns)
            )
            _refuse_few(len(train), _FEWEST_ROWS, f"walk-forward window {number}")
            yield Fold(number, train, test)
            number += 1
        at += step_ns


def holdout(
    samples: Samples, places: Places, share: float, purge_ns: int, where: str
) -> tuple[Places, Places]:
    """Divide rows in order of time: the older ones, purged, and the newest `share` of them.

    Raises
    ------
    DataError
        If too few are left on either side.
    """
    ts = samples.ts
    edge = places[int(len(places) * (1.0 - share))] if len(places) else 0
    newest = places[ts[places] >= ts[edge]] if len(places) else places
    wanted = np.zeros(len(samples), np.bool_)
    wanted[places] = True
    older = np.flatnonzero(
        purged(Spans.of(samples), wanted, newest, purge_ns=purge_ns, embargo_ns=0)
    )
    _refuse_few(len(older), len(newest), where)
    return older, newest


def _refuse_few(train: int, test: int, where: str) -> None:
    if min(train, test) < _FEWEST_ROWS:
        raise DataError(
            where,
            f"has {train:,} rows to fit and {test:,} to check on, after purging",
            f"must have at least {_FEWEST_ROWS} of each",
            "Train on a longer span, with fewer folds, or with a shorter horizon",
        )
