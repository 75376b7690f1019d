"""What stands in ``bundle.json``: the model, what it needs, what it was trained on, how it did.

The text is canonical: keys sorted, no spaces, defaults left out. There is one text for one
manifest, so that a signature over the bytes is a signature over the meaning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from aitb_nautilus.errors import ModelError
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.models.references import check_id

__all__ = [
    "FORMAT",
    "Calibration",
    "Contract",
    "Fold",
    "Input",
    "Label",
    "Manifest",
    "ModelFile",
    "Output",
    "Probe",
    "Role",
    "Span",
    "Training",
    "decode",
    "encode",
]

FORMAT: Final = "aitb-bundle-1"

Role = Literal["probability", "expected_return"]
"""Probability of up, calibrated, in [0, 1]; expected return, a fraction over the horizon."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Part(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Base of every part. A default is None, empty or False: only these are left out reliably."""


class Span(_Part, frozen=True):
    """Bars from one close to another, both included, ns UTC."""

    first_ns: int
    last_ns: int

    def __post_init__(self) -> None:
        if self.first_ns > self.last_ns:
            raise ValueError("a span must not end before it begins")


class Input(_Part, frozen=True):
    """The one input of the graph: (any number of rows, columns), a column for each feature."""

    name: str
    columns: int
    dtype: Literal["float32"]


class Output(_Part, frozen=True):
    """One output of the graph, (rows, 1) float32."""

    name: str
    role: Role


class ModelFile(_Part, frozen=True):
    """What ``model.onnx`` is: read off the file when it is published, compared when it is loaded.

    Attributes
    ----------
    sha256, size
        Of the file; the size in bytes.
    opsets
        Operator domain to version; the standard domain is ``ai.onnx``.
    """

    sha256: str
    size: int
    ir_version: int
    opsets: dict[str, int]
    input: Input
    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        _check_sha256(self.sha256, "sha256")
        roles = [output.role for output in self.outputs]
        if not roles or len(set(roles)) != len(roles):
            raise ValueError("outputs must be one or more, each role once")


class Label(_Part, frozen=True):
    """What the model was taught to foresee.

    Attributes
    ----------
    kind
        ``sign``: whether the forward return, net of costs, is above zero. ``return``: the forward
        return. ``triple_barrier``: whether the upper barrier was touched first.
    horizon_bars, horizon_ns
        How far ahead.
    parameters
        Such as ``cost_bps`` or the barriers' widths.
    """

    kind: Literal["sign", "return", "triple_barrier"]
    horizon_bars: int
    horizon_ns: int
    parameters: dict[str, float] = {}

    def __post_init__(self) -> None:
        if self.horizon_bars < 1 or self.horizon_ns < 1:
            raise ValueError("a horizon must be at least one bar and one nanosecond")


class Contract(_Part, frozen=True):
    """What the code around the model must agree with.

    Attributes
    ----------
    features
        Their texts, such as ``rsi(14)``, in the order of the input's columns.
    feature_fingerprint
        Of the feature set that computed them in training.
    interval
        Of the bars at which the model answers: ``1m``.
    longest_gap_bars
        So many missing bars in a row count as bars without a trade; part of the feature set.
    instruments
        That it was trained on.
    """

    features: tuple[str, ...]
    feature_fingerprint: str
    interval: str
    longest_gap_bars: int
    instruments: tuple[str, ...]
    label: Label

    def __post_init__(self) -> None:
        if not self.features or not all(self.features):
            raise ValueError("features must be one or more texts")
        if len(set(self.features)) != len(self.features):
            raise ValueError("a feature stands there twice")
        if not self.feature_fingerprint or not self.instruments:
            raise ValueError("feature_fingerprint and instruments must not be empty")
        if Interval.parse(self.interval).text != self.interval:
            raise ValueError(f"the interval {self.interval!r} is not in its shortest spelling")
        if self.longest_gap_bars < 0:
            raise ValueError("longest_gap_bars must not be negative")


class Fold(_Part, frozen=True):
    """One chronological split, and how the model did on its test span.

    Attributes
    ----------
    metrics
        Name to value; None where a metric is not defined, such as AUC with one class.
    """

    train: Span
    test: Span
    train_rows: int
    test_rows: int
    metrics: dict[str, float | None] = {}


class Calibration(_Part, frozen=True):
    """How scores became probabilities; part of the graph."""

    method: Literal["sigmoid", "isotonic"]
    rows: int
    span: Span | None = None


