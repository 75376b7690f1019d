from __future__ import annotations

import pytest

from aitb_nautilus.observe import formats


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (formats.percent(0.1234567), "12.35%"),
        (formats.percent(0.1234567, signed=True), "+12.35%"),
        (formats.percent(-12.5), "-1,250.00%"),
        (formats.percent(-0.000001), "0.00%"),
        (formats.percent(-0.000001, signed=True), "0.00%"),
        (formats.percent(None), formats.DASH),
        (formats.small_percent(0.0012345), "+0.123%"),
        (formats.small_percent(-0.0000004), "-0.00004%"),
        (formats.small_percent(0.0), "0.000%"),
        (formats.ratio(None), formats.DASH),
        (formats.ratio(1234.567), "1,234.57"),
        (formats.count(1234567), "1,234,567"),
        (formats.count(None), formats.DASH),
        (formats.money(-1234.5), "-1,234.50"),
        (formats.money(12.0, 4, signed=True), "+12.0000"),
        (formats.money(None), formats.DASH),
        (formats.seconds(0.841), "0.84 s"),
        (formats.seconds(125.2), "2 min 05 s"),
        (formats.seconds(4200), "1 h 10 min"),
        (formats.seconds(None), formats.DASH),
        (formats.days(1 / 1440), "1 minute"),
        (formats.days(5 / 1440), "5 minutes"),
        (formats.days(59.4 / 1440), "59 minutes"),
        (formats.days(59.6 / 1440), "1.0 hours"),
        (formats.days(0.25), "6.0 hours"),
        (formats.days(1.0), "1 day"),
        (formats.days(2.5), "2.5 days"),
        (formats.days(365.0), "365 days"),
        (formats.day("2023-03-24T12:40:00Z"), "2023-03-24"),
        (formats.minute("2023-03-24T12:40:31.5Z"), "2023-03-24 12:40"),
        (formats.minute(None), formats.DASH),
    ],
)
def test_number_reads_as_people_write_it(text: str, wanted: str) -> None:
    assert text == wanted


def test_small_accounts_get_more_decimals() -> None:
    assert [formats.money_decimals(size) for size in (10_000, 1_000, 50, 1)] == [2, 2, 4, 6]
