"""Calendar: when the bar closed, in UTC. As circles, so that midnight lies beside midnight."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import TIME, Cells, Choice, Values, feature

HOUR = 3600.0
DAY = 86400.0
WEEK = 604800.0
MONDAY = 345600.0  # 1970-01-05, the first Monday, in seconds


def _turn(time: float, period: float) -> float:
    """Return the angle of a time on a circle of one period."""
    return 2.0 * math.pi * ((time % period) / period)


@feature(
    family="calendar",
    unit="sine",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(-1.0, 1.0),
)
def hour_sin(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the time of day, first coordinate: 0 at midnight, 1 at 06:00.

    Formula
    -------
    sin(2 pi T / 24 h), T = time since midnight UTC

    References
    ----------
    Intraday seasonality; Andersen and Bollerslev (1997).
    """
    return math.sin(_turn(x[TIME], DAY))


@feature(
    family="calendar",
    unit="cosine",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(-1.0, 1.0),
)
def hour_cos(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the time of day, second coordinate: 1 at midnight, -1 at noon.

    Formula
    -------
    cos(2 pi T / 24 h), T = time since midnight UTC

    References
    ----------
    Intraday seasonality; Andersen and Bollerslev (1997).
    """
    return math.cos(_turn(x[TIME], DAY))


@feature(
    family="calendar",
    unit="sine",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(-1.0, 1.0),
)
def weekday_sin(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the time of the week, first coordinate: 0 as Monday begins, 1 on Tuesday 18:00.

    Formula
    -------
    sin(2 pi T / 7 d), T = time since Monday 00:00 UTC

    References
    ----------
    Day-of-the-week effect; French (1980).
    """
    return math.sin(_turn(x[TIME] - MONDAY, WEEK))


@feature(
    family="calendar",
    unit="cosine",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(-1.0, 1.0),
)
def weekday_cos(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the time of the week, second coordinate: 1 as Monday begins, -1 on Thursday noon.

    Formula
    -------
    cos(2 pi T / 7 d), T = time since Monday 00:00 UTC

    References
    ----------
    Day-of-the-week effect; French (1980).
    """
    return math.cos(_turn(x[TIME] - MONDAY, WEEK))


@feature(
    family="calendar",
    unit="minutes",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(0.0, 1440.0),
)
def minutes_since_midnight(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the minutes since midnight UTC, for models that cut the day into pieces.

    Formula
    -------
    T / 1 min, T = time since midnight UTC

    References
    ----------
    Definition.
    """
    return x[TIME] % DAY / 60.0


@feature(
    family="calendar",
    unit="0 or 1",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(0.0, 1.0),
)
def weekend(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return 1 from Saturday 00:00 to Monday 00:00 UTC, when the banks are closed.

    Formula
    -------
    1 if the time since Monday 00:00 UTC is 5 d or more

    References
    ----------
    Day-of-the-week effect in cryptocurrencies: Dorfleitner and Lung (2018).
    """
    return 1.0 if (x[TIME] - MONDAY) % WEEK >= 5.0 * DAY else 0.0


@feature(
    family="calendar",
    unit="fraction of the period",
    parameters=(
        Choice(
            name="hours",
            text="hours between payments",
            example="8",
            words=("1", "2", "4", "8", "24"),
        ),
    ),
    warmup=lambda _: 1,
    cells=lambda _: 0,
    bounds=(0.0, 1.0),
)
def funding_clock(_s: Cells, p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return how much of the current funding period has passed; payments start from midnight UTC.

    Formula
    -------
    (T mod hours) / hours, T = time since midnight UTC; 0 at a payment

    References
    ----------
    Binance USD-M futures: funding every 8 h, for some contracts every 4, 2 or 1 h.
    """
    code = int(p[0])
    hours = 24.0 if code == 4 else float(2**code)
    return x[TIME] % (hours * HOUR) / (hours * HOUR)
