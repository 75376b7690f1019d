"""A machine whose clock is far from the venue's, which takes no signed command from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aitb_nautilus.rehearsal.faults import Fault
from tests.run.node_lab import NodeLab
from tests.run.refusing_lab import PRODUCTS, config_of, refusing_lab
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import LIVE


@pytest.fixture(params=PRODUCTS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NodeLab]:
    with refusing_lab(tmp_path, request.param) as lab:
        yield lab


def skew(lab: NodeLab, ms: int) -> None:
    lab.running.call(lambda r: r.inject(Fault(kind="skew", skew_ms=ms)))


@pytest.mark.parametrize(("ms", "off"), [(3_600_000, "behind"), (-2_000, "ahead of")])
def test_node_refuses_to_start_at_once_and_says_what_to_do(lab: NodeLab, ms: int, off: str) -> None:
    skew(lab, ms)
    began = time.monotonic()
    node = lab.start("live", config_of(lab, {"connect_secs": 60.0}), *LIVE, secret=SECRET)
    code, _ = node.end()
    assert (code, time.monotonic() - began < 30.0) == (1, True)
    (line,) = node.lines
    assert line.startswith("error: the clock of this machine: is ")
    assert f" s {off} that of BINANCE, must be at most 5 s behind it and 1 s ahead" in line
    assert "timedatectl set-ntp true" in line
    assert not (lab.folder / "runs").exists()
    skew(lab, 0)
    node = lab.start("live", config_of(lab, {}), *LIVE, secret=SECRET)
    node.wait_for("recovered in")


def test_venue_that_does_not_tell_its_time_is_asked_until_the_node_should_have_connected(
    lab: NodeLab,
) -> None:
    lab.running.call(lambda r: r.inject(Fault(kind="refuse", match="/time", status=503, times=2)))
    node = lab.start("live", config_of(lab, {}), *LIVE, secret=SECRET)
    node.wait_for("recovered in")
    node.stop()
    lab.running.call(
        lambda r: r.inject(Fault(kind="refuse", match="/time", status=503, times=1_000))
    )
    node = lab.start("live", config_of(lab, {"connect_secs": 3.0}), *LIVE, secret=SECRET)
    code, _ = node.end()
    assert code == 1
    assert "venue BINANCE: did not tell its time: HTTP 503" in node.said
    assert "must answer within live.connect_secs, 3 s" in node.said
