"""The matching engine: hand-made scenes, and properties that hold after any sequence of events."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings, strategies as st

from aitb_nautilus.rehearsal.matching import Matcher
from aitb_nautilus.rehearsal.orders import BUY, Order


class Books:
    """Books what the matcher decides, as the venue does, and remembers it."""

    def __init__(self) -> None:
        self.position = 0
        self.fills: list[tuple[int, int, int, bool]] = []
        self.ended: list[tuple[int, str]] = []

    def allowance(self, order: Order) -> int:
        return max(0, -order.sign * self.position)

    def on_fill(self, order: Order, price: int, quantity: int, *, maker: bool) -> None:
        order.filled += quantity
        self.position += order.sign * quantity
        self.fills.append((order.order_id, price, quantity, maker))

    def on_end(self, order: Order, status: str) -> None:
        order.status = status
        self.ended.append((order.order_id, status))


def new_order(
    number: int,
    side: str,
    quantity: int,
    price: int | None,
    *,
    tif: str = "GTC",
    reduce_only: bool = False,
) -> Order:
    kind = "MARKET" if price is None else "LIMIT"
    return Order(
        order_id=number,
        client_id=f"c{number}",
        symbol="X",
        side=side,
        kind=kind,
        quantity=quantity,
        price=price,
        time_in_force=tif,
        reduce_only=reduce_only,
        created_ms=0,
        updated_ms=0,
        origin=kind,
    )


def matcher(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> tuple[Matcher, Books]:
    books = Books()
    made = Matcher(books)
    made.replace_market(bids, asks)
    return made, books


def test_a_market_order_walks_the_book_level_by_level_and_the_rest_expires() -> None:
    made, books = matcher([(99, 5)], [(101, 5), (102, 3)])
    made.enter(new_order(1, BUY, 10, None))
    assert books.fills == [(1, 101, 5, False), (1, 102, 3, False)]
    assert books.ended == [(1, "EXPIRED")]
    assert made.asks.best is None


def test_a_limit_order_takes_what_it_may_and_rests_with_what_is_left() -> None:
    made, books = matcher([(99, 5)], [(101, 5), (102, 3)])
    made.enter(new_order(1, BUY, 7, 101))
    assert books.fills == [(1, 101, 5, False)]
    assert made.bids.levels(1) == [(101, 2)]


def test_a_passing_trade_fills_the_queue_in_front_first() -> None:
    made, books = matcher([(99, 5)], [(101, 5)])
    order = new_order(1, BUY, 4, 99)
    made.enter(order)
    assert made.bids.ahead_of(order) == 5
    made.pass_trade(99, 3, buyer_is_maker=True)
    assert not books.fills
    assert made.bids.ahead_of(order) == 2
    made.pass_trade(99, 3, buyer_is_maker=True)
    assert books.fills == [(1, 99, 1, True)]


def test_quantity_that_comes_later_stands_behind_and_what_leaves_leaves_from_behind() -> None:
    made, _ = matcher([(99, 5)], [(101, 5)])
    order = new_order(1, BUY, 4, 99)
    made.enter(order)
    made.set_levels([(99, 9)], [])
    assert made.bids.ahead_of(order) == 5
    made.set_levels([(99, 3)], [])
    assert made.bids.ahead_of(order) == 3
    assert made.bids.quantity(99) == 7


def test_a_trade_below_a_bid_fills_it_at_its_own_price() -> None:
    made, books = matcher([(99, 5)], [(101, 5)])
    made.enter(new_order(1, BUY, 4, 100))
    made.pass_trade(98, 3, buyer_is_maker=True)
    assert books.fills == [(1, 100, 3, True)]


def test_a_market_that_moves_through_an_order_fills_it_as_far_as_its_quantity_reaches() -> None:
    made, books = matcher([(99, 5)], [(101, 5)])
    made.enter(new_order(1, BUY, 4, 99))
    made.replace_market([(95, 5)], [(97, 1), (98, 2)])
    assert books.fills == [(1, 99, 1, True), (1, 99, 2, True)]
    assert made.bids.best == 99
    assert made.asks.best is None


def test_the_older_of_two_own_orders_at_a_price_fills_first() -> None:
    made, books = matcher([], [(101, 5)])
    made.enter(new_order(1, BUY, 2, 99))
    made.enter(new_order(2, BUY, 2, 99))
    made.pass_trade(99, 3, buyer_is_maker=True)
    assert books.fills == [(1, 99, 2, True), (2, 99, 1, True)]


def test_an_amended_price_loses_the_place_and_a_smaller_quantity_keeps_it() -> None:
    made, _ = matcher([(99, 5)], [(101, 5)])
    order = new_order(1, BUY, 4, 99)
    made.enter(order)
    made.set_levels([(99, 8)], [])
    made.amend(order, 99, 2)
    assert made.bids.ahead_of(order) == 5
    made.amend(order, 98, 2)
    made.amend(order, 99, 2)
    assert made.bids.ahead_of(order) == 8


def test_an_order_that_would_meet_an_own_one_expires_the_resting_one() -> None:
    made, books = matcher([(90, 5)], [(102, 5)])
    made.enter(new_order(1, "SELL", 2, 101))
    made.enter(new_order(2, BUY, 3, 102))
    assert books.ended == [(1, "EXPIRED_IN_MATCH")]
    assert books.fills == [(2, 102, 3, False)]


def test_reduce_only_orders_share_the_position_and_end_when_it_is_closed() -> None:
    made, books = matcher([(99, 50)], [(101, 50)])
    made.enter(new_order(1, BUY, 3, None))
    made.enter(new_order(2, "SELL", 3, 102, reduce_only=True))
    made.enter(new_order(3, "SELL", 3, 103, reduce_only=True))
    made.pass_trade(103, 5, buyer_is_maker=False)
    assert books.position == 0
    assert books.fills[1:] == [(2, 102, 3, True)]
    assert books.ended == [(3, "EXPIRED")]


PRICES = st.integers(90, 110)
QUANTITIES = st.integers(1, 9)
LEVELS = st.lists(
    st.tuples(PRICES, st.integers(0, 9)), max_size=6, unique_by=lambda level: level[0]
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("order"),
            st.sampled_from(["BUY", "SELL"]),
            QUANTITIES,
            st.one_of(st.none(), PRICES),
            st.sampled_from(["GTC", "IOC", "GTC"]),
            st.booleans(),
        ),
        st.tuples(st.just("trade"), PRICES, QUANTITIES, st.booleans()),
        st.tuples(st.just("levels"), LEVELS, LEVELS),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("amend"), st.integers(0, 20), PRICES, QUANTITIES),
    ),
    max_size=25,
)


def play(actions: list[tuple]) -> tuple[Matcher, Books, list[Order]]:
    """Do the actions, and check after each of them what must always hold."""
    made, books = matcher([(99, 5), (98, 5)], [(101, 5), (102, 5)])
    orders: list[Order] = []
    for action in actions:
        before = books.position
        reducing = False
        match action:
            case ("order", side, quantity, price, tif, reduce_only):
                order = new_order(
                    len(orders), side, quantity, price, tif=tif, reduce_only=reduce_only
                )
                orders.append(order)
                reducing = reduce_only
                made.enter(order)
            case ("trade", price, quantity, buyer_is_maker):
                fills = len(books.fills)
                made.pass_trade(price, quantity, buyer_is_maker=buyer_is_maker)
                assert sum(fill[2] for fill in books.fills[fills:]) <= quantity
            case ("levels", bids, asks):
                bid = min((p for p, q in asks if q), default=1_000)
                made.set_levels([(p, q) for p, q in bids if p < bid], asks)
            case ("cancel", place) if made.resting():
                made.withdraw(made.resting()[place % len(made.resting())])
            case ("amend", place, price, quantity) if made.resting():
                order = made.resting()[place % len(made.resting())]
                if quantity > order.filled and (price, quantity) != (order.price, order.quantity):
                    made.amend(order, price, quantity)
        if reducing:
            assert abs(books.position) <= abs(before)
            assert books.position * before >= 0
        check(made, books, orders)
    return made, books, orders


def check(made: Matcher, books: Books, orders: list[Order]) -> None:
    bid, ask = made.bids.best, made.asks.best
    assert bid is None or ask is None or bid < ask, "the book is crossed"
    filled = Counter[int]()
    for number, _, quantity, _ in books.fills:
        assert quantity > 0
        filled[number] += quantity
    for order in orders:
        assert order.filled == filled[order.order_id] <= order.quantity
    for book in (made.bids, made.asks):
        for price, total in book.levels():
            entries = list(book.queue(price))
            assert total == sum(entry.quantity for entry in entries) > 0
            assert all(entry.quantity > 0 for entry in entries)
            own = [entry.order for entry in entries if entry.order is not None]
            assert all(order.price == price and order.remaining > 0 for order in own)
    resting = {order.order_id for order in made.resting()}
    queued = {
        entry.order.order_id
        for book in (made.bids, made.asks)
        for price in book.prices()
        for entry in book.queue(price)
        if entry.order is not None
    }
    assert resting == queued
    signs = sum(orders[number].sign * quantity for number, _, quantity, _ in books.fills)
    assert books.position == signs


@settings(max_examples=250, deadline=None)
@given(ACTIONS)
def test_quantity_is_conserved_and_the_book_never_crosses(actions: list[tuple]) -> None:
    play(actions)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_the_same_actions_give_the_same_fills(actions: list[tuple]) -> None:
    _, first, _ = play(actions)
    _, second, _ = play(actions)
    assert first.fills == second.fills
    assert first.ended == second.ended


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_no_order_trades_beyond_its_limit(actions: list[tuple]) -> None:
    made, books = matcher([(99, 5), (98, 5)], [(101, 5), (102, 5)])
    orders: list[Order] = []
    for action in actions:
        if action[0] == "order":
            _, side, quantity, price, tif, _ = action
            orders.append(new_order(len(orders), side, quantity, price, tif=tif))
            made.enter(orders[-1])
        elif action[0] == "trade":
            made.pass_trade(action[1], action[2], buyer_is_maker=action[3])
    for number, price, _, maker in books.fills:
        limit = orders[number].price
        if limit is not None:
            assert orders[number].sign * price <= orders[number].sign * limit
        if maker:
            assert price == limit


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(QUANTITIES, st.integers(95, 99)), min_size=2, max_size=6),
    st.lists(st.tuples(st.integers(95, 99), QUANTITIES), min_size=1, max_size=8),
)
def test_a_resting_order_never_fills_before_a_better_or_older_one(
    orders: list[tuple[int, int]], trades: list[tuple[int, int]]
) -> None:
    made, books = matcher([], [(105, 5)])
    placed = [new_order(n, BUY, quantity, price) for n, (quantity, price) in enumerate(orders)]
    for order in placed:
        made.enter(order)
    for price, quantity in trades:
        made.pass_trade(price, quantity, buyer_is_maker=True)
        for number, filled_at, _, _ in books.fills:
            for other in placed:
                before = (-(other.price or 0), other.order_id) < (-filled_at, number)
                assert not before or other.remaining == 0
        books.fills.clear()
