"""A file of faults: what goes wrong, and when."""

from __future__ import annotations

import tomllib
from pathlib import Path

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.settings import Settings, decode

__all__ = ["PlannedFault", "read_fault_plan"]


class PlannedFault(Fault, frozen=True):
    """Block ``[[faults]]``: a fault and its time.

    Parameters
    ----------
    at_s
        Seconds after the rehearsal began, >= 0.
    every_s
        Seconds from one time to the next, > 0; absent means once.
    """

    at_s: float = 0.0
    every_s: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at_s < 0:
            raise ValueError(f"at_s was {self.at_s}, must be at least 0")
        if self.every_s is not None and self.every_s <= 0:
            raise ValueError(f"every_s was {self.every_s}, must be above 0")


class _Plan(Settings, frozen=True):
    faults: tuple[PlannedFault, ...] = ()


def read_fault_plan(path: Path) -> tuple[PlannedFault, ...]:
    """Return the faults of a file.

    Raises
    ------
    ConfigError
        If it cannot be read, or says something that is no fault.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(str(path), f"cannot be read ({e})", "must be a TOML file") from e
    return decode(data, _Plan, str(path)).faults
