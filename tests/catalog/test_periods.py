import datetime as dt

import pytest

from catalog.periods import month_starts, parse_month


@pytest.mark.parametrize("text", ["2024", "2024-13", "2024-1", "2024-01-01", "1969-12"])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(ValueError, match="write 2023-01"):
        parse_month(text)


def test_months_run_over_the_year_and_may_be_one_or_none():
    november, january = parse_month("2023-11"), parse_month("2024-01")
    assert month_starts(november, january) == [november, dt.date(2023, 12, 1), january]
    assert month_starts(january, january) == [january]
    assert month_starts(january, november) == []
