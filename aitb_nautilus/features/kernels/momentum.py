"""Momentum: oscillators of how the last moves compare with those before."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import CLOSE, HIGH, LOW, Cells, Values, feature, window
from aitb_nautilus.features.windows.averages import wilder, wilder_cells, wilder_depth
from aitb_nautilus.features.windows.moments import spread_cells, window_spread
from aitb_nautilus.features.windows.sums import (
    delay,
    delay_cells,
    extreme_cells,
    sum_cells,
    window_max,
    window_min,
    window_sum,
)
from aitb_nautilus.features.windows.values import limited, log_change, quotient, sign_of, swap


def _rsi_cells(n: int) -> int:
    return 1 + 2 * wilder_cells(n)


def _rsi(s: Cells, o: int, n: int, close: float, k: int) -> float:
    step = close - swap(s, o, close)
    gain = wilder(s, o + 1, n, max(step, 0.0), k)
    loss = wilder(s, o + 1 + wilder_cells(n), n, max(-step, 0.0), k)
    return 100.0 * quotient(gain, gain + loss, 0.5)


@feature(
    family="momentum",
    unit="percent",
    parameters=(window(1, example=14, text="bars of the averages", most=700),),
    warmup=lambda n: wilder_depth(n) + 1,
    cells=_rsi_cells,
    bounds=(0.0, 100.0),
)
def rsi(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the relative strength index.

    Formula
    -------
    100 G / (G + L), Wilder averages over n of gains and of losses; 50 if nothing moved

    References
    ----------
    Wilder (1978), New concepts in technical trading systems, ch. 6.
    """
    return _rsi(s, 0, int(p[0]), x[CLOSE], k)


@feature(
    family="momentum",
    unit="fraction of the range",
    parameters=(
        window(1, example=14, text="bars of the averages", most=700),
        window(1, example=14, name="m", text="bars of the range"),
    ),
    warmup=lambda n, m: wilder_depth(n) + m,
    cells=lambda n, m: _rsi_cells(n) + 2 * extreme_cells(m),
    bounds=(0.0, 1.0),
)
def stochastic_rsi(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return where the RSI stands in its own recent range.

    Formula
    -------
    (RSI - min(RSI)) / (max(RSI) - min(RSI)) over m bars, RSI of n; 0.5 if it did not move

    References
    ----------
    Chande and Kroll (1994), The new technical trader.
    """
    n = int(p[0])
    m = int(p[1])
    strength = _rsi(s, 0, n, x[CLOSE], k)
    high = window_max(s, _rsi_cells(n), m, strength, k)
    low = window_min(s, _rsi_cells(n) + extreme_cells(m), m, strength, k)
    return quotient(strength - low, high - low, 0.5)


@feature(
    family="momentum",
    unit="percent",
    parameters=(
        window(1, example=14, text="bars of the range"),
        window(1, example=3, name="m", text="bars of the average"),
    ),
    warmup=lambda n, m: n + m - 1,
    cells=lambda n, m: 2 * extreme_cells(n) + sum_cells(m),
    bounds=(0.0, 100.0),
)
def stochastic(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the stochastic oscillator, %K smoothed.

    Formula
    -------
    mean over m bars of 100 (C - min(L)) / (max(H) - min(L)) over n bars; 50 where these are equal

    References
    ----------
    Lane (1984), Lane's stochastics, Technical Analysis of Stocks and Commodities 2.
    """
    n = int(p[0])
    m = int(p[1])
    high = window_max(s, 0, n, x[HIGH], k)
    low = window_min(s, extreme_cells(n), n, x[LOW], k)
    raw = 100.0 * quotient(x[CLOSE] - low, high - low, 0.5)
    return limited(window_sum(s, 2 * extreme_cells(n), m, raw, k) / m, 0.0, 100.0)


@feature(
    family="momentum",
    unit="0.015 mean deviations",
    parameters=(window(2, example=20, most=500),),
    warmup=lambda n: n,
    cells=lambda n: delay_cells(n) + spread_cells(n),
    bounds=lambda n: (-n / 0.03, n / 0.03),
)
def cci(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the commodity channel index.

    Formula
    -------
    (TP - mean(TP)) / (0.015 mean(|TP - mean(TP)|)) over n bars, TP = (H + L + C) / 3; 0 if TP did
    not move

    References
    ----------
    Lambert (1980), Commodity channel index, Commodities magazine.
    """
    n = int(p[0])
    price = (x[HIGH] + x[LOW] + x[CLOSE]) / 3.0
    delay(s, 0, n, price, k)
    mean = window_spread(s, delay_cells(n), n, price, k)[0]
    # The ring begins at k % n == 0, so the order of this sum is the same for every start.
    away = 0.0
    for j in range(1, n + 1):
        away += abs(s[j] - mean)
    return limited(quotient(price - mean, 0.015 * (away / n), 0.0), -n / 0.03, n / 0.03)


@feature(
    family="momentum",
    unit="standard deviations",
    parameters=(window(2, example=60, text="bars back"),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + 2 * sum_cells(n),
    bounds=lambda n: (-math.sqrt(n), math.sqrt(n)),
)
def momentum_score(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the move of n bars beside what their volatility would explain.

    Formula
    -------
    sum(r) / sqrt(sum(r^2)), r = ln(C / C[1]) over n bars; 0 if nothing moved

    References
    ----------
    Self-normalised sum; near a standard normal for a random walk: de la Peña, Lai and Shao (2009).
    """
    n = int(p[0])
    r = log_change(s, 0, x[CLOSE])
    total = window_sum(s, 1, n, r, k)
    most = math.sqrt(float(n))
    squares = window_sum(s, 1 + sum_cells(n), n, r * r, k)
    return limited(quotient(total, math.sqrt(squares), 0.0), -most, most)


@feature(
    family="momentum",
    unit="fraction of the bars",
    parameters=(window(1, example=20),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + sum_cells(n),
    bounds=(-1.0, 1.0),
)
def direction_balance(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the share of rising bars less that of falling bars.

    Formula
    -------
    mean(sign(C - C[1])) over n bars

    References
    ----------
    Sign test; Papailias, Liu and Thomakos (2021), Return signal momentum.
    """
    n = int(p[0])
    sign = sign_of(x[CLOSE] - swap(s, 0, x[CLOSE]))
    return window_sum(s, 1, n, sign, k) / n


@feature(
    family="momentum",
    unit="bars",
    parameters=(window(1, example=10, text="longest run counted"),),
    warmup=lambda n: n + 1,
    cells=lambda _: 2,
    bounds=lambda n: (-n, n),
)
def streak(s: Cells, p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return how many bars in a row the close rose, or fell (negative), counting no further than n.

    Formula
    -------
    min(n, bars since the direction of C - C[1] changed), with its sign; 0 after an unchanged close

    References
    ----------
    Runs; Wald and Wolfowitz (1940).
    """
    sign = sign_of(x[CLOSE] - swap(s, 0, x[CLOSE]))
    length = s[1] + sign if s[1] * sign > 0.0 else sign
    s[1] = limited(length, -p[0], p[0])
    return s[1]
