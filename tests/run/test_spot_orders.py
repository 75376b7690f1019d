"""Orders on Binance's spot market: a node that trades at a rehearsal which keeps fees of coins."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.rehearsal import Fault
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import Filled
from tests.run.node_lab import Node, NodeLab, node_lab
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import comes_out_again, is_true_soon

LIVE = ("--run", "--live-orders")
LOT = Decimal("0.001")
BEGAN = {"USDT": "50000", "BTC": "0.5"}
"""Half a coin is the user's, and was there before."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    fees = {"maker_fee": "0.001", "taker_fee": "0.001"}
    with node_lab(tmp_path, product="spot", api_secret=SECRET, balances=BEGAN, **fees) as lab:
        yield lab


def config_of(
    lab: NodeLab, exits: dict[str, Any], sizing: dict[str, Any] | None = None, **live: Any
) -> str:
    (strategy,) = lab.plain()["strategies"]
    strategy["params"] |= {"direction": "long", "exits": exits}
    strategy["params"] |= {} if sizing is None else {"sizing": sizing}
    sections = {"holes": "accept", "snapshot_secs": 1.0, **live}
    venue = {"account": "cash", "leverage": 1.0, "taker_fee_bps": 10.0, "maker_fee_bps": 10.0}
    return str(lab.write(strategies=[strategy], venue=venue, live=sections))


def wallet(lab: NodeLab) -> dict[str, Decimal]:
    """Return all that the account holds at the exchange."""
    return lab.running.call(lambda r: dict(r.exchange.venue.wallet()))


def ours(lab: NodeLab) -> Decimal:
    """Return what it holds beside the user's coins."""
    return wallet(lab)["BTC"] - Decimal(BEGAN["BTC"])


def resting(lab: NodeLab) -> list[tuple[str, str, Decimal]]:
    """Return side, kind and size of what rests at the exchange."""
    return lab.running.call(
        lambda r: [
            (o.side, o.origin, r.exchange.venue.markets[o.symbol].rules.size(o.remaining))
            for o in r.exchange.venue.orders.open()
        ]
    )


def books(lab: NodeLab, began: Mapping[str, str] = BEGAN) -> dict[str, Decimal]:
    """Return what the journals of all runs come to, exactly, from what the account began with."""
    held, coin = {name: Decimal(amount) for name, amount in began.items()}, lab.spec.base
    for folder in (lab.folder / "runs").iterdir():
        for record in read(folder, Wanted(kinds=(Filled.kind,))):
            fill = record.body
            assert isinstance(fill, Filled)
            price, is_buy = Decimal(repr(fill.price)), fill.side == "BUY"
            held[coin] += (fill.quantity if is_buy else -fill.quantity) - fill.base_fee
            value = fill.quantity * price
            held["USDT"] += -value if is_buy else value - Decimal(repr(fill.fee))
    return held


def started(lab: NodeLab, config: str) -> Node:
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("recovered in")
    return node


def trade_and_enter_again(node: Node) -> None:
    """Wait until the node has left a position, and entered another one."""
    node.wait_for("(exit:signal)")
    assert is_true_soon(lambda: "(entry)" in node.said.rpartition("(exit:signal)")[2])


