"""The formulas once more: slow, plain, from the text of each feature, with nothing in common.

A reference gets the history up to one bar, `h` of the own and `y` of the other instrument, and the
arguments, and answers what the feature should say at the last bar.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aitb_nautilus.market.bars import FloatArray


@dataclass(frozen=True)
class History:
    """Columns up to one bar: open, high, low, close, volume, close time in seconds."""

    o: FloatArray
    h: FloatArray
    l: FloatArray  # noqa: E741 - the letter of every book
    c: FloatArray
    v: FloatArray
    t: FloatArray

    @property
    def typical(self) -> FloatArray:
        return (self.h + self.l + self.c) / 3

    @property
    def r(self) -> FloatArray:
        return np.diff(np.log(self.c))

    @property
    def true_high(self) -> FloatArray:
        return np.maximum(self.h[1:], self.c[:-1])

    @property
    def true_low(self) -> FloatArray:
        return np.minimum(self.l[1:], self.c[:-1])

    @property
    def tr(self) -> FloatArray:
        return self.true_high - self.true_low

    @property
    def when(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(float(self.t[-1]), dt.UTC)


def average(x: FloatArray, a: float) -> FloatArray:
    """Return the exponential average of all values so far, at each of them."""
    out = [float(x[0])]
    for value in x[1:]:
        out.append(out[-1] + a * (float(value) - out[-1]))
    return np.array(out)


def ema(x: FloatArray, n: int) -> FloatArray:
    return average(x, 2 / (n + 1))


def wilder(x: FloatArray, n: int) -> FloatArray:
    return average(x, 1 / n)


def corr(x: FloatArray, y: FloatArray) -> float:
    return 0.0 if x.std() == 0 or y.std() == 0 else float(np.corrcoef(x, y)[0, 1])


def rolling(function: Callable[[FloatArray], float], x: FloatArray, n: int) -> FloatArray:
    """Return a function of the last n values at each place that has so many."""
    return np.array([function(x[i - n + 1 : i + 1]) for i in range(n - 1, len(x))])


def source(h: History, word: str) -> FloatArray:
    return {
        "close": h.c,
        "open": h.o,
        "high": h.h,
        "low": h.l,
        "typical": h.typical,
        "range": np.log(h.h / h.l),
        "volume": h.v,
        "turnover": h.c * h.v,
    }[word]


def z(x: FloatArray) -> float:
    return float((x[-1] - x.mean()) / x.std())


def rsi_line(c: FloatArray, n: int) -> FloatArray:
    d = np.diff(c)
    gain, loss = wilder(np.maximum(d, 0), n), wilder(np.maximum(-d, 0), n)
    return 100 * gain / (gain + loss)


def di_lines(h: History, n: int) -> tuple[FloatArray, FloatArray]:
    up, down = np.diff(h.h), -np.diff(h.l)
    plus = wilder(np.where((up > down) & (up > 0), up, 0), n)
    minus = wilder(np.where((down > up) & (down > 0), down, 0), n)
    span = wilder(h.tr, n)
    return 100 * plus / span, 100 * minus / span


def adx(h: History, _: History, n: int) -> float:
    plus, minus = di_lines(h, n)
    return float(wilder(100 * np.abs(plus - minus) / (plus + minus), n)[-1])


def directional_difference(h: History, _: History, n: int) -> float:
    plus, minus = di_lines(h, n)
    return float(plus[-1] - minus[-1])


def aroon(h: History, _: History, n: int) -> float:
    high, low = h.h[-n - 1 :][::-1], h.l[-n - 1 :][::-1]
    return 100 * (int(low.argmin()) - int(high.argmax())) / n


def choppiness(h: History, _: History, n: int) -> float:
    span = h.true_high[-n:].max() - h.true_low[-n:].min()
    return 100 * math.log10(h.tr[-n:].sum() / span) / math.log10(n)


def trix(h: History, _: History, n: int) -> float:
    line = ema(ema(ema(h.c, n), n), n)
    return float(line[-1] / line[-2] - 1)


def macd_histogram(h: History, _: History, fast: int, slow: int, signal: int) -> float:
    line = ema(h.c, fast) - ema(h.c, slow)
    return float((line - ema(line, signal))[-1] / h.c[-1])


def line_through(y: FloatArray) -> tuple[float, FloatArray]:
    x = np.arange(len(y), dtype=float)
    slope, start = np.polyfit(x, y - y.mean(), 1)
    return float(slope), y - y.mean() - (start + slope * x)


def linear_residual(h: History, _: History, n: int) -> float:
    _, left = line_through(np.log(h.c[-n:]))
    return float(left[-1] / math.sqrt((left**2).mean()))


def trend_correlation(h: History, _: History, n: int) -> float:
    return corr(np.log(h.c[-n:]), np.arange(n, dtype=float))


def stochastic_rsi(h: History, _: History, n: int, m: int) -> float:
    line = rsi_line(h.c, n)[-m:]
    return float((line[-1] - line.min()) / (line.max() - line.min()))


def stochastic(h: History, _: History, n: int, m: int) -> float:
    raw = []
    for back in range(m):
        part = slice(len(h.c) - n - back, len(h.c) - back)
        low, high = h.l[part].min(), h.h[part].max()
        raw.append(100 * (h.c[part][-1] - low) / (high - low))
    return float(np.mean(raw))


def cci(h: History, _: History, n: int) -> float:
    x = h.typical[-n:]
    return float((x[-1] - x.mean()) / (0.015 * np.abs(x - x.mean()).mean()))


def streak(h: History, _: History, n: int) -> float:
    signs = np.sign(np.diff(h.c))[::-1]
    length = 0
    while length < n and signs[length] == signs[0] != 0:
        length += 1
    return float(signs[0]) * length


def yang_zhang(h: History, y: History, n: int) -> float:
    gaps = np.log(h.o[1:] / h.c[:-1])[-n:]
    bodies = np.log(h.c / h.o)[-n:]
    w = 0.34 / (1.34 + (n + 1) / (n - 1))
    inside = rogers_satchell(h, y, n) ** 2
    return math.sqrt(gaps.var(ddof=1) + w * bodies.var(ddof=1) + (1 - w) * inside)


def garman_klass(h: History, _: History, n: int) -> float:
    span, body = np.log(h.h / h.l)[-n:], np.log(h.c / h.o)[-n:]
    return float(np.sqrt((span**2 / 2 - (2 * math.log(2) - 1) * body**2).mean()))


def rogers_satchell(h: History, _: History, n: int) -> float:
    up = np.log(h.h / h.c) * np.log(h.h / h.o)
    down = np.log(h.l / h.c) * np.log(h.l / h.o)
    return float(np.sqrt((up + down)[-n:].mean()))


def rms(x: FloatArray) -> float:
    return float(np.sqrt((x**2).mean()))


def compared(a: float, b: float) -> float:
    return (a - b) / (a + b)


def volatility_of_volatility(h: History, _: History, n: int, m: int) -> float:
    levels = rolling(rms, h.r, n)[-m:]
    return float(levels.std() / levels.mean())


def downside_share(h: History, _: History, n: int) -> float:
    r = h.r[-n:]
    return float((r[r < 0] ** 2).sum() / (r**2).sum())


def jump_share(h: History, _: History, n: int) -> float:
    r = np.abs(h.r)
    two = (r[1:] * r[:-1])[-n:].sum()
    return max(0.0, float(1 - math.pi / 2 * two / (r[-n:] ** 2).sum()))


def ulcer(h: History, _: History, n: int) -> float:
    tops = rolling(np.max, h.c, n)
    return rms((h.c[n - 1 :] / tops - 1)[-n:])


def skewness(h: History, _: History, n: int) -> float:
    d = h.r[-n:] - h.r[-n:].mean()
    return float((d**3).mean() / (d**2).mean() ** 1.5)


def kurtosis(h: History, _: History, n: int) -> float:
    d = h.r[-n:] - h.r[-n:].mean()
    return float((d**4).mean() / (d**2).mean() ** 2 - 3)


def volatility_clustering(h: History, _: History, n: int) -> float:
    r = np.abs(h.r)
    return corr(r[-n:], r[-n - 1 : -1])


def signed_volume(h: History, _: History, n: int) -> float:
    return float((np.sign(np.diff(h.c))[-n:] * h.v[-n:]).sum() / h.v[-n:].sum())


def mfi(h: History, _: History, n: int) -> float:
    step, money = np.diff(h.typical)[-n:], (h.typical * h.v)[-n:]
    up, down = money[step > 0].sum(), money[step < 0].sum()
    return float(100 * up / (up + down))


def cmf(h: History, _: History, n: int) -> float:
    span = h.h - h.l
    place = np.divide(2 * h.c - h.h - h.l, span, out=np.zeros_like(span), where=span > 0)
    return float((place * h.v)[-n:].sum() / h.v[-n:].sum())


def vwap_distance(h: History, _: History, n: int) -> float:
    return float(h.c[-1] / ((h.typical * h.v)[-n:].sum() / h.v[-n:].sum()) - 1)


def amihud(h: History, _: History, n: int) -> float:
    size, money = np.abs(h.r[-n:]), (h.c * h.v)[-n:]
    return float(1e6 * (size[money > 0] / money[money > 0]).mean())


def roll_spread(h: History, _: History, n: int) -> float:
    a, b = h.r[-n:], h.r[-n - 1 : -1]
    return 2 * math.sqrt(max(0.0, -float(((a - a.mean()) * (b - b.mean())).mean())))


def corwin_schultz(h: History, _: History, n: int) -> float:
    q = 3 - 2 * math.sqrt(2)
    one = np.log(h.h / h.l) ** 2
    b = one[1:] + one[:-1]
    g = np.log(np.maximum(h.h[1:], h.h[:-1]) / np.minimum(h.l[1:], h.l[:-1])) ** 2
    a = (np.sqrt(2 * b) - np.sqrt(b)) / q - np.sqrt(g / q)
    return float(np.maximum(0, 2 * (np.exp(a) - 1) / (1 + np.exp(a)))[-n:].mean())


def percent_rank(h: History, _: History, word: str, n: int) -> float:
    x = source(h, word)[-n:]
    return float(((x < x[-1]).sum() + 0.5 * ((x == x[-1]).sum() - 1)) / (n - 1))


def variance_ratio(h: History, _: History, q: int, n: int) -> float:
    far = np.log(h.c[q:] / h.c[:-q])[-n:]
    return float((far**2).sum() / (q * (h.r[-n:] ** 2).sum()) - 1)


def autocorrelation(h: History, _: History, lag: int, n: int) -> float:
    return corr(h.r[-n:], h.r[-n - lag : -lag])


def half_life(h: History, _: History, n: int) -> float:
    level = np.log(h.c)[-n - 1 : -1]
    b = float(np.polyfit(level - level.mean(), h.r[-n:], 1)[0])
    if b >= 0:
        return float(n)
    return 0.0 if b <= -1 else min(float(n), -math.log(2) / math.log(1 + b))


def keltner_position(h: History, _: History, n: int, m: int) -> float:
    return float((h.c[-1] - ema(h.c, n)[-1]) / wilder(h.tr, m)[-1])


def bar_overlap(h: History, _: History) -> float:
    shared = min(h.h[-1], h.h[-2]) - max(h.l[-1], h.l[-2])
    return float(shared / (max(h.h[-1], h.h[-2]) - min(h.l[-1], h.l[-2])))


def ranged(part: float, h: History) -> float:
    span = float(h.h[-1] - h.l[-1])
    return part / span if span > 0 else 0.0


def body_balance(h: History, _: History, n: int) -> float:
    return float((h.c - h.o)[-n:].sum() / (h.h - h.l)[-n:].sum())


def wick_balance(h: History, _: History, n: int) -> float:
    lower, upper = np.minimum(h.o, h.c) - h.l, h.h - np.maximum(h.o, h.c)
    return float((lower - upper)[-n:].sum() / (h.h - h.l)[-n:].sum())


def beta(h: History, y: History, _: str, n: int) -> float:
    return float(np.polyfit(y.r[-n:], h.r[-n:], 1)[0])


def lead_correlation(h: History, y: History, _: str, lag: int, n: int) -> float:
    return corr(h.r[-n:], y.r[-n - lag : -lag])


def residual_return(h: History, y: History, name: str, n: int) -> float:
    return float(h.r[-1] - beta(h, y, name, n) * y.r[-1])


def regression_spread(h: History, y: History, _: str, n: int) -> float:
    own, other = np.log(h.c[-n:]), np.log(y.c[-n:])
    slope, start = np.polyfit(other - other.mean(), own - own.mean(), 1)
    left = own - own.mean() - start - slope * (other - other.mean())
    return float(left[-1] / rms(left))


def turnover_share(h: History, y: History, _: str, n: int) -> float:
    own, other = (h.c * h.v)[-n:].sum(), (y.c * y.v)[-n:].sum()
    return float(own / (own + other))


def day_part(h: History) -> float:
    now = h.when
    return (now.hour * 3600 + now.minute * 60 + now.second) / 86400


def week_part(h: History) -> float:
    return (h.when.weekday() + day_part(h)) / 7


REFERENCES: dict[str, Callable[..., float]] = {
    "log_return": lambda h, _, n: math.log(h.c[-1] / h.c[-1 - n]),
    "acceleration": lambda h, _, n: math.log(h.c[-1] * h.c[-1 - 2 * n] / h.c[-1 - n] ** 2),
    "return_shock": lambda h, _, n: h.r[-1] / rms(h.r[-n:]),
    "distance_from_high": lambda h, _, n: h.c[-1] / h.h[-n:].max() - 1,
    "distance_from_low": lambda h, _, n: h.c[-1] / h.l[-n:].min() - 1,
    "range_position": lambda h, _, n: (
        (h.c[-1] - h.l[-n:].min()) / (h.h[-n:].max() - h.l[-n:].min())
    ),
    "sma_ratio": lambda h, _, n: h.c[-1] / h.c[-n:].mean() - 1,
    "sma_cross": lambda h, _, a, b: h.c[-a:].mean() / h.c[-b:].mean() - 1,
    "ema_distance": lambda h, _, n: h.c[-1] / ema(h.c, n)[-1] - 1,
    "ema_ratio": lambda h, _, a, b: ema(h.c, a)[-1] / ema(h.c, b)[-1] - 1,
    "macd_histogram": macd_histogram,
    "trix": trix,
    "linear_slope": lambda h, _, n: line_through(np.log(h.c[-n:]))[0],
    "trend_correlation": trend_correlation,
    "adx": adx,
    "directional_difference": directional_difference,
    "aroon": aroon,
    "choppiness": choppiness,
    "efficiency": lambda h, _, n: (h.c[-1] - h.c[-1 - n]) / np.abs(np.diff(h.c)[-n:]).sum(),
    "rsi": lambda h, _, n: rsi_line(h.c, n)[-1],
    "stochastic_rsi": stochastic_rsi,
    "stochastic": stochastic,
    "cci": cci,
    "momentum_score": lambda h, _, n: h.r[-n:].sum() / math.sqrt((h.r[-n:] ** 2).sum()),
    "direction_balance": lambda h, _, n: np.sign(np.diff(h.c))[-n:].mean(),
    "streak": streak,
    "parkinson": lambda h, _, n: rms(np.log(h.h / h.l)[-n:]) / math.sqrt(4 * math.log(2)),
    "garman_klass": garman_klass,
    "rogers_satchell": rogers_satchell,
    "yang_zhang": yang_zhang,
    "atr": lambda h, _, n: wilder(h.tr, n)[-1],
    "natr": lambda h, _, n: 100 * wilder(h.tr, n)[-1] / h.c[-1],
    "range_ratio": lambda h, _, n: h.tr[-1] / h.tr[-n:].mean(),
    "realised_volatility": lambda h, _, n: rms(h.r[-n:]),
    "ewma_volatility": lambda h, _, n: math.sqrt(ema(h.r**2, n)[-1]),
    "volatility_ratio": lambda h, _, a, b: compared(rms(h.r[-a:]), rms(h.r[-b:])),
    "volatility_of_volatility": volatility_of_volatility,
    "downside_share": downside_share,
    "jump_share": jump_share,
    "ulcer": ulcer,
    "bollinger_width": lambda h, _, n: 4 * h.c[-n:].std() / h.c[-n:].mean(),
    "skewness": skewness,
    "kurtosis": kurtosis,
    "volatility_clustering": volatility_clustering,
    "signed_volume": signed_volume,
    "mfi": mfi,
    "cmf": cmf,
    "volume_weighted_return": lambda h, _, n: (h.r[-n:] * h.v[-n:]).sum() / h.v[-n:].sum(),
    "vwap_distance": vwap_distance,
    "return_volume_correlation": lambda h, _, n: corr(h.r[-n:], h.v[-n:]),
    "activity_correlation": lambda h, _, n: corr(np.abs(h.r[-n:]), h.v[-n:]),
    "volume_ratio": lambda h, _, a, b: compared(h.v[-a:].mean(), h.v[-b:].mean()),
    "quiet_share": lambda h, _, n: (h.v[-n:] == 0).mean(),
    "amihud": amihud,
    "roll_spread": roll_spread,
    "corwin_schultz": corwin_schultz,
    "zscore": lambda h, _, word, n: z(source(h, word)[-n:]),
    "bollinger_b": lambda h, _, n, width: 0.5 + z(h.c[-n:]) / (2 * width),
    "percent_rank": percent_rank,
    "linear_residual": linear_residual,
    "variance_ratio": variance_ratio,
    "autocorrelation": autocorrelation,
    "half_life": half_life,
    "keltner_position": keltner_position,
    "candle_body": lambda h, _: ranged(h.c[-1] - h.o[-1], h),
    "upper_wick": lambda h, _: ranged(h.h[-1] - max(h.o[-1], h.c[-1]), h),
    "lower_wick": lambda h, _: ranged(min(h.o[-1], h.c[-1]) - h.l[-1], h),
    "close_location": lambda h, _: ranged(2 * h.c[-1] - h.h[-1] - h.l[-1], h),
    "open_gap": lambda h, _: math.log(h.o[-1] / h.c[-2]),
    "bar_range": lambda h, _: math.log(h.h[-1] / h.l[-1]),
    "bar_overlap": bar_overlap,
    "body_balance": body_balance,
    "wick_balance": wick_balance,
    "log_ratio": lambda h, y, _: math.log(h.c[-1] / y.c[-1]),
    "relative_strength": lambda h, y, _, n: h.r[-n:].sum() - y.r[-n:].sum(),
    "beta": beta,
    "correlation": lambda h, y, _, n: corr(h.r[-n:], y.r[-n:]),
    "lead_correlation": lead_correlation,
    "residual_return": residual_return,
    "spread_zscore": lambda h, y, _, n: z(np.log(h.c / y.c)[-n:]),
    "regression_spread": regression_spread,
    "relative_volatility": lambda h, y, _, n: compared(rms(h.r[-n:]), rms(y.r[-n:])),
    "turnover_share": turnover_share,
    "hour_sin": lambda h, _: math.sin(2 * math.pi * day_part(h)),
    "hour_cos": lambda h, _: math.cos(2 * math.pi * day_part(h)),
    "weekday_sin": lambda h, _: math.sin(2 * math.pi * week_part(h)),
    "weekday_cos": lambda h, _: math.cos(2 * math.pi * week_part(h)),
    "minutes_since_midnight": lambda h, _: h.when.hour * 60 + h.when.minute,
    "weekend": lambda h, _: float(h.when.weekday() >= 5),
    "funding_clock": lambda h, _, hours: day_part(h) * 24 % int(hours) / int(hours),
}
