"""Volume: on which side it came, and what the price did with it."""

from __future__ import annotations

from aitb_nautilus.features.kernel import (
    CLOSE,
    HIGH,
    INF,
    LOW,
    VOLUME,
    Cells,
    Values,
    feature,
    window,
)
from aitb_nautilus.features.windows.pairs import correlation_of, pair_cells, window_pairs
from aitb_nautilus.features.windows.sums import sum_cells, window_sum
from aitb_nautilus.features.windows.values import limited, log_change, quotient, sign_of, swap


@feature(
    family="volume",
    unit="fraction of the volume",
    parameters=(window(1, example=30),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + 2 * sum_cells(n),
    bounds=(-1.0, 1.0),
)
def signed_volume(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the volume of rising bars less that of falling bars: on-balance volume, bounded.

    Formula
    -------
    sum(sign(C - C[1]) V) / sum(V) over n bars; 0 if nothing traded

    References
    ----------
    Granville (1963), New key to stock market profits.
    """
    n = int(p[0])
    sign = sign_of(x[CLOSE] - swap(s, 0, x[CLOSE]))
    balance = window_sum(s, 1, n, sign * x[VOLUME], k)
    total = window_sum(s, 1 + sum_cells(n), n, x[VOLUME], k)
    return limited(quotient(balance, total, 0.0), -1.0, 1.0)


@feature(
    family="volume",
    unit="percent",
    parameters=(window(1, example=14),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + 2 * sum_cells(n),
    bounds=(0.0, 100.0),
)
def mfi(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the money flow index: an RSI weighted by turnover.

    Formula
    -------
    100 U / (U + D), sums over n bars of TP V where TP rose and where it fell, TP = (H + L + C) / 3;
    50 if both are 0

    References
    ----------
    Quong and Soudack (1989), Volume-weighted RSI: money flow, Technical Analysis of Stocks and
    Commodities 7.
    """
    n = int(p[0])
    price = (x[HIGH] + x[LOW] + x[CLOSE]) / 3.0
    before = swap(s, 0, price)
    money = price * x[VOLUME]
    up = window_sum(s, 1, n, money if price > before else 0.0, k)
    down = window_sum(s, 1 + sum_cells(n), n, money if price < before else 0.0, k)
    return 100.0 * quotient(up, up + down, 0.5)


@feature(
    family="volume",
    unit="fraction of the volume",
    parameters=(window(1, example=20),),
    warmup=lambda n: n,
    cells=lambda n: 2 * sum_cells(n),
    bounds=(-1.0, 1.0),
)
def cmf(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return Chaikin's money flow: volume weighted by where in their range bars closed.

    Formula
    -------
    sum(V (2 C - H - L) / (H - L)) / sum(V) over n bars; a bar without range counts 0; 0 if nothing
    traded

    References
    ----------
    Chaikin; Achelis (2001), Technical analysis from A to Z.
    """
    n = int(p[0])
    place = quotient(2.0 * x[CLOSE] - x[HIGH] - x[LOW], x[HIGH] - x[LOW], 0.0)
    flow = window_sum(s, 0, n, place * x[VOLUME], k)
    total = window_sum(s, sum_cells(n), n, x[VOLUME], k)
    return limited(quotient(flow, total, 0.0), -1.0, 1.0)


@feature(
    family="volume",
    unit="log return",
    parameters=(window(1, example=30),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + 2 * sum_cells(n),
    bounds=(-INF, INF),
)
def volume_weighted_return(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the mean return of a bar, heavy bars counting more.

    Formula
    -------
    sum(r V) / sum(V), r = ln(C / C[1]) over n bars; 0 if nothing traded

    References
    ----------
    Force index of Elder (1993), Trading for a living, divided by the volume.
    """
    n = int(p[0])
    force = log_change(s, 0, x[CLOSE]) * x[VOLUME]
    pushed = window_sum(s, 1, n, force, k)
    return quotient(pushed, window_sum(s, 1 + sum_cells(n), n, x[VOLUME], k), 0.0)


@feature(
    family="volume",
    unit="fraction of the VWAP",
    parameters=(window(1, example=60),),
    warmup=lambda n: n,
    cells=lambda n: 2 * sum_cells(n),
    bounds=(-1.0, INF),
)
def vwap_distance(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far the close lies from the volume-weighted average price.

    Formula
    -------
    C / (sum(TP V) / sum(V)) - 1 over n bars, TP = (H + L + C) / 3; 0 if nothing traded

    References
    ----------
    Berkowitz, Logue and Noser (1988), The total cost of transactions on the NYSE.
    """
    n = int(p[0])
    price = (x[HIGH] + x[LOW] + x[CLOSE]) / 3.0
    money = window_sum(s, 0, n, price * x[VOLUME], k)
    total = window_sum(s, sum_cells(n), n, x[VOLUME], k)
    return x[CLOSE] / (money / total) - 1.0 if money > 0.0 else 0.0


@feature(
    family="volume",
    unit="correlation",
    parameters=(window(3, example=60),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + pair_cells(n),
    bounds=(-1.0, 1.0),
)
def return_volume_correlation(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return whether volume comes with rising or with falling bars.

    Formula
    -------
    correlation of r = ln(C / C[1]) with V over n bars; 0 if one side does not vary

    References
    ----------
    Karpoff (1987), The relation between price changes and trading volume: a survey.
    """
    r = log_change(s, 0, x[CLOSE])
    figures = window_pairs(s, 1, int(p[0]), r, x[VOLUME], k)
    return correlation_of(figures[2], figures[3], figures[4])


@feature(
    family="volume",
    unit="correlation",
    parameters=(window(3, example=60),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + pair_cells(n),
    bounds=(-1.0, 1.0),
)
def activity_correlation(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return whether large moves come with large volume.

    Formula
    -------
    correlation of |r| with V, r = ln(C / C[1]) over n bars; 0 if one side does not vary

    References
    ----------
    Karpoff (1987), The relation between price changes and trading volume: a survey.
    """
    size = abs(log_change(s, 0, x[CLOSE]))
    figures = window_pairs(s, 1, int(p[0]), size, x[VOLUME], k)
    return correlation_of(figures[2], figures[3], figures[4])
