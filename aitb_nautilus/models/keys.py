"""The user's own signing key (Ed25519), and what a public key and a signature look like.

The key is made when the first bundle is published. It lies in ``signing.key`` of the config folder,
readable by its owner alone. It proves that a bundle is the one that was published; who may publish
is the business of `aitb_nautilus.models.trust`.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.folders import Folder, exclusive, write_whole

__all__ = [
    "KEY_NAME",
    "SigningKey",
    "check_private",
    "config_folder",
    "is_public_key",
    "make_folder",
    "signature_fits",
]

KEY_NAME = "signing.key"
_PUBLIC = re.compile(r"ed25519:[0-9a-f]{64}")
_LARGEST_KEY = 4096


def config_folder() -> Path:
    """Return where keys lie: AITB_HOME, or ``aitb`` in XDG_CONFIG_HOME or in ``~/.config``."""
    if home := os.environ.get("AITB_HOME"):
        return Path(home)
    if base := os.environ.get("XDG_CONFIG_HOME"):
        return Path(base) / "aitb"
    try:
        return Path.home() / ".config" / "aitb"
    except RuntimeError as e:
        raise ModelError(
            "the folder of the signing key",
            "this user has no home",
            todo="Say where keys shall lie: export AITB_HOME=/some/folder",
        ) from e


class SigningKey:
    """A private key that signs bundles.

    Attributes
    ----------
    public
        The public key as text, ``ed25519:`` and 64 digits of hex. It is no secret.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = _spell(key.public_key())

    def __repr__(self) -> str:
        return f"SigningKey({self.public})"

    def sign(self, data: bytes) -> str:
        """Return the signature over some bytes, 128 digits of hex."""
        return self._key.sign(data).hex()

    @classmethod
    def find(cls, folder: Path) -> SigningKey | None:
        """Return the key in a config folder, or None if none has been made.

        Raises
        ------
        ModelError
            If others may read the key or exchange it, or the file holds no such key.
        """
        path = folder / KEY_NAME
        if not path.exists(follow_symlinks=False):
            return None
        check_private(folder, 0o022)
        with Folder.open(folder) as opened:
            data = opened.read(KEY_NAME, _LARGEST_KEY)
        check_private(path, 0o077)
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError) as e:
            raise _no_key(path) from e
        if not isinstance(key, Ed25519PrivateKey):
            raise _no_key(path)
        return cls(key)

    @classmethod
    def find_or_make(cls, folder: Path) -> SigningKey:
        """Return the key in a config folder; make it, and the folder, on first use."""
        if found := cls.find(folder):
            return found
        make_folder(folder)
        check_private(folder, 0o022)
        with exclusive(folder):
            # Another process may have made it while this one waited.
            if found := cls.find(folder):
                return found
            key = Ed25519PrivateKey.generate()
            text = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            write_whole(folder / KEY_NAME, text, 0o600)
        return cls(key)


def make_folder(folder: Path) -> None:
    """Make the config folder for its owner alone, if it is not there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def check_private(path: Path, forbidden: int) -> None:
    """Refuse a file or folder that others may touch.

    Parameters
    ----------
    forbidden
        Permission bits that must not be set: 0o077 where others may not even read, 0o022 where they
        may not write.

    Raises
    ------
    ModelError
        If one of them is set, or it belongs to another user.
    """
    state = path.stat()
    mode = stat.S_IMODE(state.st_mode)
    if mode & forbidden:
        touched = "read" if forbidden & 0o044 else "changed"
        raise ModelError(
            str(path),
            f"may be {touched} by other users (mode {mode:04o})",
            "only its owner may do that",
            f"Run: chmod {mode & ~forbidden:o} {path}",
        )
    if state.st_uid not in {os.geteuid(), 0}:
        raise ModelError(
            str(path), f"belongs to user {state.st_uid}", f"must belong to user {os.geteuid()}"
        )


def is_public_key(text: str) -> bool:
    """Return whether a text is a public key: ``ed25519:`` and 64 digits of lower-case hex."""
    return _PUBLIC.fullmatch(text) is not None


def signature_fits(public: str, signature: str, data: bytes) -> bool:
    """Return whether a signature over some bytes was made with the private half of a key.

    Parameters
    ----------
    public
        A text for which `is_public_key` holds.
    signature
        128 digits of hex.
    """
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public.removeprefix("ed25519:")))
    try:
        key.verify(bytes.fromhex(signature), data)
    except InvalidSignature:
        return False
    return True


def _spell(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return f"ed25519:{raw.hex()}"


def _no_key(path: Path) -> ModelError:
    return ModelError(
        str(path),
        "holds no Ed25519 private key",
        "must hold the one that was made with the first bundle",
        "Restore it from a backup. If it is lost, remove the file: a new key is made with the next "
        "bundle, and bundles of the old key load once its public key is trusted",
    )
