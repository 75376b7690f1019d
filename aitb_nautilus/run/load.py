"""Read a config file and resolve the components that it names."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import tomllib
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.limit_shadows import shadowed
from aitb_nautilus.risk.limits import refuse_unknown_scopes
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.config import ComponentSettings, DeskConfig
from aitb_nautilus.settings import Settings, decode, encode, nearest

__all__ = ["Component", "Desk", "load_config", "read_toml", "resolve"]


class Component(msgspec.Struct, frozen=True):
    """A component that the config names, found and with its settings decoded.

    Attributes
    ----------
    id
        Id in the engine: the config's id and a tag that counts from 001.
    cls
        The class.
    settings
        Its own settings.
    """

    id: str
    cls: type
    settings: Settings


class Desk(msgspec.Struct, frozen=True):
    """A config file, read and resolved.

    Attributes
    ----------
    path
        The file.
    config
        Its sections.
    strategies, actors
        The components, in the order of the file.
    """

    path: Path
    config: DeskConfig
    strategies: Sequence[Component]
    actors: Sequence[Component]

    @property
    def name(self) -> str:
        """Return the name of the desk: that of its file."""
        return self.path.stem

    def remarks(self) -> list[str]:
        """Return what a reader should know of limits that never act, one line each."""
        return [str(one) for one in shadowed(self.config.risk)]

    def plain(self) -> dict[str, Any]:
        """Return the config as plain data, every default written out; secrets stay references."""
        data: dict[str, Any] = _without_none(encode(self.config))
        for section, components in (("strategies", self.strategies), ("actors", self.actors)):
            for block, component in zip(data.get(section, ()), components, strict=True):
                block["params"] = _without_none(encode(component.settings))
        return data

    def toml(self) -> str:
        """Return the resolved config as TOML."""
        return tomli_w.dumps(self.plain())

    def sha256(self) -> str:
        """Return the hash of the resolved config, equal for files that mean the same."""
        return hashlib.sha256(msgspec.json.encode(self.plain(), order="sorted")).hexdigest()


def load_config(path: str | Path) -> Desk:
    """Read a config file.

    Modules beside the file, and in the current folder, can be named in ``class``.

    Raises
    ------
    ConfigError
        If the file is missing, is no TOML, has an unknown key, a wrong type, an impossible value,
        or names a component that cannot be found.
    """
    path = Path(path)
    data = read_toml(path)
    config = decode(data, DeskConfig, str(path))
    refuse_unknown_scopes(
        config.risk,
        str(path),
        venues=[v.name for v in config.venues],
        strategies=[s.id for s in config.strategies],
        instruments=None,  # known once the catalog is read
    )
    for folder in (str(path.resolve().parent), str(Path.cwd())):
        if folder not in sys.path:
            sys.path.append(folder)
    return Desk(
        path,
        config,
        _components(path, "strategies", config.strategies, GuardedStrategy),
        _components(path, "actors", config.actors, GuardedActor),
    )


def resolve(text: str, where: str) -> Any:
    """Return what ``module:Name`` names.

    Raises
    ------
    ConfigError
        If the module or the name does not exist, or importing the module fails.
    """
    module_name, colon, name = text.partition(":")
    if not (module_name and colon and name):
        raise ConfigError(
            where, f"was {text!r}", "must be module:Class, such as strategies.ema_cross:EmaCross"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        if e.name is None or not f"{module_name}.".startswith(f"{e.name}."):
            raise _import_failed(where, module_name, e) from e
        close = nearest(module_name, _modules_near(module_name))
        raise ConfigError(
            where,
            f"there is no module {module_name!r}",
            f"did you mean {close}:{name}?" if close else "must be importable",
            "A module of your own may lie beside the config file or in the current folder",
        ) from e
    except (Exception, SystemExit) as e:
        raise _import_failed(where, module_name, e) from e
    if not hasattr(module, name):
        names = [n for n, v in vars(module).items() if isinstance(v, type)]
        close = nearest(name, names)
        raise ConfigError(
            where,
            f"module {module_name} has no {name!r}",
            f"did you mean {module_name}:{close}?" if close else "must be a class in it",
        )
    return getattr(module, name)


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file as plain data, its dates as texts.

    Raises
    ------
    ConfigError
        If the file is missing or is no TOML.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError as e:
        raise ConfigError(
            str(path), "there is no such file", "must be a TOML config", _similar_file(path)
        ) from e
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(str(path), f"could not be read ({e})", "must be a TOML file") from e
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(str(path), f"is no valid TOML: {e}", todo="Mend the line it names") from e
    plain: dict[str, Any] = _dates_as_text(data)
    return plain


def _components(
    path: Path, section: str, blocks: Sequence[ComponentSettings], base: Any
) -> list[Component]:
    found = []
    for i, block in enumerate(blocks):
        where = f"{path}: {section}[{i}]"
        cls: Any = resolve(block.path, f"{where}.class")
        is_component: bool = isinstance(cls, type) and issubclass(cls, base)
        if not is_component:
            raise ConfigError(
                f"{where}.class",
                f"{block.path} does not derive from {base.__name__}",
                f"must derive from {base.__module__}:{base.__name__}",
            )
        settings_type: type[Settings] = cls.settings_type
        settings = decode(block.params, settings_type, str(path), f"{section}[{i}].params")
        found.append(Component(f"{block.id}-{i + 1:03d}", cls, settings))
    return found


def _import_failed(where: str, module_name: str, error: BaseException) -> ConfigError:
    return ConfigError(
        where,
        f"importing {module_name} failed: {type(error).__name__}: {error}",
        "must be importable",
        f"Try it alone: python -c 'import {module_name}'",
    )


def _modules_near(module_name: str) -> list[str]:
    """Return modules that a misspelt name may have meant."""
    package, _, _ = module_name.rpartition(".")
    tops = ["strategies", "actors", *difflib.get_close_matches(package, ["strategies", "actors"])]
    names = []
    for top in dict.fromkeys([package, *tops]):
        spec = importlib.util.find_spec(top) if top and top.isidentifier() else None
        if spec is not None and spec.submodule_search_locations:
            names += [
                f"{top}.{m.name}" for m in pkgutil.iter_modules(spec.submodule_search_locations)
            ]
    return names


def _similar_file(path: Path) -> str:
    folder = path.parent
    names = [p.name for p in folder.glob("*.toml")] if folder.is_dir() else []
    close = nearest(path.name, names)
    return f"Did you mean {folder / close}?" if close else ""


def _dates_as_text(value: Any) -> Any:
    """Turn TOML's own dates into ISO text, so that both spellings are accepted."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {k: _dates_as_text(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(v) for v in value]
    return value


def _without_none(value: Any) -> Any:
    """Leave out what is absent; TOML has no null."""
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value]
    return value
