"""What the engine's cache says of a venue is what stands in our own ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aitb_nautilus.messages import OrderIntent
from aitb_nautilus.risk.engine_venue import find_order, venue_facts, venue_order
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, Rig, Scripted, flat_bars, make_context, run
from tests.risk.test_foreign_fee import filled

BUY = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))
SHORT = OrderIntent(instrument_id=BTC, side="SELL", quantity=Decimal("0.025"))
REST = OrderIntent(
    instrument_id=BTC,
    side="SELL",
    kind="STOP_LIMIT",
    quantity=Decimal("0.004"),
    price=28_990.0,
    trigger_price=29_000.0,
    reduce_only=True,
)


def rig_of(*wishes: OrderIntent) -> Rig:
    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = dict(enumerate([lambda _, w=w: [w] for w in wishes], 2))
    return run([strategy], strategy.context, flat_bars(len(wishes) + 4))


def test_open_orders_positions_and_balances_are_told_exactly() -> None:
    rig = rig_of(BUY, REST)
    facts = venue_facts(rig.engine.cache, ["BINANCE"])
    (order,) = facts.orders
    ours = rig.context.ledger.orders[order.client_order_id]
    assert (order.side, order.kind, order.quantity) == ("SELL", "STOP_LIMIT", Decimal("0.004"))
    assert (order.price, order.trigger_price) == (28_990.0, 29_000.0)
    assert (order.reduce_only, order.is_open, order.leaves) == (True, True, Decimal("0.004"))
    assert (ours.price, ours.trigger_price, ours.leaves) == (
        order.price,
        order.trigger_price,
        order.leaves,
    )
    assert facts.positions == {BTC: Decimal("0.010")}
    # 100,000 less the fee: 0.010 at 30,000, and 5 basis points of that.
    assert facts.balances == {"USDT": Decimal("99999.85")}


def test_short_position_is_negative() -> None:
    assert venue_facts(rig_of(SHORT).engine.cache, ["BINANCE"]).positions == {
        BTC: Decimal("-0.025")
    }


def test_order_is_found_by_its_id_with_all_its_fills() -> None:
    rig = rig_of(BUY)
    ((name, ours),) = rig.context.ledger.orders.items()
    found = find_order(rig.engine.cache, name, rig.context)
    assert found is not None
    order, fills = found
    assert (order.status, order.filled, order.average_price) == (
        "FILLED",
        Decimal("0.010"),
        30_000.0,
    )
    assert order.ts == rig.context.ledger.fills[0].ts
    assert [(f.trade_id, f.quantity, f.price, f.fee) for f in fills] == [
        (f.trade_id, f.quantity, f.price, f.fee) for f in rig.context.ledger.fills
    ]
    assert ours.filled == order.filled
    assert find_order(rig.engine.cache, "nobody", rig.context) is None


class PaidWithBnb:
    """The engine's cache with an order whose fee was paid in another coin."""

    def __init__(self, order: Any, instrument: Any) -> None:
        self._order, self._instrument = order, instrument

    def __getattr__(self, name: str) -> Any:
        return getattr(self._order, name)

    def order(self, _: Any) -> PaidWithBnb:
        return self

    def instrument(self, _: Any) -> Any:
        return self._instrument

    def events(self) -> list[Any]:
        return [filled("0.00200000 BNB")]


def test_fee_in_another_coin_has_its_price_or_says_that_it_is_not_known() -> None:
    rig = rig_of(BUY)
    (order,) = rig.engine.cache.orders()
    cache: Any = PaidWithBnb(order, rig.engine.cache.instrument(order.instrument_id))
    found = find_order(cache, "c", rig.context)
    assert found is not None
    ((fill,), why) = found[1], "the fee of trade t is 0.00200000 BNB, not in USDT"
    assert (fill.fee, fill.fee_elsewhere) == (0.0, True)
    assert fill.unknown_fee.startswith(why)
    rig.context.coin_prices["BNB", "USDT"] = 600.0
    found = find_order(cache, "c", rig.context)
    assert found is not None
    assert [(f.fee, f.unknown_fee) for f in found[1]] == [(1.2, "")]


def test_order_that_was_refused_has_ended() -> None:
    rig = rig_of(REST)  # reduce-only, and nothing is held
    (order,) = rig.engine.cache.orders()
    told = venue_order(order)
    assert (told.status, told.is_open, told.average_price) == ("REJECTED", False, None)
