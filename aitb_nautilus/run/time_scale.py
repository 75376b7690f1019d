"""A desk whose time runs faster: the same config with shorter bars, for a rehearsal under load.

What is shortened: every ``interval``, and every duration in seconds, minutes, hours or days of
risk, actors and strategies; rates per minute, hour or day rise. What is written in milliseconds
belongs to the machine and stays, and so do the sections that describe the past, the venue or the
node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.files import whole_file
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.assembly import assemble
from aitb_nautilus.run.load import Desk, load_config

__all__ = ["Change", "scale_config", "scale_desk"]

_SECTIONS = ("risk", "actors", "strategies")
_DURATION = re.compile(r".+_(secs|seconds|minutes|hours|days)")
_RATE = re.compile(r".+_per_(second|minute|hour|day)")


class Change(msgspec.Struct, frozen=True):
    """One key whose value differs at another speed."""

    path: str
    before: Any
    after: Any


def scale_config(
    plain: Mapping[str, Any], speed: int, where: str
) -> tuple[dict[str, Any], list[Change]]:
    """Return a config as plain data at N-fold speed, and what changed.

    Parameters
    ----------
    plain
        A resolved config, every default written out.
    speed
        How many seconds of the market pass in one, >= 1.
    where
        Names the config in an error.

    Raises
    ------
    ConfigError
        If an interval does not become one.

    Examples
    --------
    >>> scale_config({"strategies": [{"params": {"interval": "1h"}}]}, 60, "desk.toml")[1]
    [Change(path='strategies[0].params.interval', before='1h', after='1m')]
    """
    scaler = _Scaler(speed, where)
    scaled = {
        name: scaler.part(part, name) if name in _SECTIONS else part for name, part in plain.items()
    }
    return scaled, scaler.changes


class _Scaler:
    def __init__(self, speed: int, where: str) -> None:
        self._speed, self._where = speed, where
        self.changes: list[Change] = []

    def part(self, value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return {key: self._key(key, inner, f"{path}.{key}") for key, inner in value.items()}
        if isinstance(value, list):
            return [self.part(inner, f"{path}[{i}]") for i, inner in enumerate(value)]
        return value

    def _key(self, key: str, value: Any, path: str) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        after: Any
        if key == "interval" and isinstance(value, str):
            after = self._shorter(value, path)
        elif is_number and _DURATION.fullmatch(key):
            after = _whole(value / self._speed)
        elif is_number and _RATE.fullmatch(key):
            after = _whole(value * self._speed)
        else:
            return self.part(value, path)
        if after != value:
            self.changes.append(Change(path, value, after))
        return after

    def _shorter(self, text: str, path: str) -> str:
        interval = Interval.parse(text)
        shorter, rest = divmod(interval.ns, self._speed)
        try:
            return Interval.of_ns(0 if rest else shorter).text
        except ValueError as e:
            raise ConfigError(
                f"{self._where}: {path}",
                f"bars of {interval} at {self._speed}-fold speed have no even place in the day",
                "must become another interval",
            ) from e


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def scale_desk(desk: Desk, speed: int, path: Path) -> tuple[Desk, list[Change]]:
    """Write a desk at N-fold speed to a config file; return it and what changed.

    Raises
    ------
    ConfigError
        If a value cannot be scaled, or a component listens to bars of its own length: a model's
        bundle says of which bars it was made.
    """
    plain, changes = scale_config(desk.plain(), speed, str(desk.path))
    plain["rehearsal_speed"] = speed
    head = (
        f"# {desk.path.name} at {speed}-fold speed, written by aitb rehearse --speed {speed}.\n"
        "# For load and faults only: its results say nothing about trading.\n\n"
    )
    with whole_file(path) as temporary:
        temporary.write_text(head + tomli_w.dumps(plain), encoding="utf-8")
    scaled = load_config(path)
    before = assemble(desk, RunState()).bar_types
    after = set(assemble(scaled, RunState()).bar_types)
    for bar_type in before:
        interval = Interval.of_bar_type(bar_type)
        wanted = Interval.of_ns(interval.ns // speed).bar_type(
            Interval.instrument_of_bar_type(bar_type)
        )
        if wanted not in after:
            raise ConfigError(
                f"{desk.path}: speed {speed}",
                f"a component wants {bar_type} whatever the config says",
                "must follow the config's interval",
                "A model answers bars of the length that it was trained on: rehearse it at speed 1",
            )
    return scaled, changes