class Training(_Part, frozen=True):
    """Where the model comes from.

    Attributes
    ----------
    algorithm
        Such as ``lightgbm``, ``logistic``, ``mlp``.
    simulated
        Whether any of the bars were simulated.
    span, rows, data_sha256
        Of the bars that the final fit saw.
    folds, purge_ns, embargo_ns
        How it was judged.
    seeds, libraries, parameters
        By name. Libraries with their versions.
    trials
        How many models were tried before this one was chosen, itself included.
    importance
        Feature to the mean rise of the log loss when it is shuffled among the rows of a test.
    config_sha256
        Of the resolved training config, if there was one.
    """

    algorithm: str
    simulated: bool
    span: Span
    rows: int
    data_sha256: str
    folds: tuple[Fold, ...]
    purge_ns: int
    embargo_ns: int
    seeds: dict[str, int]
    libraries: dict[str, str]
    trials: int
    calibration: Calibration | None = None
    parameters: dict[str, str | int | float | bool | None] = {}
    importance: dict[str, float] = {}
    config_sha256: str | None = None

    def __post_init__(self) -> None:
        _check_sha256(self.data_sha256, "data_sha256")
        if self.config_sha256 is not None:
            _check_sha256(self.config_sha256, "config_sha256")
        if self.trials < 1:
            raise ValueError("trials must be at least 1: this model is one")
        if self.purge_ns < 0 or self.embargo_ns < 0:
            raise ValueError("purge_ns and embargo_ns must not be negative")


class Probe(_Part, frozen=True):
    """A row of features and the answers to it, asked again whenever the model is loaded.

    Attributes
    ----------
    row
        One float32 value a feature.
    answers
        One float32 value an output, in the order of the outputs.
    """

    row: tuple[float, ...]
    answers: tuple[float, ...]


class Manifest(_Part, frozen=True):
    """All of ``bundle.json``.

    Attributes
    ----------
    created_ns, expires_ns
        ns UTC. From `expires_ns` on the model refuses to load; None: it does not expire.
    parent
        The version that it is meant to replace.
    """

    format: Literal["aitb-bundle-1"]
    id: str
    version: int
    created_ns: int
    model: ModelFile
    contract: Contract
    training: Training
    probes: tuple[Probe, ...]
    parent: int | None = None
    expires_ns: int | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        check_id(self.id)
        if self.version < 1:
            raise ValueError("version must be at least 1")
        if self.expires_ns is not None and self.expires_ns <= self.created_ns:
            raise ValueError("expires_ns must lie after created_ns")
        columns, answers = self.model.input.columns, len(self.model.outputs)
        if len(self.contract.features) != columns:
            raise ValueError(f"{len(self.contract.features)} features, {columns} columns of input")
        if not self.probes:
            raise ValueError("probes must be one or more")
        for probe in self.probes:
            if len(probe.row) != columns or len(probe.answers) != answers:
                raise ValueError("a probe must hold a value for each feature and each output")

    @property
    def reference(self) -> str:
        """The model and its version: ``btc_up@3``."""
        return f"{self.id}@{self.version}"


class _Marked(msgspec.Struct):
    format: str


def encode(manifest: Manifest) -> bytes:
    """Return the one canonical text of a manifest.

    Raises
    ------
    ValueError
        If a value is of another type than its field says, or a number is NaN or infinite, which
        JSON cannot hold; an undefined metric is None.
    """
    plain = msgspec.to_builtins(manifest, enc_hook=_refuse_foreign)
    _refuse_non_finite(plain, "")
    try:
        # A struct takes any value when it is made; here 1 in a field of floats becomes 1.0.
        manifest = msgspec.convert(plain, Manifest)
    except msgspec.ValidationError as e:
        raise ValueError(f"the manifest cannot be written: {e}") from e
    return msgspec.json.encode(manifest, order="sorted")


def decode(text: bytes, where: str) -> Manifest:
    """Return the manifest in the bytes of a ``bundle.json``.

    Parameters
    ----------
    where
        What an error names first: the file.

    Raises
    ------
    ModelError
        If the bytes are no manifest, one of another format, or not in canonical form.
    """
    try:
        format_ = msgspec.json.decode(text, type=_Marked).format
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise ModelError(where, f"is no manifest of a model ({e})", todo=_RESTORE) from e
    if format_ != FORMAT:
        raise ModelError(
            where,
            f"is of the format {format_!r}",
            f"this version of AITB reads {FORMAT}",
            "Use the version of AITB that wrote it, or train the model again",
        )
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.ValidationError as e:
        raise ModelError(where, f"cannot be understood: {e}", todo=_RESTORE) from e
    if encode(manifest) != text:
        raise ModelError(
            where,
            "is not in canonical form",
            "must be sorted, without spaces, doubled keys or written-out defaults",
            _RESTORE,
        )
    return manifest


_RESTORE = "Take the bundle again from where it came, or use another version"


def _check_sha256(text: str, name: str) -> None:
    if not _SHA256.fullmatch(text):
        raise ValueError(f"{name} must be 64 digits of lower-case hex")


def _refuse_foreign(value: Any) -> Any:
    raise ValueError(f"a manifest holds plain values, not {type(value).__name__}: {value!r}")


def _refuse_non_finite(data: Any, path: str) -> None:
    if isinstance(data, float) and not math.isfinite(data):
        raise ValueError(f"the manifest's {path.lstrip('.')} is {data}; it must be finite or None")
    if isinstance(data, Mapping):
        for key, value in data.items():
            _refuse_non_finite(value, f"{path}.{key}")
    elif isinstance(data, list | tuple):
        for i, value in enumerate(data):
            _refuse_non_finite(value, f"{path}[{i}]")
