"""A keyring and a folder of models that belong to one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.trust import Keyring
from tests.trained_models import NAMES, Trained, train


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "config")


@pytest.fixture
def registry(tmp_path: Path, keyring: Keyring) -> Registry:
    return Registry(tmp_path / "models", keyring)


@pytest.fixture(scope="session")
def trained() -> dict[str, Trained]:
    """Return every real model by name; training and converting them takes a second or two."""
    return {name: train(name) for name in NAMES}
