"""A model judged by folds in order of time, always beside what needs no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from aitb_nautilus.errors import ModelError
from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.training.baselines import BASELINES
from aitb_nautilus.training.fitting import fit_model
from aitb_nautilus.training.importance import permutation_importance
from aitb_nautilus.training.leaks import check_splits, refuse
from aitb_nautilus.training.metrics import (
    CalibrationBin,
    Spread,
    calibration_table,
    measure,
    spreads,
)
from aitb_nautilus.training.samples import Rows, Samples
from aitb_nautilus.training.settings import ModelSettings
from aitb_nautilus.training.splits import Fold

__all__ = ["MODEL", "FoldResult", "Importance", "Judgement", "answers", "compare", "judge"]

MODEL = "model"


class FoldResult(msgspec.Struct, frozen=True):
    """One fold: its spans in ns UTC, its rows, and the metrics of the model and each baseline."""

    number: int
    train_first_ns: int
    train_last_ns: int
    test_first_ns: int
    test_last_ns: int
    train_rows: int
    test_rows: int
    rounds: int
    metrics: dict[str, dict[str, float | None]]


class Importance(msgspec.Struct, frozen=True):
    """Rise of the log loss when a feature is shuffled: mean and deviation over folds."""

    feature: str
    mean: float
    deviation: float


class Judgement(msgspec.Struct, frozen=True):
    """What all folds say.

    Attributes
    ----------
    summary
        ``model`` and each baseline: metric to mean and deviation over folds.
    calibration
        Of the tests of all folds together.
    importance
        The most important first.
    useful
        Whether the model's log loss is below that of every baseline by more than two standard
        errors over the folds.
    verdict
        The same in a sentence.
    """

    folds: list[FoldResult]
    summary: dict[str, dict[str, Spread]]
    calibration: list[CalibrationBin]
    importance: list[Importance]
    useful: bool
    verdict: str


def judge(
    samples: Samples,
    folds: Sequence[Fold],
    settings: ModelSettings,
    *,
    names: Sequence[str],
    purge_ns: int,
    progress: Callable[[int], None],
) -> Judgement:
    """Fit and test a model on each fold.

    Parameters
    ----------
    samples
        With labels.
    names
        Of the features.
    progress
        Called with the number of folds done.

    Raises
    ------
    DataError, ModelError
        As `fit_model`; also for a fold whose training shares bars with its test.
    """
    refuse(check_splits(samples, folds))
    results, lost, foretold, happened = [], [], [], []
    for fold in folds:
        train, test = samples.take(fold.train), samples.take(fold.test)
        model = fit_model(samples, fold.train, settings, purge_ns)
        session = model.session()
        probability = answers(session, test.rows)
        measured = {MODEL: measure(probability, test.up, test.forward)}
        for name, baseline in BASELINES.items():
            measured[name] = measure(baseline(train, test), test.up, test.forward)
        results.append(
            FoldResult(
                fold.number,
                int(train.ts[0]),
                int(train.ts[-1]),
                int(test.ts[0]),
                int(test.ts[-1]),
                len(train),
                len(test),
                model.scorer.rounds,
                measured,
            )
        )
        lost.append(permutation_importance(session, test, settings.seed))
        foretold.append(probability)
        happened.append(test.up)
        progress(fold.number)
    summary = {
        name: spreads([result.metrics[name] for result in results]) for name in (MODEL, *BASELINES)
    }
    useful, verdict = compare([result.metrics for result in results], "folds")
    table = calibration_table(np.concatenate(foretold), np.concatenate(happened))
    return Judgement(results, summary, table, _importance(names, lost), useful, verdict)


def answers(session: ModelSession, rows: Rows) -> FloatArray:
    """Return the probabilities that ONNX Runtime gives, (n,) float64."""
    found = session.predict_rows(rows).probability
    if found is None:
        raise ModelError("the model", "gives no probability")
    return found.astype(np.float64)


def compare(measured: Sequence[dict[str, dict[str, float | None]]], unit: str) -> tuple[bool, str]:
    """Return whether the model beats every baseline in log loss, and a sentence about the nearest.

    Parameters
    ----------
    measured
        For each fold, of the model and each baseline: metric to value.
    unit
        What the folds are called.

    Notes
    -----
    Better by more than two standard errors of the mean difference over the folds. Folds are few and
    not independent: that is a hurdle for the useless, and no proof for the rest.
    """

    def losses(name: str) -> FloatArray:
        return np.array([fold[name]["log_loss"] for fold in measured], np.float64)

    gains = {name: losses(name) - losses(MODEL) for name in BASELINES}
    nearest = min(gains, key=lambda name: float(gains[name].mean()))
    gain = gains[nearest]
    count = len(gain)
    error = float(gain.std(ddof=1)) / count**0.5 if count > 1 else float("inf")
    useful = float(gain.mean()) > 2.0 * error
    verdict = (
        f"Its log loss is lower than that of the {nearest} in {int((gain > 0).sum())} of {count} "
        f"{unit}, by {gain.mean():.5f} on average (standard error {error:.5f}): "
        + ("better than what needs no model." if useful else f"no better than the {nearest}.")
    )
    return useful, verdict


def _importance(names: Sequence[str], lost: Sequence[FloatArray]) -> list[Importance]:
    table = np.array(lost)
    mean, deviation = table.mean(axis=0), table.std(axis=0, ddof=1)
    order = np.argsort(-mean, kind="stable")
    return [Importance(names[i], float(mean[i]), float(deviation[i])) for i in order]
