"""Fills whose fee has no value yet wait for it, and what comes after them waits behind."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.unpriced import Pair
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, make_context
from tests.risk.test_foreign_fee import filled

PAIR = ("BNB", "USDT")
FEE = "0.00200000 BNB"


class OrderPendingUpdate(NamedTuple):
    """What the engine says while it sends a change."""

    client_order_id: str


class Desk:
    """A strategy whose venue can be asked for prices, and how often it was."""

    def __init__(self) -> None:
        self.context: Context = make_context()
        self.strategy = GuardedStrategy(Settings(), self.context, "S-001")
        self.asked: list[tuple[str, Pair]] = []

        def ask(instrument_id: str, pair: Pair) -> bool:
            self.asked.append((instrument_id, pair))
            return True

        self.context.unpriced.ask = ask

    def hear(self, event: Any) -> None:
        self.strategy.on_order_event(event)

    @property
    def trades(self) -> list[str]:
        return [fill.trade_id for fill in self.context.ledger.fills]


def test_first_fee_in_a_third_coin_waits_for_its_price_and_halts_nothing() -> None:
    desk = Desk()
    desk.hear(filled(FEE))
    assert (desk.trades, desk.asked) == ([], [(BTC, PAIR)])
    desk.context.coin_prices[PAIR] = 600.0
    desk.context.unpriced.told(PAIR)
    (fill,) = desk.context.ledger.fills
    assert (fill.fee, fill.fee_elsewhere) == (1.2, True)
    assert desk.context.guard.halts == []


@pytest.mark.parametrize("fee", [FEE, "0.05 USDT"], ids=["also unpriced", "in quote"])
def test_later_event_of_the_order_waits_behind_and_one_of_another_does_not(fee: str) -> None:
    desk = Desk()
    desk.hear(filled(FEE))
    desk.hear(filled(fee, trade="u"))
    desk.hear(filled("0.05 USDT", order="d", trade="v"))
    assert desk.trades == ["v"]
    desk.context.coin_prices[PAIR] = 600.0
    desk.context.unpriced.told(PAIR)
    assert desk.trades == ["v", "t", "u"]
    assert desk.context.unpriced.held == {}
    assert desk.context.guard.halts == []


def test_fill_is_taken_and_trading_halts_where_nobody_knows_the_price() -> None:
    desk = Desk()
    desk.hear(filled(FEE))
    desk.context.unpriced.told(PAIR)
    assert desk.trades == ["t"]
    (halt,) = desk.context.guard.halts
    assert halt.reason.startswith("the fee of trade t is 0.00200000 BNB, not in USDT")
    # Nothing waits for it any more.
    desk.hear(filled(FEE, trade="u"))
    assert desk.trades == ["t", "u"]


def test_change_that_leaves_while_a_fill_waits_was_none_around_the_guard() -> None:
    desk = Desk()
    desk.hear(filled(FEE))
    with desk.context.guard.permits.announced_modify("c"):
        desk.hear(OrderPendingUpdate("c"))
    desk.context.coin_prices[PAIR] = 600.0
    desk.context.unpriced.told(PAIR)
    assert desk.trades == ["t"]
    assert desk.context.guard.halts == []
