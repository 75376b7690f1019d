"""A paper node that goes on before its sandbox has any quotes: nobody can close anything there."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.run.node_lab import MINUTE_NS, Node, NodeLab, node_lab
from tests.run.test_recovery_of_a_node import comes_out_again, is_true_soon

_QUOTE = "bookTicker"


@pytest.fixture(params=["futures", "spot"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, product=request.param) as lab:
        yield lab


def config_of(lab: NodeLab) -> str:
    """Write a config whose exits would leave at almost every bar."""
    (strategy,) = lab.plain()["strategies"]
    targets = [{"frac": 0.0004, "close_frac": 0.4}, {"frac": 0.0008, "close_frac": 0.3}]
    exits = {"trailing_frac": 0.001, "targets": targets}
    strategy["params"] |= {"direction": "long", "exits": exits}
    is_spot = lab.spec.kind == "spot"
    venue: dict[str, Any] = {"account": "cash", "leverage": 1.0} if is_spot else {}
    live = {"holes": "accept", "snapshot_secs": 1.0, "recovery_secs": 2.0}
    return str(lab.write(strategies=[strategy], venue=venue, live=live))


def killed_in_a_position(lab: NodeLab, config: str) -> None:
    node = lab.start("paper", config)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(entry)")
    lab.pause()
    time.sleep(0.5)
    node.process.send_signal(signal.SIGKILL)
    node.end()


def quotes(lab: NodeLab, *, are_sent: bool) -> None:
    """Let the exchange keep its quotes to itself, or tell them again."""

    def switch(rehearsal: Any) -> None:
        hub = rehearsal.exchange.hub
        if are_sent:
            del hub.publish
            return
        publish = hub.publish

        def others(stream: str, build: Any) -> None:
            if _QUOTE not in stream:
                publish(stream, build)

        hub.publish = others

    lab.running.call(switch)


def pass_bars(lab: NodeLab, number: int) -> None:
    """Wait until so many more bars have closed at the exchange."""
    until = lab.running.call(lambda r: r.clock.now_ns()) + number * MINUTE_NS
    assert is_true_soon(lambda: lab.running.call(lambda r: r.clock.now_ns()) >= until)


def goes_on_without_quotes(lab: NodeLab, config: str) -> Node:
    """Start a node that holds something, and let bars pass that its sandbox knows no price of."""
    quotes(lab, are_sent=False)
    node = lab.start("paper", config)
    node.wait_for("(carried)")
    lab.play()
    node.wait_for("the sandbox has no quotes yet")
    return node


def test_exits_wait_until_the_sandbox_holds_what_was_held(lab: NodeLab) -> None:
    config = config_of(lab)
    killed_in_a_position(lab, config)
    node = goes_on_without_quotes(lab, config)
    pass_bars(lab, 5)
    quotes(lab, are_sent=True)
    node.wait_for("recovered in")
    node.wait_for("(exit:")
    assert is_true_soon((lab.last().folder / "bars.parquet").exists)
    lab.pause()
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    done = lab.last()
    assert done.record.halts == []
    assert not [o for o in done.table("orders") if o["status"] in ("REJECTED", "DENIED")]
    comes_out_again(lab)


def test_person_s_flatten_is_carried_out_once_it_can_be(lab: NodeLab) -> None:
    config = config_of(lab)
    killed_in_a_position(lab, config)
    node = goes_on_without_quotes(lab, config)
    asked = lab.start("flatten", config, "--reason", "lunch")
    node.wait_for("halted: ")
    pass_bars(lab, 3)
    quotes(lab, are_sent=True)
    assert asked.end()[0] == 0, asked.said
    node.wait_for("(exit:")
    assert is_true_soon((lab.last().folder / "bars.parquet").exists)
    lab.pause()
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    done = lab.last()
    assert not [o for o in done.table("orders") if o["status"] in ("REJECTED", "DENIED")]
    # Its trailing stop may have been passed as well meanwhile; it is closed once in any case.
    assert [f["purpose"].partition(":")[0] for f in done.fills] == ["carried", "exit"]
    comes_out_again(lab)


def test_node_that_ends_meanwhile_hands_on_what_it_held(lab: NodeLab) -> None:
    config = config_of(lab)
    Path(config).write_text(
        Path(config).read_text().replace("recovery_secs", 'on_stop = "flatten"\nrecovery_secs')
    )
    killed_in_a_position(lab, config)
    node = goes_on_without_quotes(lab, config)
    lab.pause()
    _, _, seconds = node.stop(signal.SIGTERM)
    assert seconds < 10, node.said
    assert "was stopped before its first bar" in node.said
    quotes(lab, are_sent=True)
    node = lab.start("paper", config)
    node.wait_for("(carried)")
    lab.go_on()
    node.wait_for("recovered in")
    assert ": 1 positions" in node.said
