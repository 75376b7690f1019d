"""A dead man's switch: live nodes that die, end and come back, at a rehearsal of the exchange.

The exchange takes conditional orders too when a countdown ends: the worst that Binance may do.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.dead_man import DEAD_MAN, refuse_dead_man
from aitb_nautilus.run.live import check_live
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.node_preparation import prepare_node
from tests.run.node_lab import Node, NodeLab, node_lab
from tests.run.test_live import SECRET, exits
from tests.run.test_recovery_of_a_node import (
    LIVE,
    held,
    is_true_soon,
    killed_in_a_position,
    recovered,
    stops,
)

SECS = 3_600.0
"""The market of a lab runs away from the node's clock; it shall not outrun the switch."""
PATIENT = {"class": "tests.run.patient:Patient", "id": "patient"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


def config_of(lab: NodeLab, strategies: list[dict[str, Any]], **live: Any) -> str:
    terms = {"holes": "accept", "dead_man_secs": SECS} | live
    return str(lab.write(strategies=strategies, live=terms))


def rests(lab: NodeLab) -> bool:
    return bool(lab.venue()["open"])


def resting(lab: NodeLab) -> list[int]:
    """Return the exchange's numbers of the orders that rest."""
    return lab.running.call(lambda r: [o.order_id for o in r.exchange.venue.orders.open()])


def counts_down(lab: NodeLab) -> bool:
    return bool(lab.running.call(lambda r: dict(r.exchange.countdowns)))  # type: ignore[attr-defined]


def pass_by(lab: NodeLab, secs: float = SECS) -> None:
    """Let so much time of the exchange go by at once."""
    lab.running.call(lambda r: r.advance(r.clock.now_ns() + round(secs * 1e9)))


def with_resting_entry(lab: NodeLab, config: str) -> Node:
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("dead man's switch watches")
    lab.play()
    assert is_true_soon(lambda: rests(lab))
    lab.pause()
    time.sleep(0.3)
    return node


def test_killed_node_loses_its_entry_in_time_and_the_next_one_watches_again(lab: NodeLab) -> None:
    config = config_of(lab, [PATIENT])
    node = with_resting_entry(lab, config)
    assert counts_down(lab)
    node.process.send_signal(signal.SIGKILL)
    node.end()
    pass_by(lab, SECS / 4)
    assert rests(lab)
    pass_by(lab)
    assert not rests(lab)
    assert not counts_down(lab)
    again = recovered(lab, "live", config, *LIVE)
    again.wait_for("dead man's switch watches")
    assert counts_down(lab)
    again.stop()


def test_stop_of_a_killed_nodes_position_still_rests(lab: NodeLab) -> None:
    config = config_of(lab, exits(lab.plain()))
    killed_in_a_position(lab, "live", config, *LIVE)
    before = (held(lab), stops(lab))
    assert before[0]
    assert before[1]
    assert not counts_down(lab)
    pass_by(lab)
    assert (held(lab), stops(lab)) == before


def test_orders_that_are_held_at_an_orderly_end_stay(lab: NodeLab) -> None:
    node = with_resting_entry(lab, config_of(lab, [PATIENT], on_stop="hold"))
    code, _, seconds = node.stop()
    assert (code, seconds < 10) == (0, True), node.said
    assert not counts_down(lab)
    pass_by(lab)
    assert rests(lab)


def test_end_that_cancels_leaves_the_switch_to_run_out(lab: NodeLab) -> None:
    node = with_resting_entry(lab, config_of(lab, [PATIENT], on_stop="cancel"))
    code, _, _ = node.stop()
    assert (code, rests(lab), counts_down(lab)) == (0, False, True), node.said


def test_node_that_is_alive_hears_of_cancelled_orders_and_goes_on(lab: NodeLab) -> None:
    node = with_resting_entry(lab, config_of(lab, [PATIENT]))
    (before,) = resting(lab)
    # The hour also closes bars, on which it may rest another one before anybody has looked.
    pass_by(lab)
    assert is_true_soon(lambda: before not in resting(lab))
    lab.play()
    assert is_true_soon(lambda: resting(lab)), node.said
    code, _, _ = node.stop()
    assert code == 0, node.said
    assert "halted" not in node.said


def test_nothing_opens_while_the_venue_refuses_the_countdown(lab: NodeLab) -> None:
    fault = Fault(kind="refuse", match="countdownCancelAll", times=1_000)
    lab.running.call(lambda r: r.exchange.faults.arm(fault))
    # Short, so that it is soon asked for again; the market stands still while it is armed.
    node = lab.start("live", config_of(lab, [PATIENT], dead_man_secs=10.0), *LIVE, secret=SECRET)
    node.wait_for("was not renewed")
    lab.play()
    lab.wait_until(3)
    time.sleep(0.5)
    assert not rests(lab)
    assert node.said.count("was not renewed") == 1
    lab.running.call(lambda r: r.exchange.faults.clear())
    node.wait_for("is renewed again")
    node.wait_for("dead man's switch watches")
    assert is_true_soon(lambda: rests(lab)), node.said
    node.stop()
    assert lab.last().record.risk is not None
    assert DEAD_MAN in (lab.last().folder / "run.json").read_text()


def test_without_orders_nothing_is_armed(lab: NodeLab) -> None:
    node = lab.start("live", config_of(lab, [PATIENT]), "--run", secret=SECRET)
    node.wait_for("warm after")
    time.sleep(0.5)
    assert not counts_down(lab)
    assert "watches" not in node.said
    node.stop()


def test_check_says_what_the_switch_does(lab: NodeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSAL_KEY", "k")
    monkeypatch.setenv("REHEARSAL_SECRET", "s")
    remarks = check_live(config_of(lab, [PATIENT], dead_man_secs=30.0)).remarks
    assert any("where a position is open it cancels nothing" in line for line in remarks)
    assert check_live(config_of(lab, [PATIENT], dead_man_secs=0.0)).remarks == []


def test_too_short_a_switch_for_so_many_instruments_is_refused(lab: NodeLab) -> None:
    desk = load_config(config_of(lab, [PATIENT], dead_man_secs=14.0))
    run = prepare_node(desk, RunState(), "live", time.time_ns()).run
    (spec,) = run.instruments.values()
    refuse_dead_man(msgspec.structs.replace(run, instruments=dict.fromkeys("ab", spec)))
    with pytest.raises(ConfigError, match=r"was 14, with 3 instruments.*at least 15"):
        refuse_dead_man(msgspec.structs.replace(run, instruments=dict.fromkeys("abc", spec)))
