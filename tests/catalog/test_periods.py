import datetime as dt

import pytest

from catalog.periods import iso, month_starts, parse_month, parse_time

DAY_NS = 86_400_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-02", DAY_NS),
        ("1970-02", 31 * DAY_NS),
        ("1970-01-01T00:01", 60_000_000_000),
        ("1970-01-01T02:00+02:00", 0),
        ("1970-01-01T00:00:00.000001Z", 1_000),
        ("2024-01-01", 1_704_067_200_000_000_000),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text, ns, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    assert parse_time(text) == ns


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13", "2024-02-30", "01.02.2024"])
def test_what_is_no_time_is_refused_with_the_accepted_forms(text):
    with pytest.raises(ValueError, match="write 2024-01-31"):
        parse_time(text)


@pytest.mark.parametrize("text", ["2024", "2024-13", "2024-1", "2024-01-01", "1969-12"])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(ValueError, match="write 2023-01"):
        parse_month(text)


def test_months_run_over_the_year_and_may_be_one_or_none():
    november, january = parse_month("2023-11"), parse_month("2024-01")
    assert month_starts(november, january) == [november, dt.date(2023, 12, 1), january]
    assert month_starts(january, january) == [january]
    assert month_starts(january, november) == []


def test_iso_and_parse_time_are_inverse():
    assert parse_time(iso(1_704_067_261_000_000_000)) == 1_704_067_261_000_000_000
