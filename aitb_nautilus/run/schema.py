"""The JSON schema of a config, with the settings of the components that its blocks can name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.config import ComponentSettings, DeskConfig
from aitb_nautilus.run.load import Desk
from aitb_nautilus.settings import schemas

__all__ = ["desk_schema"]

_SHIPPED = ("strategies", "actors")


def desk_schema(desk: Desk | None = None) -> dict[str, Any]:
    """Return the schema of a config file.

    A block's ``params`` are described by the settings of the class that it names, for all shipped
    components.

    Parameters
    ----------
    desk
        A config, whose own components are described as well.
    """
    classes = {f"{cls.__module__}:{cls.__qualname__}": cls for cls in _shipped()}
    if desk is not None:
        for component in (*desk.strategies, *desk.actors):
            classes[f"{component.cls.__module__}:{component.cls.__qualname__}"] = component.cls
    whole, *parts = schemas([DeskConfig, *(cls.settings_type for cls in classes.values())])
    block = whole["$defs"][ComponentSettings.__name__]
    block["allOf"] = [
        {
            "if": {"properties": {"class": {"const": name}}, "required": ["class"]},
            "then": {"properties": {"params": part}},
        }
        for name, part in zip(classes, parts, strict=True)
    ]
    return whole


def _shipped() -> Iterator[Any]:
    """Yield every component of the packages that come with this one."""
    for package in _SHIPPED:
        home = importlib.import_module(package)
        for info in pkgutil.iter_modules(home.__path__, f"{package}."):
            for value in vars(importlib.import_module(info.name)).values():
                is_one = isinstance(value, type) and value.__module__ == info.name
                if is_one and issubclass(value, GuardedStrategy | GuardedActor):
                    yield value
