"""From a folder to a verified bundle: every byte is read once, and what was read is what is used.

The order matters. The signature is checked before the manifest is understood, the hash before the
graph is parsed, and the graph before ONNX Runtime sees it; so what was tampered with meets as
little code as possible.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.folders import Folder
from aitb_nautilus.models.graphs import inspect
from aitb_nautilus.models.keys import SigningKey, is_public_key, signature_fits
from aitb_nautilus.models.manifest import Manifest, Role, decode
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.models.trust import OWN, Keyring

__all__ = [
    "FILES",
    "LARGEST",
    "MANIFEST_NAME",
    "MODEL_NAME",
    "PROBE_TOLERANCE",
    "SIGNATURE_NAME",
    "Bundle",
    "open_session",
    "read_bundle",
    "sign",
    "verify_files",
]

MODEL_NAME, MANIFEST_NAME, SIGNATURE_NAME = "model.onnx", "bundle.json", "bundle.sig"
FILES = frozenset({MODEL_NAME, MANIFEST_NAME, SIGNATURE_NAME})
LARGEST: Mapping[str, int] = {MODEL_NAME: 512 << 20, MANIFEST_NAME: 8 << 20, SIGNATURE_NAME: 1024}
"""The most bytes that each file may have."""
PROBE_TOLERANCE: Mapping[Role, float] = {"probability": 1e-5, "expected_return": 1e-4}
"""How far an answer may be from the published one: a probability in absolute terms, an expected
return as a fraction of the largest one among the probes."""

_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_RESTORE = "Take the bundle again from where it came, or use another version"


class _Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    signature: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose every byte has been verified.

    Attributes
    ----------
    path
        Where it was read.
    manifest
        What it says.
    model
        The bytes of ``model.onnx``.
    manifest_sha256
        Of the bytes of ``bundle.json``: since that pins the model, a name for the whole bundle.
    key
        The public key that signed it.
    signer
        Whose key that is: ``own``, or a trusted publisher's name.
    """

    path: Path
    manifest: Manifest
    model: bytes
    manifest_sha256: str
    key: str
    signer: str


def sign(manifest: bytes, key: SigningKey) -> bytes:
    """Return the bytes of ``bundle.sig`` for those of a ``bundle.json``."""
    return _encode(_Signature(key.public, key.sign(manifest)))


def read_bundle(root: Path, model_id: str, version: int, keyring: Keyring) -> Bundle:
    """Read a bundle and verify all of it, except whether ONNX Runtime can run it.

    Parameters
    ----------
    root
        The folder of models.

    Raises
    ------
    ModelError
        If a file is missing, added, changed, too large or no plain file; if the signature does not
        fit, or its key is not trusted; if the manifest is of another model or version, or does not
        describe the file; if the file holds what no model may hold.
    """
    with (
        Folder.open(root) as models,
        models.child(model_id) as versions,
        versions.child(str(version)) as folder,
    ):
        _check_names(folder)
        files = {name: folder.read(name, LARGEST[name]) for name in sorted(FILES)}
    return verify_files(files, folder.path, keyring)


def verify_files(files: Mapping[str, bytes], path: Path, keyring: Keyring) -> Bundle:
    """Verify the bytes of a bundle's three files.

    Parameters
    ----------
    files
        Name to bytes.
    path
        Where they lie, or will lie: the folder's name is the version, its parent's the model's id.

    Raises
    ------
    ModelError
        As `read_bundle`.
    """
    text, model = files[MANIFEST_NAME], files[MODEL_NAME]
    key, signer = _check_signature(files[SIGNATURE_NAME], text, path, keyring)
    manifest = decode(text, str(path / MANIFEST_NAME))
    named = f"{path.parent.name}@{path.name}"
    if manifest.reference != named:
        raise ModelError(
            str(path),
            f"holds {manifest.reference}",
            f"must hold {named}",
            "A folder of models must not be renamed: move it back",
        )
    where = str(path / MODEL_NAME)
    if hashlib.sha256(model).hexdigest() != manifest.model.sha256:
        raise ModelError(
            where,
            "has been changed: its hash is not the one in bundle.json",
            f"must be the file that {'you' if signer == OWN else signer} published",
            _RESTORE,
        )
    _check_described(model, manifest, where)
    return Bundle(path, manifest, model, hashlib.sha256(text).hexdigest(), key, signer)


