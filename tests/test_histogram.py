from __future__ import annotations

import itertools
import random
import statistics
import timeit

import pytest

from aitb_nautilus.histogram import LONGEST_NS, Bucket, Histogram


def test_every_nanosecond_up_to_255_has_a_bucket_of_its_own() -> None:
    one = Histogram()
    for ns in range(256):
        one.record(ns)
    assert list(one.buckets()) == [Bucket(ns, ns, 1) for ns in range(256)]


def test_a_bucket_holds_its_values_and_is_never_wider_than_a_128th_of_them() -> None:
    rng = random.Random(1)
    for _ in range(5_000):
        ns = int(10 ** rng.uniform(0, 14))
        one = Histogram()
        one.record(ns)
        (bucket,) = one.buckets()
        assert bucket.low <= ns <= bucket.high
        assert (bucket.high + 1 - bucket.low) * 128 <= max(128, bucket.low)


def test_buckets_follow_each_other_without_hole_or_overlap() -> None:
    edges = [2**k + d for k in range(1, 46) for d in (-1, 0, 1)]
    one = Histogram()
    for ns in sorted(set(edges)):
        one.record(ns)
    found = list(one.buckets())
    assert all(a.high < b.low for a, b in itertools.pairwise(found))
    assert sum(b.number for b in found) == len(set(edges))


def test_quantiles_are_those_of_the_sorted_values_within_a_128th() -> None:
    rng = random.Random(2)
    values = sorted(int(rng.lognormvariate(13, 2)) for _ in range(10_001))
    one = Histogram()
    for ns in values:
        one.record(ns)
    for share, exact in ((0.0, values[0]), (0.5, statistics.median(values)), (1.0, values[-1])):
        assert exact <= one.quantile(share) <= exact * 129 / 128 + 1
    assert one.quantile(1.0) == one.longest == values[-1]


def test_negative_times_are_counted_as_zero_and_told_apart() -> None:
    one = Histogram()
    for ns in (-5, -1_000_000, 0, 7):
        one.record(ns)
    assert (one.count, one.below_zero, one.longest) == (4, 2, 7)
    assert list(one.buckets()) == [Bucket(0, 0, 3), Bucket(7, 7, 1)]


def test_what_is_longer_than_39_hours_is_kept_as_the_longest() -> None:
    one = Histogram()
    one.record(LONGEST_NS + 12345)
    (bucket,) = one.buckets()
    assert bucket.high == LONGEST_NS
    assert one.longest == LONGEST_NS + 12345


def test_an_empty_histogram_has_no_quantiles() -> None:
    with pytest.raises(ValueError, match="without values"):
        Histogram().quantile(0.5)


def test_a_histogram_is_rebuilt_from_its_buckets() -> None:
    one = Histogram()
    for ns in (-3, 5, 5, 999_999, 10**10):
        one.record(ns)
    again = Histogram.of_buckets(one.buckets(), below_zero=1, longest=one.longest)
    assert list(again.buckets()) == list(one.buckets())
    assert (again.count, again.below_zero, again.longest) == (5, 1, 10**10)


@pytest.mark.parametrize("bucket", [Bucket(1000, 1001, 1), Bucket(5, 5, 0)], ids=["edges", "none"])
def test_buckets_of_another_kind_are_refused(bucket: Bucket) -> None:
    with pytest.raises(ValueError, match="no bucket of this kind"):
        Histogram.of_buckets([bucket], below_zero=0, longest=1)


def test_a_record_costs_less_than_a_microsecond() -> None:
    one = Histogram()
    best = min(timeit.repeat(lambda: one.record(123_456), number=10_000, repeat=20)) / 10_000
    assert best < 1e-6
