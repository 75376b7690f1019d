"""The smaller machine: random wishes and side doors through the real engine's back-test.

The engine's own orders, fills and positions are the truth here. After every command the limits are
worked out anew from them (`invariants`), and at every bar the guard's ledger is compared with them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    ClientOrderId,
    Currency,
    ExecAlgorithmId,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    TrailingOffsetType,
    TriggerType,
    Venue,
)
from nautilus_trader.trading import Strategy

from aitb_nautilus.messages import (
    ORDER_SENT,
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderSent,
    OrderUpdate,
)
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings, decode
from tests.risk.machine.desks import draw_risk
from tests.risk.machine.invariants import Case, History, Seen, broken, only_reduces
from tests.risk.machine.outcomes import Found
from tests.risk.machine.venue import Trade, VenueOrder
from tests.risk.rig import BTC, MINUTE, Rig, make_context, run

__all__ = ["Whim", "run_desk"]

NAME = "random-001"
BTC_ID = InstrumentId.from_str(BTC)
LOT = Decimal("0.001")
_GONE = ("book", "reference", "max_prediction_age_minutes")
"""Limits that need what these bars do not bring."""


class Whim(GuardedStrategy):
    """Wish, build, change, cancel and exit at random; look at the engine after everything."""

    def __init__(self, settings: Settings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.dice = random.Random(0)
        self.risk: RiskSettings
        self.history = History(100_000.0)
        self.tally: Counter[str] = Counter()
        self.asked: dict[str, int] = {}
        self.door: Callable[[Any], None] | None = None
        self.door_at = -1
        self.bars = 0
        self.sent = 0
        self.changing: dict[str, ModifyIntent] = {}
        self.announced: set[str] = set()
        self.emulated: set[str] = set()

    def bar_types(self) -> Sequence[str]:
        return [MINUTE.bar_type(BTC)]

    def decide_on_start(self) -> Iterable[Intent]:
        self.subscribe_topic(ORDER_SENT, self._on_sent)
        act = self.answering.act

        def watched(intents: Iterable[Intent]) -> None:
            for intent in intents:
                must = isinstance(intent, CloseIntent) and self._held() != 0
                before = self.sent
                if isinstance(intent, ModifyIntent):
                    self.changing[intent.client_order_id] = intent
                act([intent])
                self.changing.clear()
                if must and self.sent == before and not self.run_state.stop_reason:
                    held, ledger = self._held(), self.view.quantity(BTC)
                    last = self.context.guard.refusals[-1:]
                    raise Found(f"{intent} was refused while {held} is held ({ledger}): {last}")

        self.answering.act = watched  # type: ignore[method-assign]
        return ()

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        self.bars += 1
        self.history.bars.setdefault(BTC, []).append(Seen(bar.ts, bar.close, bar.volume))
        self.history.close(bar.ts)
        self._compare()
        if self.bars == self.door_at and self.door is not None:
            self.door(self)
            self.tally["side doors"] += 1
            if self.context.guard.state != "halted":
                raise Found(f"{self.door} did not halt at that very order")
            return
        for _ in range(self.dice.randrange(3)):
            self.dice.choice(DEEDS)(self)
        yield from self._wishes()

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        engine = self.cache.order(ClientOrderId(fill.client_order_id))
        event = next(
            e
            for e in engine.events()
            if type(e).__name__ == "OrderFilled" and str(e.trade_id) == fill.trade_id
        )
        self.history.hear(
            Trade(
                _known(engine),
                fill.trade_id,
                event.ts_event,
                fill.side,
                event.last_qty.as_decimal(),
                float(str(event.last_px)),
                float(event.commission.as_decimal()),
                heard=True,
            )
        )
        self.tally["fills"] += 1
        return self._wishes() if not self.dice.randrange(8) else ()

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        if order.client_order_id in self.emulated:
            # The engine cancels it in the middle of our call, and takes no further call then.
            return ()
        return self._wishes() if not self.dice.randrange(12) else ()

    # What is looked at

    def _on_sent(self, message: object) -> None:
        assert isinstance(message, OrderSent)
        self.sent += 1
        self.tally[message.action] += 1
        if message.action == "cancel":
            return
        self.announced.add(message.client_order_id)
        every = {str(o.client_order_id): _known(o) for o in self.cache.orders()}
        # Orders of a list are judged one after the other; those of a market exit are nobody's.
        orders = {name: order for name, order in every.items() if name in self.announced}
        order = orders[message.client_order_id]
        quantity = order.quantity - order.filled
        price, trigger = order.price, order.trigger_price
        change = message.action == "modify"
        if change:
            terms = self.changing.pop(message.client_order_id, None)
            if terms is None:
                return  # An exit that was built is cut to what is left to close.
            smaller = terms.quantity is not None and terms.quantity <= order.quantity
            if terms.price is None and terms.trigger_price is None and smaller:
                return
            if terms.quantity is not None:
                quantity = terms.quantity // LOT * LOT - order.filled
            price = price if terms.price is None else round(terms.price, 1)
            trigger = trigger if terms.trigger_price is None else round(terms.trigger_price, 1)
        if only_reduces(order, quantity, self._held(), orders.values()):
            return
        case = Case(
            self.now(),
            self.clock.timestamp_ns(),
            order,
            quantity,
            None,
            price,
            trigger,
            change,
            orders,
            self.history,
            whole_bars=True,
            listens={},
        )
        self.tally["openings"] += 1
        problems = broken(self.risk, case, self.asked)
        if problems:
            beside = [o for o in orders.values() if o.state == "open" and o is not order]
            raise Found(f"{order!r} was let through: {'; '.join(problems)}; beside {beside}")
        self.history.openings.append((NAME, BTC, case.clock))

    def _held(self) -> Decimal:
        return self.history.held[NAME, BTC]

    def _compare(self) -> None:
        """Compare the ledger with the engine's cache."""
        ledger, cache = self.context.ledger, self.cache
        held = sum(
            (
                p.quantity.as_decimal() if p.signed_qty > 0 else -p.quantity.as_decimal()
                for p in cache.positions_open()
            ),
            start=Decimal(0),
        )
        if not self.view.quantity(BTC) == self._held() == held:
            raise Found(f"the ledger holds {self.view.quantity(BTC)}, the engine {held}")
        engine = {str(o.client_order_id): o for o in cache.orders()}
        # A market exit is the engine's own: its orders pass if they only reduce, and are not ours.
        strange = [o for name, o in engine.items() if name not in ledger.orders]
        if any(not (o.is_reduce_only and self.tally["market exits"]) for o in strange):
            raise Found(f"the ledger knows nothing of {strange}")
        for name, order in ledger.orders.items():
            its = engine[name]
            if order.filled != its.filled_qty.as_decimal() or order.is_open == its.is_closed:
                raise Found(f"{name}: {order.status} {order.filled}, engine {its}")
        account = cache.account_for_venue(Venue("BINANCE"))
        total = float(account.balance_total(Currency.from_str("USDT")).as_decimal())
        mine = ledger.starting_equity + sum(
            p.realized - p.fees + p.funding for p in ledger.positions.values()
        )
        if abs(total - mine) > 1e-4:
            raise Found(f"the account holds {total}, the ledger says {mine}")
        self.tally["compared"] += 1

    # What is wished

    def quantity(self) -> Decimal:
        notional = self.dice.choice((150.0, 600.0, 2_000.0, 4_999.0, 20_000.0))
        return max(Decimal(notional / self.history.mark(BTC)) // LOT * LOT, LOT)

    def near(self) -> float:
        return self.history.mark(BTC) * (1 + self.dice.randrange(-60, 61) * 5e-4)

    def _wishes(self) -> Iterable[Intent]:
        if not self.history.bars or self.dice.randrange(3):
            return
        yield self.dice.choice((self._order, self._order, self._order, self._close, self._change))()

    def _order(self) -> Intent:
        kind = self.dice.choice(("MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT"))
        level = self.near()
        return OrderIntent(
            instrument_id=BTC,
            side=self.dice.choice(("BUY", "SELL")),
            kind=kind,  # type: ignore[arg-type]
            quantity=self.quantity(),
            price=level if "LIMIT" in kind else None,
            trigger_price=level if kind.startswith("STOP") else None,
            reduce_only=not self.dice.randrange(6),
        )

    def _close(self) -> Intent:
        return CloseIntent(instrument_id=BTC)

    def _change(self) -> Intent:
        orders = self.view.open_orders(BTC)
        if not orders:
            return self._order()
        order = self.dice.choice(orders)
        if not self.dice.randrange(3):
            return CancelIntent(client_order_id=order.client_order_id)
        return ModifyIntent(
            client_order_id=order.client_order_id,
            quantity=self.dice.choice((None, self.quantity())),
            price=self.near() if order.price is not None else None,
            trigger_price=self.near() if order.trigger_price is not None else None,
        )


def _known(order: Any) -> VenueOrder:
    """Return an order of the engine in the words of the invariants."""
    price, trigger = (getattr(order, name, None) for name in ("price", "trigger_price"))
    known = VenueOrder(
        str(order.client_order_id),
        str(order.strategy_id),
        str(order.instrument_id),
        "BUY" if order.side == OrderSide.BUY else "SELL",
        order.order_type.name,
        order.quantity.as_decimal(),
        None if price is None else float(str(price)),
        None if trigger is None else float(str(trigger)),
        order.is_reduce_only,
        (order.tags or [""])[0],
    )
    known.filled = known.heard = order.filled_qty.as_decimal()
    known.state = "ended" if order.is_closed else "open"
    known.end_told = order.is_closed
    return known


# Deeds of a strategy that builds its orders itself


def _side(s: Whim) -> OrderSide:
    return s.dice.choice((OrderSide.BUY, OrderSide.SELL))


def _amount(s: Whim) -> Quantity:
    return Quantity.from_decimal_dp(s.quantity(), 3)


def _price(s: Whim) -> Price:
    return Price(round(s.near(), 1), 2)


def _market(s: Whim, **more: Any) -> Any:
    return s.order_factory.market(BTC_ID, _side(s), _amount(s), **more)


def _build(s: Whim) -> None:
    s.submit_order(_market(s, reduce_only=not s.dice.randrange(4)))


def _build_limit(s: Whim) -> None:
    s.submit_order(s.order_factory.limit(BTC_ID, _side(s), _amount(s), _price(s)))


def _build_emulated(s: Whim) -> None:
    order = s.order_factory.stop_market(
        BTC_ID, _side(s), _amount(s), _price(s), emulation_trigger=TriggerType.LAST_PRICE
    )
    s.emulated.add(str(order.client_order_id))
    s.submit_order(order)


def _build_trailing(s: Whim) -> None:
    s.submit_order(
        s.order_factory.trailing_stop_market(
            BTC_ID,
            _side(s),
            _amount(s),
            trailing_offset=Decimal(20),
            trailing_offset_type=TrailingOffsetType.PRICE,
            trigger_price=_price(s),
        )
    )


def _bracket(s: Whim) -> list[Any]:
    mark = s.history.mark(BTC)
    orders: list[Any] = s.order_factory.bracket(
        BTC_ID,
        OrderSide.BUY,
        _amount(s),
        tp_price=Price(round(mark * 1.004, 1), 2),
        sl_trigger_price=Price(round(mark * 0.996, 1), 2),
    )
    return orders


def _build_bracket(s: Whim) -> None:
    s.submit_order_list(_bracket(s))


def _build_list(s: Whim) -> None:
    s.submit_order_list([_market(s), _market(s)])


def _change_built(s: Whim) -> None:
    orders = s.view.open_orders(BTC)
    if orders:
        order = s.dice.choice(orders)
        s.modify_order(ClientOrderId(order.client_order_id), _amount(s))


def _use_an_id_again(s: Whim) -> None:
    used = list(s.context.ledger.orders)
    if used:
        s.submit_order(_market(s, client_order_id=ClientOrderId(s.dice.choice(used))))


def _close_by_the_engines_name(s: Whim) -> None:
    s.close_all_positions(BTC_ID)


def _leave(s: Whim) -> None:
    if not s.dice.randrange(4):
        s.tally["market exits"] += 1
        s.market_exit()


DEEDS: tuple[Callable[[Whim], None], ...] = (
    _build,
    _build,
    _build_limit,
    _build_emulated,
    _build_trailing,
    _build_bracket,
    _build_list,
    _change_built,
    _use_an_id_again,
    _close_by_the_engines_name,
    _leave,
)

# Around the guard


def _around(s: Whim) -> None:
    Strategy.submit_order(s, _market(s))


def _around_resting(s: Whim) -> None:
    Strategy.submit_order(s, s.order_factory.limit(BTC_ID, _side(s), _amount(s), _price(s)))


def _around_reducing(s: Whim) -> None:
    Strategy.submit_order(s, _market(s, reduce_only=True))


def _around_list(s: Whim) -> None:
    Strategy.submit_order_list(s, [_market(s), _market(s)])


def _around_bracket(s: Whim) -> None:
    Strategy.submit_order_list(s, _bracket(s))


def _around_algorithm(s: Whim) -> None:
    Strategy.submit_order(s, _market(s, exec_algorithm_id=ExecAlgorithmId("TWAP")))


DOORS: tuple[Callable[[Whim], None], ...] = (
    _around,
    _around_resting,
    _around_reducing,
    _around_list,
    _around_bracket,
    _around_algorithm,
)


def _bars(dice: random.Random, count: int) -> list[tuple[float, float, float, float]]:
    rows, price = [], 30_000.0
    for _ in range(count):
        first = round(price * (1 + dice.randrange(-20, 21) * 1e-4), 1)
        last = round(first * (1 + dice.randrange(-40, 41) * 1e-4), 1)
        high = round(max(first, last) * (1 + dice.randrange(20) * 1e-4), 1)
        low = round(min(first, last) * (1 - dice.randrange(20) * 1e-4), 1)
        rows.append((first, high, low, last))
        price = last
    return rows


def run_desk(
    seed: int, bars: int, change: Callable[[Context], None] = lambda _: None
) -> tuple[Rig, Whim]:
    """Run one desk through the engine.

    Raises
    ------
    Found
        What must never happen.
    """
    dice = random.Random(seed)
    risk = draw_risk(lambda n: int(dice.random() * n))
    for name in _GONE:
        risk.pop(name, None)
    risk["rules"] = [
        rule
        for rule in risk["rules"]
        if not any(name in rule for name in _GONE) and rule["scope"].get("instrument") is None
    ]
    settings = decode(risk, RiskSettings, "desk.toml")
    context = make_context(settings)
    change(context)
    strategy = Whim(Settings(), context, NAME)
    strategy.dice, strategy.risk = dice, settings
    if not dice.randrange(3):
        strategy.door, strategy.door_at = dice.choice(DOORS), dice.randrange(5, bars)
    rig = run([strategy], context, _bars(dice, bars), slippage_bps=dice.choice((0.0, 3.0)))
    failures = rig.state.failures
    if failures:
        raise Found(f"seed {seed}: {failures[0].trace}")
    by_door = bool(strategy.tally["side doors"])
    errors = [halt for halt in rig.guard.halts if halt.cause == "error"]
    if by_door != bool(errors):
        raise Found(f"seed {seed}: halts {errors}, through a side door: {by_door}")
    return rig, strategy
