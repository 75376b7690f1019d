"""Times as people write them."""

from __future__ import annotations

import pytest

from aitb_nautilus.market.times import iso, parse_time

DAY_NS = 86_400_000_000_000
T0 = 1_672_531_200_000_000_000
"""2023-01-01."""


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-02", DAY_NS),
        ("1970-02", 31 * DAY_NS),
        ("1970-01-01T00:01", 60_000_000_000),
        ("1970-01-01T02:00+02:00", 0),
        ("1970-01-01T00:00:00.000001Z", 1_000),
        ("1969-12-31T23:59:59.5", -500_000_000),
        ("2023-01-01T01:00:00+01:00", T0),
        ("2262-04-11", 9_223_286_400_000_000_000),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(
    text: str, ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert parse_time(text) == ns


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13", "2024-02-30", "01.02.2024"])
def test_what_is_no_time_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(ValueError, match="write 2024-01-31"):
        parse_time(text)


@pytest.mark.parametrize("text", ["2263-01-01", "9999-12-31", "1600-01-01"])
def test_times_that_nanoseconds_cannot_tell_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="between the years 1678 and 2262"):
        parse_time(text)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (T0, "2023-01-01T00:00:00Z"),
        (T0 + 50_000_000, "2023-01-01T00:00:00.050000000Z"),
        (T0 + 1, "2023-01-01T00:00:00.000000001Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_times_are_told_as_exactly_as_they_need(ns: int, text: str) -> None:
    assert iso(ns) == text


def test_a_told_time_is_read_as_the_same_to_the_microsecond() -> None:
    assert parse_time(iso(T0 + 61_000_001_000)) == T0 + 61_000_001_000