def test_trades_and_a_kill_come_to_the_balances_of_the_venue_exactly(lab: NodeLab) -> None:
    config = config_of(lab, {"stop_frac": 0.05, "target_frac": 0.1})
    node = started(lab, config)
    assert "beside our positions: 0.50000000 BTC; left alone" in node.said
    lab.play()
    trade_and_enter_again(node)
    lab.pause()
    assert is_true_soon(lambda: len(resting(lab)) == 1)
    node.process.send_signal(signal.SIGKILL)
    node.end()
    assert ours(lab) % LOT != 0

    node = started(lab, config)
    assert "1 positions and 1 open orders are known, 0 things are not explained" in node.said
    assert "beside our positions: 0.50000000 BTC" in node.said
    lab.play()
    trade_and_enter_again(node)
    lab.pause()
    # All but dust was sold and bought again; the stop is for whole lots of what is held.
    assert is_true_soon(lambda: len(resting(lab)) == 1)
    code, _, _ = node.stop(signal.SIGTERM)
    assert code == 0, node.said
    held = ours(lab)
    assert resting(lab) == [("SELL", "STOP_LOSS", held // LOT * LOT)]
    assert held % LOT != 0
    assert wallet(lab) == books(lab)
    last = lab.last()
    assert last.record.halts == []
    coins = float(held) * last.table("bars")[-1]["close"]
    assert last.record.final_equity == pytest.approx(float(wallet(lab)["USDT"]) + coins, abs=1e-6)
    comes_out_again(lab)


def test_all_coins_of_an_account_can_be_sold_after_a_kill(tmp_path: Path) -> None:
    with node_lab(tmp_path, product="spot", api_secret=SECRET, balances={"USDT": "50000"}) as lab:
        config = config_of(lab, {"stop_frac": 0.05})
        node = started(lab, config)
        lab.play()
        node.wait_for("(entry)")
        lab.pause()
        assert is_true_soon(lambda: len(resting(lab)) == 1)
        node.process.send_signal(signal.SIGKILL)
        node.end()
        # The engine knows no position now, and lets leave what is free by the venue's word.
        node = started(lab, config)
        lab.play()
        node.wait_for("(exit:signal)")
        assert node.stop(signal.SIGTERM)[0] == 0, node.said
        assert "denied" not in node.said
        assert lab.last().record.halts == []


@pytest.mark.long
def test_stops_that_move_and_targets_that_are_followed_never_sell_too_much(lab: NodeLab) -> None:
    targets = [{"frac": 0.0004, "close_frac": 0.4}, {"frac": 0.0008, "close_frac": 0.3}]
    config = config_of(lab, {"trailing_frac": 0.001, "targets": targets}, on_stop="flatten")
    node = started(lab, config)
    lab.play()
    for purpose in ("(exit:trailing)", "(exit:target_1)", "(exit:target_2)", "(exit:signal)"):
        node.wait_for(f"{purpose}", 120)
    trade_and_enter_again(node)
    code, _, seconds = node.stop(signal.SIGTERM)
    lab.pause()
    assert (code, seconds < 10) == (0, True), node.said
    last = lab.last()
    assert (last.record.halts, last.record.status) == ([], "complete")
    assert not [o for o in last.table("orders") if o["status"] in ("REJECTED", "DENIED")]
    # Flattened: nothing rests, and what is left beside the user's coins is dust.
    assert resting(lab) == []
    assert wallet(lab) == books(lab)
    assert 0 < ours(lab) < LOT
    comes_out_again(lab)


@pytest.mark.long
def test_kills_leave_no_position_without_its_stop_and_lose_nothing(lab: NodeLab) -> None:
    config = config_of(lab, {"trailing_frac": 0.001, "target_frac": 0.0008})
    dice = random.Random(3)
    for _ in range(6):
        node = started(lab, config)
        lab.play()
        time.sleep(dice.uniform(0.5, 6))
        node.process.send_signal(signal.SIGKILL)
        node.end()
    node = started(lab, config)
    trade_and_enter_again(node)
    lab.pause()
    assert is_true_soon(lambda: sum(o[2] for o in resting(lab)) == ours(lab) // LOT * LOT)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert wallet(lab) == books(lab)
    assert lab.last().record.halts == []
    comes_out_again(lab)


def hold(lab: NodeLab, coins: str) -> None:
    """Let the account hold as much, as if its user had moved coins."""
    lab.running.call(lambda r: r.exchange.venue.wallet().update(BTC=Decimal(coins)))


@pytest.mark.long
def test_coins_that_are_missing_bind_to_reducing_and_others_do_not(lab: NodeLab) -> None:
    config = config_of(lab, {"stop_frac": 0.05, "signal": False}, on_stop="hold")
    node = started(lab, config)
    lab.play()
    node.wait_for("(entry)")
    assert is_true_soon(lambda: len(resting(lab)) == 1)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    hold(lab, "7")
    node = started(lab, config)
    assert "0 things are not explained" in node.said
    assert is_true_soon((lab.last().folder / "bars.parquet").exists)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert lab.last().record.halts == []
    hold(lab, "0.1")
    node = started(lab, config)
    assert "1 things are not explained" in node.said
    assert "0.10000000 BTCUSDT.BINANCE is held at the venue, the journal explains 0.34" in node.said
    assert is_true_soon((lab.last().folder / "bars.parquet").exists)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert lab.last().record.halts[0].reason.startswith("one thing at the venue")


def inject(lab: NodeLab, kind: Any, match: str, **more: Any) -> None:
    lab.running.call(lambda r: r.inject(Fault(kind=kind, match=match, **more)))


@pytest.mark.long
def test_lost_events_and_refused_cancels_lose_nothing(lab: NodeLab) -> None:
    config = config_of(lab, {"stop_frac": 0.05}, check_secs=2.0)
    node = started(lab, config)
    inject(lab, "drop_event", "executionReport TRADE")  # of the entry
    lab.play()
    trade_and_enter_again(node)
    inject(lab, "refuse", "WS order.cancel", status=400, code=-2011)  # of the stop, for a close
    inject(lab, "drop_event", "executionReport CANCELED")
    inject(lab, "drop_event", "executionReport TRADE")
    until = time.monotonic() + 120
    while node.said.count("(exit:signal)") < 2:
        assert time.monotonic() < until, node.said
        time.sleep(0.2)
    lab.pause()
    assert is_true_soon(lambda: sum(o[2] for o in resting(lab)) == ours(lab) // LOT * LOT)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert wallet(lab) == books(lab)
    comes_out_again(lab)


@pytest.mark.long
def test_paper_follows_targets_and_goes_on_after_a_kill(lab: NodeLab) -> None:
    targets = [{"frac": 0.0004, "close_frac": 0.4}, {"frac": 0.0008, "close_frac": 0.3}]
    config = config_of(lab, {"trailing_frac": 0.001, "targets": targets})
    node = lab.start("paper", config, secret=SECRET)
    node.wait_for("warm after")
    lab.play()
    for purpose in ("(exit:trailing)", "(exit:target_1)"):
        node.wait_for(purpose, 120)
    trade_and_enter_again(node)
    lab.pause()
    time.sleep(1)
    node.process.send_signal(signal.SIGKILL)
    node.end()
    node = lab.start("paper", config, secret=SECRET)
    node.wait_for("recovered in")
    lab.play()
    trade_and_enter_again(node)
    lab.pause()
    time.sleep(1)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert {f["base_fee"] for f in lab.last().fills} == {0.0}
    comes_out_again(lab)


@pytest.mark.long
def test_close_that_the_venue_takes_not_for_its_value_leaves_dust_and_the_node_goes_on(
    lab: NodeLab,
) -> None:
    targets = [{"frac": 0.0002, "close_frac": 0.4}]
    config = config_of(
        lab,
        {"stop_frac": 0.05, "targets": targets},
        sizing={"method": "fixed_notional", "notional": 370.0},
    )
    node = started(lab, config)

    def is_left(r: Any) -> bool:
        return bool(r.exchange.venue.fills) and r.exchange.venue.fills[-1].quantity == 2

    lab.play(is_left)
    lab.wait_for_stand()
    assert is_true_soon(lambda: resting(lab) == [("SELL", "STOP_LOSS", Decimal("0.003"))])
    least(lab, "1000")
    lab.go_on()
    node.wait_for("is dust from now on", 60)
    least(lab, "100")
    until = time.monotonic() + 60
    # The next position takes the dust along: its stop is for more than the entry.
    while not any(size > Decimal("0.007") for _, _, size in resting(lab)):
        assert time.monotonic() < until, node.said
        time.sleep(0.05)
    lab.pause()
    assert is_true_soon(lambda: sum(o[2] for o in resting(lab)) == ours(lab) // LOT * LOT)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert lab.last().record.halts == []
    assert wallet(lab) == books(lab)
    refused = [o for o in lab.last().table("orders") if o["status"] == "REJECTED"]
    assert len(refused) <= 3, refused
    comes_out_again(lab)


def least(lab: NodeLab, value: str) -> None:
    """Let the exchange take no order of less value."""
    market = lab.running.call(lambda r: r.exchange.venue.markets["BTCUSDT"])
    lab.running.call(lambda _: market.rules.__dict__.update(min_notional=Decimal(value)))


def test_close_waits_for_the_venues_word_on_coins_that_the_engine_takes_for_locked(
    tmp_path: Path,
) -> None:
    """After a kill the engine knows no position, and denies what is not free as it was told."""
    with node_lab(tmp_path, product="spot", api_secret=SECRET, balances={"USDT": "50000"}) as lab:
        config = config_of(lab, {"stop_frac": 0.05})
        node = started(lab, config)
        lab.play()
        node.wait_for("(entry)")
        lab.pause()
        assert is_true_soon(lambda: len(resting(lab)) == 1)
        node.process.send_signal(signal.SIGKILL)
        node.end()
        node = started(lab, config)
        inject(lab, "delay_event", "outboundAccountPosition", delay_ms=1_500, times=1_000)
        lab.play()
        node.wait_for("(exit:signal)")
        assert node.stop(signal.SIGTERM)[0] == 0, node.said
        last = lab.last()
        assert last.record.halts == []
        assert "waits for the venue's word on its coins" in node.said
        # No stop was sent in vain, and no second close.
        assert [o["purpose"] for o in last.table("orders") if o["status"] == "DENIED"] == [
            "exit:signal"
        ]
        comes_out_again(lab)
