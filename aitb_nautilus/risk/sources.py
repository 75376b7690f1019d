"""What publishes predictions in a run: one source for each name that a strategy can listen to."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aitb_nautilus.models.manifest import Label

__all__ = ["PredictionSource"]


class PredictionSource(msgspec.Struct, frozen=True, kw_only=True):
    """One name under which predictions are published, and where they come from.

    Attributes
    ----------
    model
        The name: a model's id, or an ensemble's.
    version
        Version of the model; of an ensemble, those of its members.
    sha256
        Of ``model.onnx``, of a file of predictions, or of an ensemble's settings and members.
    manifest_sha256, alias
        Of the bundle, and by which alias it was named; None where there is none.
    instruments, interval
        Whose bars are answered, and their length, such as ``1m``.
    label
        What is foretold, and how far ahead.
    longest_gap_bars
        So many missing bars in a row are bridged.
    trained_first_ns, trained_last_ns
        First and last row that it was trained on, ns UTC; None if every prediction comes from a
        model that had seen only what was before.
    simulated
        Whether it was trained on simulated bars.
    trials
        How many models were tried before it was chosen, itself included.
    algorithm
        Such as ``lightgbm``.
    expires_ns
        When the bundle expires, ns UTC.
    features, importance
        What it sees, and how much its log loss rises without one of them.
    members
        Of an ensemble.
    """

    model: str
    version: str
    sha256: str
    instruments: tuple[str, ...]
    interval: str
    label: Label
    longest_gap_bars: int
    manifest_sha256: str | None = None
    alias: str | None = None
    trained_first_ns: int | None = None
    trained_last_ns: int | None = None
    simulated: bool = False
    trials: int = 1
    algorithm: str = ""
    expires_ns: int | None = None
    features: tuple[str, ...] = ()
    importance: Mapping[str, float] = {}
    members: tuple[str, ...] = ()
