"""What the engine says in the middle of a call is answered once the call has returned.

The engine holds the strategy while it carries out a call: it raises if the strategy asks it for
anything then. An order that it emulates itself is cancelled and changed within the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import ClientOrderId, InstrumentId, Price, TriggerType

from aitb_nautilus.messages import CancelIntent, Intent, ModifyIntent, OrderIntent
from aitb_nautilus.risk.port_calls import PortCalls
from tests.risk.rig import BTC, Rig, Scripted, Step
from tests.risk.test_engine_paths import RISING, assert_in_step, bracket, buy, desk, limit


def rest_emulated(strategy: Scripted) -> None:
    strategy.submit_order(limit(strategy, emulation_trigger=TriggerType.LAST_PRICE))


def first(strategy: Scripted) -> str:
    return next(iter(strategy.context.ledger.orders))


def run_and_answer(
    steps: dict[int, Step], answer: Callable[[Scripted, Any], Iterable[Intent] | None]
) -> tuple[Rig, Scripted]:
    return desk(steps, RISING, prepare=lambda s: s.answers.update(order=answer))


def cancel_by_intent(strategy: Scripted) -> Iterable[Intent]:
    return [CancelIntent(client_order_id=first(strategy))]


def cancel_by_engine(strategy: Scripted) -> None:
    strategy.cancel_order(ClientOrderId(first(strategy)))


def cancel_all(strategy: Scripted) -> None:
    strategy.cancel_all_orders(InstrumentId.from_str(BTC))


@pytest.mark.parametrize("cancel", [cancel_by_intent, cancel_by_engine, cancel_all])
def test_cancel_of_an_emulated_order_can_be_answered_with_another_order(cancel: Step) -> None:
    def answer(strategy: Scripted, order: Any) -> Iterable[Intent] | None:
        return buy(strategy) if order.status == "CANCELED" else None

    rig, strategy = run_and_answer({2: rest_emulated, 4: cancel}, answer)
    assert rig.guard.halts == []
    assert [(o.kind, o.status) for o in rig.context.ledger.orders.values()] == [
        ("LIMIT", "CANCELED"),
        ("MARKET", "FILLED"),
    ]
    assert rig.quantity() == Decimal("0.010")
    assert_in_step(rig, strategy)


def test_answer_may_ask_the_engine_for_what_it_likes() -> None:
    seen: list[Any] = []

    def answer(strategy: Scripted, _: Any) -> None:
        seen.append((strategy.cache.orders_open_count(), strategy.clock.timestamp_ns() > 0))

    rig, strategy = run_and_answer({2: rest_emulated, 4: cancel_by_intent}, answer)
    assert seen == [(0, True)]
    assert_in_step(rig, strategy)


def test_change_of_an_emulated_order_can_be_answered_with_another_change() -> None:
    def change(strategy: Scripted) -> Iterable[Intent]:
        return [ModifyIntent(client_order_id=first(strategy), price=29_100.0)]

    def answer(_: Scripted, order: Any) -> Iterable[Intent] | None:
        if order.price != 29_100.0:
            return None
        return [ModifyIntent(client_order_id=order.client_order_id, price=29_200.0)]

    rig, strategy = run_and_answer({2: rest_emulated, 4: change}, answer)
    assert [u.price for _, u in strategy.updates if u.price] == [29_100.0, 29_200.0]
    assert rig.order(first(strategy)).price == Price(29_200.0, 2)
    assert_in_step(rig, strategy)


def test_market_exit_that_cancels_an_emulated_order_can_be_answered() -> None:
    def answer(strategy: Scripted, order: Any) -> Iterable[Intent] | None:
        if order.status == "CANCELED" and strategy.cache.orders_open_count() == 0:
            return buy(strategy)
        return None

    rig, strategy = run_and_answer({2: buy, 3: rest_emulated, 5: lambda s: s.market_exit()}, answer)
    # Nothing opens while the engine closes everything; the wish was heard, and refused.
    assert [d.limit for d in strategy.refusals] == ["exit"]
    assert rig.quantity() == 0
    assert_in_step(rig, strategy)


def test_events_of_one_call_are_all_known_before_the_first_is_answered_and_keep_their_order() -> (
    None
):
    told: list[tuple[str, list[str]]] = []

    def answer(strategy: Scripted, order: Any) -> Iterable[Intent] | None:
        if order.status != "CANCELED":
            return None
        told.append((order.kind, [o.kind for o in strategy.view.open_orders(BTC)]))
        return [
            OrderIntent(
                instrument_id=BTC,
                side="SELL",
                kind="LIMIT",
                price=31_000.0 + len(told),
                quantity=Decimal("0.005"),
                reduce_only=True,
            )
        ]

    rig, strategy = run_and_answer(
        {
            2: lambda s: s.submit_order_list(bracket(s, emulation_trigger=TriggerType.LAST_PRICE)),
            4: lambda s: [CancelIntent(client_order_id=list(s.context.ledger.orders)[1])],
        },
        answer,
    )
    # The engine cancels both exits of a bracket within the call that cancels one of them.
    assert [kind for kind, _ in told] == ["STOP_MARKET", "LIMIT"]
    assert [open_ for _, open_ in told] == [[], ["LIMIT"]]
    assert [o.price for o in strategy.view.open_orders(BTC)] == [31_001.0, 31_002.0]
    assert_in_step(rig, strategy)


def test_what_is_answered_in_a_call_waits_for_the_outermost_one() -> None:
    calls, said = PortCalls(), []
    with calls:
        with calls:
            calls.answer(lambda: said.append("a"))
        assert said == []
        calls.answer(lambda: said.append("b"))
    assert said == ["a", "b"]
    calls.answer(lambda: said.append("c"))
    assert said == ["a", "b", "c"]


def test_answer_is_given_whole_before_the_next_one_begins() -> None:
    calls, said = PortCalls(), []

    def first_answer() -> None:
        said.append("a begins")
        with calls:
            calls.answer(lambda: said.append("c"))
        said.append("a ends")

    with calls:
        calls.answer(first_answer)
        calls.answer(lambda: said.append("b"))
    assert said == ["a begins", "a ends", "b", "c"]


def test_call_that_raises_leaves_its_answers_for_the_next_fact() -> None:
    calls, said = PortCalls(), []

    def call_that_fails() -> None:
        with calls:
            calls.answer(lambda: said.append("a"))
            raise RuntimeError("the venue is gone")

    with pytest.raises(RuntimeError, match="the venue is gone"):
        call_that_fails()
    assert said == []
    calls.answer(lambda: said.append("b"))
    assert said == ["a", "b"]
