"""Two instruments: what one does beside the other. Y stands for the other's bar."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import (
    CLOSE,
    INF,
    VOLUME,
    Cells,
    Instrument,
    Values,
    feature,
    window,
)
from aitb_nautilus.features.windows.moments import spread_cells, window_spread
from aitb_nautilus.features.windows.pairs import correlation_of, pair_cells, window_pairs
from aitb_nautilus.features.windows.sums import delay, delay_cells, sum_cells, window_sum
from aitb_nautilus.features.windows.values import limited, log_change, quotient

_OTHER = Instrument(name="other", text="the other instrument", example="ETHUSDT.BINANCE")


@feature(
    family="cross",
    unit="log ratio",
    parameters=(_OTHER,),
    warmup=lambda _: 1,
    cells=lambda _: 0,
    bounds=(-INF, INF),
    price_power=None,
)
def log_ratio(_s: Cells, _p: Values, x: Values, y: Values, _k: int) -> float:
    """Return the price beside the other's: the basis, for two markets of one asset.

    Formula
    -------
    ln(C / CY)

    References
    ----------
    Definition.
    """
    return math.log(x[CLOSE] / y[CLOSE])


@feature(
    family="cross",
    unit="log return",
    parameters=(_OTHER, window(1, example=30, text="bars back")),
    warmup=lambda _, n: n + 1,
    cells=lambda _, n: 2 * delay_cells(n),
    bounds=(-INF, INF),
)
def relative_strength(s: Cells, p: Values, x: Values, y: Values, k: int) -> float:
    """Return by how much the price rose more than the other's.

    Formula
    -------
    ln(C / C[n]) - ln(CY / CY[n])

    References
    ----------
    Levy (1967), Relative strength as a criterion for investment selection.
    """
    n = int(p[1])
    own = math.log(x[CLOSE] / delay(s, 0, n, x[CLOSE], k))
    return own - math.log(y[CLOSE] / delay(s, delay_cells(n), n, y[CLOSE], k))


@feature(
    family="cross",
    unit="log return per log return",
    parameters=(_OTHER, window(3, example=60)),
    warmup=lambda _, n: n + 1,
    cells=lambda _, n: 2 + pair_cells(n),
    bounds=(-INF, INF),
)
def beta(s: Cells, p: Values, x: Values, y: Values, k: int) -> float:
    """Return how much the price moves when the other moves by one.

    Formula
    -------
    cov(r, q) / var(q), r = ln(C / C[1]), q = ln(CY / CY[1]) over n bars; 0 if the other did not
    move

    References
    ----------
    Sharpe (1964), Capital asset prices.
    """
    r = log_change(s, 0, x[CLOSE])
    q = log_change(s, 1, y[CLOSE])
    figures = window_pairs(s, 2, int(p[1]), r, q, k)
    return quotient(figures[4], figures[3], 0.0)


@feature(
    family="cross",
    unit="correlation",
    parameters=(_OTHER, window(3, example=60)),
    warmup=lambda _, n: n + 1,
    cells=lambda _, n: 2 + pair_cells(n),
    bounds=(-1.0, 1.0),
)
def correlation(s: Cells, p: Values, x: Values, y: Values, k: int) -> float:
    """Return how closely both move together.

    Formula
    -------
    correlation of ln(C / C[1]) with ln(CY / CY[1]) over n bars; 0 if one did not move

    References
    ----------
    Pearson.
    """
    r = log_change(s, 0, x[CLOSE])
    q = log_change(s, 1, y[CLOSE])
    figures = window_pairs(s, 2, int(p[1]), r, q, k)
    return correlation_of(figures[2], figures[3], figures[4])


@feature(
    family="cross",
    unit="correlation",
    parameters=(
        _OTHER,
        window(1, example=1, name="lag", text="bars by which the other leads"),
        window(3, example=60),
    ),
    warmup=lambda _, lag, n: lag + n + 1,
    cells=lambda _, lag, n: 2 + delay_cells(lag) + pair_cells(n),
    bounds=(-1.0, 1.0),
)
def lead_correlation(s: Cells, p: Values, x: Values, y: Values, k: int) -> float:
    """Return whether the price follows what the other did before.

    Formula
    -------
    correlation of ln(C / C[1]) with q[lag], q = ln(CY / CY[1]) over n bars; 0 if one did not move

    References
    ----------
    Lo and MacKinlay (1990), When are contrarian profits due to stock market overreaction?
    """
    lag = int(p[1])
    r = log_change(s, 0, x[CLOSE])
    led = delay(s, 2, lag, log_change(s, 1, y[CLOSE]), k)
    figures = window_pairs(s, 2 + delay_cells(lag), int(p[2]), r, led, k)
    return correlation_of(figures[2], figures[3], figures[4])


@feature(
    family="cross",
    unit="log return",
    parameters=(_OTHER, window(3, example=60)),
    warmup=lambda _, n: n + 1,
    cells=lambda _, n: 2 + pair_cells(n),
    bounds=(-INF, INF),
)
def residual_return(s: Cells, p: Values, x: Values, y: Values, k: int) -> float:
    """Return the last move without what the other's move explains.

    Formula
    -------
    r - b q, r = ln(C / C[1]), q = ln(CY / CY[1]), b as in beta over n bars

    References
    ----------
    Blitz, Huij and Martens (2011), Residual momentum.
    """
    r = log_change(s, 0, x[CLOSE])
    q = log_change(s, 1, y[CLOSE])
    figures = window_pairs(s, 2, int(p[1]), r, q, k)
    return r - quotient(figures[4], figures[3], 0.0) * q


@feature(
    family="cross",
    unit="standard deviations",
    parameters=(_OTHER, window(2, example=120)),
    warmup=lambda _, n: n,
    cells=lambda _, n: spread_cells(n),
    bounds=lambda _, n: (-math.sqrt(n), math.sqrt(n)),
)
def spread_zscore(s: Cells, p: Values, x: Values, y: Values, k: int) -> float:
    """Return how far the price ratio lies from its mean.

    Formula
    -------
    (v - mean(v)) / std(v), v = ln(C / CY) over n bars; 0 if the ratio did not move

    References
    ----------
    Gatev, Goetzmann and Rouwenhorst (2006), Pairs trading, Review of Financial Studies 19.
    """
    n = int(p[1])
    ratio = math.log(x[CLOSE] / y[CLOSE])
    mean, squares = window_spread(s, 0, n, ratio, k)
    most = math.sqrt(float(n))
    return limited(quotient(ratio - mean, math.sqrt(squares / n), 0.0), -most, most)


@feature(
    family="cross",
    unit="standard deviations",
    parameters=(_OTHER, window(4, example=120)),
    warmup=lambda _, n: n,
    cells=lambda _, n: pair_cells(n),
    bounds=lambda _, n: (-math.sqrt(n), math.sqrt(n)),
)
def regression_spread(s: Cells, p: Values, x: Values, y: Values, k: int) -> float:
    """Return how far the log price lies from what a regression on the other's would say.

    Formula
    -------
    e / sqrt(mean(e^2)), e = ln C - (a + b ln CY), least squares over n bars; 0 if the fit is exact

    References
    ----------
    Engle and Granger (1987), Co-integration and error correction; Vidyamurthy (2004), Pairs
    trading.
    """
    n = int(p[1])
    own = math.log(x[CLOSE])
    other = math.log(y[CLOSE])
    mean, other_mean, mxx, myy, mxy = window_pairs(s, 0, n, own, other, k)
    slope = quotient(mxy, myy, 0.0)
    left = mxx - slope * mxy
    # What is left of an exact fit is rounding.
    if left <= 1e-13 * mxx:
        return 0.0
    most = math.sqrt(float(n))
    away = own - mean - slope * (other - other_mean)
    return limited(away / math.sqrt(left / n), -most, most)


@feature(
    family="cross",
    unit="fraction",
    parameters=(_OTHER, window(1, example=60)),
    warmup=lambda _, n: n + 1,
    cells=lambda _, n: 2 + 2 * sum_cells(n),
    bounds=(-1.0, 1.0),
)
def relative_volatility(s: Cells, p: Values, x: Values, y: Values, k: int) -> float:
    """Return whether the price moves more or less than the other's.

    Formula
    -------
    (a - b) / (a + b), a and b = sqrt(mean(r^2)) of both over n bars; 0 if nothing moved

    References
    ----------
    Ratio of realised volatilities, put between -1 and 1.
    """
    n = int(p[1])
    r = log_change(s, 0, x[CLOSE])
    q = log_change(s, 1, y[CLOSE])
    own = math.sqrt(window_sum(s, 2, n, r * r, k) / n)
    other = math.sqrt(window_sum(s, 2 + sum_cells(n), n, q * q, k) / n)
    return quotient(own - other, own + other, 0.0)


@feature(
    family="cross",
    unit="fraction of the turnover",
    parameters=(_OTHER, window(1, example=60)),
    warmup=lambda _, n: n,
    cells=lambda _, n: 2 * sum_cells(n),
    bounds=(0.0, 1.0),
    price_power=None,
    volume_power=None,
)
def turnover_share(s: Cells, p: Values, x: Values, y: Values, k: int) -> float:
    """Return the share of the turnover of both that this instrument had.

    Formula
    -------
    sum(C V) / (sum(C V) + sum(CY VY)) over n bars; 0.5 if nothing traded

    References
    ----------
    Attention moving between markets; Hasbrouck (1995), One security, many markets.
    """
    n = int(p[1])
    own = window_sum(s, 0, n, x[CLOSE] * x[VOLUME], k)
    other = window_sum(s, sum_cells(n), n, y[CLOSE] * y[VOLUME], k)
    return quotient(own, own + other, 0.5)
