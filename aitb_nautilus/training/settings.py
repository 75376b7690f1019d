"""The `[model]` section of a config: what to learn, how, and how to judge it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta

from aitb_nautilus.models.references import check_id
from aitb_nautilus.settings import Settings

__all__ = [
    "Algorithm",
    "FoldSettings",
    "Label",
    "LightgbmSettings",
    "LogisticSettings",
    "MlpSettings",
    "ModelSettings",
    "ReturnLabel",
    "SignLabel",
    "TripleBarrierLabel",
    "WalkForwardSettings",
]

type _Horizon = Annotated[int, Meta(ge=1, le=100_000)]
type _Bps = Annotated[float, Meta(ge=0, le=1000)]
type _Share = Annotated[float, Meta(gt=0, lt=0.5)]
type _Units = Annotated[int, Meta(ge=1, le=4096)]
type _Count = Annotated[int, Meta(ge=1, le=10_000)]
type _Patience = Annotated[int, Meta(ge=0, le=10_000)]


class SignLabel(Settings, frozen=True, tag="sign", tag_field="kind"):
    """Up, if the return over the horizon is above the costs.

    Attributes
    ----------
    horizon_bars
        How far ahead, in base bars.
    cost_bps
        What a round trip costs, in basis points; a smaller gain is no gain.
    """

    horizon_bars: _Horizon
    cost_bps: _Bps = 0.0


class ReturnLabel(Settings, frozen=True, tag="return", tag_field="kind"):
    """The return over the horizon itself; calibration makes a probability of up from it.

    Attributes
    ----------
    horizon_bars, cost_bps
        As for `SignLabel`. The costs decide what counts as up, and leave the return as it is.
    """

    horizon_bars: _Horizon
    cost_bps: _Bps = 0.0


class TripleBarrierLabel(Settings, frozen=True, tag="triple_barrier", tag_field="kind"):
    """Up, if the upper barrier is touched before the lower one.

    If neither is touched within the horizon, the sign of the return over it, net of costs, counts;
    if one bar touches both, the lower one counts.

    Attributes
    ----------
    horizon_bars, cost_bps
        As for `SignLabel`. The upper barrier lies higher by the costs.
    upper, lower
        Distance of the barriers, in standard deviations of the return over the horizon.
    volatility_bars
        So many one-bar returns, the newest included, give the standard deviation of one bar; times
        the root of the horizon.
    """

    horizon_bars: _Horizon
    cost_bps: _Bps = 0.0
    upper: Annotated[float, Meta(gt=0, le=100)] = 1.0
    lower: Annotated[float, Meta(gt=0, le=100)] = 1.0
    volatility_bars: Annotated[int, Meta(ge=2, le=100_000)] = 100


type Label = SignLabel | ReturnLabel | TripleBarrierLabel


class LightgbmSettings(Settings, frozen=True, tag="lightgbm", tag_field="kind"):
    """Gradient-boosted trees of LightGBM.

    Attributes
    ----------
    early_stopping_rounds
        Stop when so many trees have not improved the log loss on the validation part. 0: all
        `trees` are grown, and no validation part is held out.
    """

    trees: _Count = 200
    leaves: Annotated[int, Meta(ge=2, le=4096)] = 31
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 0.05
    min_rows_in_leaf: Annotated[int, Meta(ge=1)] = 100
    feature_share: Annotated[float, Meta(gt=0, le=1)] = 0.8
    row_share: Annotated[float, Meta(gt=0, le=1)] = 0.8
    l1: Annotated[float, Meta(ge=0)] = 0.0
    l2: Annotated[float, Meta(ge=0)] = 1.0
    early_stopping_rounds: _Patience = 30


class LogisticSettings(Settings, frozen=True, tag="logistic", tag_field="kind"):
    """Logistic regression of scikit-learn on standardised features.

    Attributes
    ----------
    inverse_penalty
        Inverse strength of the quadratic penalty (`C`).
    """

    inverse_penalty: Annotated[float, Meta(gt=0)] = 0.1
    most_iterations: _Count = 500


class MlpSettings(Settings, frozen=True, tag="mlp", tag_field="kind"):
    """A multi-layer perceptron of scikit-learn on standardised features.

    Attributes
    ----------
    layers
        Units of each hidden layer.
    early_stopping_epochs
        Stop when so many epochs have not improved the loss on the validation part, and take the
        weights of the best epoch. 0: all `epochs` are run, and no validation part is held out.
    """

    layers: Annotated[tuple[_Units, ...], Meta(min_length=1)] = (32, 16)
    epochs: _Count = 50
    batch_rows: Annotated[int, Meta(ge=1)] = 512
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 0.001
    l2: Annotated[float, Meta(ge=0)] = 0.001
    early_stopping_epochs: _Patience = 5


type Algorithm = LightgbmSettings | LogisticSettings | MlpSettings


class FoldSettings(Settings, frozen=True):
    """How the model is judged: folds in time order, each tested on what came after its training.

    Attributes
    ----------
    count
        Number of folds.
    window
        ``expanding``: train on all that came before; ``rolling``: on a window of fixed length.
    first_train_share
        Share of the rows before the first test; the rest is divided into the tests.
    """

    count: Annotated[int, Meta(ge=2, le=100)] = 5
    window: Literal["expanding", "rolling"] = "expanding"
    first_train_share: Annotated[float, Meta(ge=0.1, le=0.9)] = 0.4


class WalkForwardSettings(Settings, frozen=True):
    """Training anew on a schedule: ``aitb train CONFIG --walk-forward``.

    Attributes
    ----------
    train_days
        Length of each training window.
    step_days
        Length of the stretch that each model then answers for.
    folder
        Where the out-of-sample stream is written, relative to where the command runs.
    """

    train_days: Annotated[float, Meta(gt=0, le=36_500)]
    step_days: Annotated[float, Meta(gt=0, le=36_500)]
    folder: str = "walk-forward"


class ModelSettings(Settings, frozen=True):
    """Section ``[model]``: one model and its training.

    Attributes
    ----------
    id
        Its name: 1 to 64 of a-z, 0-9, _ and -.
    instruments
        Whose bars it learns from, together.
    label, algorithm, folds, walk_forward
        See there.
    start, end
        First and first-not-included moment of the training span, UTC. Absent: as far as the data
        reach.
    purge_bars
        Free bars between training and test, besides those that the labels look at.
    embargo_bars
        Rows that begin so many bars after a test are not trained on. Between training and the test
        after it, the purge applies.
    calibration
        How scores become probabilities: on the newest `calibration_share` of the training rows.
    validation_share
        Newest share of the other training rows; decides when to stop early.
    class_weight
        ``balanced``: both classes weigh the same in the fit. Calibration then restores the shares.
    seed
        Of everything random.
    trials
        How many models were tried before this one, itself included; stands in the bundle.
    expires_days
        The bundle must not be loaded so long after the end of its training span.
    registry
        Folder of models, relative to where the command runs.
    """

    id: str
    instruments: Annotated[tuple[str, ...], Meta(min_length=1)]
    label: Label
    algorithm: Algorithm = LightgbmSettings()
    folds: FoldSettings = FoldSettings()
    walk_forward: WalkForwardSettings | None = None
    start: str | None = None
    end: str | None = None
    purge_bars: Annotated[int, Meta(ge=0)] = 0
    embargo_bars: Annotated[int, Meta(ge=0)] = 0
    calibration: Literal["sigmoid", "isotonic", "none"] = "sigmoid"
    calibration_share: _Share = 0.15
    validation_share: _Share = 0.1
    class_weight: Literal["none", "balanced"] = "none"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 1
    trials: Annotated[int, Meta(ge=1)] = 1
    expires_days: Annotated[float, Meta(gt=0)] | None = None
    registry: str = "models"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        check_id(self.id)
        if len(set(self.instruments)) != len(self.instruments):
            raise ValueError("instruments names one twice")
        if self.calibration == "none" and isinstance(self.label, ReturnLabel):
            raise ValueError(
                "calibration was 'none', must be sigmoid or isotonic for a label of kind return: "
                "it makes the probability"
            )
        if self.calibration == "none" and self.class_weight == "balanced":
            raise ValueError(
                "calibration was 'none', must be sigmoid or isotonic with balanced classes: their "
                "scores are no probabilities"
            )
        if isinstance(self.label, ReturnLabel):
            if isinstance(self.algorithm, LogisticSettings):
                raise ValueError(  # noqa: TRY004  the value in the file is wrong, not a type
                    "algorithm.kind was 'logistic', must be lightgbm or mlp for a label of kind "
                    "return"
                )
            if self.class_weight == "balanced":
                raise ValueError("class_weight was 'balanced', must be none: a return has no class")
        start, end = self.range_ns()
        if start is not None and end is not None and start >= end:
            raise ValueError(f"end was {self.end}, must be after start, which is {self.start}")

    def range_ns(self) -> tuple[int | None, int | None]:
        """Return start and end, ns UTC."""
        return (
            None if self.start is None else _time_ns("start", self.start),
            None if self.end is None else _time_ns("end", self.end),
        )

    def hyper_parameters(self) -> Mapping[str, str | int | float | bool | None]:
        """Return the algorithm's settings as plain values."""
        return {
            name: ",".join(map(str, value)) if isinstance(value, tuple) else value
            for name in self.algorithm.__struct_fields__
            for value in [getattr(self.algorithm, name)]
        }


def _time_ns(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as e:
        raise ValueError(
            f"{name} was {text!r}, must be a date or time such as 2023-01-01 or 2023-01-01T12:00:00"
        ) from e
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
