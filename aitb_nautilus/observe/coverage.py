"""Whether a forecast of losses was exceeded as often as it says, and at random: three tests.

`exceeded` is, step by step, whether the loss was larger than the forecast. Of a forecast at 95 %
that holds, one in twenty is, whatever the one before was. Each test gives a likelihood ratio and
the probability of one that large or larger if the forecast holds: a small one speaks against it.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["LikelihoodRatio", "chi_square_tail", "conditional_coverage", "independence", "kupiec"]

type Bools = npt.NDArray[np.bool_]


class LikelihoodRatio(msgspec.Struct, frozen=True):
    """The outcome of a test.

    Attributes
    ----------
    ratio
        -2 times the log of the likelihood ratio, >= 0.
    p_value
        Probability of such a ratio, or a larger one, if the forecast holds, in [0, 1].
    """

    ratio: float
    p_value: float


def kupiec(exceedances: int, forecasts: int, tail: float) -> LikelihoodRatio:
    """Test whether a forecast is exceeded as often as it says (proportion of failures).

    Parameters
    ----------
    exceedances, forecasts
        How often it was exceeded, of how many; at least one forecast.
    tail
        How often it should be, in (0, 1): 0.05 of a forecast at 95 %.

    References
    ----------
    Kupiec (1995), Techniques for Verifying the Accuracy of Risk Measurement Models, Journal of
    Derivatives 3(2).

    Examples
    --------
    >>> test = kupiec(5, 250, 0.01)
    >>> round(test.ratio, 3), round(test.p_value, 3)
    (1.957, 0.162)
    """
    kept = forecasts - exceedances
    share = exceedances / forecasts
    ratio = 2 * (
        _log_likelihood(kept, exceedances, share) - _log_likelihood(kept, exceedances, tail)
    )
    return _outcome(ratio, 1)


def independence(exceeded: Bools) -> LikelihoodRatio | None:
    """Test whether a forecast is exceeded as often after an exceedance as after none.

    None where it was never or always exceeded, or too few steps were seen: nothing can be compared.

    Parameters
    ----------
    exceeded
        Shape (n,), in the order of time.

    References
    ----------
    Christoffersen (1998), Evaluating Interval Forecasts, International Economic Review 39(4).
    """
    before, after = exceeded[:-1], exceeded[1:]
    n11 = int((before & after).sum())
    n01 = int((~before & after).sum())
    n10 = int((before & ~after).sum())
    n00 = len(after) - n11 - n01 - n10
    if not n10 + n11 or not n00 + n01 or not n01 + n11:
        return None
    share = (n01 + n11) / len(after)
    apart = _log_likelihood(n00, n01, n01 / (n00 + n01))
    apart += _log_likelihood(n10, n11, n11 / (n10 + n11))
    return _outcome(2 * (apart - _log_likelihood(n00 + n10, n01 + n11, share)), 1)


def conditional_coverage(exceeded: Bools, tail: float) -> LikelihoodRatio | None:
    """Test both at once: as often as it says, and at random; None as `independence`.

    The ratio is the sum of the two others, with two degrees of freedom (Christoffersen 1998).
    """
    apart = independence(exceeded)
    if apart is None:
        return None
    return _outcome(kupiec(int(exceeded.sum()), len(exceeded), tail).ratio + apart.ratio, 2)


def chi_square_tail(x: float, degrees: int) -> float:
    """Return the probability that a chi-square variable with one or two degrees exceeds `x`."""
    if degrees == 1:
        return math.erfc(math.sqrt(x / 2))
    if degrees == 2:
        return math.exp(-x / 2)
    raise ValueError(f"degrees was {degrees}, must be 1 or 2")


def _outcome(ratio: float, degrees: int) -> LikelihoodRatio:
    ratio = max(ratio, 0.0)  # rounding may leave a little below
    return LikelihoodRatio(ratio, chi_square_tail(ratio, degrees))


def _log_likelihood(kept: int, exceeded: int, share: float) -> float:
    """Return the log likelihood of independent exceedances; what never happens weighs nothing."""
    total = 0.0
    if kept:
        total += kept * math.log(1 - share) if share < 1 else -math.inf
    if exceeded:
        total += exceeded * math.log(share) if share > 0 else -math.inf
    return total
