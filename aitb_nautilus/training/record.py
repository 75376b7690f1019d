"""What a bundle's manifest says of a training."""

from __future__ import annotations

from importlib.metadata import version

from aitb_nautilus.features.feature_set import FeatureSet
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.models.manifest import (
    Calibration,
    Contract,
    Fold as FoldRecord,
    Label as LabelRecord,
    Span,
    Training,
)
from aitb_nautilus.training.fitting import FittedModel
from aitb_nautilus.training.judging import MODEL, Judgement
from aitb_nautilus.training.samples import Samples, TrainingBars
from aitb_nautilus.training.settings import LightgbmSettings, ModelSettings, TripleBarrierLabel

__all__ = ["contract_of", "label_of", "training_of"]


def contract_of(settings: ModelSettings, features: FeatureSet) -> Contract:
    """Return what the code around the model must agree with."""
    return Contract(
        features=features.names,
        feature_fingerprint=features.fingerprint,
        interval=features.interval.text,
        longest_gap_bars=features.longest_gap_bars,
        instruments=settings.instruments,
        label=label_of(settings, features.interval),
    )


def label_of(settings: ModelSettings, interval: Interval) -> LabelRecord:
    """Return the label as the manifest holds it."""
    label = settings.label
    parameters = {"cost_bps": label.cost_bps}
    if isinstance(label, TripleBarrierLabel):
        parameters |= {
            "upper": label.upper,
            "lower": label.lower,
            "volatility_bars": float(label.volatility_bars),
        }
    return LabelRecord(
        kind=label.__struct_config__.tag,  # type: ignore[arg-type]  # the tags are the kinds
        horizon_bars=label.horizon_bars,
        horizon_ns=label.horizon_bars * interval.ns,
        parameters=parameters,
    )


def training_of(
    settings: ModelSettings,
    features: FeatureSet,
    bars: TrainingBars,
    *,
    samples: Samples,
    model: FittedModel,
    judgement: Judgement,
    config_sha256: str | None,
) -> Training:
    """Return where the model comes from and how it was judged."""
    span = Span(first_ns=int(samples.ts[0]), last_ns=int(samples.ts[-1]))
    longest = int((samples.last_ns - samples.ts).max())
    calibration = None
    if settings.calibration != "none":
        times = samples.ts[model.parts.calibration]
        calibration = Calibration(
            method=settings.calibration,
            rows=len(times),
            span=Span(first_ns=int(times[0]), last_ns=int(times[-1])),
        )
    return Training(
        algorithm=str(settings.algorithm.__struct_config__.tag),
        simulated=bars.simulated,
        span=span,
        rows=len(samples),
        data_sha256=bars.sha256,
        folds=tuple(
            FoldRecord(
                train=Span(first_ns=fold.train_first_ns, last_ns=fold.train_last_ns),
                test=Span(first_ns=fold.test_first_ns, last_ns=fold.test_last_ns),
                train_rows=fold.train_rows,
                test_rows=fold.test_rows,
                metrics=_flat(fold.metrics),
            )
            for fold in judgement.folds
        ),
        purge_ns=longest + settings.purge_bars * features.interval.ns,
        embargo_ns=settings.embargo_bars * features.interval.ns,
        seeds={"fit": settings.seed, "importance": settings.seed},
        libraries=_libraries(settings),
        trials=settings.trials,
        calibration=calibration,
        parameters={
            **settings.hyper_parameters(),
            "class_weight": settings.class_weight,
            "calibration_share": settings.calibration_share,
            "validation_share": settings.validation_share,
        },
        importance={one.feature: one.mean for one in judgement.importance},
        config_sha256=config_sha256,
    )


def _flat(metrics: dict[str, dict[str, float | None]]) -> dict[str, float | None]:
    """Return the metrics of the model under their names, those of a baseline behind its name."""
    return {
        name if who == MODEL else f"{who}: {name}": value
        for who, measured in metrics.items()
        for name, value in measured.items()
    }


def _libraries(settings: ModelSettings) -> dict[str, str]:
    """Return the versions of what the model's numbers come from."""
    trees = isinstance(settings.algorithm, LightgbmSettings)
    names = ("lightgbm" if trees else "scikit-learn", "numba", "numpy", "onnx", "onnxruntime")
    return {name: version(name) for name in names}