def open_session(bundle: Bundle) -> ModelSession:
    """Return a session of a bundle that answers its probes as when it was published.

    Raises
    ------
    ModelError
        If ONNX Runtime cannot run it, or answers otherwise here than where it was published.
    """
    manifest, where = bundle.manifest, str(bundle.path / MODEL_NAME)
    session = ModelSession(bundle.model, manifest.model, where)
    answers = [session.predict_row(np.array(probe.row, np.float32)) for probe in manifest.probes]
    for column, output in enumerate(manifest.model.outputs):
        allowed = PROBE_TOLERANCE[output.role]
        if output.role == "expected_return":
            allowed *= max(abs(probe.answers[column]) for probe in manifest.probes)
        for i, (probe, answer) in enumerate(zip(manifest.probes, answers, strict=True)):
            found, published = getattr(answer, output.role), probe.answers[column]
            if not abs(found - published) <= allowed:
                raise ModelError(
                    where,
                    f"answers probe {i} with the {output.role} {found:.9g} on this machine",
                    f"was {published:.9g} where it was published",
                    "The processor or the version of ONNX Runtime changes its answers: train it "
                    "again here",
                )
    return session


def _check_names(folder: Folder) -> None:
    names = set(folder.names())
    if missing := sorted(FILES - names):
        raise ModelError(str(folder.path), f"lacks {' and '.join(missing)}", _THREE, _RESTORE)
    if extra := sorted(names - FILES):
        raise ModelError(
            str(folder.path),
            f"also holds {', '.join(name if name.isprintable() else repr(name) for name in extra)}",
            _THREE,
            "Find out who put it there, and take the bundle again from where it came",
        )


_THREE = f"must hold {MANIFEST_NAME}, {SIGNATURE_NAME} and {MODEL_NAME} and nothing else"


def _check_signature(data: bytes, text: bytes, path: Path, keyring: Keyring) -> tuple[str, str]:
    """Return the key that signed the manifest, and whose it is."""
    where = str(path / SIGNATURE_NAME)
    try:
        found = msgspec.json.decode(data, type=_Signature)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise _no_signature(where) from e
    if (
        not is_public_key(found.key)
        or not _SIGNATURE.fullmatch(found.signature)
        or _encode(found) != data
    ):
        raise _no_signature(where)
    if not signature_fits(found.key, found.signature, text):
        raise ModelError(
            str(path / MANIFEST_NAME),
            f"does not fit the signature in {SIGNATURE_NAME}",
            "one of the two was changed after it was published",
            _RESTORE,
        )
    signer = keyring.name_of(found.key)
    if signer is None:
        raise ModelError(
            where,
            f"is signed by {found.key}",
            "that is neither your own key nor one that you trust",
            "If you know whose key it is, and want to run that publisher's models: aitb models "
            f"trust {found.key} --name NAME",
        )
    return found.key, signer


def _check_described(model: bytes, manifest: Manifest, where: str) -> None:
    """Refuse a file that is not what its manifest says, or that holds what no model may hold."""
    said = manifest.model
    roles: dict[str, Role] = {output.name: output.role for output in said.outputs}
    found = inspect(model, where, roles)
    if found.input != said.input:
        raise ModelError(
            where,
            f"has the input {found.input.name!r} with {found.input.columns} columns",
            f"bundle.json says {said.input.name!r} with {said.input.columns}",
            _RESTORE,
        )
    if found != said:
        raise ModelError(
            where, "is not the file that bundle.json describes", f"{found} is not {said}", _RESTORE
        )


def _no_signature(where: str) -> ModelError:
    return ModelError(where, "is no signature", "must hold a key and its signature", _RESTORE)


def _encode(signature: _Signature) -> bytes:
    return msgspec.json.encode(signature) + b"\n"
