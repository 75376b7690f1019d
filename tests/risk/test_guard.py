"""The guard without an engine: what passes, in which state, and that no sequence breaks a limit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aitb_nautilus.messages import (
    BarClosed,
    Fill,
    ModifyIntent,
    OrderIntent,
    OrderKind,
    OrderUpdate,
    Side,
    opposite,
)
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.guard import Decision, Guard, LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import RiskSettings, build_limits
from aitb_nautilus.risk.trading_states import Halt

X, Y = "X.V", "Y.V"
LOT = Decimal("0.001")
SECOND = 10**9
RISK = RiskSettings(
    max_order_notional=1_000.0,
    max_position_notional=2_500.0,
    max_open_orders=4,
    max_orders_per_minute=3,
    price_band_frac=0.1,
)


def make_guard(risk: RiskSettings = RISK, mark: float | None = 100.0, **lots: Any) -> Guard:
    ledger = Ledger(10_000.0)
    guard = Guard(ledger, build_limits(risk), {X: LotRules(LOT, **lots), Y: LotRules(LOT)})
    if mark is not None:
        ledger.apply_bar(BarClosed(X, 0, mark, mark, mark, mark, 1.0))
    return guard


def wish(quantity: str | Decimal | None = "1", side: Side = "BUY", **changes: Any) -> OrderIntent:
    return OrderIntent(
        **(
            {
                "instrument_id": X,
                "side": side,
                "quantity": None if quantity is None else Decimal(quantity),
            }
            | changes
        )
    )


def judge(guard: Guard, intent: OrderIntent, ts: int = 0) -> Decision:
    return guard.judge(intent, "S-001", ts)


def hold(guard: Guard, quantity: str, strategy: str = "S-001") -> None:
    amount = Decimal(quantity)
    side: Side = "BUY" if amount > 0 else "SELL"
    trade = f"T-{len(guard.ledger.fills)}"
    guard.ledger.apply_fill(
        Fill(strategy, X, "before", trade, 0, side, 100.0, abs(amount), 0.0, "TAKER")
    )


def rest(guard: Guard, quantity: str, side: Side = "BUY", **changes: Any) -> Order:
    terms: dict[str, Any] = {
        "client_order_id": f"O-{len(guard.ledger.orders) + 1}",
        "strategy_id": "S-001",
        "instrument_id": X,
        "side": side,
        "kind": "LIMIT",
        "quantity": Decimal(quantity),
        "price": 100.0,
        "trigger_price": None,
        "reduce_only": False,
        "purpose": "entry",
        "ts_sent": 0,
    }
    order = Order(**(terms | changes))
    guard.ledger.apply_order(order)
    return order


def test_order_within_every_limit_passes_untouched() -> None:
    guard = make_guard()
    decision = judge(guard, wish("5"), ts=7)
    assert decision == Decision(7, "S-001", X, Decimal(5))
    assert decision.allowed
    assert (guard.refusals, guard.refused) == ([], 0)


def test_quantity_is_put_onto_whole_lots_downwards() -> None:
    assert judge(make_guard(), wish("1.23456789")).quantity == Decimal("1.234")


def test_less_than_a_lot_is_refused() -> None:
    guard = make_guard()
    decision = judge(guard, wish("0.0009"))
    assert not decision.allowed
    assert (decision.limit, decision.line) == ("lot", "0.0009 is no whole number of lots of 0.001")
    assert (guard.refusals, guard.refused) == ([decision], 1)


def test_each_limit_shrinks_what_the_one_before_has_left() -> None:
    guard = make_guard()
    assert judge(guard, wish("20")).quantity == 10
    hold(guard, "20")
    shrunk = judge(guard, wish("20"))
    assert (shrunk.quantity, shrunk.limit) == (5, "max_position_notional")
    assert guard.refusals[-1] == shrunk
    assert guard.refused == 0


def test_what_is_left_must_be_more_than_the_venues_smallest_order() -> None:
    guard = make_guard(min_notional=600.0)
    hold(guard, "20")
    refused = judge(guard, wish("20"))
    assert not refused.allowed
    assert refused.limit == "max_position_notional"
    assert "at 100 is too small, the venue takes 0 and 600 in value (position" in refused.line
    small = judge(make_guard(min_quantity=Decimal(2)), wish("1"))
    assert (small.quantity, small.limit) == (0, "lot")


def test_exit_may_be_smaller_than_the_venues_smallest_opening_order() -> None:
    guard = make_guard(min_notional=600.0, min_quantity=Decimal(2))
    hold(guard, "1")
    assert judge(guard, wish("1", "SELL")).reducing
    assert judge(guard, wish("0.5", "SELL", reduce_only=True)).reducing


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"instrument_id": "Z.V"}, "Z.V is not an instrument of this run"),
        ({"quantity": None}, "quantity was None, must be above zero"),
        ({"quantity": Decimal(0)}, "quantity was 0, must be above zero"),
        ({"quantity": Decimal(-1)}, "quantity was -1, must be above zero"),
        ({"quantity": Decimal("NaN")}, "quantity was NaN, must be above zero"),
        ({"quantity": Decimal("Infinity")}, "quantity was Infinity, must be above zero"),
        ({"price": float("nan")}, "price was nan, must be a finite number above zero"),
        ({"price": 0.0}, "price was 0.0, must be a finite number above zero"),
        (
            {"trigger_price": float("inf")},
            "trigger_price was inf, must be a finite number above zero",
        ),
    ],
)
@pytest.mark.parametrize("reduce_only", [False, True])
def test_malformed_order_is_refused_even_as_an_exit(
    changes: dict[str, Any], line: str, reduce_only: bool
) -> None:
    decision = judge(make_guard(), wish(**({"reduce_only": reduce_only} | changes)))
    assert (decision.quantity, decision.limit, decision.line) == (0, "order", line)


def test_nothing_opens_before_a_price_was_seen() -> None:
    guard = make_guard(mark=None)
    assert judge(guard, wish()).line == "no price was seen yet; wait for a bar"


def test_strategy_opens_nothing_against_what_another_one_holds() -> None:
    guard = make_guard()
    hold(guard, "1", "S-002")
    refused = judge(guard, wish(side="SELL"))
    assert (refused.allowed, refused.limit) == (False, "netting")
    assert refused.line == (
        "S-002 holds 1 X.V, and a venue keeps one position: exits of both would be refused there; "
        "wait until it has ended, or let one strategy trade the instrument"
    )
    assert judge(guard, wish()).allowed  # the same side


def test_strategy_opens_nothing_against_an_order_of_another_one() -> None:
    guard = make_guard()
    rest(guard, "1", "BUY", strategy_id="S-002")
    assert judge(guard, wish(side="SELL")).limit == "netting"
    rest(guard, "1", "BUY", strategy_id="S-002", reduce_only=True)
    assert judge(guard, wish()).allowed


def test_own_exit_passes_whatever_another_strategy_holds() -> None:
    guard = make_guard()
    hold(guard, "1")
    hold(guard, "-3", "S-002")  # as it may stand after a restart
    assert judge(guard, wish(side="SELL")).reducing
    assert judge(guard, wish(side="SELL", quantity="2", reduce_only=True)).reducing


def test_reduce_only_order_cannot_take_away_what_another_strategy_holds() -> None:
    guard = make_guard()
    hold(guard, "3", "S-002")
    assert judge(guard, wish(side="SELL", reduce_only=True)).limit == "netting"
    rest(guard, "1", "BUY")  # what it is for comes with its entry
    assert judge(guard, wish(side="SELL", reduce_only=True)).reducing


@pytest.mark.parametrize("mark", [0.0, -1.0, float("nan"), float("inf")])
def test_nothing_opens_at_a_last_price_that_is_none_and_exits_pass(mark: float) -> None:
    guard = make_guard()
    hold(guard, "1")
    guard.ledger.apply_bar(BarClosed(X, 1, mark, mark, mark, mark, 1.0))
    refused = judge(guard, wish())
    assert (refused.allowed, refused.limit) == (False, "price")
    assert refused.line == f"the last price is {mark:g}, must be above zero; wait for a bar"
    assert judge(guard, wish(side="SELL")).allowed
    assert guard.state == "active"
    assert judge(guard, wish(side="SELL", reduce_only=True)).allowed


@pytest.mark.parametrize("state", ["halted", "reducing"])
def test_guard_that_is_not_active_opens_nothing_and_says_why(state: Any) -> None:
    guard = make_guard()
    guard.restrict(Halt(0, "a test", cause="command", level=state, who="me"))
    line = judge(guard, wish()).line
    assert line.startswith(f"the trader is {state} since 1970-01-01T00:00:00Z by me: a test; ")


def test_first_reason_stays_on_top() -> None:
    guard = make_guard()
    guard.halt("first reason", 3, "S-002", "O-9")
    guard.halt("second reason", 4)
    assert "by guard: first reason" in judge(guard, wish()).line
    assert [h.reason for h in guard.halts] == ["first reason", "second reason"]
    assert (guard.halts[0].ts, guard.halts[0].client_order_id) == (3, "O-9")


@pytest.mark.parametrize("state", ["active", "halted", "reducing"])
@pytest.mark.parametrize("held", ["30", "-30"])
@pytest.mark.parametrize("kind", ["MARKET", "LIMIT", "STOP_MARKET"])
@pytest.mark.parametrize("reduce_only", [False, True])
def test_exit_passes_in_every_state_at_any_size_and_price_however_full_the_book(
    state: Any, held: str, kind: OrderKind, reduce_only: bool
) -> None:
    guard = make_guard(RISK, min_notional=100.0)
    hold(guard, held)
    for _ in range(10):
        rest(guard, "1", instrument_id=Y)
    if state != "active":
        guard.restrict(Halt(0, "a test", level=state, flatten=True))
    side = opposite("BUY" if Decimal(held) > 0 else "SELL")
    for ts in range(10):
        decision = judge(
            guard,
            wish(
                "30",
                side,
                kind=kind,
                price=9_000.0 if kind == "LIMIT" else None,
                trigger_price=1.0 if kind == "STOP_MARKET" else None,
                reduce_only=reduce_only,
            ),
            ts=ts,
        )
        assert (decision.quantity, decision.reducing, decision.line) == (30, True, "")


def test_plain_exit_passes_beside_resting_stops_and_targets() -> None:
    guard = make_guard()
    hold(guard, "5")
    rest(guard, "5", "SELL", reduce_only=True)
    rest(guard, "5", "SELL", kind="STOP_MARKET", reduce_only=True)
    guard.halt("test", 0)
    assert judge(guard, wish("5", "SELL")).reducing


@pytest.mark.parametrize(
    ("quantity", "before", "reducing"),
    [
        ("5", [], True),
        ("5.001", [], False),
        ("2", [("3", {})], True),
        ("3", [("3", {})], False),
        ("3", [("3", {"kind": "MARKET", "reduce_only": True})], False),
        ("5", [("3", {"side": "BUY"})], True),
        ("5", [("3", {"strategy_id": "S-002"})], True),
        ("5", [("3", {"instrument_id": Y})], True),
    ],
)
def test_order_reduces_only_what_the_orders_before_it_leave(
    quantity: str, before: list[tuple[str, dict[str, Any]]], reducing: bool
) -> None:
    guard = make_guard()
    hold(guard, "5")
    for amount, changes in before:
        rest(guard, amount, **({"side": "SELL"} | changes))
    assert judge(guard, wish(quantity, "SELL")).reducing == reducing


def test_position_of_another_strategy_is_not_ones_own_to_reduce() -> None:
    guard = make_guard()
    hold(guard, "5", strategy="S-002")
    guard.halt("test", 0)
    assert not judge(guard, wish("5", "SELL")).allowed


@pytest.mark.parametrize(
    ("side", "changes", "price"),
    [
        ("BUY", {}, 100.0),
        ("BUY", {"price": 95.0}, 95.0),
        ("BUY", {"price": 105.0}, 105.0),
        ("BUY", {"trigger_price": 105.0}, 105.0),
        ("BUY", {"trigger_price": 95.0}, 100.0),
        ("BUY", {"trigger_price": 105.0, "price": 108.0}, 108.0),
        ("SELL", {"price": 95.0}, 100.0),
        ("SELL", {"price": 105.0}, 105.0),
        ("SELL", {"trigger_price": 95.0, "price": 92.0}, 100.0),
        ("SELL", {"trigger_price": 108.0, "price": 105.0}, 108.0),
    ],
)
def test_order_is_valued_at_the_most_that_it_may_come_to(
    side: Side, changes: dict[str, float], price: float
) -> None:
    decision = judge(make_guard(), wish("20", side, kind="STOP_LIMIT", **changes))
    assert decision.quantity == (Decimal(1000) / Decimal(price)).quantize(LOT, "ROUND_DOWN")


@pytest.mark.parametrize(
    "changes", [{"price": 100.0, "trigger_price": 150.0}, {"price": 50.0, "trigger_price": 99.0}]
)
def test_both_prices_of_an_order_must_lie_in_the_band(changes: dict[str, float]) -> None:
    decision = judge(make_guard(), wish("1", kind="STOP_LIMIT", **changes))
    assert (decision.quantity, decision.limit) == (0, "price_band_frac")


def test_exits_do_not_use_up_the_rate() -> None:
    guard = make_guard()
    hold(guard, "5")
    for _ in range(10):
        judge(guard, wish("1", "SELL", reduce_only=True))
    assert [judge(guard, wish("1")).allowed for _ in range(4)] == [True, True, True, False]


def test_refused_order_does_not_use_up_the_rate() -> None:
    guard = make_guard()
    for _ in range(10):
        judge(guard, wish("1", price=500.0))
        guard.judge_whole(wish("100"), "S-001", 0)
    assert [judge(guard, wish("1")).allowed for _ in range(4)] == [True, True, True, False]


def test_order_that_cannot_be_shrunk_passes_whole_or_not_at_all() -> None:
    guard = make_guard()
    assert guard.judge_whole(wish("10"), "S-001", 0).quantity == 10
    large = guard.judge_whole(wish("10.001"), "S-001", 0)
    assert (large.quantity, large.limit) == (0, "max_order_notional")
    uneven = guard.judge_whole(wish("1.0005"), "S-001", 0)
    assert (uneven.quantity, uneven.limit) == (0, "lot")
    assert guard.refusals == [large, uneven]


def test_refusal_from_outside_the_limits_is_recorded() -> None:
    guard = make_guard()
    decision = guard.refuse(X, "S-001", 5, "id", "used before")
    assert not decision.allowed
    assert guard.refusals == [decision]


def test_only_the_first_refusals_are_kept_but_all_are_counted() -> None:
    guard = make_guard()
    guard.halt("test", 0)
    for ts in range(10_050):
        judge(guard, wish(), ts=ts)
    assert guard.refused == 10_050
    assert len(guard.refusals) == 10_000
    assert guard.refusals[-1].ts == 9_999


def modify(guard: Guard, order: Order, **changes: Any) -> Decision:
    intent = ModifyIntent(client_order_id=order.client_order_id, **changes)
    return guard.judge_modify(intent, order, 0)


def test_change_of_price_is_judged_at_the_whole_quantity() -> None:
    guard = make_guard(min_notional=500.0)
    order = rest(guard, "9.5")
    assert modify(guard, order, price=105.0).quantity == Decimal("9.5")
    refused = modify(guard, order, price=106.0)
    assert (refused.quantity, refused.limit) == (0, "max_order_notional")
    assert modify(guard, order, price=120.0).limit == "price_band_frac"


def test_change_is_judged_with_the_unanswered_ones_before_it() -> None:
    guard = make_guard()
    order = rest(guard, "9")
    order.ask_change(None, 105.0)  # 9.5 of it are worth 997.50, 9.6 of it 1,008
    assert modify(guard, order, quantity=Decimal("9.5")).quantity == Decimal("9.5")
    assert modify(guard, order, quantity=Decimal("9.6")).limit == "max_order_notional"
    order.ask_change(Decimal("9.5"))
    assert modify(guard, order, price=105.2).quantity == 9
    assert modify(guard, order, price=106.0).limit == "max_order_notional"


def test_change_of_quantity_is_judged_with_what_was_filled() -> None:
    guard = make_guard()
    order = rest(guard, "5")
    order.filled = Decimal(4)
    hold(guard, "4")
    assert modify(guard, order, quantity=Decimal(10)).quantity == 10
    assert modify(guard, order, quantity=Decimal("10.001")).limit == "max_order_notional"


def test_order_does_not_count_against_its_own_change() -> None:
    guard = make_guard()
    orders = [rest(guard, "7") for _ in range(4)]
    assert modify(guard, orders[0], quantity=Decimal(4), price=99.0).allowed
    # 21 of 25 are taken by the others.
    assert modify(guard, orders[0], quantity=Decimal(5), price=100.0).limit == (
        "max_position_notional"
    )


def test_change_that_makes_an_order_smaller_always_passes() -> None:
    guard = make_guard()
    order = rest(guard, "9")
    guard.halt("test", 0)
    assert modify(guard, order, quantity=Decimal(3)).quantity == 3
    assert modify(guard, order, quantity=Decimal("2.9999")).quantity == Decimal("2.999")
    assert modify(guard, order, quantity=Decimal(10)).limit == "state"
    assert modify(guard, order, price=99.0).limit == "state"
    assert modify(guard, order, trigger_price=99.0).limit == "order", "it has none"


def test_exit_may_be_changed_in_every_state_to_any_size_and_price() -> None:
    guard = make_guard()
    order = rest(guard, "5", "SELL", reduce_only=True)
    guard.halt("test", 0)
    decision = modify(guard, order, quantity=Decimal(500), price=9_999.0)
    assert (decision.quantity, decision.reducing) == (500, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": Decimal(0)},
        {"quantity": Decimal("0.0001")},
        {"quantity": Decimal("NaN")},
        {"price": float("nan")},
        {"trigger_price": -1.0},
    ],
)
@pytest.mark.parametrize("reduce_only", [False, True])
def test_malformed_change_is_refused(changes: dict[str, Any], reduce_only: bool) -> None:
    guard = make_guard()
    decision = modify(guard, rest(guard, "5", reduce_only=reduce_only), **changes)
    assert not decision.allowed
    assert guard.refusals == [decision]


def test_changes_count_in_the_rate() -> None:
    guard = make_guard()
    order = rest(guard, "1")
    passed = [modify(guard, order, price=100.0 + i).allowed for i in range(4)]
    assert passed == [True, True, True, False]


PRICES = st.integers(60, 160).map(float)
QUANTITIES = st.integers(1, 40_000).map(lambda n: Decimal(n) / 1000) | st.sampled_from(
    [Decimal("0.0004"), Decimal("1.23456"), Decimal(25), Decimal(10)]
)
KINDS: list[OrderKind] = ["MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT"]
STRATEGIES = ("S-001", "S-002")
WISHES = st.tuples(
    st.sampled_from(["BUY", "SELL"]),
    st.sampled_from(KINDS),
    QUANTITIES,
    st.integers(-12, 12),  # per cent away from the last price
    st.booleans(),
)


class GuardedDesk(RuleBasedStateMachine):
    """Two strategies, one guard, and a venue that fills, cancels and answers as it likes.

    The venue keeps one promise: a reduce-only order never turns a position around.
    """

    def __init__(self) -> None:
        super().__init__()
        self.guard = make_guard()
        self.ledger = self.guard.ledger
        self.now = 0
        self.count = 0
        self.opened: list[int] = []
        self.asked: list[tuple[Order, Decimal | None, float | None]] = []
        self.worst: dict[Side, Decimal] = {"BUY": ZERO, "SELL": ZERO}

    def side_total(self, side: Side) -> Decimal:
        """Return the largest position that fills alone could lead to on one side."""
        sign = 1 if side == "BUY" else -1
        held = sum((max(sign * p.quantity, ZERO) for p in self.ledger.positions.values()), ZERO)
        return held + sum(
            (
                o.most_leaves
                for o in self.ledger.open_orders(X)
                if o.side == side and not o.reduce_only
            ),
            ZERO,
        )

    def note_opening(self, side: Side, price: float) -> None:
        """Check what an opening order or change may lead to, right after it was allowed."""
        assert self.guard.state == "active"
        self.opened.append(self.now)
        recent = [ts for ts in self.opened if self.now - ts < 60 * SECOND]
        assert len(recent) <= RISK.max_orders_per_minute
        self.worst[side] = self.side_total(side)
        assert float(self.worst[side]) * price <= RISK.max_position_notional * (1 + 1e-9)

    @initialize(price=PRICES)
    def open_market(self, price: float) -> None:
        self.move(price)

    @rule(price=PRICES)
    def move(self, price: float) -> None:
        self.ledger.apply_bar(BarClosed(X, self.now, price, price, price, price, 1.0))

    @rule(seconds=st.integers(1, 45))
    def wait(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule(wanted=WISHES, strategy=st.sampled_from(STRATEGIES), whole=st.booleans())
    def send(
        self,
        wanted: tuple[Side, OrderKind, Decimal, int, bool],
        strategy: str,
        whole: bool,
    ) -> None:
        side, kind, quantity, away, reduce_only = wanted
        mark = self.ledger.marks[X]
        quoted = mark * (1 + away / 100)
        intent = OrderIntent(
            instrument_id=X,
            side=side,
            kind=kind,
            quantity=quantity,
            price=quoted if "LIMIT" in kind else None,
            trigger_price=quoted if "STOP" in kind else None,
            reduce_only=reduce_only,
        )
        held = self.ledger.position(strategy, X).quantity
        room = max(held if side == "SELL" else -held, ZERO) - sum(
            (
                o.most_leaves
                for o in self.ledger.open_orders(X)
                if o.strategy_id == strategy
                and o.side == side
                and (o.kind == "MARKET" or not o.reduce_only)
            ),
            ZERO,
        )
        open_before = self.ledger.open_order_count()
        judged = self.guard.judge_whole if whole else self.guard.judge
        decision = judged(intent, strategy, self.now)
        floored = quantity // LOT * LOT
        others = [
            name
            for (name, _), p in self.ledger.positions.items()
            if name != strategy and p.quantity and (p.quantity < 0) == (side == "BUY")
        ]
        reduces = held != 0 and (held < 0) == (side == "BUY")
        if not decision.reducing:
            assert not (decision.allowed and others)
        if others and reduce_only and not reduces:
            reduce_only = decision.reducing  # It may be for an entry of its own that rests.
        if floored and (floored == quantity or not whole) and (reduce_only or floored <= room):
            assert (decision.quantity, decision.reducing) == (floored, True)
        if not decision.allowed:
            assert decision.line
            return
        if whole and decision.reducing and not reduce_only:
            # An order that the strategy built itself cannot be made reduce-only any more.
            return
        assert decision.quantity <= quantity
        assert decision.quantity % LOT == 0
        assert not whole or decision.quantity == quantity
        self.count += 1
        self.ledger.apply_order(
            Order(
                client_order_id=f"O-{self.count}",
                strategy_id=strategy,
                instrument_id=X,
                side=side,
                kind=kind,
                quantity=decision.quantity,
                price=intent.price,
                trigger_price=intent.trigger_price,
                reduce_only=decision.reducing,
                purpose="entry",
                ts_sent=self.now,
            )
        )
        if not decision.reducing:
            value = quoted if side == "BUY" and intent.price is not None else mark
            if intent.price is not None or intent.trigger_price is not None:
                assert abs(away) <= 10
                value = quoted if side == "BUY" and intent.price is not None else max(mark, quoted)
            assert float(decision.quantity) * value <= RISK.max_order_notional * (1 + 1e-9)
            assert open_before < RISK.max_open_orders
            self.note_opening(side, value)

    def open_orders(self) -> list[Order]:
        return list(self.ledger.open_orders(X))

    @precondition(lambda self: self.open_orders())
    @rule(data=st.data(), part=st.integers(1, 4))
    def fill(self, data: st.DataObject, part: int) -> None:
        order = data.draw(st.sampled_from(self.open_orders()))
        amount = order.leaves / part // LOT * LOT or order.leaves
        held = self.ledger.position(order.strategy_id, X).quantity
        if order.reduce_only:
            amount = min(amount, max(held if order.side == "SELL" else -held, ZERO))
        if amount <= 0:
            self.ledger.apply_update(
                OrderUpdate(order.client_order_id, X, self.now, "CANCELED", reason="venue")
            )
            return
        self.ledger.apply_fill(
            Fill(
                order.strategy_id,
                X,
                order.client_order_id,
                f"T-{len(self.ledger.fills)}",
                self.now,
                order.side,
                self.ledger.marks[X],
                amount,
                0.0,
                "TAKER",
            )
        )

    @precondition(lambda self: self.open_orders())
    @rule(data=st.data(), status=st.sampled_from(["ACCEPTED", "CANCELED", "REJECTED"]))
    def tell(self, data: st.DataObject, status: Any) -> None:
        order = data.draw(st.sampled_from(self.open_orders()))
        self.ledger.apply_update(OrderUpdate(order.client_order_id, X, self.now, status))

    @precondition(lambda self: self.open_orders())
    @rule(data=st.data(), quantity=QUANTITIES | st.none(), away=st.integers(-12, 12) | st.none())
    def change(self, data: st.DataObject, quantity: Decimal | None, away: int | None) -> None:
        order = data.draw(st.sampled_from(self.open_orders()))
        if order.kind == "MARKET" or (quantity is None and away is None):
            return
        mark = self.ledger.marks[X]
        quoted = None if away is None else mark * (1 + away / 100)
        intent = ModifyIntent(
            client_order_id=order.client_order_id,
            quantity=quantity,
            price=quoted if "LIMIT" in order.kind else None,
            trigger_price=quoted if "STOP" in order.kind else None,
        )
        opening = not order.reduce_only and (
            quoted is not None or (quantity or ZERO) // LOT * LOT > order.quantity
        )
        sent_before = list(self.guard.limits[1]._sent)  # type: ignore[attr-defined]
        decision = self.guard.judge_modify(intent, order, self.now)
        if quantity is not None and quantity >= LOT and order.reduce_only:
            assert decision.allowed
        if not decision.allowed:
            assert decision.line
            assert list(self.guard.limits[1]._sent) == sent_before  # type: ignore[attr-defined]
            return
        asked = None if quantity is None else decision.quantity
        order.ask_change(asked)
        self.asked.append((order, asked, quoted))
        if opening and list(self.guard.limits[1]._sent) != sent_before:  # type: ignore[attr-defined]
            prices = [p for p in (quoted or order.price, quoted or order.trigger_price) if p]
            value = (
                prices[0] if order.side == "BUY" and "LIMIT" in order.kind else max(mark, *prices)
            )
            whole = float(decision.quantity) * value
            assert whole <= RISK.max_order_notional * (1 + 1e-9)
            self.note_opening(order.side, value)

    @precondition(lambda self: self.asked)
    @rule(accepted=st.booleans())
    def answer(self, accepted: bool) -> None:
        order, quantity, quoted = self.asked.pop(0)
        if not order.is_open:
            return
        quantity = order.quantity if quantity is None else quantity
        if not accepted or quantity <= order.filled:
            update = OrderUpdate(
                order.client_order_id, X, self.now, None, reason="no", answers_change=True
            )
        else:
            update = OrderUpdate(
                order.client_order_id,
                X,
                self.now,
                None,
                quantity=quantity,
                price=quoted if "LIMIT" in order.kind else None,
                trigger_price=quoted if "STOP" in order.kind else None,
                answers_change=True,
            )
        self.ledger.apply_update(update)

    @rule()
    def halt_now_and_then(self) -> None:
        if self.count > 12:
            self.guard.halt("test", self.now)

    @invariant()
    def exposure_never_grows_but_by_a_decision(self) -> None:
        for side in ("BUY", "SELL"):
            assert self.side_total(side) <= self.worst[side]  # type: ignore[index,arg-type]
            self.worst[side] = self.side_total(side)  # type: ignore[index,arg-type]


TestGuardedDesk = GuardedDesk.TestCase
TestGuardedDesk.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
