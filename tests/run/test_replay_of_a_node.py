"""A recorded run of a node, decided once more with a fault in one layer: that one is named."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from aitb_nautilus.risk.replay_compare import LAYERS as COMPARED
from aitb_nautilus.run.replay import replay
from aitb_nautilus.run.what_if import what_if
from tests.run.faults import KINDS, LAYERS, Fault, random_faults
from tests.run.node_lab import node_lab
from tests.run.recorded_node import record_node
from tests.run.replay_calls import calls_of
from tests.run.replay_lab import copy_of
from tests.run.test_live import SECRET

PLACES = 3
MANY = 300


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Drop the engine's objects in this thread: no other may, and other tests have some."""
    yield
    gc.collect()


def recorded(where: Path, mode: str, patch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a recorded run, which comes out again as it was."""
    patch.setenv("AITB_HOME", str(where / "home"))
    with node_lab(where, api_secret=SECRET) as lab:
        folder = record_node(lab, mode, SECRET)
    again = replay(folder)
    assert (again.divergence, again.differences, again.is_whole) == (None, 0, True)
    assert (again.unchecked, again.remarks) == (0, [])
    assert min(again.equal[layer] for layer in COMPARED) >= 40
    assert what_if(folder).differences == []
    return folder


def named(folder: Path, faults: Iterable[Fault], where: Path) -> Counter[str]:
    """Plant each fault into a copy of its own; return how many of each layer were named as such.

    What must be named is the layer, the time, and both values where they are known beforehand.
    """
    calls, found = calls_of(folder), Counter[str]()
    for i, fault in enumerate(faults):
        copy = copy_of(folder, where / str(i))
        with pytest.MonkeyPatch.context() as patch:
            must = fault.plant(calls, copy, patch)
            objection = must.objection(fault.layer, replay(copy).divergence)
        assert objection == "", fault
        found[fault.layer] += 1
    return found


def test_fault_in_a_live_rehearsal_is_named_by_layer_time_and_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded(tmp_path, "live", monkeypatch)
    faults = [Fault(kind, place) for kind in KINDS for place in range(PLACES)]
    assert named(folder, faults, tmp_path / "copies").keys() == set(LAYERS)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["live", "paper"])
def test_faults_at_random_places_of_a_node_s_run_are_all_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    folder = recorded(tmp_path, mode, monkeypatch)
    found = named(folder, random_faults(MANY, seed=11), tmp_path / "copies")
    assert found == dict.fromkeys(LAYERS, MANY // len(LAYERS))
