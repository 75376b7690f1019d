"""Whose bundles may be loaded: one's own, and those of publishers whose keys one trusts.

The list lies in ``trusted.json`` of the config folder. A key is added by hand, with the name of
whoever it belongs to; nothing is ever trusted on first sight.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Literal

import msgspec

from aitb_nautilus.errors import ModelError, UsageError
from aitb_nautilus.models.folders import Folder, exclusive, write_whole
from aitb_nautilus.models.keys import (
    SigningKey,
    check_private,
    config_folder,
    is_public_key,
    make_folder,
)
from aitb_nautilus.settings import nearest

__all__ = ["OWN", "Keyring", "TrustedKey"]

OWN = "own"
"""What one's own key is called."""

_FILE = "trusted.json"
_LARGEST = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,63}")


class TrustedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A publisher's public key.

    Attributes
    ----------
    name
        Whose it is.
    key
        ``ed25519:`` and 64 digits of hex.
    added_ns
        When it was trusted, ns UTC.
    """

    name: str
    key: str
    added_ns: int

    def __post_init__(self) -> None:
        if not is_public_key(self.key) or not _NAME.fullmatch(self.name) or self.name == OWN:
            raise ValueError("is no name with a public key")


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["aitb-trust-1"]
    keys: tuple[TrustedKey, ...]


class Keyring:
    """The keys of one config folder: the own one and those that are trusted.

    Parameters
    ----------
    folder
        By default that of the user.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = config_folder() if folder is None else folder

    def own(self) -> SigningKey | None:
        """Return the own key, or None if no bundle has been published yet."""
        return SigningKey.find(self.folder)

    def own_or_new(self) -> SigningKey:
        """Return the own key; make it on first use."""
        return SigningKey.find_or_make(self.folder)

    def trusted(self) -> tuple[TrustedKey, ...]:
        """Return the keys of others that are trusted, in the order in which they were added.

        Raises
        ------
        ModelError
            If the list is damaged, or others may change it.
        """
        path = self.folder / _FILE
        if not path.exists(follow_symlinks=False):
            return ()
        check_private(self.folder, 0o022)
        with Folder.open(self.folder) as opened:
            data = opened.read(_FILE, _LARGEST)
        check_private(path, 0o022)
        try:
            return msgspec.json.decode(data, type=_List).keys
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise ModelError(
                str(path),
                f"is no list of trusted keys ({e})",
                todo="Remove the file and trust the keys again: aitb models trust KEY --name NAME",
            ) from e

    def name_of(self, public: str) -> str | None:
        """Return whose key it is: ``own``, a trusted publisher's name, or None."""
        own = self.own()
        if own is not None and own.public == public:
            return OWN
        return next((known.name for known in self.trusted() if known.key == public), None)

    def trust(self, public: str, name: str) -> TrustedKey:
        """Trust a publisher's key from now on; the same again changes nothing.

        Raises
        ------
        UsageError
            If the text is no public key, or the name is empty or taken by another key.
        """
        if not is_public_key(public):
            raise UsageError(
                "aitb models trust",
                f"{public!r} is no public key",
                "must be ed25519: and 64 digits of lower-case hex",
                "The publisher finds it with: aitb models trust",
            )
        if not _NAME.fullmatch(name) or name == OWN:
            raise UsageError(
                "aitb models trust --name",
                f"was {name!r}",
                "must be 1 to 64 letters, digits, spaces or . _ @ + - that say whose key it is, "
                f"and not {OWN!r}",
            )
        make_folder(self.folder)
        with exclusive(self.folder):
            known = self.trusted()
            for other in known:
                if other.key == public and other.name == name:
                    return other
                if other.key == public or other.name == name:
                    raise UsageError(
                        "aitb models trust",
                        f"{other.name} is already trusted, with the key {other.key}",
                        "a name has one key and a key one name",
                        f"First: aitb models trust --remove {other.name!r}",
                    )
            added = TrustedKey(name, public, time.time_ns())
            self._write((*known, added))
        return added

    def distrust(self, name: str) -> TrustedKey:
        """Take a publisher's key off the list; its bundles no longer load.

        Raises
        ------
        UsageError
            If nobody of that name is trusted.
        """
        make_folder(self.folder)
        with exclusive(self.folder):
            known = self.trusted()
            removed = next((other for other in known if other.name == name), None)
            if removed is None:
                close = nearest(name, [other.name for other in known])
                raise UsageError(
                    "aitb models trust --remove",
                    f"nobody named {name!r} is trusted",
                    f"did you mean {close!r}?" if close else "",
                    "See: aitb models trust",
                )
            self._write(tuple(other for other in known if other is not removed))
        return removed

    def _write(self, keys: tuple[TrustedKey, ...]) -> None:
        data = msgspec.json.format(msgspec.json.encode(_List("aitb-trust-1", keys)), indent=2)
        write_whole(self.folder / _FILE, data + b"\n", 0o600)
