from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st

from aitb_nautilus.errors import DataError
from aitb_nautilus.training.settings import FoldSettings
from aitb_nautilus.training.splits import (
    Spans,
    chronological_folds,
    holdout,
    overlapping,
    purged,
    walk_forward_windows,
)
from tests.bar_samples import MINUTE_NS
from tests.training.sample_maker import HORIZON, made_up


@given(st.data())
def test_overlap_is_what_comparing_every_pair_finds(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 25))
    first = np.array(data.draw(st.lists(st.integers(0, 40), min_size=n, max_size=n)))
    last = first + np.array(data.draw(st.lists(st.integers(0, 9), min_size=n, max_size=n)))
    is_test = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    spans = Spans(first, last)
    slow = [i for i in train if any(first[i] <= last[j] and last[i] >= first[j] for j in test)]
    assert overlapping(spans, train, spans, test).tolist() == slow
    purge, embargo = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    left = purged(spans, np.ones(n, bool), test, purge_ns=purge, embargo_ns=embargo)
    for i in train:
        near = any(first[i] - embargo <= last[j] and last[i] + purge >= first[j] for j in test)
        assert left[i] != near
    assert not left[test].any()


@pytest.mark.parametrize("window", ["expanding", "rolling"])
def test_no_fold_trains_on_what_its_test_can_see(window: str) -> None:
    samples = made_up(1200)
    settings = FoldSettings(count=4, window=window)
    folds = chronological_folds(samples, settings, purge_ns=3 * MINUTE_NS, embargo_ns=0)
    assert len(folds) == 4
    for fold in folds:
        gap = samples.ts[fold.test[0]] - samples.last_ns[fold.train[-1]]
        assert gap == 4 * MINUTE_NS  # more than three bars are free
        assert fold.test[0] - fold.train[-1] == HORIZON + 4
    tested = np.concatenate([fold.test for fold in folds])
    assert tested.tolist() == list(range(480, 1200))
    lengths = [fold.train[-1] - fold.train[0] for fold in folds]
    assert len(set(lengths)) == (1 if window == "rolling" else 4)


def test_rows_of_one_time_stay_on_one_side() -> None:
    samples = made_up(1001)
    paired = dataclasses.replace(samples, ts=samples.ts // (2 * MINUTE_NS) * (2 * MINUTE_NS))
    folds = chronological_folds(paired, FoldSettings(count=3), purge_ns=0, embargo_ns=0)
    for before, after in itertools.pairwise(folds):
        assert paired.ts[before.test[-1]] < paired.ts[after.test[0]]


def test_too_few_rows_for_the_folds_are_refused() -> None:
    with pytest.raises(DataError, match=r"fold 1 of 5: has \d+ rows to fit and 24 to check on"):
        chronological_folds(made_up(200), FoldSettings(), purge_ns=0, embargo_ns=0)


def test_walk_forward_answers_every_row_after_the_first_window_once() -> None:
    samples = made_up(2000)
    samples.known[-HORIZON:] = False
    windows = list(
        walk_forward_windows(
            samples,
            train_ns=500 * MINUTE_NS,
            step_ns=300 * MINUTE_NS,
            purge_ns=0,
            embargo_ns=0,
        )
    )
    assert [len(w.test) for w in windows] == [300] * 5
    assert np.concatenate([w.test for w in windows]).tolist() == list(range(500, 2000))
    for window in windows:
        assert samples.known[window.train].all()
        assert samples.last_ns[window.train].max() < samples.ts[window.test[0]]
        assert samples.ts[window.test[0]] - samples.ts[window.train[0]] == 500 * MINUTE_NS


def test_walk_forward_over_too_short_data_is_refused() -> None:
    with pytest.raises(DataError, match="must be more than the training window of 30 days"):
        next(
            walk_forward_windows(
                made_up(500), train_ns=30 * 86_400 * 10**9, step_ns=1, purge_ns=0, embargo_ns=0
            )
        )


def test_held_out_rows_are_the_newest_and_purged() -> None:
    samples = made_up(1000)
    older, newest = holdout(samples, np.arange(1000), 0.2, 0, "a part")
    assert newest.tolist() == list(range(800, 1000))
    assert older.tolist() == list(range(800 - HORIZON))
    assert samples.last_ns[older].max() < samples.ts[newest[0]]
