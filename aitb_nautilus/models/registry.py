"""One folder of models: name a version, load it, and say which one trades.

What is loaded follows from the folders, their histories and the keyring alone, read anew each time;
there is no server, and no index that could be stale or lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.bundle import Bundle, open_session, read_bundle
from aitb_nautilus.models.fitness import check_contract, check_expiry
from aitb_nautilus.models.folders import Folder, exclusive
from aitb_nautilus.models.history import Event, History, append, event_now, read_history
from aitb_nautilus.models.manifest import Contract, Manifest, Training
from aitb_nautilus.models.publish import Publication, publish
from aitb_nautilus.models.references import Reference, check_alias, check_id
from aitb_nautilus.models.resolving import Resolved, check_usable, no_alias, resolve, versions_in
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.models.trust import Keyring
from aitb_nautilus.settings import nearest

__all__ = ["LoadedModel", "Registry"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to answer.

    Attributes
    ----------
    resolved
        Which version it is, and by which alias it was named.
    bundle
        Everything about it; `aitb_nautilus.models.bundle.open_session` makes further sessions.
    session
        For one thread.
    """

    resolved: Resolved
    bundle: Bundle
    session: ModelSession

    @property
    def manifest(self) -> Manifest:
        """What the bundle says."""
        return self.bundle.manifest


