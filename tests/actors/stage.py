"""Who speaks to an actor under test, and who listens to it, in a real engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aitb_nautilus.messages import BarClosed, Intent, Prediction
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, MINUTE, close_of

__all__ = ["Listener", "Speaker", "number_of", "said", "sign_label", "source"]


def sign_label(horizon_bars: int = 1, cost_bps: float = 0.0) -> Label:
    """Return the label of a sign over some minutes."""
    return Label(
        kind="sign",
        horizon_bars=horizon_bars,
        horizon_ns=horizon_bars * MINUTE.ns,
        parameters={"cost_bps": cost_bps},
    )


def source(model: str, **more: Any) -> PredictionSource:
    """Return what a model of BTC's minutes says of itself; `more` is laid over it."""
    told = {
        "model": model,
        "version": "1",
        "sha256": "a" * 64,
        "instruments": (BTC,),
        "interval": "1m",
        "label": sign_label(),
        "longest_gap_bars": 1,
    }
    return PredictionSource(**told | more)


def said(model: str, number: int, probability: float, *, bars: int = 1, **more: Any) -> Prediction:
    """Return what a model says of the bar of a number, which holds for some bars."""
    ts = close_of(number)
    told = {
        "instrument_id": BTC,
        "model": model,
        "version": "1",
        "score": 2 * probability - 1,
        "probability": probability,
        "expected_return": None,
        "confidence": None,
        "horizon_ns": MINUTE.ns,
        "ts_event": ts,
        "ts_features": ts,
        "ts_inference": ts,
        "expires_ns": ts + bars * MINUTE.ns,
    }
    return Prediction(**told | more)


def number_of(ts: int) -> int:
    """Return the number of the bar that closes at a time."""
    return (ts - close_of(1)) // MINUTE.ns + 1


class Speaker(GuardedActor):
    """A model that says at bars what a script has for their numbers."""

    def __init__(
        self, context: Context, model: str, script: Mapping[int, Any], **more: Any
    ) -> None:
        super().__init__(Settings(), context, f"{model}-001")
        context.add_source(source(model, **more))
        self.model = model
        self.script = script

    def __new__(cls, context: Context, model: str, script: Any, **more: Any) -> Any:
        return super().__new__(cls, Settings(), context, f"{model}-001")

    def bar_types(self) -> Sequence[str]:
        return [MINUTE.bar_type(BTC)]

    def hear_bar(self, bar: BarClosed) -> None:
        number = number_of(bar.ts)
        what = self.script.get(number)
        if isinstance(what, float):
            what = said(self.model, number, what)
        if what is not None:
            self.publish_prediction(what)


class Listener(GuardedStrategy):
    """Write down what a model says, and when it is heard."""

    def __init__(self, context: Context, model: str) -> None:
        super().__init__(Settings(), context, "L-001")
        self.model = model
        self.heard: list[Prediction] = []
        self.at: list[int] = []

    def __new__(cls, context: Context, model: str) -> Any:
        return super().__new__(cls, Settings(), context, "L-001")

    def bar_types(self) -> Sequence[str]:
        return [MINUTE.bar_type(BTC)]

    def predictions(self) -> Sequence[tuple[str, str]]:
        return [(self.model, BTC)]

    def decide_on_prediction(self, prediction: Prediction) -> Iterable[Intent]:
        self.heard.append(prediction)
        self.at.append(number_of(self.now()))
        return ()
