"""A market that stands still where a node holds something, has heard it all and awaits nothing.

What a test does next, to stop the node or to kill it, meets the same state on any machine: a bar
that was still on its way might let the node leave just then.
"""

from __future__ import annotations

import time
from pathlib import Path

from aitb_nautilus.run.command_client import status_of
from aitb_nautilus.run.command_messages import NodeStatus
from aitb_nautilus.run.state_place import StatePlace
from tests.run.node_lab import LIMIT_S, MINUTE_NS, NodeLab

__all__ = ["stand_with_exits", "status_once_heard"]

_AGAIN_S = 0.02


def stand_with_exits(lab: NodeLab, config: Path | str) -> None:
    """Let the market go on until a node holds something whose stop and target rest; stand there.

    Parameters
    ----------
    config
        Of the node.
    """
    place, until = StatePlace.read(Path(config)), time.monotonic() + LIMIT_S
    lab.play()
    while True:
        while not _rests(status := _status(place)):
            assert time.monotonic() < until, status
            time.sleep(_AGAIN_S)
        lab.go_on(lambda _: True)
        lab.wait_for_stand()
        if _rests(status_once_heard(lab, config)):
            return
        lab.go_on()  # it has left, or is about to, at a bar that it heard late: it enters again


def status_once_heard(lab: NodeLab, config: Path | str) -> NodeStatus:
    """Wait until a node has answered each bar that was played; return how it stands then."""
    place, until = StatePlace.read(Path(config)), time.monotonic() + LIMIT_S
    now = lab.running.call(lambda r: r.clock.now_ns())
    while _status(place).bars[lab.spec.id] < now - now % MINUTE_NS:
        assert time.monotonic() < until, "the node does not hear the bars"
        time.sleep(_AGAIN_S)
    # It may have said so in the middle of the last bar; the next time it has answered that.
    return _status(place)


def _status(place: StatePlace) -> NodeStatus:
    status = status_of(place, LIMIT_S)
    assert status is not None, "no node runs"
    return status


def _rests(status: NodeStatus) -> bool:
    """Whether something is held, its exits rest, and nothing is on its way."""
    orders = sorted((order.purpose, order.status) for order in status.orders)
    exits = [("exit:stop", "ACCEPTED"), ("exit:target", "ACCEPTED")]
    return bool(status.positions) and orders == exits