class Registry:
    """The models in one folder.

    Parameters
    ----------
    root
        The folder, ``models/``.
    keyring
        Whose bundles are loaded; by default the user's own keyring.
    """

    def __init__(self, root: Path, keyring: Keyring | None = None) -> None:
        self.root = root
        self.keyring = Keyring() if keyring is None else keyring

    def ids(self) -> list[str]:
        """Return the ids of all models, sorted; none if the folder is not there."""
        if not self.root.exists():
            return []
        with Folder.open(self.root) as models:
            names = models.names()
        return [name for name in names if _is_id(name) and (self.root / name).is_dir()]

    def versions(self, model_id: str) -> list[int]:
        """Return the numbers of a model's versions, oldest first."""
        with self._folder(model_id) as folder:
            return versions_in(folder)

    def history(self, model_id: str) -> History:
        """Return what was done with a model's versions."""
        with self._folder(model_id) as folder:
            return read_history(folder)

    def resolve(self, reference: str | Reference, *, withdrawn_too: bool = False) -> Resolved:
        """Return the version that a reference means now.

        Parameters
        ----------
        reference
            ``btc_up@3``, ``btc_up@production``, or ``btc_up``: the newest that was not withdrawn.
        withdrawn_too
            Whether a withdrawn version may be named, to look at it.

        Raises
        ------
        ModelError
            If there is no such model, version or alias, or the version was withdrawn.
        """
        named = Reference.parse(reference) if isinstance(reference, str) else reference
        with self._folder(named.id) as folder:
            return resolve(named, folder, withdrawn_too)

    def read(self, reference: str | Reference, *, withdrawn_too: bool = False) -> Bundle:
        """Read a version and verify every byte of it, without running it.

        Raises
        ------
        ModelError
            As `resolve` and `read_bundle`; also if another bundle has taken the number of the one
            that was published here.
        """
        return self._read(self.resolve(reference, withdrawn_too=withdrawn_too))

    def verify(self, reference: str | Reference, now_ns: int | None = None) -> LoadedModel:
        """Do all that `load` does, except for comparing features.

        Parameters
        ----------
        now_ns
            For the expiry, ns UTC; by default the machine's clock.

        Raises
        ------
        ModelError
            As `load`.
        """
        resolved = self.resolve(reference)
        bundle = self._read(resolved)
        check_expiry(bundle.manifest, time.time_ns() if now_ns is None else now_ns)
        return LoadedModel(resolved, bundle, open_session(bundle))

    def load(
        self,
        reference: str | Reference,
        *,
        features: Sequence[str],
        feature_fingerprint: str,
        interval: str | None = None,
        now_ns: int | None = None,
    ) -> LoadedModel:
        """Load a model for the features that the running code computes.

        Parameters
        ----------
        reference
            As for `resolve`.
        features, feature_fingerprint
            Of the running code's feature set, in the order of its rows.
        interval
            Of the bars at which the model would answer, such as ``1m``; None: not compared.
        now_ns
            For the expiry, ns UTC; by default the machine's clock.

        Raises
        ------
        ModelError
            If anything at all is wrong: it was withdrawn, has expired, was changed, is signed by a
            stranger, was trained on other features, does not run, or answers otherwise than when it
            was published.
        """
        resolved = self.resolve(reference)
        bundle = self._read(resolved)
        check_expiry(bundle.manifest, time.time_ns() if now_ns is None else now_ns)
        check_contract(bundle.manifest, features, feature_fingerprint, interval)
        return LoadedModel(resolved, bundle, open_session(bundle))

    def publish(
        self,
        model_id: str,
        model: bytes,
        *,
        contract: Contract,
        training: Training,
        probe_rows: NDArray[np.float32],
        parent: int | None = None,
        expires_ns: int | None = None,
        notes: str = "",
    ) -> Publication:
        """Put a model into the folder as its next version; see `aitb_nautilus.models.publish`."""
        return publish(
            self.root,
            model_id,
            model,
            contract=contract,
            training=training,
            probe_rows=probe_rows,
            keyring=self.keyring,
            parent=parent,
            expires_ns=expires_ns,
            notes=notes,
        )

    def promote(self, reference: str | Reference, alias: str, why: str = "") -> Event | None:
        """Let an alias point to a version, after verifying it.

        Returns
        -------
        Event or None
            None if the alias points to it already.

        Raises
        ------
        ModelError
            If the version would not load, or the alias is none.
        """
        _check_alias(alias)
        resolved = self.verify(reference).resolved
        with self._changing(resolved.id) as (folder, history):
            check_usable(resolved, history)  # it may have been withdrawn meanwhile
            previous = history.current(alias)
            if previous == resolved.version:
                return None
            event = event_now("promote", resolved.version, why, alias, previous)
            append(folder, event)
        return event

    def rollback(self, model_id: str, alias: str, why: str = "") -> Event:
        """Let an alias point to the version before, after verifying that.

        Withdrawn versions are passed over. Rolling back again goes one further back.

        Raises
        ------
        ModelError
            If there is no such alias or no version before, or that would not load.
        """
        _check_alias(alias)
        with self._changing(model_id) as (folder, history):
            current, before = history.current(alias), history.before(alias)
            if current is None:
                raise no_alias(Reference(model_id, alias=alias), history)
            if before is None:
                raise ModelError(
                    f"model {model_id}@{alias}",
                    f"is version {current}, and none before it can be used",
                    todo=f"Choose one: aitb models promote {model_id}@VERSION {alias}",
                )
            self.verify(Reference(model_id, before))
            event = event_now("rollback", before, why, alias, current)
            append(folder, event)
        return event

    def withdraw(self, reference: str | Reference, why: str) -> Event:
        """Make a version refuse to load, for good. Broken ones can be withdrawn too.

        Raises
        ------
        ModelError
            If there is no such version, or it was withdrawn before.
        ValueError
            If no reason is given.
        """
        if not why.strip():
            raise ValueError("a withdrawal needs a reason: those who find it will ask")
        resolved = self.resolve(reference)
        with self._changing(resolved.id) as (folder, history):
            check_usable(resolved, history)
            event = event_now("withdraw", resolved.version, why)
            append(folder, event)
        return event

    def _read(self, resolved: Resolved) -> Bundle:
        bundle = read_bundle(self.root, resolved.id, resolved.version, self.keyring)
        published = self.history(resolved.id).published.get(resolved.version)
        if published and published.manifest_sha256 != bundle.manifest_sha256:
            raise ModelError(
                str(bundle.path),
                "is not the version that was published here under this number",
                "a version never changes",
                "Take the bundle again from where it came, or publish this one as a new version",
            )
        return bundle

    @contextmanager
    def _folder(self, model_id: str) -> Iterator[Folder]:
        """Open a model's folder, or say which models there are."""
        known = self.ids()
        if model_id not in known:
            close = nearest(model_id, known)
            wanted = f"did you mean {close!r}?" if close else f"known are {', '.join(known)}"
            raise ModelError(
                f"{self.root}: model {model_id!r}",
                "is not there",
                wanted if known else "the folder holds no models",
                "See: aitb models list" if known else "Train one: aitb train CONFIG",
            )
        with Folder.open(self.root) as models, models.child(model_id) as folder:
            yield folder

    @contextmanager
    def _changing(self, model_id: str) -> Iterator[tuple[Folder, History]]:
        """Hold a model's history against other writers, and read it as it is then."""
        with self._folder(model_id) as folder, exclusive(folder.path):
            yield folder, read_history(folder)


def _check_alias(alias: str) -> None:
    try:
        check_alias(alias)
    except ValueError as e:
        raise ModelError("aitb models", str(e)) from e


def _is_id(name: str) -> bool:
    try:
        check_id(name)
    except ValueError:
        return False
    return True
