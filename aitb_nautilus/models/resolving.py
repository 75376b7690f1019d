"""Which version of a model a reference means now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.folders import Folder
from aitb_nautilus.models.history import History, read_history
from aitb_nautilus.models.references import Reference, version_of
from aitb_nautilus.settings import nearest

__all__ = ["Resolved", "check_usable", "no_alias", "resolve", "versions_in"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """One version of a model.

    Attributes
    ----------
    alias
        By which it was named, or None.
    path
        Of its folder.
    """

    id: str
    version: int
    alias: str | None
    path: Path

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"


def resolve(named: Reference, folder: Folder, withdrawn_too: bool = False) -> Resolved:
    """Return the version that a reference means.

    Parameters
    ----------
    folder
        Of the model.
    withdrawn_too
        Whether a withdrawn version may be named.

    Raises
    ------
    ModelError
        If there is no such version or alias, or the version was withdrawn.
    """
    history, versions = read_history(folder), versions_in(folder)
    if named.alias is not None:
        version = history.current(named.alias)
        if version is None:
            raise no_alias(named, history)
    elif named.version is not None:
        version = named.version
    else:
        usable = [v for v in versions if v not in history.withdrawn]
        if not usable:
            found = (
                f"has {len(versions)} versions, all of them withdrawn" if versions else "is empty"
            )
            raise ModelError(f"model {named.id}", found, todo="Train one: aitb train CONFIG")
        version = usable[-1]
    resolved = Resolved(named.id, version, named.alias, folder.path / str(version))
    if version not in versions:
        raise ModelError(
            f"model {resolved}",
            "is not there",
            f"versions are {_few(versions)}",
            f"See: aitb models list {named.id}",
        )
    if not withdrawn_too:
        check_usable(resolved, history)
    return resolved


def check_usable(resolved: Resolved, history: History) -> None:
    """Refuse a version that was withdrawn."""
    if withdrawn := history.withdrawn.get(resolved.version):
        when = np.datetime64(withdrawn.ts_ns, "ns").astype("datetime64[s]")
        alias = resolved.alias
        raise ModelError(
            f"model {resolved}" + (f" ({alias})" if alias else ""),
            f"was withdrawn by {withdrawn.who} at {when}Z: {withdrawn.why}",
            "must not be used",
            f"Roll back: aitb models rollback {resolved.id} {alias}"
            if alias
            else "Choose another version: aitb models list",
        )


def no_alias(named: Reference, history: History) -> ModelError:
    """Return the error for an alias that a model does not have."""
    known = sorted(history.aliases)
    close = nearest(named.alias or "", known)
    return ModelError(
        f"model {named}",
        f"has no alias {named.alias!r}",
        f"did you mean {close!r}?" if close else f"aliases are {', '.join(known) or 'none'}",
        f"Promote a version first: aitb models promote {named.id}@VERSION {named.alias}",
    )


def versions_in(folder: Folder) -> list[int]:
    """Return the numbers of the versions in a model's folder, oldest first."""
    return sorted(number for name in folder.names() if (number := version_of(name)))


def _few(versions: Sequence[int]) -> str:
    if len(versions) <= 6:
        return ", ".join(map(str, versions)) or "none"
    return f"{versions[0]} to {versions[-1]}"
