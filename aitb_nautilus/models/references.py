"""How a model is named: ``btc_up@3``, ``btc_up@production``, or ``btc_up`` for the newest."""

from __future__ import annotations

import re

import msgspec

from aitb_nautilus.errors import ModelError

__all__ = ["Reference", "check_alias", "check_id", "version_of"]

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_RESERVED = {"latest", "newest"}  # a name without a version says that already


def check_id(text: str) -> str:
    """Return a model id unchanged; raise ValueError if it is none."""
    if not _ID.fullmatch(text):
        raise ValueError(
            f"the model id {text!r} must be 1 to 64 of a-z, 0-9, _ and -, beginning with a letter "
            "or a digit"
        )
    return text


def check_alias(text: str) -> str:
    """Return an alias unchanged; raise ValueError if it is none."""
    if not _ALIAS.fullmatch(text) or text in _RESERVED:
        raise ValueError(
            f"the alias {text!r} must be 1 to 32 of a-z, 0-9, _ and -, beginning with a letter, "
            f"and not {' or '.join(sorted(_RESERVED))}"
        )
    return text


class Reference(msgspec.Struct, frozen=True):
    """A model, and which version of it.

    Parameters
    ----------
    id
        Of the model.
    version
        A number, or None.
    alias
        Such as ``production``, or None. Without number and alias the newest version is meant that
        has not been withdrawn.

    Examples
    --------
    >>> Reference.parse("btc_up@production").alias
    'production'
    >>> str(Reference("btc_up", 3))
    'btc_up@3'
    """

    id: str
    version: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        which = self.alias if self.version is None else self.version
        return self.id if which is None else f"{self.id}@{which}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference that a person wrote.

        Raises
        ------
        ModelError
            If it is no model id with an optional version or alias behind an @.
        """
        name, at, which = text.partition("@")
        try:
            check_id(name)
            if not at:
                return cls(name)
            if _VERSION.fullmatch(which):
                return cls(name, version=int(which))
            return cls(name, alias=check_alias(which))
        except ValueError as e:
            raise ModelError(
                f"model reference {text!r}", str(e), todo="Write btc_up, btc_up@3 or btc_up@live"
            ) from e


def version_of(name: str) -> int | None:
    """Return the version that a folder's name stands for, or None if it stands for none."""
    return int(name) if _VERSION.fullmatch(name) else None
