"""Volume: how much there is, and what trading would cost."""

from __future__ import annotations

import math

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
from aitb_nautilus.features.windows.pairs import pair_cells, window_pairs
from aitb_nautilus.features.windows.sums import sum_cells, window_sum
from aitb_nautilus.features.windows.values import log_change, quotient, sign_of, swap

ROOT = 0.1715728752538099  # 3 - 2 sqrt(2), from Corwin and Schultz


@feature(
    family="volume",
    unit="fraction",
    parameters=(
        window(1, example=15, name="fast", text="bars of the near volume"),
        window(2, example=120, name="slow", text="bars of the far volume"),
    ),
    refuses=lambda fast, slow: (
        None if fast < slow else f"fast was {fast}, must be less than slow, {slow}"
    ),
    warmup=lambda _fast, slow: slow,
    cells=lambda fast, slow: sum_cells(fast) + sum_cells(slow),
    bounds=(-1.0, 1.0),
)
def volume_ratio(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return whether volume rises or falls.

    Formula
    -------
    (a - b) / (a + b), a and b = mean(V) over fast and over slow bars; 0 if nothing traded

    References
    ----------
    Volume oscillator; Achelis (2001), Technical analysis from A to Z; put between -1 and 1.
    """
    fast = int(p[0])
    slow = int(p[1])
    near = window_sum(s, 0, fast, x[VOLUME], k) / fast
    far = window_sum(s, sum_cells(fast), slow, x[VOLUME], k) / slow
    return quotient(near - far, near + far, 0.0)


@feature(
    family="volume",
    unit="fraction of the bars",
    parameters=(window(1, example=60),),
    warmup=lambda n: n,
    cells=sum_cells,
    bounds=(0.0, 1.0),
)
def quiet_share(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the share of bars in which nothing traded; filled gaps are among them.

    Formula
    -------
    mean(V = 0) over n bars

    References
    ----------
    Lesmond, Ogden and Trzcinka (1999), A new estimate of transaction costs.
    """
    n = int(p[0])
    return window_sum(s, 0, n, 0.0 if x[VOLUME] > 0.0 else 1.0, k) / n


@feature(
    family="volume",
    unit="log return per million of quote currency",
    parameters=(window(1, example=60),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + 2 * sum_cells(n),
    bounds=(0.0, INF),
    price_power=-1,
    volume_power=-1,
)
def amihud(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how much a million of turnover moves the price.

    Formula
    -------
    10^6 mean(|r| / (C V)), r = ln(C / C[1]), over those of n bars that traded; 0 if none did

    References
    ----------
    Amihud (2002), Illiquidity and stock returns, Journal of Financial Markets 5.
    """
    n = int(p[0])
    size = abs(log_change(s, 0, x[CLOSE]))
    turnover = x[CLOSE] * x[VOLUME]
    moved = window_sum(s, 1, n, quotient(1e6 * size, turnover, 0.0), k)
    traded = window_sum(s, 1 + sum_cells(n), n, sign_of(turnover), k)
    return quotient(moved, traded, 0.0)


@feature(
    family="volume",
    unit="fraction of the price",
    parameters=(window(3, example=60),),
    warmup=lambda n: n + 2,
    cells=lambda n: 2 + pair_cells(n),
    bounds=(0.0, INF),
)
def roll_spread(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the spread that the bouncing of closes betrays.

    Formula
    -------
    2 sqrt(max(0, -cov(r, r[1]))), r = ln(C / C[1]) over n bars, population covariance

    References
    ----------
    Roll (1984), A simple implicit measure of the effective bid-ask spread in an efficient market,
    Journal of Finance 39.
    """
    n = int(p[0])
    r = log_change(s, 0, x[CLOSE])
    figures = window_pairs(s, 2, n, r, swap(s, 1, r), k)
    return 2.0 * math.sqrt(max(0.0, -figures[4] / n))


@feature(
    family="volume",
    unit="fraction of the price",
    parameters=(window(1, example=60),),
    warmup=lambda n: n + 1,
    cells=lambda n: 2 + sum_cells(n),
    bounds=(0.0, 2.0),
)
def corwin_schultz(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the spread that the ranges of two adjacent bars betray.

    Formula
    -------
    mean(max(0, 2 (e^a - 1) / (1 + e^a))) over n bars, a = (sqrt(2 b) - sqrt(b)) / q - sqrt(g / q),
    q = 3 - 2 sqrt(2), b = ln(H / L)^2 + ln(H[1] / L[1])^2, g = ln(max(H, H[1]) / min(L, L[1]))^2

    References
    ----------
    Corwin and Schultz (2012), A simple way to estimate bid-ask spreads from daily high and low
    prices, Journal of Finance 67.
    """
    n = int(p[0])
    high = swap(s, 0, x[HIGH])
    low = swap(s, 1, x[LOW])
    spread = 0.0
    if low > 0.0:
        one = math.log(x[HIGH] / x[LOW])
        two = math.log(high / low)
        both = math.log(max(x[HIGH], high) / min(x[LOW], low))
        b = one * one + two * two
        a = (math.sqrt(2.0 * b) - math.sqrt(b)) / ROOT - math.sqrt(both * both / ROOT)
        spread = max(0.0, 2.0 * math.tanh(0.5 * a))
    return window_sum(s, 2, n, spread, k) / n
