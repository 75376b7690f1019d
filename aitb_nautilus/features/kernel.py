"""What a feature is: a kernel, its parameters, and what it declares about itself.

A kernel is one small function that eats one closed bar and answers with one number. `feature` turns
it into a `Kernel`, which is all that the parser, the driver, the contract tests and the page
``docs/features.md`` need. To add a feature, write its kernel into a file of
`aitb_nautilus.features.kernels`; it is registered by standing there.

The function
------------
``kernel(s, p, x, y, k) -> float``, compiled by Numba and called by address:

- ``s`` its own float64 cells, zero at the start, as many as ``cells`` says. There is no bounds
  check in compiled code.
- ``p`` its parameters as float64; a window is ``int(p[0])``.
- ``x`` the bar that closed: ``x[OPEN]``, ``x[HIGH]``, ``x[LOW]``, ``x[CLOSE]``, ``x[VOLUME]`` and
  ``x[TIME]``, its close in seconds UTC.
- ``y`` the bar of the other instrument that closed at the same time; for features of one instrument
  it is ``x`` again.
- ``k`` the ordinal of the bar since 1970 in its own bar size. Bars come without a gap, one a step.

An argument that is not used begins with an underscore.

The promise
-----------
The answer depends on the last ``warmup`` bars and on ``k``, on nothing else, bit for bit. So a
kernel never subtracts from a running total and never keeps a value for ever: it uses the windows of
`aitb_nautilus.features.windows`, whose blocks are anchored at ``k``. Before the warm-up is over the
answer is not looked at and may be anything. A kernel never raises: compiled code would print and
answer 0.0.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.settings import nearest

__all__ = [
    "CLOSE",
    "HIGH",
    "INF",
    "LOW",
    "OPEN",
    "TIME",
    "VOLUME",
    "Cells",
    "Choice",
    "Instrument",
    "Kernel",
    "Number",
    "Parameter",
    "Values",
    "Whole",
    "feature",
    "window",
]

OPEN, HIGH, LOW, CLOSE, VOLUME, TIME = range(6)
INF = math.inf
LONGEST_WINDOW = 20_000
"""Longer windows belong to a larger bar size: their state is large, their blocks close slowly."""


class Values(Protocol):
    """Float64 cells that are only read."""

    def __getitem__(self, index: int, /) -> float: ...


class Cells(Values, Protocol):
    """Float64 cells of a kernel's state."""

    def __setitem__(self, index: int, value: float, /) -> None: ...


type KernelFunction = Callable[[Cells, Values, Values, Values, int], float]
type Argument = int | float | str
type Bounds = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One argument of a feature.

    Parameters
    ----------
    name
        How errors and the documentation call it.
    text
        What it means, in a few words.
    example
        A usual value; the documentation and the contract tests use it.
    """

    name: str
    text: str
    example: Argument

    def read(self, text: str, where: str) -> Argument:
        """Return the value of a text, or raise `ConfigError`."""
        raise NotImplementedError

    def code(self, value: Argument) -> float:
        """Return what the kernel finds in its parameters."""
        return float(value)

    def range_text(self) -> str:
        """Return the accepted values in words."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Whole(Parameter):
    """A whole number in [`least`, `most`]."""

    least: int
    most: int

    def read(self, text: str, where: str) -> int:
        """Return the whole number that a text spells."""
        wanted = f"{self.name} must be a whole number {self.range_text()}"
        if not text.lstrip("+-").isdecimal():
            raise ConfigError(where, f"{self.name} was {text!r}", wanted)
        value = int(text)
        if not self.least <= value <= self.most:
            todo = "Use a larger bar size for a longer memory" if value > self.most else ""
            raise ConfigError(where, f"{self.name} was {value}", wanted, todo)
        return value

    def range_text(self) -> str:
        """Return the range in words."""
        return f"from {self.least} to {self.most}"


@dataclass(frozen=True, kw_only=True)
class Number(Parameter):
    """A finite number in [`least`, `most`]."""

    least: float
    most: float

    def read(self, text: str, where: str) -> float:
        """Return the number that a text spells."""
        wanted = f"{self.name} must be a number {self.range_text()}"
        try:
            value = float(text)
        except ValueError as e:
            raise ConfigError(where, f"{self.name} was {text!r}", wanted) from e
        if not self.least <= value <= self.most:
            raise ConfigError(where, f"{self.name} was {text}", wanted)
        return value

    def range_text(self) -> str:
        """Return the range in words."""
        return f"from {self.least:g} to {self.most:g}"


