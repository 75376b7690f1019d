"""A machine whose clock is far from the venue's, which takes no signed command from it."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.rehearsal import BarSource, RehearsalSettings
from aitb_nautilus.rehearsal.clock import WallClock
from aitb_nautilus.rehearsal.faults import Fault
from tests.rehearsal_lab import SPEC
from tests.rehearsal_thread import serve_in_thread
from tests.run.node_lab import HISTORY, MINUTE_NS, NodeLab, minute_bars
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import LIVE

OF = {"usd_m": {"account": "margin"}, "spot": {"account": "cash", "leverage": 1.0}}


@pytest.fixture(params=OF)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NodeLab]:
    frame = minute_bars(HISTORY + 600)
    spec = (
        SPEC
        if request.param == "usd_m"
        else msgspec.structs.replace(SPEC, id="BTCUSDT.BINANCE", kind="spot")
    )
    source = BarSource(spec, frame, MINUTE_NS, int(frame.ts_close[HISTORY - 1]))
    gc.collect()  # the engine's objects of other tests may not be dropped by the exchange's thread
    settings = RehearsalSettings(product=request.param, api_secret=SECRET)
    with serve_in_thread(settings, [source], WallClock()) as running:
        lab = NodeLab(tmp_path, running, spec)
        try:
            yield lab
        finally:
            lab.close()


def config_of(lab: NodeLab, **live: float) -> str:
    spot = "PERP" not in lab.spec.id
    (strategy,) = lab.plain()["strategies"]
    strategy["params"]["direction"] = "long"
    venue = OF["spot" if spot else "usd_m"]
    return str(lab.write(strategies=[strategy], venue=venue, live=live))


def skew(lab: NodeLab, ms: int) -> None:
    lab.running.call(lambda r: r.inject(Fault(kind="skew", skew_ms=ms)))


@pytest.mark.parametrize(("ms", "off"), [(3_600_000, "behind"), (-2_000, "ahead of")])
def test_node_refuses_to_start_at_once_and_says_what_to_do(lab: NodeLab, ms: int, off: str) -> None:
    skew(lab, ms)
    began = time.monotonic()
    node = lab.start("live", config_of(lab, connect_secs=60.0), *LIVE, secret=SECRET)
    code, _ = node.end()
    assert (code, time.monotonic() - began < 30.0) == (1, True)
    (line,) = node.lines
    assert line.startswith("error: the clock of this machine: is ")
    assert f" s {off} that of BINANCE, must be at most 5 s behind it and 1 s ahead" in line
    assert "timedatectl set-ntp true" in line
    assert not (lab.folder / "runs").exists()
    skew(lab, 0)
    node = lab.start("live", config_of(lab), *LIVE, secret=SECRET)
    node.wait_for("recovered in")


def test_venue_that_does_not_tell_its_time_is_asked_until_the_node_should_have_connected(
    lab: NodeLab,
) -> None:
    lab.running.call(lambda r: r.inject(Fault(kind="refuse", match="/time", status=503, times=2)))
    node = lab.start("live", config_of(lab), *LIVE, secret=SECRET)
    node.wait_for("recovered in")
    node.stop()
    lab.running.call(
        lambda r: r.inject(Fault(kind="refuse", match="/time", status=503, times=1_000))
    )
    node = lab.start("live", config_of(lab, connect_secs=3.0), *LIVE, secret=SECRET)
    code, _ = node.end()
    assert code == 1
    assert "venue BINANCE: did not tell its time: HTTP 503" in node.said
    assert "must answer within live.connect_secs, 3 s" in node.said
