"""A node that was killed, and the one that goes on after it, at a rehearsal of the exchange."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.risk.journal_carried import Account, Carried
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import Filled, Found, Settled
from aitb_nautilus.run.replay import replay
from aitb_nautilus.run.what_if import what_if
from tests.run.desk_lab import CHECKOUT
from tests.run.kill_live import kill_live
from tests.run.node_lab import Node, NodeLab, node_lab
from tests.run.standing import stand_with_exits
from tests.run.test_live import SECRET, exits

LIVE = ("--run", "--live-orders")
ANSWER_S = 120.0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


def config_of(lab: NodeLab) -> str:
    return str(
        lab.write(strategies=exits(lab.plain()), live={"holes": "accept", "snapshot_secs": 1.0})
    )


def killed_in_a_position(lab: NodeLab, *words: str) -> None:
    """Let a node trade until it holds something with a resting stop and target, and kill it."""
    node = lab.start(*words, secret=SECRET)
    node.wait_for("warm after")
    stand_with_exits(lab, words[1])
    node.process.send_signal(signal.SIGKILL)
    node.end()


def stops(lab: NodeLab) -> list[tuple[str, int]]:
    """Return side and lots of the stops that rest at the exchange."""
    return lab.running.call(
        lambda r: [(o.side, o.quantity) for o in r.exchange.triggers.waiting("BTCUSDT")]  # type: ignore[attr-defined]
    )


def held(lab: NodeLab) -> int:
    lots: int = lab.venue()["position"]
    return lots


def recovered(lab: NodeLab, *words: str) -> Node:
    node = lab.start(*words, secret=SECRET)
    node.wait_for("recovered in")
    return node


def records(lab: NodeLab, kind: Any) -> list[Any]:
    return [record.body for record in read(lab.last().folder, Wanted(kinds=(kind.kind,)))]


def hear_bars(lab: NodeLab) -> None:
    """Let the market go on until the node has written some bars."""
    lab.play()
    assert is_true_soon((lab.last().folder / "bars.parquet").exists)


def answer(lab: NodeLab, config: str, key: str, *choice: str) -> None:
    """Answer a row of the firewall as a person does."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "aitb_nautilus",
            "firewall",
            config,
            key,
            *choice,
            "--reason",
            "ours",
        ],
        cwd=lab.folder,
        env={"PYTHONPATH": str(CHECKOUT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def comes_out_again(lab: NodeLab) -> None:
    """Take all decisions of the last run again, from its recording and from its journal."""
    folder = lab.last().folder
    again = replay(folder)
    assert (again.divergence, again.differences, again.is_whole) == (None, 0, True)
    assert again.remarks == []
    assert what_if(folder).differences == []


def is_true_soon(look: Any) -> bool:
    until = time.monotonic() + ANSWER_S
    while not look():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_node_goes_on_with_position_and_resting_exits(lab: NodeLab) -> None:
    config = config_of(lab)
    killed_in_a_position(lab, "live", config, *LIVE)
    before = (held(lab), stops(lab), lab.venue()["fills"])
    assert before[0]
    node = recovered(lab, "live", config, *LIVE)
    assert "1 positions and 2 open orders are known, 0 things are not explained" in node.said
    assert (held(lab), stops(lab), lab.venue()["fills"]) == before
    (carried,) = records(lab, Carried)
    assert [(p.strategy_id, int(p.quantity * 1_000)) for p in carried.positions] == [
        ("ema-001", before[0])
    ]
    assert len(records(lab, Account)) == 1
    # The next cross closes what the run before opened: its orders' events reach the strategy.
    lab.play()
    node.wait_for("(exit:signal)")
    node.stop()
    fills = [one.trade_id for one in records(lab, Filled)]
    assert lab.venue()["fills"] - before[2] == len(fills) > 0
    assert lab.last().record.status == "complete"
    comes_out_again(lab)


def test_stop_that_was_taken_away_meanwhile_is_placed_anew_before_any_bar(lab: NodeLab) -> None:
    config = config_of(lab)
    killed_in_a_position(lab, "live", config, *LIVE)
    lab.running.call(lambda r: r.exchange.triggers.cancel_all("BTCUSDT"))  # type: ignore[attr-defined]
    assert stops(lab) == []
    node = recovered(lab, "live", config, *LIVE)
    lots = held(lab)
    assert is_true_soon(lambda: stops(lab) == [("SELL" if lots > 0 else "BUY", abs(lots))])
    assert "0 things are not explained" in node.said


def test_stop_that_was_taken_away_is_placed_before_the_past_has_come(lab: NodeLab) -> None:
    config = config_of(lab)
    killed_in_a_position(lab, "live", config, *LIVE)
    lots = held(lab)
    lab.running.call(lambda r: r.exchange.triggers.cancel_all("BTCUSDT"))  # type: ignore[attr-defined]
    slow = Fault(kind="slow", match="klines", times=1_000, delay_ms=6_000)
    lab.running.call(lambda r: r.inject(slow))
    node = lab.start("live", config, *LIVE, secret=SECRET)
    assert is_true_soon(lambda: stops(lab) == [("SELL" if lots > 0 else "BUY", abs(lots))])
    assert "warm after" not in node.said
    lab.running.call(lambda r: r.exchange.faults.clear())
    node.wait_for("recovered in")
    assert "1 positions and 2 open orders are known, 0 things are not explained" in node.said
    assert stops(lab) == [("SELL" if lots > 0 else "BUY", abs(lots))]
    lab.play()
    node.wait_for("(exit:signal)")
    node.stop()
    comes_out_again(lab)


def test_what_was_filled_while_no_node_ran_is_known_and_its_exits_are_gone(lab: NodeLab) -> None:
    (block,) = exits(lab.plain())
    block["params"]["exits"] = {"stop_frac": 0.05, "target_frac": 0.001, "signal": False}
    config = str(lab.write(strategies=[block], live={"holes": "accept", "snapshot_secs": 1.0}))
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("warm after")
    # The market stands still from the entry on, so that it meets the target when nobody is there.
    lab.play(until=lambda r: r.exchange.venue.account.position("BTCUSDT").amount)
    lab.wait_for_stand()
    assert is_true_soon(lambda: lab.venue()["open"] + len(stops(lab)) == 2)
    node.kill()
    lab.go_on(until=lambda r: not r.exchange.venue.account.position("BTCUSDT").amount)
    lab.wait_for_stand()
    node = recovered(lab, "live", config, *LIVE)
    assert "0 positions" in node.said
    assert "(exit:target)" in node.said
    assert is_true_soon(lambda: stops(lab) == [])
    hear_bars(lab)
    node.stop()
    comes_out_again(lab)


def test_foreign_order_binds_to_reducing_and_is_cancelled_when_a_person_says_so(
    lab: NodeLab,
) -> None:
    config = config_of(lab)
    killed_in_a_position(lab, "live", config, *LIVE)
    terms = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.010",
        "price": "40000.0",
        "timeInForce": "GTC",
        "newClientOrderId": "web_1",
    }
    lab.running.call(lambda r: r.exchange.venue.place(terms))
    node = recovered(lab, "live", config, *LIVE)
    node.wait_for("things at the venue are not explained by the journal")
    assert [row.key for row in records(lab, Found)] == ["order:web_1"]
    answer(lab, config, "order:web_1", "cancel")
    before = lab.venue()["open"]
    assert is_true_soon(lambda: lab.venue()["open"] == before - 1)
    assert is_true_soon(lambda: records(lab, Settled))
    assert node.process.poll() is None
    hear_bars(lab)
    node.stop()
    comes_out_again(lab)


def test_missing_journal_is_told_and_binds_to_reducing(lab: NodeLab) -> None:
    config = config_of(lab)
    killed_in_a_position(lab, "live", config, *LIVE)
    (lab.folder / "runs").rename(lab.folder / "elsewhere")
    node = recovered(lab, "live", config, *LIVE)
    assert "Put its folder back and start again" in node.said
    rows = records(lab, Found)
    assert sorted(row.what for row in rows) == ["foreign order", "foreign order", "position"]
    for row in rows:
        answer(lab, config, row.key, "adopt", "--strategy", "ema")
    assert is_true_soon(lambda: len(records(lab, Settled)) == 3)
    assert [row.failed for row in records(lab, Settled)] == ["", "", ""]
    hear_bars(lab)
    node.stop()
    comes_out_again(lab)


def test_paper_goes_on_with_its_position_and_places_its_exits_again(lab: NodeLab) -> None:
    config = config_of(lab)
    killed_in_a_position(lab, "paper", config)
    node = lab.start("paper", config, secret=SECRET)
    node.wait_for("(carried)")
    lab.play()
    node.wait_for("recovered in")
    assert "2 orders ended with the simulated exchange of the last run" in node.said
    (carried,) = records(lab, Carried)
    (position,) = carried.positions
    node.wait_for("(exit:signal)")
    code, _, _ = node.stop()
    assert code == 0, node.said
    fills = lab.last().fills
    assert (fills[0]["purpose"], fills[0]["quantity"]) == ("carried", abs(float(position.quantity)))
    assert fills[0]["price"] == pytest.approx(position.average_price)
    placed = [o["purpose"] for o in lab.last().table("orders")]
    assert placed.count("exit:stop") >= 2  # the one that ended, and the one that was placed anew
    comes_out_again(lab)


def test_funding_is_not_forgotten_over_a_restart(tmp_path: Path) -> None:
    with node_lab(tmp_path, funding={12: "0.001"}) as lab:
        # What was bought is never sold.
        (block,) = lab.plain()["strategies"]
        block["params"]["exits"] = {"stop_frac": 0.9, "signal": False}
        config = str(lab.write(strategies=[block], live={"holes": "accept", "snapshot_secs": 1.0}))
        node = lab.start("paper", config)
        node.wait_for("warm after")
        lab.play()
        node.wait_for("(entry)")
        lab.wait_until(20)
        lab.pause()
        assert node.stop()[0] == 0, node.said
        first = lab.last()
        (payment,) = first.table("funding")
        assert payment["amount"] == pytest.approx(payment["quantity"] * payment["price"] * 0.001)
        node = lab.start("paper", config)
        node.wait_for("(carried)")
        lab.play()
        node.wait_for("recovered in")
        hear_bars(lab)
        assert node.stop()[0] == 0, node.said
        (carried,) = records(lab, Carried)
        (position,) = carried.positions
        # The ledger paid on the price of the moment, the tables say the close of that time.
        paid = -position.funding
        assert paid == pytest.approx(payment["amount"], rel=5e-3)
        (fill,) = first.fills
        assert carried.balance == pytest.approx(first.record.starting_equity - fill["fee"] - paid)
        (trip,) = lab.last().trips
        assert trip["funding"] == pytest.approx(paid)
        last = lab.last().table("bars")[-1]["close"]
        gross = float(position.quantity) * (last - position.average_price)
        assert trip["pnl"] == pytest.approx(gross - paid)
        assert lab.last().record.costs.funding == 0.0
        comes_out_again(lab)


def test_sizing_by_own_trades_goes_on_from_those_of_the_runs_before(lab: NodeLab) -> None:
    sizing = {"method": "kelly", "payoff": "trades", "min_trades": 20, "start_fraction": 0.1}
    (block,) = lab.plain()["strategies"]
    block["params"] |= {"sizing": sizing}
    config = str(lab.write(strategies=[block], live={"holes": "accept"}))
    node = lab.start("paper", config)
    node.wait_for("warm after")
    lab.play()
    assert is_true_soon(lambda: node.said.count("(exit:signal)") >= 3)
    lab.pause()
    time.sleep(0.5)
    node.kill()
    fills = records(lab, Filled)
    node = lab.start("paper", config)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("recovered in")
    (carried,) = records(lab, Carried)
    learnt = carried.own_trades["ema-001"]
    assert learnt.returns == pytest.approx(won_by(fills))
    assert len(learnt.returns) >= 3
    assert is_true_soon(lambda: node.said.count("(exit:signal)") >= 2)
    assert node.stop()[0] == 0
    comes_out_again(lab)


def won_by(fills: list[Filled]) -> list[float]:
    """Return what each trade from flat to flat came to, after fees, of what it had opened."""
    returns, held, value, won = list[float](), 0.0, 0.0, 0.0
    for one in fills:
        quantity = float(one.quantity) * (1 if one.side == "BUY" else -1)
        assert one.price is not None
        assert one.fee is not None
        value += abs(quantity) * one.price if held * quantity >= 0 else 0.0
        won -= quantity * one.price + one.fee
        held = round(held + quantity, 6)
        if not held:
            returns.append(won / value)
            value = won = 0.0
    return returns


def test_few_kills_lose_nothing(tmp_path: Path) -> None:
    tally = kill_live(tmp_path, 2, seed=3)
    assert tally.is_clean, tally
    assert tally.kills == 2
