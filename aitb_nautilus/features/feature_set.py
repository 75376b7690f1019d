"""Feature sets: which features, of which bars, in which order.

One feature is written ``name(argument,...)``; a name without arguments stands alone. A larger bar
size follows an at sign, another instrument goes before a colon::

    log_return(1)                       of the own instrument, at the base bar size
    rsi(14)@1h                          of hours built from closed base bars
    zscore(volume,50)
    beta(ETHUSDT-PERP.BINANCE,60)       against another instrument
    ETHUSDT.BINANCE:log_return(1)@5m    of another instrument
    eth:log_return(1)@5m                the same, by a short name of the config
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.features.kernel import Argument, Instrument, Kernel
from aitb_nautilus.features.kernels import KERNELS
from aitb_nautilus.features.settings import FeatureSettings
from aitb_nautilus.features.sources import source_hash
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.settings import nearest

__all__ = ["DRIVER_VERSION", "Feature", "FeatureSet", "feature_set", "parse_features"]

DRIVER_VERSION = 1
"""Part of every fingerprint. Raised when the driver gives the same kernels other bars than before:
another rule for gaps, larger bars or warm-up."""

_TEXT = re.compile(
    r"(?:(?P<instrument>[^()]+):)?"
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"(?P<call>\((?P<arguments>[^()]*)\))?"
    r"(?:@(?P<size>[^@()]*))?"
)
_FORM = "must be such as rsi(14), zscore(volume,50), rsi(14)@1h or ETHUSDT.BINANCE:rsi(14)"


@dataclass(frozen=True)
class Feature:
    """One column of a feature row.

    Parameters
    ----------
    kernel
        What computes it.
    arguments
        Of the kernel, in its order; instruments by their ids.
    interval
        The size of the bars that it sees.
    instrument
        Id of the instrument that it sees, or None for the own one.
    """

    kernel: Kernel
    arguments: tuple[Argument, ...]
    interval: Interval
    instrument: str | None

    @property
    def other(self) -> str | None:
        """Id of the second instrument that it sees, or None."""
        place = self.kernel.other
        return None if place is None else str(self.arguments[place])

    @property
    def bars(self) -> int:
        """How many bars of its own size decide its answer."""
        return self.kernel.warmup(*self.arguments)

    def codes(self) -> list[float]:
        """Return its arguments as the kernel finds them."""
        pairs = zip(self.kernel.parameters, self.arguments, strict=True)
        return [parameter.code(argument) for parameter, argument in pairs]


@dataclass(frozen=True)
class FeatureSet:
    """Features in their order, and the bars that they see.

    Parameters
    ----------
    features
        One a column.
    interval
        The base bar size.
    longest_gap_bars
        So many missing base bars in a row are filled; after more, the features warm up anew.
    """

    features: tuple[Feature, ...]
    interval: Interval
    longest_gap_bars: int

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The features in their one spelling, one a column."""
        return tuple(self._name(feature) for feature in self.features)

    @functools.cached_property
    def others(self) -> tuple[str, ...]:
        """Ids of the other instruments, in order of first mention."""
        ids = [i for f in self.features for i in (f.instrument, f.other) if i is not None]
        return tuple(dict.fromkeys(ids))

    def warmup_of(self, feature: Feature) -> int:
        """Return how many base bars a feature needs until its answer holds.

        A feature of w bars of a larger size, r base bars each, needs (w + 1) r - 1: so many base
        bars hold w whole larger bars, wherever the first of them falls.
        """
        ratio = feature.interval.ns // self.interval.ns
        return (feature.bars + 1) * ratio - 1

    @functools.cached_property
    def warmup(self) -> int:
        """How many base bars without a long gap decide a row, the newest included."""
        return max(self.warmup_of(feature) for feature in self.features)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sha256, in hex, of all that decides the values: features, formulas, bars, rules."""
        plain = {
            "driver": DRIVER_VERSION,
            "interval": self.interval.text,
            "longest_gap_bars": self.longest_gap_bars,
            "warmup": self.warmup,
            "features": [
                [name, feature.bars, source_hash(feature.kernel.function)]
                for name, feature in zip(self.names, self.features, strict=True)
            ],
        }
        return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()

    def _name(self, feature: Feature) -> str:
        before = f"{feature.instrument}:" if feature.instrument else ""
        listed = ",".join(_spell(argument) for argument in feature.arguments)
        size = "" if feature.interval == self.interval else f"@{feature.interval}"
        return f"{before}{feature.kernel.name}{f'({listed})' if listed else ''}{size}"


def feature_set(settings: FeatureSettings, where: str = "features") -> FeatureSet:
    """Return the feature set of a config section.

    Raises
    ------
    ConfigError
        As `parse_features`.
    """
    return parse_features(
        settings.columns,
        interval=settings.interval,
        instruments=settings.instruments,
        longest_gap_bars=settings.longest_gap_bars,
        where=where,
    )


def parse_features(
    texts: Sequence[str],
    *,
    interval: str | Interval,
    instruments: Mapping[str, str] | None = None,
    longest_gap_bars: int = 120,
    where: str = "features",
    kernels: Mapping[str, Kernel] = KERNELS,
) -> FeatureSet:
    """Read a feature set.

    Parameters
    ----------
    texts
        One a feature; see the text above.
    interval
        The base bar size.
    instruments
        Short names of instruments and their ids.
    longest_gap_bars
        See `FeatureSet`.
    where
        What an error names first.
    kernels
        The known features by name.

    Raises
    ------
    ConfigError
        For a text that is no feature, an unknown name, a wrong number of arguments or a wrong one,
        a bar size that base bars cannot make, a feature named twice. Says which.
    """
    try:
        base = Interval.parse(interval) if isinstance(interval, str) else interval
    except ValueError as e:
        raise ConfigError(f"{where}.interval", str(e)) from e
    if not texts:
        raise ConfigError(f"{where}.columns", "is empty", "must name at least one feature")
    names = instruments or {}
    found = tuple(
        _read(text, f"{where}.columns[{i}] {text!r}", base, names, kernels)
        for i, text in enumerate(texts)
    )
    features = FeatureSet(found, base, longest_gap_bars)
    for i, name in enumerate(features.names):
        first = features.names.index(name)
        if first != i:
            raise ConfigError(
                f"{where}.columns[{i}] {texts[i]!r}",
                f"is the same feature as columns[{first}] {texts[first]!r}",
                "each must be named once",
            )
    return features


def _read(
    text: str,
    where: str,
    base: Interval,
    instruments: Mapping[str, str],
    kernels: Mapping[str, Kernel],
) -> Feature:
    match = _TEXT.fullmatch("".join(text.split()))
    if match is None:
        raise ConfigError(where, "cannot be read", _FORM)
    kernel = kernels.get(match["name"])
    if kernel is None:
        close = nearest(match["name"], list(kernels))
        raise ConfigError(
            where,
            f"there is no feature {match['name']!r}",
            f"did you mean {close}?" if close else "",
            "" if close else "See: aitb features list",
        )
    given = match["arguments"].split(",") if match["arguments"] else []
    if len(given) != len(kernel.parameters):
        wanted = ", ".join(p.name for p in kernel.parameters)
        raise ConfigError(
            where,
            f"has {len(given)} argument{'' if len(given) == 1 else 's'}",
            f"must have {len(kernel.parameters)} ({wanted}), such as {kernel.example()}"
            if kernel.parameters
            else f"{kernel.name} takes none",
        )
    arguments: list[Argument] = []
    for parameter, argument in zip(kernel.parameters, given, strict=True):
        value = parameter.read(argument, where)
        if isinstance(parameter, Instrument):
            value = _instrument(str(value), where, instruments)
        arguments.append(value)
    if wrong := kernel.refuses(*arguments):
        raise ConfigError(where, wrong, todo=f"Usual is {kernel.example()}")
    own = match["instrument"]
    return Feature(
        kernel,
        tuple(arguments),
        _size(match["size"], where, base),
        None if own is None else _instrument(own, where, instruments),
    )


def _instrument(text: str, where: str, instruments: Mapping[str, str]) -> str:
    """Return the id of a short name, or the text itself if it is an id."""
    if text in instruments:
        return instruments[text]
    symbol, dot, venue = text.rpartition(".")
    if symbol and dot and venue:
        return text
    known = list(instruments)
    close = nearest(text, known)
    raise ConfigError(
        where,
        f"{text!r} is no instrument",
        f"did you mean {close}?"
        if close
        else "must be an id such as ETHUSDT.BINANCE or a short name of features.instruments"
        + (f", which are {', '.join(known)}" if known else ""),
    )


def _size(text: str | None, where: str, base: Interval) -> Interval:
    if text is None:
        return base
    try:
        size = Interval.parse(text)
    except ValueError as e:
        raise ConfigError(where, str(e)) from e
    if size.ns < base.ns or size.ns % base.ns:
        raise ConfigError(
            where,
            f"bars of {size} cannot be built from closed bars of {base}",
            f"must be a whole multiple of {base}",
        )
    return size


def _spell(argument: Argument) -> str:
    return f"{argument:g}" if isinstance(argument, float) else str(argument)
