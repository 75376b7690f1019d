"""Several probabilities made one, with weights that follow how well each did lately.

>>> blend((0.5, 0.5), (0.25, 0.75))
(0.5, 0.5)

Nothing here knows a bar that has not closed: an outcome counts from the bar on at which its horizon
has passed, and only for what is blended from then on.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Sequence

__all__ = [
    "SMALLEST_CHANCE",
    "Blender",
    "Gathering",
    "Outcomes",
    "RecentLosses",
    "blend",
    "exponential_weights",
    "log_loss",
]

type Floats = tuple[float, ...]

SMALLEST_CHANCE = 1e-7
"""A probability counts as at least this, as in training: a log loss is at most 16.1."""

_UNITS = 1 << 60  # what a log loss of 1 is in the window's sums


def blend(weights: Sequence[float], probabilities: Sequence[float]) -> tuple[float, float]:
    """Return the weighted mean of probabilities, and how far they agree.

    Parameters
    ----------
    weights
        Not negative, of the sum 1.
    probabilities
        Each in [0, 1].

    Returns
    -------
    probability
        sum(w_i p_i), between the smallest and the largest of them.
    confidence
        1 - 2 sqrt(sum(w_i (p_i - p)^2)), in [0, 1]: 1 if all say the same, 0 if one half is sure of
        up and the other half of down, since no numbers in [0, 1] deviate by more than 1/2.
    """
    mean = math.sumprod(weights, probabilities)
    mean = min(max(mean, min(probabilities)), max(probabilities))
    variance = math.sumprod(weights, [(p - mean) ** 2 for p in probabilities])
    return mean, max(0.0, 1.0 - 2.0 * math.sqrt(variance))


def log_loss(probability: float, up: bool) -> float:
    """Return -log of the probability that was given to what happened; of at least the smallest."""
    return -math.log(max(probability if up else 1.0 - probability, SMALLEST_CHANCE))


def exponential_weights(
    prior: Sequence[float], losses: Sequence[float], sharpness: float
) -> Floats:
    """Return weights in proportion to prior_i exp(-sharpness loss_i), of the sum 1.

    Parameters
    ----------
    prior
        Positive weights before any loss; their sum does not matter.
    losses
        Finite.
    sharpness
        Positive.

    References
    ----------
    Cesa-Bianchi and Lugosi (2006), Prediction, Learning, and Games, ch. 2: the exponentially
    weighted average forecaster.
    """
    least = min(losses)
    exponents = [
        sharpness * (loss - least) - math.log(p) for p, loss in zip(prior, losses, strict=True)
    ]
    # The largest term is exp(0): no overflow, and the sum is never zero.
    smallest = min(exponents)
    terms = [math.exp(smallest - exponent) for exponent in exponents]
    total = math.fsum(terms)
    return tuple(term / total for term in terms)


class RecentLosses:
    """The sum of each member's log losses over the last outcomes.

    The sums are whole numbers of 2^-60, so what leaves the window leaves it to the last bit: they
    depend on the outcomes in the window and on nothing before it, however many there were.

    Parameters
    ----------
    members
        How many.
    window
        So many outcomes count.
    """

    __slots__ = ("_losses", "_sums", "_window")

    def __init__(self, members: int, window: int) -> None:
        self._window = window
        self._losses: deque[list[int]] = deque()
        self._sums = [0] * members

    def __len__(self) -> int:
        return len(self._losses)

    def add(self, probabilities: Sequence[float], up: bool) -> None:
        """Take what each member had said, and what happened."""
        new = [round(log_loss(p, up) * _UNITS) for p in probabilities]
        self._losses.append(new)
        self._sums = list(map(operator.add, self._sums, new))
        if len(self._losses) > self._window:
            self._sums = list(map(operator.sub, self._sums, self._losses.popleft()))

    def excess(self) -> Floats:
        """Return by how much each member's sum exceeds that of the best one, >= 0."""
        least = min(self._sums)
        return tuple((total - least) / _UNITS for total in self._sums)


