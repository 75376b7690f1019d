from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from aitb_nautilus.errors import ModelError
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.models.bundle import Bundle
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.serving import load_served
from aitb_nautilus.models.trust import Keyring
from tests.model_lab import contract_for, put_for

FEATURES = parse_features(
    ["eth:log_return(1)", "rsi(14)@5m"],
    interval="1m",
    instruments={"eth": "ETHUSDT.BINANCE"},
    longest_gap_bars=7,
)


class Moving(Registry):
    """Let the alias point to version 2 as soon as anybody has read a bundle."""

    def read(self, *args: Any, **more: Any) -> Bundle:
        bundle = super().read(*args, **more)
        self.promote("m@2", "production")
        return bundle


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Moving(tmp_path / "models", Keyring(tmp_path / "keys"))
    for seed in (1, 2):
        put_for(registry, "m", FEATURES, seed=seed)
    registry.promote("m@1", "production")
    return registry


def test_feature_set_is_made_again_from_the_bundle_alone(registry: Registry) -> None:
    served = load_served(registry, "m@2", 0)
    assert served.features.fingerprint == FEATURES.fingerprint
    assert served.features.names == FEATURES.names
    assert served.features.longest_gap_bars == 7
    assert (served.loaded.resolved.version, served.loaded.resolved.alias) == (2, None)


def test_alias_that_moves_meanwhile_means_what_it_meant_first(registry: Registry) -> None:
    served = load_served(registry, "m@production", 0)
    assert registry.resolve("m@production").version == 2
    assert (served.loaded.resolved.version, served.loaded.resolved.alias) == (1, "production")
    assert served.loaded.manifest.version == 1


def test_gap_rule_is_part_of_the_contract(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models", Keyring(tmp_path / "keys"))
    contract = msgspec.structs.replace(contract_for(FEATURES), longest_gap_bars=8)
    put_for(registry, "m", FEATURES, contract=contract)
    with pytest.raises(ModelError, match="was trained on features with the fingerprint"):
        load_served(registry, "m", 0)
