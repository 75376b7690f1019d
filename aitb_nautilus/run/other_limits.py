"""Other limits for a run than its own: from a config file, or changed one by one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.errors import ConfigError, UsageError
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.run.load import read_toml
from aitb_nautilus.settings import decode, encode

__all__ = ["LimitChange", "changed_limits", "limit_changes", "limits_of_file"]

_STEP = re.compile(r"(\w+)((?:\[\d+\])*)")


class LimitChange(msgspec.Struct, frozen=True):
    """A limit whose value is not that of the run; None: there is no such limit."""

    key: str
    was: Any
    now: Any


def limits_of_file(path: Path) -> RiskSettings:
    """Return the ``[risk]`` section of a config file, whatever else stands in it.

    Raises
    ------
    ConfigError
        If the file cannot be read, or has no such section, or a wrong one.
    """
    data = read_toml(path)
    if "risk" not in data:
        raise ConfigError(f"{path}: risk", "there is no such section", "must hold the limits")
    return decode(data["risk"], RiskSettings, str(path), "risk")


def changed_limits(risk: RiskSettings, changes: Sequence[str]) -> RiskSettings:
    """Return limits with some of them changed.

    Parameters
    ----------
    changes
        Such as ``risk.max_leverage=2``, ``risk.rules[0].max_orders_per_day=5`` or, to take a limit
        away, ``risk.max_leverage=none``.

    Raises
    ------
    UsageError
        If one of them is no such text.
    ConfigError
        If a key is unknown or a value impossible.
    """
    data = _without_none(encode(risk))
    for change in changes:
        _put(data, change)
    return decode(data, RiskSettings, "--set", "risk")


def limit_changes(was: RiskSettings, now: RiskSettings) -> list[LimitChange]:
    """Return what differs, by key."""
    before, after = _flat(encode(was), "risk"), _flat(encode(now), "risk")
    keys = dict.fromkeys([*before, *after])
    return [
        LimitChange(key, before.get(key), after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _put(data: dict[str, Any], change: str) -> None:
    key, equals, text = (part.strip() for part in change.partition("="))
    steps: list[str | int] = []
    for part in key.split("."):
        found = _STEP.fullmatch(part)
        if found is None:
            raise _refused(change)
        steps.append(found[1])
        steps += [int(i) for i in re.findall(r"\d+", found[2])]
    if not equals or len(steps) < 2 or steps[0] != "risk":
        raise _refused(change)
    place: Any = data
    for step, after in pairwise(steps[1:]):
        if isinstance(place, dict):
            place = place.setdefault(step, [] if isinstance(after, int) else {})
        elif isinstance(place, list) and isinstance(step, int) and step < len(place):
            place = place[step]
        else:
            raise _refused(change, f"the run has no {key}")
    last = steps[-1]
    if not isinstance(place, dict):
        raise _refused(change, f"the run has no {key}")
    if text == "none":
        place.pop(last, None)
        return
    try:
        place[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as e:
        raise _refused(change, f"{text!r} is no value of TOML") from e


def _refused(change: str, why: str = "") -> UsageError:
    return UsageError(
        f"--set {change}",
        why or "is no change of a limit",
        "must be a key of [risk] and a value, as risk.max_leverage=2; none takes a limit away",
    )


def _flat(value: Any, path: str) -> dict[str, Any]:
    """Return what stands at the ends of nested data, by path; what is absent is left out."""
    if isinstance(value, dict):
        parts = [_flat(v, f"{path}.{k}") for k, v in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [_flat(v, f"{path}[{i}]") for i, v in enumerate(value)]
    else:
        return {} if value is None else {path: value}
    return {k: v for part in parts for k, v in part.items()}


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value]
    return value
