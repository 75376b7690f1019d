"""Limits of where knowledge comes from: another market's price, and a model's prediction."""

from __future__ import annotations

from collections.abc import Sequence

from aitb_nautilus.messages import BarClosed, Prediction
from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import MINUTE_NS, PASS, ROUNDING, Limit, Proposal, Verdict, utc

__all__ = ["MissingPrediction", "Reference"]


class Reference(Limit):
    """Refuse orders while an instrument's price and that of a reference contradict each other.

    The last close of the one is compared with the last close of the other. A reference that is not
    known, or too old by the node's clock, is no reference.

    Parameters
    ----------
    instrument_id
        The reference, such as the spot market of a perpetual.
    maximum_frac
        Largest distance, as a fraction of the reference's price.
    max_age_minutes
        Oldest that the reference's last bar may be.
    scale
        Price of the instrument over that of the reference if both agree: 1000 for a contract on a
        thousand pieces.
    """

    name = "reference"
    relearns = True

    def __init__(
        self, instrument_id: str, maximum_frac: float, max_age_minutes: float, scale: float
    ) -> None:
        self.instrument_id = instrument_id
        self.maximum_frac = maximum_frac
        self.max_age_minutes = max_age_minutes
        self.scale = scale
        self._ts = 0
        self._price = 0.0

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order if the reference is silent, or says otherwise."""
        one, instrument_id = self.instrument_id, proposal.instrument_id
        if not self._ts:
            return Verdict(
                ZERO,
                f"no bar of {one} was seen yet, the reference of {instrument_id}; wait for one or "
                f"take out {self.key}",
            )
        age = (proposal.clock - self._ts) / MINUTE_NS
        if age > self.max_age_minutes:
            return Verdict(
                ZERO,
                f"the last bar of {one}, the reference of {instrument_id}, is {age:.1f} minutes "
                f"old, and max_age_minutes is {self.max_age_minutes:g}; wait for a bar or raise "
                f"{self.key}.max_age_minutes",
            )
        wanted = self._price * self.scale
        distance = abs(proposal.mark / wanted - 1)
        if distance <= self.maximum_frac + ROUNDING:
            return PASS
        return Verdict(
            ZERO,
            f"the last price {proposal.mark:g} of {instrument_id} lies {distance:.2%} from "
            f"{wanted:g}, which {one} says, beyond max_divergence_frac {self.maximum_frac:.2%}; "
            f"wait until they agree or raise {self.key}.max_divergence_frac",
        )

    def hear_bar(self, bar: BarClosed) -> None:
        """Note the reference's price, where it is traded as well."""
        self.hear_reference(bar)

    def hear_reference(self, bar: BarClosed) -> None:
        """Note the reference's price."""
        if bar.instrument_id == self.instrument_id and bar.ts >= self._ts:
            self._ts, self._price = bar.ts, bar.close


class MissingPrediction(Limit):
    """Refuse orders of a strategy that listens to models, and has no valid prediction of late.

    For an order in an instrument of which it listens to predictions, all of these must be there;
    for another, all that it listens to. A strategy that listens to none is not looked at. A
    prediction is valid until it expires, and dates from the bar that it answers.

    Parameters
    ----------
    max_age_minutes
        Oldest that it may be by the node's clock.
    """

    name = "max_prediction_age_minutes"
    relearns = True

    def __init__(self, max_age_minutes: float) -> None:
        self.max_age_minutes = max_age_minutes
        self._max_age_ns = round(max_age_minutes * MINUTE_NS)
        self._listens: dict[str, Sequence[tuple[str, str]]] = {}
        self._needed: dict[tuple[str, str], Sequence[tuple[str, str]]] = {}
        self._last: dict[tuple[str, str], Prediction] = {}

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order if a prediction that should be there is not, or is too old."""
        key = (proposal.strategy_id, proposal.instrument_id)
        needed = self._needed.get(key)
        if needed is None:
            needed = self._needed[key] = self._needs(*key)
        now, known = proposal.clock, self._last
        oldest = now - self._max_age_ns
        for source in needed:
            last = known.get(source)
            if last is None or now >= last.expires_ns or last.ts_event < oldest:
                return Verdict(ZERO, self._line(*source, last, now))
        return PASS

    def expect_predictions(self, strategy_id: str, listens: Sequence[tuple[str, str]]) -> None:
        """Note what a strategy listens to."""
        self._listens[strategy_id] = tuple(listens)
        self._needed.clear()

    def hear_prediction(self, prediction: Prediction) -> None:
        """Keep a prediction until a newer one comes."""
        source = (prediction.model, prediction.instrument_id)
        last = self._last.get(source)
        if last is None or prediction.ts_event >= last.ts_event:
            self._last[source] = prediction

    def _needs(self, strategy_id: str, instrument_id: str) -> Sequence[tuple[str, str]]:
        listens = self._listens.get(strategy_id, ())
        return [source for source in listens if source[1] == instrument_id] or listens

    def _line(self, model: str, instrument_id: str, last: Prediction | None, now: int) -> str:
        if last is None:
            seen = f"{model} has said nothing of {instrument_id} yet"
        elif now >= last.expires_ns:
            seen = f"what {model} said of {instrument_id} expired at {utc(last.expires_ns)}"
        else:
            age = (now - last.ts_event) / MINUTE_NS
            seen = f"what {model} said of {instrument_id} is {age:.1f} minutes old"
        return (
            f"{seen}, and max_prediction_age_minutes is {self.max_age_minutes:g}; wait for a "
            f"prediction or raise {self.key}"
        )
