"""One probability from several models, since one is rarely all.

The members' calibrated probabilities are averaged; how far they disagree becomes the confidence.
The weights are given, or follow how well each member did lately. The ensemble fails closed: it
speaks only when all of its members have spoken of the same bar.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from aitb_nautilus.errors import ConfigError, RunError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.messages import BarClosed, Prediction
from aitb_nautilus.models.blending import Blender, Gathering, Outcomes, RecentLosses
from aitb_nautilus.models.references import check_id
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.settings import Settings, encode, nearest

__all__ = ["EnsembleActor", "EnsembleSettings", "Member"]

_BPS = 1e-4


class Member(Settings, frozen=True):
    """One model of an ensemble.

    Attributes
    ----------
    model
        The name that it is published under.
    weight
        Before any outcome is known; the sum of all does not matter.
    """

    model: str
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class EnsembleSettings(Settings, frozen=True):
    """Settings of `EnsembleActor`.

    Attributes
    ----------
    name
        Under which the ensemble is published.
    instruments
        Instrument ids; each has weights of its own.
    members
        Two or more. Their actors stand before this one in the config.
    weights
        ``fixed``: as the members say. ``recent_log_loss``: in proportion to
        ``weight * exp(-sharpness * L / horizon_bars)``, L being the sum of the member's log losses
        over the last `window` outcomes. Labels of neighbouring bars overlap, so that the outcomes
        of as many bars as the horizon is long tell about as much as one.
    window
        So many outcomes count, an instrument; those of predictions that all members made.
    sharpness
        1 is Bayes' rule for the question which member is right; more follows the best one faster.
    min_resolved
        Until so many outcomes are known, the members' own weights hold.

    References
    ----------
    Cesa-Bianchi and Lugosi (2006), Prediction, Learning, and Games, ch. 2 and, for the log loss,
    ch. 9. Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 4: a label that shares
    its bars with h - 1 others counts as 1/h of one.
    """

    name: str
    instruments: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    members: Annotated[tuple[Member, ...], msgspec.Meta(min_length=2)]
    weights: Literal["fixed", "recent_log_loss"] = "fixed"
    window: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 500
    sharpness: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    min_resolved: Annotated[int, msgspec.Meta(ge=1)] = 50

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check_id(self.name)
        names = [member.model for member in self.members]
        if len(set(names)) != len(names):
            raise ValueError("members names one of them twice")
        if self.name in names:
            raise ValueError(f"members names {self.name}, which is the ensemble itself")
        if len(set(self.instruments)) != len(self.instruments):
            raise ValueError("instruments names one of them twice")
        if self.min_resolved > self.window:
            raise ValueError(
                f"min_resolved was {self.min_resolved}, must be at most window, "
                f"which is {self.window}"
            )


class EnsembleActor(GuardedActor):
    """Publish the weighted mean of what several models say of the same bar.

    All must have spoken: what is incomplete when a member speaks of a newer bar is dropped, so a
    member that has fallen silent silences the ensemble. So does a member that comes so late that
    another's answer has expired.
    """

    settings_type = EnsembleSettings
    settings: EnsembleSettings

    def __init__(self, settings: EnsembleSettings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        sources = [self._source_of(member.model) for member in settings.members]
        self._refuse_unlike(sources)
        self.source = self._own_source(sources)
        context.add_source(self.source)
        self._places = {member.model: i for i, member in enumerate(settings.members)}
        self._gathered: dict[str, Gathering[Prediction]] = {
            instrument_id: Gathering(len(sources)) for instrument_id in settings.instruments
        }
        self._blenders = {instrument_id: self._blender() for instrument_id in settings.instruments}

    def bar_types(self) -> Sequence[str]:
        """Listen to the bars that the members answer."""
        interval = Interval.parse(self.source.interval)
        return [interval.bar_type(instrument_id) for instrument_id in self.settings.instruments]

    def bars_before(self) -> int:
        """Return what the weights look back, and what the last outcome had to wait for."""
        if self.settings.weights == "fixed":
            return 0
        return self.settings.window + self.source.label.horizon_bars

    def predictions(self) -> Sequence[tuple[str, str]]:
        """Listen to every member."""
        return [
            (member.model, instrument_id)
            for member in self.settings.members
            for instrument_id in self.settings.instruments
        ]

    def hear_bar(self, bar: BarClosed) -> None:
        """Let the outcomes that the bar brings weigh."""
        self._blenders[bar.instrument_id].hear_bar(bar.ts, bar.close)

    def hear_prediction(self, prediction: Prediction) -> None:
        """Publish, if it was the last member's answer to that bar."""
        if not 0.0 <= prediction.probability <= 1.0:
            raise RunError(
                f"{self.component_id}: model {prediction.model}",
                f"said {prediction.probability}",
                "must say a probability in [0, 1]",
            )
        gathered = self._gathered[prediction.instrument_id].put(
            prediction.ts_event, self._places[prediction.model], prediction
        )
        if gathered is not None:
            self._publish(gathered)

    def _publish(self, members: Sequence[Prediction]) -> None:
        instrument_id, ts_event = members[0].instrument_id, members[0].ts_event
        blender = self._blenders[instrument_id]
        probability, confidence = blender.answer(ts_event, [one.probability for one in members])
        expires_ns = min(one.expires_ns for one in members)
        now = self.now()
        if now >= expires_ns:
            return
        returns = [one.expected_return for one in members if one.expected_return is not None]
        self.publish_prediction(
            Prediction(
                instrument_id=instrument_id,
                model=self.source.model,
                version=self.source.version,
                score=2.0 * probability - 1.0,
                probability=probability,
                expected_return=math.sumprod(blender.weights, returns)
                if len(returns) == len(members)
                else None,
                confidence=confidence,
                horizon_ns=self.source.label.horizon_ns,
                ts_event=ts_event,
                ts_features=max(one.ts_features for one in members),
                ts_inference=now,
                expires_ns=expires_ns,
            )
        )

    def _blender(self) -> Blender:
        wanted, source = self.settings, self.source
        prior = [member.weight for member in wanted.members]
        if wanted.weights == "fixed":
            return Blender(prior)
        interval_ns = Interval.parse(source.interval).ns
        return Blender(
            prior,
            Outcomes(
                source.label.horizon_ns,
                (source.longest_gap_bars + 1) * interval_ns,
                source.label.parameters.get("cost_bps", 0.0) * _BPS,
            ),
            RecentLosses(len(prior), wanted.window),
            sharpness=wanted.sharpness / source.label.horizon_bars,
            min_resolved=wanted.min_resolved,
        )

    def _source_of(self, model: str) -> PredictionSource:
        known = self.context.sources
        if model not in known:
            close = nearest(model, list(known))
            raise ConfigError(
                f"{self.component_id}: members: model {model}",
                "is not published by any actor before this one",
                f"did you mean {close}?" if close else f"known are {', '.join(known) or 'none'}",
                "The actors of an ensemble's members must stand before it in the config",
            )
        return known[model]

    def _refuse_unlike(self, sources: Sequence[PredictionSource]) -> None:
        """Refuse members that do not foretell the same thing."""
        first = sources[0]
        for other in sources[1:]:
            for what in ("interval", "label"):
                mine, its = getattr(first, what), getattr(other, what)
                if mine != its:
                    raise ConfigError(
                        f"{self.component_id}: members: model {other.model}",
                        f"has the {what} {_spelt(its)}",
                        f"must be that of {first.model}, which is {_spelt(mine)}",
                        "Only probabilities of the same event can be averaged",
                    )
        if self.settings.weights == "recent_log_loss" and first.label.kind == "triple_barrier":
            raise ConfigError(
                f"{self.component_id}: weights",
                "was 'recent_log_loss', and the members' label is of the kind triple_barrier",
                "must have a label of the kind sign or return, whose outcome a close decides",
                "Use fixed weights",
            )

    def _own_source(self, sources: Sequence[PredictionSource]) -> PredictionSource:
        settings = self.settings
        expiries = [one.expires_ns for one in sources if one.expires_ns is not None]
        firsts = [one.trained_first_ns for one in sources if one.trained_first_ns is not None]
        lasts = [one.trained_last_ns for one in sources if one.trained_last_ns is not None]
        identity = [encode(settings), [[one.model, one.sha256] for one in sources]]
        return PredictionSource(
            model=settings.name,
            version="+".join(_reference(one) for one in sources),
            sha256=hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest(),
            instruments=settings.instruments,
            interval=sources[0].interval,
            label=sources[0].label,
            longest_gap_bars=min(one.longest_gap_bars for one in sources),
            trained_first_ns=min(firsts, default=None),
            trained_last_ns=max(lasts, default=None),
            simulated=any(one.simulated for one in sources),
            trials=sum(one.trials for one in sources),
            algorithm=f"weighted mean, {settings.weights}",
            expires_ns=min(expiries, default=None),
            features=tuple(dict.fromkeys(f for one in sources for f in one.features)),
            members=tuple(one.model for one in sources),
        )


def _reference(source: PredictionSource) -> str:
    """Return ``btc_up@3``; of an ensemble in an ensemble, its members in brackets."""
    version = f"({source.version})" if source.members else source.version
    return f"{source.model}@{version}"


def _spelt(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
