"""A sale that the engine denies for coins of which no word has come yet that they are free."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from aitb_nautilus.messages import CancelIntent, CloseIntent, OrderUpdate
from aitb_nautilus.run import denied_sales
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.denied_sales import DeniedSales
from tests.risk.test_spot_desk import SEC, Spot, X

REASON = "CUMULATIVE_NOTIONAL_EXCEEDS_FREE_BALANCE: free=0 BTC, notional=1 BTC"


class Account:
    """What the engine has heard of an account; None: nothing of the coin."""

    id = "BINANCE-001"
    free: Decimal | None = None

    def balance_free(self, _: Any) -> Any:
        return None if self.free is None else self

    def as_decimal(self) -> Decimal | None:
        return self.free


class Engine:
    """The engine's cache and a strategy's way of asking for its account."""

    def __init__(self) -> None:
        self.account = Account()
        self.asked = 0

    def account_for_venue(self, _: Any) -> Account:
        return self.account

    def query_account(self, _: Any, account_id: str) -> None:
        assert account_id == self.account.id
        self.asked += 1


class Desk(Spot):
    """A spot desk whose close has just left, and was denied."""

    def __init__(self, engine: Engine, pool: ThreadPoolExecutor) -> None:
        super().__init__()
        asker: Any = None
        cache: Any = engine
        asking = Asking(
            self.context, [self.strategy], {"BINANCE": asker}, cache, pool, lambda *_: None
        )
        self.denied = DeniedSales(asking)
        self.told: list[Any] = []
        decide = self.strategy.decide_on_order

        def tell(order: Any, update: OrderUpdate) -> Any:
            self.told.append(update.status)
            return decide(order, update)

        self.strategy.decide_on_order = tell  # type: ignore[method-assign]
        self.strategy.act([CloseIntent(instrument_id=X)])
        self.update(self.first, "CANCELED")
        self.told.clear()
        (self.close,) = [o.client_order_id for o in self.context.ledger.open_orders(X)][1:]
        self.commands.clear()

    def deny(self, client_order_id: str, reason: str = REASON) -> bool:
        """Let the engine deny an order; return whether nobody is told."""
        update = OrderUpdate(client_order_id, X, self.now, "DENIED", reason=reason)
        return self.denied.take(update)

    def let_pass(self, seconds: float) -> None:
        for _ in range(round(10 * seconds)):
            self.wait(SEC // 10)
            self.denied.go_on(self.now)

    def sales(self) -> list[str]:
        """Return the ids of sales that have left since, and forget them."""
        return [name for action, name in self.said() if action == "submit"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(denied_sales, "Strategy", engine)
    return engine


@pytest.fixture
def desk(engine: Engine) -> Iterator[Desk]:
    with ThreadPoolExecutor(1) as pool:
        yield Desk(engine, pool)


def test_sale_leaves_again_as_another_order_once_its_coins_are_free(
    desk: Desk, engine: Engine
) -> None:
    assert desk.deny(desk.close)
    desk.let_pass(2)
    assert (desk.sales(), desk.told, engine.asked) == ([], [], 2)
    engine.account.free = Decimal(1)
    desk.let_pass(0.1)
    (again,) = desk.sales()
    order = desk.context.ledger.orders[again]
    assert again != desk.close
    assert (order.kind, order.quantity, order.purpose) == ("MARKET", 1, "exit:signal")
    assert order.reduce_only
    assert desk.context.ledger.orders[desk.close].status == "DENIED"
    # Nobody was told, so that nobody has put the stop back, nor halted.
    assert (desk.told, desk.stops(), desk.context.guard.halts) == ([], [], [])
    desk.fill(again, price=100.0)
    assert desk.context.ledger.position("S-001", X).quantity == 0


def test_denial_is_told_where_the_coins_do_not_come_free_in_time(desk: Desk) -> None:
    assert desk.deny(desk.close)
    desk.let_pass(4.9)
    assert desk.told == []
    desk.let_pass(0.2)
    assert desk.told == ["DENIED"]
    (stop,) = desk.sales()  # What follows is as without all this.
    assert not desk.deny(stop)
    desk.update(stop, "DENIED")
    desk.let_pass(61)
    (close,) = desk.sales()[:1]
    assert desk.deny(close)


def test_engine_that_goes_on_denying_is_tried_for_as_long_and_no_longer(
    desk: Desk, engine: Engine
) -> None:
    engine.account.free, name, count = Decimal(1), desk.close, 0
    while desk.deny(name) and count < 20:
        count += 1
        desk.let_pass(0.7)
        (name,) = desk.sales() or [""]
        if not name:
            break
    assert desk.told == ["DENIED"]
    assert 5 < count < 12


def test_other_denials_and_other_orders_are_told_at_once(desk: Desk) -> None:
    assert not desk.deny(desk.close, "QUANTITY_EXCEEDS_MAXIMUM")
    assert not desk.deny(desk.entry)
    assert not desk.deny("nobody's")


def test_sale_that_is_cancelled_while_it_waits_does_not_leave_again(
    desk: Desk, engine: Engine
) -> None:
    assert desk.deny(desk.close)
    desk.strategy.act([CancelIntent(client_order_id=desk.close)])
    desk.commands.clear()
    engine.account.free = Decimal(1)
    desk.let_pass(0.1)
    assert desk.told == ["CANCELED"]
    (name,) = desk.sales()
    assert [stop.client_order_id for stop in desk.stops()] == [name]
    assert [o.kind for o in desk.context.ledger.open_orders(X) if o.is_exit] == ["STOP_MARKET"]
