"""From a model to a new version, which appears whole or not at all.

The bundle is made and verified in memory. Its number is written into the history, so that it is
never given out twice. Then the three files are written into a hidden folder beside the versions,
forced to the disk, and the folder is renamed to its number. A kill at any moment leaves the
versions that were there, and at most a hidden folder that the next publisher removes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.bundle import (
    MANIFEST_NAME,
    MODEL_NAME,
    SIGNATURE_NAME,
    Bundle,
    read_bundle,
    sign,
    verify_files,
)
from aitb_nautilus.models.folders import Folder, exclusive
from aitb_nautilus.models.graphs import inspect
from aitb_nautilus.models.history import History, append, event_now, read_history
from aitb_nautilus.models.manifest import (
    FORMAT,
    Contract,
    Manifest,
    ModelFile,
    Probe,
    Training,
    encode,
)
from aitb_nautilus.models.references import check_id, version_of
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.models.trust import Keyring

__all__ = ["MOST_PROBES", "Publication", "publish"]

MOST_PROBES = 64
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing came to.

    Attributes
    ----------
    bundle
        As it lies in its folder.
    new
        False if the very same model had been published before: nothing was written then.
    """

    bundle: Bundle
    new: bool


def publish(
    root: Path,
    model_id: str,
    model: bytes,
    *,
    contract: Contract,
    training: Training,
    probe_rows: NDArray[np.float32],
    keyring: Keyring,
    parent: int | None = None,
    expires_ns: int | None = None,
    notes: str = "",
) -> Publication:
    """Sign a model and put it into the folder of models as its next version.

    Parameters
    ----------
    root
        The folder of models; made if it is not there.
    model
        The bytes of the ONNX file, in the house form (`aitb_nautilus.models.export`).
    probe_rows
        (k, n_features) float32, 1 to 64 rows of the training data. Their answers are kept, and
        asked again whenever the model is loaded.
    parent
        Version that it is meant to replace.
    expires_ns
        From when on it must not be loaded, ns UTC. For a model that is the same whenever it is
        trained, count it from the end of the training span.

    Returns
    -------
    Publication
        With ``new=False`` if a version with the same model, contract, training, probes, expiry and
        notes is already there.

    Raises
    ------
    ModelError
        If the file may not be a model, gives an impossible answer to a probe, or was withdrawn.
        Nothing has been written then.
    ValueError
        If the contract or the training record is not possible.
    """
    check_id(model_id)
    where = f"the new version of {model_id}"
    spec = inspect(model, where)
    draft = Manifest(
        format=FORMAT,
        id=model_id,
        version=1,
        created_ns=0,
        model=spec,
        contract=contract,
        training=training,
        probes=_probes(ModelSession(model, spec, where), spec, probe_rows),
        expires_ns=expires_ns,
        notes=notes,
    )
    content = hashlib.sha256(encode(draft)).hexdigest()
    key = keyring.own_or_new()
    (root / model_id).mkdir(parents=True, exist_ok=True)
    with exclusive(root / model_id), Folder.open(root) as models, models.child(model_id) as folder:
        if _UNFINISHED in folder.names():
            shutil.rmtree(folder.path / _UNFINISHED)
        history = read_history(folder)
        versions = [number for name in folder.names() if (number := version_of(name))]
        if known := _find(history, content, versions, model_id):
            return Publication(read_bundle(root, model_id, known, keyring), new=False)
        version = max([0, *versions, *history.published, *history.withdrawn]) + 1
        manifest = msgspec.structs.replace(
            draft, version=version, created_ns=time.time_ns(), parent=parent
        )
        text = encode(manifest)
        files = {MODEL_NAME: model, MANIFEST_NAME: text, SIGNATURE_NAME: sign(text, key)}
        bundle = verify_files(files, folder.path / str(version), keyring)
        announced = msgspec.structs.replace(
            event_now("publish", version),
            manifest_sha256=bundle.manifest_sha256,
            content_sha256=content,
        )
        append(folder, announced)
        _write(folder, str(version), files)
        models.sync()
    return Publication(bundle, new=True)


def _write(folder: Folder, name: str, files: dict[str, bytes]) -> None:
    """Write files into a new folder that appears whole."""
    try:
        os.mkdir(_UNFINISHED, dir_fd=folder.handle)
        with folder.child(_UNFINISHED) as unfinished:
            for file, data in files.items():
                unfinished.write(file, data, 0o444)
            unfinished.sync()
        os.rename(_UNFINISHED, name, src_dir_fd=folder.handle, dst_dir_fd=folder.handle)
    except BaseException:
        # Not an error of its own if the folder was not made, or has its number already.
        shutil.rmtree(folder.path / _UNFINISHED, ignore_errors=True)
        raise
    folder.sync()


def _find(history: History, content: str, versions: list[int], model_id: str) -> int | None:
    """Return the version that holds this very model, or None; refuse one that was withdrawn."""
    same = [v for v, event in history.published.items() if event.content_sha256 == content]
    for version in same:
        if withdrawn := history.withdrawn.get(version):
            raise ModelError(
                f"model {model_id}@{version}",
                f"is this very model, and was withdrawn by {withdrawn.who}: {withdrawn.why}",
                "a withdrawn model is not published again",
                "Train it with other data or settings",
            )
    return next((version for version in same if version in versions), None)


def _probes(session: ModelSession, spec: ModelFile, rows: NDArray[np.float32]) -> tuple[Probe, ...]:
    """Ask the model about some rows and keep its answers."""
    if not 1 <= len(rows) <= MOST_PROBES:
        raise ValueError(f"{len(rows)} probe rows: must be 1 to {MOST_PROBES}")
    probes = []
    for row in rows:
        answer = session.predict_row(row)
        probes.append(
            Probe(
                row=tuple(row.tolist()),
                answers=tuple(getattr(answer, output.role) for output in spec.outputs),
            )
        )
    return tuple(probes)
