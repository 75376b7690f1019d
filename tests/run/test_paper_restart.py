"""A paper node that goes on before its sandbox has any quotes: nobody can close anything there."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.risk.journal_carried import Carried
from tests.run.desk_lab import Outcome
from tests.run.node_lab import MINUTE_NS, Node, NodeLab, node_lab
from tests.run.test_recovery_of_a_node import comes_out_again, is_true_soon, records

_QUOTE = "bookTicker"
_JUMP = 40
"""The played bar from which on it is dearer: there was an entry long before."""


@pytest.fixture(params=["futures", "spot"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, product=request.param) as lab:
        yield lab


def config_of(lab: NodeLab, fraction: float = 0.5) -> str:
    """Write a config whose exits would leave at almost every bar; `fraction` of each entry."""
    (strategy,) = lab.plain()["strategies"]
    targets = [{"frac": 0.0004, "close_frac": 0.4}, {"frac": 0.0008, "close_frac": 0.3}]
    exits = {"trailing_frac": 0.001, "targets": targets}
    strategy["params"] |= {"direction": "long", "exits": exits}
    strategy["params"]["sizing"]["fraction"] = fraction
    is_spot = lab.spec.kind == "spot"
    venue: dict[str, Any] = {"account": "cash", "leverage": 1.0} if is_spot else {}
    live = {"holes": "accept", "snapshot_secs": 1.0, "recovery_secs": 2.0}
    most = {"max_order_notional": 60_000.0, "max_position_notional": 60_000.0}
    return str(lab.write(strategies=[strategy], venue=venue, live=live, risk=most))


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


def ends_well(lab: NodeLab, node: Node) -> Outcome:
    """Stop a node that has tables by now; nothing was refused, and nothing halted."""
    assert is_true_soon((lab.last().folder / "bars.parquet").exists)
    lab.pause()
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    done = lab.last()
    assert done.record.halts == []
    assert not [o for o in done.table("orders") if o["status"] in ("REJECTED", "DENIED")]
    return done


def test_exits_wait_until_the_sandbox_holds_what_was_held(lab: NodeLab) -> None:
    config = config_of(lab)
    killed_in_a_position(lab, config)
    node = goes_on_without_quotes(lab, config)
    pass_bars(lab, 5)
    quotes(lab, are_sent=True)
    node.wait_for("recovered in")
    node.wait_for("(exit:")
    ends_well(lab, node)
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


@pytest.mark.parametrize("product", ["futures", "spot"])
def test_what_all_money_was_put_in_is_opened_again_though_it_is_dearer(
    product: str, tmp_path: Path
) -> None:
    with node_lab(tmp_path, product=product, jump=(_JUMP, 1.1)) as lab:
        config = config_of(lab, fraction=0.99 if product == "spot" else 4.9)
        killed_in_a_position(lab, config)
        node = goes_on_without_quotes(lab, config)
        lab.wait_until(_JUMP + 2)
        quotes(lab, are_sent=True)
        node.wait_for("recovered in")
        node.wait_for("(exit:")
        done = ends_well(lab, node)
        first, second = done.fills[:2]
        assert first["purpose"] == "carried"
        assert second["price"] > 1.05 * first["price"]
        # The accounts are those of the journal: of the room that the sandbox was given, nothing.
        (carried,) = records(lab, Carried)
        began, ended = done.record.starting_equity, done.record.final_equity
        (position,) = carried.positions
        cost = float(position.quantity) * position.average_price
        assert carried.balance is not None
        assert began == pytest.approx(carried.balance + (cost if product == "spot" else 0.0))
        assert 9_900 < began < 10_000
        money = sum(
            (-1 if f["side"] == "BUY" else 1) * f["quantity"] * f["price"] - f["fee"]
            for f in done.fills
        )
        held = sum((1 if f["side"] == "BUY" else -1) * f["quantity"] for f in done.fills)
        last = done.table("equity")[-1]["equity"]
        assert ended == pytest.approx(last)
        assert ended == pytest.approx(began + money + held * done.table("bars")[-1]["close"])
        comes_out_again(lab)


def test_refused_reopening_is_told_with_the_sandbox_s_reason(tmp_path: Path) -> None:
    with node_lab(tmp_path, product="spot", jump=(_JUMP, 30.0)) as lab:
        config = config_of(lab, fraction=0.99)
        killed_in_a_position(lab, config)
        node = goes_on_without_quotes(lab, config)
        lab.wait_until(_JUMP + 2)
        quotes(lab, are_sent=True)
        node.wait_for("the sandbox refuses to open again")
        assert "NOTIONAL_EXCEEDS" in node.said
        lab.pause()
        node.stop(signal.SIGTERM)