class Outcomes:
    """What became of what was said at past bars of one instrument.

    The outcome is that of a label of the kind sign or return, as it is trained on: up, if the last
    close at or before the end of the horizon is above the bar's own by more than the costs; none,
    if a gap that is too long lies in the horizon. It is known at the first bar at or after its end.

    Parameters
    ----------
    horizon_ns
        How far ahead.
    longest_step_ns
        The longest time from one bar to the next that is no gap too long.
    cost
        A smaller return is not up, fraction.
    """

    __slots__ = ("_close", "_cost", "_horizon_ns", "_longest_step_ns", "_open", "_ts")

    def __init__(self, horizon_ns: int, longest_step_ns: int, cost: float) -> None:
        self._horizon_ns = horizon_ns
        self._longest_step_ns = longest_step_ns
        self._cost = cost
        self._open: deque[tuple[int, float, list[Floats]]] = deque()
        self._ts = 0
        self._close = 0.0

    def hear_bar(self, ts: int, close: float) -> list[tuple[Floats, bool]]:
        """Take a closed bar; return what has now come to its end, oldest first, and whether up."""
        known: list[tuple[Floats, bool]] = []
        if self._open and ts - self._ts > self._longest_step_ns:
            self._open.clear()
        while self._open and self._open[0][0] + self._horizon_ns <= ts:
            begun, first, said = self._open.popleft()
            last = close if begun + self._horizon_ns == ts else self._close
            # The same operations as in training, so that both call the same thing up.
            up = last / first - 1.0 > self._cost
            known.extend((probabilities, up) for probabilities in said)
        self._open.append((ts, close, []))
        self._ts, self._close = ts, close
        return known

    def remember(self, ts: int, probabilities: Floats) -> None:
        """Keep what was said at the bar of a time, if its outcome is still to come."""
        for begun, _, said in reversed(self._open):
            if begun <= ts:
                if begun == ts:
                    said[:] = [probabilities]
                return


class Gathering[T]:
    """Put together what several say of one time, each in its place.

    Only the newest time is waited for: what is incomplete when something newer comes is dropped,
    and what comes for an older time, or for one that is complete, is ignored.

    Parameters
    ----------
    places
        How many are waited for.
    """

    __slots__ = ("_found", "_places", "_ts")

    def __init__(self, places: int) -> None:
        self._places = places
        self._found: dict[int, T] | None = {}
        self._ts = -1

    def put(self, ts: int, place: int, value: T) -> list[T] | None:
        """Take one; return all, in the order of their places, if it was the last that lacked."""
        if ts > self._ts:
            self._ts, self._found = ts, {}
        if ts < self._ts or self._found is None:
            return None
        self._found[place] = value
        if len(self._found) < self._places:
            return None
        found, self._found = self._found, None
        return [found[i] for i in range(self._places)]


class Blender:
    """The weights of one instrument's ensemble, and what they make of its members' answers.

    Parameters
    ----------
    prior
        The members' weights, positive; their sum does not matter.
    outcomes, losses
        To follow how well each member did. Without them the weights stay as they are.
    sharpness
        Of the exponential weights.
    min_resolved
        Until so many outcomes are known the weights stay as they are.
    """

    def __init__(
        self,
        prior: Sequence[float],
        outcomes: Outcomes | None = None,
        losses: RecentLosses | None = None,
        *,
        sharpness: float = 1.0,
        min_resolved: int = 1,
    ) -> None:
        self._prior = tuple(prior)
        self._outcomes = outcomes
        self._losses = losses
        self._sharpness = sharpness
        self._min_resolved = min_resolved
        self.weights = exponential_weights(self._prior, (0.0,) * len(self._prior), sharpness)

    def hear_bar(self, ts: int, close: float) -> None:
        """Take a closed bar: the outcomes that it brings weigh from now on."""
        if self._outcomes is None or self._losses is None:
            return
        known = self._outcomes.hear_bar(ts, close)
        for probabilities, up in known:
            self._losses.add(probabilities, up)
        if known and len(self._losses) >= self._min_resolved:
            self.weights = exponential_weights(self._prior, self._losses.excess(), self._sharpness)

    def answer(self, ts: int, probabilities: Sequence[float]) -> tuple[float, float]:
        """Return probability and confidence of what the members say at the bar of a time."""
        if self._outcomes is not None:
            self._outcomes.remember(ts, tuple(probabilities))
        return blend(self.weights, probabilities)
