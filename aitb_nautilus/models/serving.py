"""A model together with the features that the running code computes for it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from aitb_nautilus.errors import ConfigError, ModelError
from aitb_nautilus.features.feature_set import FeatureSet, parse_features
from aitb_nautilus.models.references import Reference
from aitb_nautilus.models.registry import LoadedModel, Registry

__all__ = ["ServedModel", "load_served"]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A loaded model that gives a probability, and its features.

    Attributes
    ----------
    loaded
        Its session, its bundle, and by which alias it was named.
    features
        Made from the bundle alone, with the fingerprint that it had in training.
    """

    loaded: LoadedModel
    features: FeatureSet


def load_served(registry: Registry, reference: str, now_ns: int) -> ServedModel:
    """Load a model to trade on.

    An alias is resolved once; should it move meanwhile, the version that it meant is loaded.

    Parameters
    ----------
    reference
        ``btc_up@production``, ``btc_up@3``, or ``btc_up`` for the newest.
    now_ns
        For the expiry, ns UTC.

    Raises
    ------
    ModelError
        As `Registry.load`; also if this code lacks a feature of the model, or the model gives no
        probability.
    """
    resolved = registry.resolve(reference)
    exact = Reference(resolved.id, resolved.version)
    contract = registry.read(exact).manifest.contract
    try:
        features = parse_features(
            contract.features,
            interval=contract.interval,
            longest_gap_bars=contract.longest_gap_bars,
        )
    except ConfigError as e:
        raise ModelError(
            f"model {resolved}",
            f"was trained on a feature that this code does not have ({e.where}: {e.found})",
            todo="Train the model again, or use the version of AITB that trained it",
        ) from e
    loaded = registry.load(
        exact,
        features=features.names,
        feature_fingerprint=features.fingerprint,
        interval=features.interval.text,
        now_ns=now_ns,
    )
    roles = [output.role for output in loaded.manifest.model.outputs]
    if "probability" not in roles:
        raise ModelError(
            f"model {resolved}",
            f"gives {' and '.join(roles)} only",
            "must give a probability: strategies trade on a calibrated one",
            "Train it with a label of another kind, such as sign",
        )
    return ServedModel(dataclasses.replace(loaded, resolved=resolved), features)
