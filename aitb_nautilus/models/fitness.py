"""Whether a bundle fits the running code: its features, its bars and the time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.manifest import Manifest

__all__ = ["check_contract", "check_expiry"]


def check_expiry(manifest: Manifest, now_ns: int) -> None:
    """Refuse a model that has expired.

    Parameters
    ----------
    now_ns
        ns UTC.

    Raises
    ------
    ModelError
        From its `expires_ns` on.
    """
    expires = manifest.expires_ns
    if expires is not None and now_ns >= expires:
        raise ModelError(
            f"model {manifest.reference}",
            f"expired at {_when(expires)} (it is {_when(now_ns)})",
            "its publisher meant it to be replaced by then",
            "Train it again, or choose another version: aitb models list",
        )


def check_contract(
    manifest: Manifest,
    features: Sequence[str],
    feature_fingerprint: str,
    interval: str | None = None,
) -> None:
    """Refuse a model that was trained on other features than those that are computed now.

    Parameters
    ----------
    features
        Texts of the features that the running code computes, in the order of its rows.
    feature_fingerprint
        Of the running code's feature set.
    interval
        Of the bars at which the model would answer, such as ``1m``; None: not compared.

    Raises
    ------
    ModelError
        Naming the first difference.
    """
    contract = manifest.contract
    where = f"model {manifest.reference}"
    if tuple(features) != contract.features:
        raise ModelError(
            where,
            f"was trained on {_difference(contract.features, features)}",
            "must be given exactly the features of its training, in their order",
            f"See: aitb models show {manifest.reference}",
        )
    if feature_fingerprint != contract.feature_fingerprint:
        raise ModelError(
            where,
            f"was trained on features with the fingerprint {contract.feature_fingerprint}",
            f"this code computes features of the same names with {feature_fingerprint}",
            "The code of a feature has changed since: train the model again, or use the version of "
            "AITB that trained it",
        )
    if interval is not None and interval != contract.interval:
        raise ModelError(
            where,
            f"was trained on bars of {contract.interval}",
            f"is asked to answer on bars of {interval}",
            "Set the interval in the config to that of the model",
        )


def _difference(trained: Sequence[str], given: Sequence[str]) -> str:
    """Say in which feature two different lists first differ."""
    missing = [name for name in trained if name not in given]
    extra = [name for name in given if name not in trained]
    if missing and extra:
        return f"{_some(missing)}; it is given {_some(extra)} instead"
    if missing:
        return f"{_some(missing)} as well, which it is not given"
    if extra:
        return f"{len(trained)} features; it is also given {_some(extra)}"
    if len(given) != len(trained):
        return f"{len(trained)} features; it is given one of them twice"
    i = next(i for i, (a, b) in enumerate(zip(trained, given, strict=True)) if a != b)
    return f"the same features in another order: as number {i} on {trained[i]}, not {given[i]}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _when(ts_ns: int) -> str:
    return f"{np.datetime64(ts_ns, 'ns').astype('datetime64[s]')}Z"
