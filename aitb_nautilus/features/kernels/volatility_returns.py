"""Volatility from the closes: how much, how it changes, where it comes from."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import CLOSE, INF, Cells, Values, feature, window
from aitb_nautilus.features.windows.averages import ema, ema_cells, ema_depth
from aitb_nautilus.features.windows.moments import spread_cells, window_spread
from aitb_nautilus.features.windows.sums import extreme_cells, sum_cells, window_max, window_sum
from aitb_nautilus.features.windows.values import limited, log_change, quotient, swap

_PER_BAR = "log return a bar, standard deviation"


@feature(
    family="volatility",
    unit=_PER_BAR,
    parameters=(window(1, example=30),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + sum_cells(n),
    bounds=(0.0, INF),
)
def realised_volatility(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the volatility of the closes.

    Formula
    -------
    sqrt(mean(r^2)), r = ln(C / C[1]) over n bars

    References
    ----------
    Andersen et al. (2003), Modeling and forecasting realized volatility, Econometrica 71.
    """
    n = int(p[0])
    r = log_change(s, 0, x[CLOSE])
    return math.sqrt(window_sum(s, 1, n, r * r, k) / n)


@feature(
    family="volatility",
    unit=_PER_BAR,
    parameters=(window(1, example=32, text="bars of the average", most=2000),),
    warmup=lambda n: ema_depth(n) + 1,
    cells=lambda n: 1 + ema_cells(n),
    bounds=(0.0, INF),
)
def ewma_volatility(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the volatility of the closes, the latest weighing most.

    Formula
    -------
    sqrt(EMA(r^2, n)), r = ln(C / C[1])

    References
    ----------
    RiskMetrics technical document (1996), ch. 5; n = 32 is its 0.94.
    """
    r = log_change(s, 0, x[CLOSE])
    return math.sqrt(max(0.0, ema(s, 1, int(p[0]), r * r, k)))


@feature(
    family="volatility",
    unit="fraction",
    parameters=(
        window(1, example=15, name="fast", text="bars of the near volatility"),
        window(2, example=120, name="slow", text="bars of the far volatility"),
    ),
    refuses=lambda fast, slow: (
        None if fast < slow else f"fast was {fast}, must be less than slow, {slow}"
    ),
    warmup=lambda _fast, slow: slow + 1,
    cells=lambda fast, slow: 1 + sum_cells(fast) + sum_cells(slow),
    bounds=(-1.0, 1.0),
)
def volatility_ratio(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return whether volatility rises or falls.

    Formula
    -------
    (a - b) / (a + b), a and b = sqrt(mean(r^2)) over fast and over slow bars; 0 if nothing moved

    References
    ----------
    Chande (1992), Adapting moving averages to market volatility; put between -1 and 1.
    """
    fast = int(p[0])
    slow = int(p[1])
    r = log_change(s, 0, x[CLOSE])
    near = math.sqrt(window_sum(s, 1, fast, r * r, k) / fast)
    far = math.sqrt(window_sum(s, 1 + sum_cells(fast), slow, r * r, k) / slow)
    return quotient(near - far, near + far, 0.0)


@feature(
    family="volatility",
    unit="fraction of the mean",
    parameters=(
        window(1, example=15, text="bars of the volatility"),
        window(2, example=60, name="m", text="volatilities compared"),
    ),
    warmup=lambda n, m: n + m,
    cells=lambda n, m: 1 + sum_cells(n) + spread_cells(m),
    bounds=lambda _, m: (0.0, math.sqrt(m)),
)
def volatility_of_volatility(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how restless volatility itself is.

    Formula
    -------
    std(v) / mean(v) over m bars, v = sqrt(mean(r^2)) over n bars; 0 if nothing moved

    References
    ----------
    Baltussen, van Bekkum and van der Grient (2018), Unknown unknowns: uncertainty about risk and
    stock returns.
    """
    n = int(p[0])
    m = int(p[1])
    r = log_change(s, 0, x[CLOSE])
    level = math.sqrt(window_sum(s, 1, n, r * r, k) / n)
    mean, squares = window_spread(s, 1 + sum_cells(n), m, level, k)
    return min(math.sqrt(float(m)), quotient(math.sqrt(squares / m), mean, 0.0))


@feature(
    family="volatility",
    unit="fraction of the variance",
    parameters=(window(1, example=60),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + 2 * sum_cells(n),
    bounds=(0.0, 1.0),
)
def downside_share(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how much of the variance came from falling bars.

    Formula
    -------
    sum(r^2 where r < 0) / sum(r^2) over n bars; 0.5 if nothing moved

    References
    ----------
    Barndorff-Nielsen, Kinnebrock and Shephard (2010), Measuring downside risk: realised
    semivariance.
    """
    n = int(p[0])
    r = log_change(s, 0, x[CLOSE])
    falls = window_sum(s, 1, n, r * r if r < 0.0 else 0.0, k)
    rises = window_sum(s, 1 + sum_cells(n), n, 0.0 if r < 0.0 else r * r, k)
    return quotient(falls, falls + rises, 0.5)


@feature(
    family="volatility",
    unit="fraction of the variance",
    parameters=(window(2, example=60),),
    warmup=lambda n: n + 2,
    cells=lambda n: 2 + 2 * sum_cells(n),
    bounds=(0.0, 1.0),
)
def jump_share(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how much of the variance came in jumps.

    Formula
    -------
    max(0, 1 - (pi / 2) sum(|r| |r[1]|) / sum(r^2)) over n bars; 0 if nothing moved

    References
    ----------
    Barndorff-Nielsen and Shephard (2004), Power and bipower variation with stochastic volatility
    and jumps, Journal of Financial Econometrics 2.
    """
    n = int(p[0])
    r = log_change(s, 0, x[CLOSE])
    products = window_sum(s, 2, n, abs(r * swap(s, 1, r)), k)
    squares = window_sum(s, 2 + sum_cells(n), n, r * r, k)
    return limited(1.0 - quotient(0.5 * math.pi * products, squares, 1.0), 0.0, 1.0)


@feature(
    family="volatility",
    unit="fraction",
    parameters=(window(2, example=60),),
    warmup=lambda n: 2 * n - 1,
    cells=lambda n: extreme_cells(n) + sum_cells(n),
    bounds=(0.0, 1.0),
)
def ulcer(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how deep and how long the price stayed under its highs.

    Formula
    -------
    sqrt(mean(d^2)), d = C / max(C) - 1, both over n bars

    References
    ----------
    Martin and McCann (1989), The investor's guide to Fidelity funds.
    """
    n = int(p[0])
    down = x[CLOSE] / window_max(s, 0, n, x[CLOSE], k) - 1.0
    return math.sqrt(window_sum(s, extreme_cells(n), n, down * down, k) / n)


@feature(
    family="volatility",
    unit="fraction of the average",
    parameters=(window(2, example=20),),
    warmup=lambda n: n,
    cells=spread_cells,
    bounds=lambda n: (0.0, 4.0 * math.sqrt(n)),
)
def bollinger_width(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far apart the Bollinger bands of two standard deviations are.

    Formula
    -------
    4 std(C) / mean(C) over n bars, population deviation

    References
    ----------
    Bollinger (2001), Bollinger on Bollinger bands.
    """
    n = int(p[0])
    mean, squares = window_spread(s, 0, n, x[CLOSE], k)
    return 4.0 * math.sqrt(squares / n) / mean
