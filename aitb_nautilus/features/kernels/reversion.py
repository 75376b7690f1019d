"""Mean reversion: how far from usual, and whether such distances close again."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import (
    CLOSE,
    INF,
    Cells,
    Choice,
    Number,
    Values,
    feature,
    window,
)
from aitb_nautilus.features.windows.averages import (
    ema,
    ema_cells,
    ema_depth,
    wilder,
    wilder_cells,
    wilder_depth,
)
from aitb_nautilus.features.windows.moments import spread_cells, window_spread
from aitb_nautilus.features.windows.pairs import correlation_of, pair_cells, window_pairs
from aitb_nautilus.features.windows.sums import delay, delay_cells, sum_cells, window_sum
from aitb_nautilus.features.windows.values import (
    SOURCES,
    limited,
    log_change,
    quotient,
    source_of,
    swap,
    true_range,
)

_SOURCE = Choice(name="source", text="what is looked at", example="close", words=SOURCES)


@feature(
    family="reversion",
    unit="standard deviations",
    parameters=(_SOURCE, window(2, example=50)),
    warmup=lambda _, n: n,
    cells=lambda _, n: spread_cells(n),
    bounds=lambda _, n: (-math.sqrt(n), math.sqrt(n)),
)
def zscore(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far a value lies from its mean, in standard deviations.

    Formula
    -------
    (v - mean(v)) / std(v) over n bars, population deviation; 0 if v did not move

    References
    ----------
    Definition.
    """
    n = int(p[1])
    value = source_of(x, int(p[0]))
    mean, squares = window_spread(s, 0, n, value, k)
    most = math.sqrt(float(n))
    return limited(quotient(value - mean, math.sqrt(squares / n), 0.0), -most, most)