@dataclass(frozen=True, kw_only=True)
class Choice(Parameter):
    """One word of a list; the kernel gets its position."""

    words: tuple[str, ...]

    def read(self, text: str, where: str) -> str:
        """Return the word."""
        if text not in self.words:
            close = nearest(text, self.words)
            wanted = f"{self.name} must be one of {self.range_text()}"
            hint = f"Did you mean {close}?" if close else ""
            raise ConfigError(where, f"{self.name} was {text!r}", wanted, hint)
        return text

    def code(self, value: Argument) -> float:
        """Return the position of the word."""
        return float(self.words.index(str(value)))

    def range_text(self) -> str:
        """Return the words."""
        return ", ".join(self.words)


@dataclass(frozen=True, kw_only=True)
class Instrument(Parameter):
    """Another instrument, by its id or by a short name of the config; the kernel gets its bars."""

    def read(self, text: str, where: str) -> str:
        """Return the text; the parser knows the short names."""
        if not text:
            raise ConfigError(where, f"{self.name} was empty", "must be an instrument id")
        return text

    def code(self, value: Argument) -> float:
        """Return nothing of use: the instrument reaches the kernel as its bars."""
        del value
        return 0.0

    def range_text(self) -> str:
        """Return what is accepted in words."""
        return "an instrument id such as ETHUSDT.BINANCE, or a short name of the config"


def window(
    least: int,
    *,
    example: int = 20,
    name: str = "n",
    text: str = "bars in the window",
    most: int = LONGEST_WINDOW,
) -> Whole:
    """Return the most usual parameter: a number of bars."""
    return Whole(name=name, text=text, example=example, least=least, most=most)


def _accept(*_: Argument) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One feature and what it declares.

    Parameters
    ----------
    function
        The kernel itself, plain Python; see the text above.
    family
        price, trend, momentum, volatility, volume, reversion, candle, cross or calendar.
    parameters
        In the order in which a feature set writes them.
    warmup
        Of the parameters: how many bars, the newest included, decide the answer.
    cells
        Of the parameters: how many float64 cells of state.
    unit
        Of the answer.
    bounds
        Least and greatest answer, or a function of the parameters.
    refuses
        Of the parameters: what is wrong with them together, or None.
    price_power, volume_power
        When all prices (volumes) are multiplied by c, the answer is multiplied by c to this power;
        None if there is no such law.
    """

    function: KernelFunction
    family: str
    parameters: tuple[Parameter, ...]
    warmup: Callable[..., int]
    cells: Callable[..., int]
    unit: str
    bounds: Bounds | Callable[..., Bounds]
    refuses: Callable[..., str | None] = field(default=_accept)
    price_power: int | None = 0
    volume_power: int | None = 0

    @property
    def name(self) -> str:
        """How a feature set calls it."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """The first line of its text."""
        return self.text.split("\n", 1)[0]

    @property
    def text(self) -> str:
        """Its whole text: summary, formula, sources."""
        return inspect.cleandoc(self.function.__doc__ or "")

    def section(self, title: str) -> str:
        """Return one section of its text (``Formula``, ``References``), or nothing."""
        lines = self.text.splitlines()
        found: list[str] = []
        inside = False
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if after and set(after) == {"-"}:
                inside = line == title
            elif inside and not (line and set(line) == {"-"}):
                found.append(line)
        return "\n".join(found).strip()

    def range_of(self, arguments: Sequence[Argument]) -> Bounds:
        """Return the least and the greatest answer for these arguments."""
        return self.bounds(*arguments) if callable(self.bounds) else self.bounds

    def example(self) -> str:
        """Return the feature as a set would write it: ``rsi(14)``."""
        if not self.parameters:
            return self.name
        return f"{self.name}({','.join(str(p.example) for p in self.parameters)})"

    @property
    def other(self) -> int | None:
        """The position of the parameter that names another instrument, or None."""
        places = [i for i, p in enumerate(self.parameters) if isinstance(p, Instrument)]
        return places[0] if places else None


def feature(
    *,
    family: str,
    unit: str,
    warmup: Callable[..., int],
    cells: Callable[..., int],
    bounds: Bounds | Callable[..., Bounds],
    parameters: tuple[Parameter, ...] = (),
    refuses: Callable[..., str | None] = _accept,
    price_power: int | None = 0,
    volume_power: int | None = 0,
) -> Callable[[KernelFunction], Kernel]:
    """Turn a kernel function into a `Kernel`; the parameters are those of `Kernel`."""

    def declared(function: KernelFunction) -> Kernel:
        return Kernel(
            function=function,
            family=family,
            parameters=parameters,
            warmup=warmup,
            cells=cells,
            unit=unit,
            bounds=bounds,
            refuses=refuses,
            price_power=price_power,
            volume_power=volume_power,
        )

    return declared