@feature(
    family="reversion",
    unit="fraction of the band",
    parameters=(
        window(2, example=20),
        Number(name="width", text="half the band", example=2.0, least=0.1, most=10.0),
    ),
    warmup=lambda n, _: n,
    cells=lambda n, _: spread_cells(n),
    bounds=lambda n, width: (0.5 - 0.5 * math.sqrt(n) / width, 0.5 + 0.5 * math.sqrt(n) / width),
)
def bollinger_b(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return Bollinger's %b: 0 on the lower band, 1 on the upper one.

    Formula
    -------
    0.5 + (C - mean(C)) / (2 width std(C)) over n bars, population deviation; 0.5 if C did not move

    References
    ----------
    Bollinger (2001), Bollinger on Bollinger bands.
    """
    n = int(p[0])
    mean, squares = window_spread(s, 0, n, x[CLOSE], k)
    most = math.sqrt(float(n))
    score = limited(quotient(x[CLOSE] - mean, math.sqrt(squares / n), 0.0), -most, most)
    return 0.5 + 0.5 * score / p[1]


@feature(
    family="reversion",
    unit="fraction of the bars",
    parameters=(_SOURCE, window(2, example=50, most=1000)),
    warmup=lambda _, n: n,
    cells=lambda _, n: delay_cells(n),
    bounds=(0.0, 1.0),
)
def percent_rank(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the rank of a value among the last n: 0 the least, 1 the greatest.

    Formula
    -------
    (values below it + half of the others equal to it) / (n - 1)

    References
    ----------
    Mid-rank; Conover (1999), Practical nonparametric statistics.
    """
    n = int(p[1])
    value = source_of(x, int(p[0]))
    delay(s, 0, n, value, k)
    below = 0
    equal = 0
    for j in range(1, n + 1):
        if s[j] < value:
            below += 1
        elif s[j] == value:
            equal += 1
    return (below + 0.5 * (equal - 1)) / (n - 1)


@feature(
    family="reversion",
    unit="standard deviations",
    parameters=(window(3, example=60),),
    warmup=lambda n: n,
    cells=pair_cells,
    bounds=lambda n: (-math.sqrt(n), math.sqrt(n)),
)
def linear_residual(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far the log close lies from the straight line through it.

    Formula
    -------
    e / sqrt(mean(e^2)) over n bars, e = ln C - (a + b t), least squares; 0 if the line is exact

    References
    ----------
    Least squares; Raff (1996), Trading the regression channel.
    """
    n = int(p[0])
    price = math.log(x[CLOSE])
    mean, middle, mxx, mtt, mxt = window_pairs(s, 0, n, price, float(k), k)
    left = mxx - mxt * mxt / mtt
    # What is left of a straight line is rounding.
    if left <= 1e-13 * mxx:
        return 0.0
    most = math.sqrt(float(n))
    away = price - mean - mxt / mtt * (float(k) - middle)
    return limited(away / math.sqrt(left / n), -most, most)


@feature(
    family="reversion",
    unit="fraction",
    parameters=(
        window(2, example=5, name="q", text="bars of the long return"),
        window(2, example=120),
    ),
    warmup=lambda q, n: q + n,
    cells=lambda q, n: 1 + delay_cells(q) + 2 * sum_cells(n),
    bounds=(-1.0, INF),
)
def variance_ratio(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return whether moves add up (above 0) or cancel out (below 0).

    Formula
    -------
    sum(R^2) / (q sum(r^2)) - 1 over n bars, R = ln(C / C[q]), r = ln(C / C[1]); 0 if nothing moved

    References
    ----------
    Lo and MacKinlay (1988), Stock market prices do not follow random walks, Review of Financial
    Studies 1.
    """
    q = int(p[0])
    n = int(p[1])
    r = log_change(s, 0, x[CLOSE])
    before = delay(s, 1, q, x[CLOSE], k)
    far = math.log(x[CLOSE] / before) if before > 0.0 else 0.0
    long = window_sum(s, 1 + delay_cells(q), n, far * far, k)
    short = window_sum(s, 1 + delay_cells(q) + sum_cells(n), n, r * r, k)
    return quotient(long, q * short, 1.0) - 1.0


@feature(
    family="reversion",
    unit="correlation",
    parameters=(window(1, example=1, name="lag", text="bars between"), window(3, example=120)),
    warmup=lambda lag, n: lag + n + 1,
    cells=lambda lag, n: 1 + delay_cells(lag) + pair_cells(n),
    bounds=(-1.0, 1.0),
)
def autocorrelation(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return whether a move is followed by one of the same direction.

    Formula
    -------
    correlation of r with r[lag], r = ln(C / C[1]) over n bars; 0 if one side does not vary

    References
    ----------
    Lo and MacKinlay (1990), When are contrarian profits due to stock market overreaction?
    """
    lag = int(p[0])
    r = log_change(s, 0, x[CLOSE])
    led = delay(s, 1, lag, r, k)
    figures = window_pairs(s, 1 + delay_cells(lag), int(p[1]), r, led, k)
    return correlation_of(figures[2], figures[3], figures[4])


@feature(
    family="reversion",
    unit="bars",
    parameters=(window(3, example=120),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + pair_cells(n),
    bounds=lambda n: (0.0, n),
)
def half_life(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return in how many bars half of a distance from the mean closes, at most n.

    Formula
    -------
    -ln 2 / ln(1 + b), b = cov(c - c[1], c[1]) / var(c[1]) over n bars, c = ln C; n if b >= 0 or
    nothing moved; 0 if b <= -1

    References
    ----------
    Ornstein-Uhlenbeck process; Chan (2013), Algorithmic trading, ch. 2.
    """
    n = int(p[0])
    before = swap(s, 0, x[CLOSE])
    if before <= 0.0:
        before = x[CLOSE]
    level = math.log(before)
    _, _, mcc, _, mcd = window_pairs(s, 1, n, level, math.log(x[CLOSE] / before), k)
    if mcc <= 0.0 or mcd >= 0.0:
        return float(n)
    if mcd <= -mcc:
        return 0.0
    return min(float(n), -math.log(2.0) / math.log1p(mcd / mcc))


@feature(
    family="reversion",
    unit="average true ranges",
    parameters=(
        window(1, example=20, text="bars of the price's average", most=2000),
        window(1, example=14, name="m", text="bars of the range's average", most=700),
    ),
    warmup=lambda n, m: max(ema_depth(n), wilder_depth(m) + 1),
    cells=lambda n, m: 1 + ema_cells(n) + wilder_cells(m),
    bounds=(-INF, INF),
)
def keltner_position(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far the close lies from its average, in average true ranges.

    Formula
    -------
    (C - EMA(C, n)) / ATR(m); 0 if nothing moved

    References
    ----------
    Keltner channel with ATR: Raschke; Kaufman (2013), Trading systems and methods.
    """
    n = int(p[0])
    span = true_range(x, swap(s, 0, x[CLOSE]))
    away = x[CLOSE] - ema(s, 1, n, x[CLOSE], k)
    return quotient(away, wilder(s, 1 + ema_cells(n), int(p[1]), span, k), 0.0)
