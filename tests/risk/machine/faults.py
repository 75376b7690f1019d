"""Faults to plant into a node, one at a time: what the machine must be able to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from aitb_nautilus.messages import Fill, Intent
from aitb_nautilus.risk.holdings import EVERYTHING
from aitb_nautilus.risk.journal_ahead import path_of
from tests.risk.machine.node import RANDOM, THRESHOLD, Node

__all__ = ["FAULTS", "LIMITS", "without"]

LIMITS = (
    "max_order_notional",
    "max_position_notional",
    "max_gross_notional",
    "max_net_notional",
    "max_leverage",
    "max_concentration_frac",
    "max_open_orders",
    "max_orders_per_minute",
    "max_orders_per_day",
    "max_turnover_per_day",
    "price_band_frac",
    "max_stale_bars",
    "max_clock_skew_ms",
    "max_prediction_age_minutes",
    "max_quote_age_ms",
    "max_spread_frac",
    "min_book_notional",
    "book_band_frac",
    "max_divergence_frac",
    "reference",
    "liquidity",
    "loss_streak",
    "loss_cooldown_minutes",
    "cooldown_minutes",
    "low_profit",
    "stop_guard",
    "max_daily_loss_frac",
    "max_daily_loss",
    "max_volatility_frac",
    "max_risk_share_frac",
    "max_cluster_notional",
    "drawdown",
)
"""Names of all limits; a test holds them against those that the product builds."""


def without(limit: str) -> Callable[[Node], None]:
    """Return a fault: one limit is not asked."""

    def change(node: Node) -> None:
        guard = node.context.guard
        guard.limits = [one for one in guard.limits if one.name != limit]

    return change


def _rules_do_not_count(node: Node) -> None:
    guard = node.context.guard
    guard.limits = [one for one in guard.limits if one.scope is EVERYTHING]


def _pending_orders_do_not_count(node: Node) -> None:
    ledger = node.context.ledger
    ledger.open_orders = lambda instrument_id: []  # type: ignore[method-assign]


def _halts_are_not_asked(node: Node) -> None:
    states = node.context.guard.states
    states.objection = lambda strategy_id, instrument_id: ""  # type: ignore[method-assign]


def _halts_are_forgotten(node: Node) -> None:
    states = node.context.guard.states
    states.put_in_force = lambda halts: None  # type: ignore[method-assign]


def _halts_are_not_stored(node: Node) -> None:
    node.states.keep = lambda halt: None  # type: ignore[method-assign]


def _resumes_are_not_stored(node: Node) -> None:
    node.states.lift = lambda resume: None  # type: ignore[method-assign]


def _ids_of_the_journal_are_not_remembered(node: Node) -> None:
    node.context.guard.permits.remember_sent = lambda ids: None  # type: ignore[method-assign]
    for strategy in node.strategies.values():  # nor looked up where the engine has them
        strategy.answering._sender._port.knows = lambda id_: False


def _orders_before_a_restart_do_not_count(node: Node) -> None:
    node.context.guard.hearing.sent_before = lambda order, ts: None  # type: ignore[method-assign]


def _resting_orders_are_not_asked_for(node: Node) -> None:
    begin = node.begin

    def changed(past: Any) -> Any:
        return [one for one in begin(past) if one.stage != "resting"]

    node.begin = changed  # type: ignore[method-assign]


def _unanswered_orders_are_not_asked_for(node: Node) -> None:
    begin = node.begin

    def changed(past: Any) -> Any:
        return [one for one in begin(past) if one.stage == "resting"]

    node.begin = changed  # type: ignore[method-assign]


def _orders_around_the_guard_pass(node: Node) -> None:
    node.context.guard.permits.objection = lambda *_: ""  # type: ignore[method-assign]


def _halts_are_not_carried_out(node: Node) -> None:
    for strategy in node.strategies.values():
        strategy.answering._enforcement.due = lambda ts: []


def _exits_need_an_active_state(node: Node) -> None:
    guard, judge = node.context.guard, node.context.guard._judge

    def changed(intent: Any, strategy_id: str, ts: int, **how: Any) -> Any:
        decision = judge(intent, strategy_id, ts, **how)
        if decision.reducing and guard.states.objection(strategy_id, intent.instrument_id):
            return guard._refuse(strategy_id, intent.instrument_id, ts, "state", "halted")
        return decision

    guard._judge = changed  # type: ignore[method-assign]


def _exits_need_the_journal(node: Node) -> None:
    for strategy in node.strategies.values():
        departures = strategy.answering._sender._departures
        journalled = departures.journalled

        def changed(orders: Any, journalled: Any = journalled, **how: Any) -> Any:
            for order in orders:
                order.is_exit = False
            return journalled(orders, **how)

        departures.journalled = changed


def _orders_are_sent_twice(node: Node) -> None:
    port = node.strategies[RANDOM].answering._sender._port
    submit = port.submit
    count = [0]

    def twice(terms: Any) -> None:
        submit(terms)
        count[0] += 1
        if not count[0] % 5:
            node.outside.leaves(RANDOM, terms)

    port.submit = twice


def _the_stop_is_forgotten(node: Node) -> None:
    for market in node.strategies[THRESHOLD]._markets.values():
        market.exits._levels.stop_price = lambda mark: None


def _the_stop_is_not_made_larger(node: Node) -> None:
    for market in node.strategies[THRESHOLD]._markets.values():
        exits = market.exits

        def first(fill: Fill, exits: Any = exits) -> Iterator[Intent]:
            position = exits._view.position(fill.instrument_id)
            opens = abs(position.quantity) == fill.quantity
            return type(exits).on_fill(exits, fill) if opens or not position.quantity else iter(())

        exits.on_fill = first
        exits.on_order = lambda order, update: iter(())
        exits.on_bar = lambda bar: iter(())


def _the_journal_is_written_afterwards(node: Node) -> None:
    chronicle = node.context.chronicle
    sent = chronicle.sent
    late: list[Any] = []

    def changed(leaving: Any, ts: int, **_: Any) -> str:
        for before in late:
            sent(*before)
        late[:] = [(leaving, ts)]
        return ""

    chronicle.sent = changed  # type: ignore[method-assign]


def _the_log_ahead_is_thrown_away(node: Node) -> None:
    begin = node.begin

    def changed(past: Any) -> Any:
        path_of(node._path).unlink(missing_ok=True)
        return begin(past)

    node.begin = changed  # type: ignore[method-assign]


def _opening_orders_leave_without_the_journal(node: Node) -> None:
    chronicle = node.context.chronicle
    sent = chronicle.sent

    def changed(leaving: Any, ts: int, **how: Any) -> str:
        sent(leaving, ts, **how)
        return ""

    chronicle.sent = changed  # type: ignore[method-assign]


def _predictions_do_not_expire(node: Node) -> None:
    node.listening[THRESHOLD]._now = lambda: 0


def _changes_are_not_judged(node: Node) -> None:
    guard, judge = node.context.guard, node.context.guard.judge_modify

    def changed(intent: Any, order: Any, ts: int) -> Any:
        decision = judge(intent, order, ts)
        wanted = order.quantity if intent.quantity is None else intent.quantity
        return decision if decision.allowed else replace(decision, quantity=wanted, line="")

    guard.judge_modify = changed  # type: ignore[method-assign]


def _unanswered_changes_do_not_count(node: Node) -> None:
    ledger = node.context.ledger
    ledger.ask_change = lambda *_: None  # type: ignore[method-assign]


def _prices_are_judged_off_the_grid(node: Node) -> None:
    for strategy in node.strategies.values():
        sender = strategy.answering._sender
        sender._on_grid = lambda intent, order: intent


def _fills_count_as_often_as_they_are_told(node: Node) -> None:
    class Never(set[Any]):
        def __contains__(self, _: object) -> bool:
            return False

    node.context.ledger._trades = Never()


def _fills_do_not_reach_the_limits(node: Node) -> None:
    node.context.guard.hear_fill = lambda fill: None  # type: ignore[method-assign]


def _spot_is_sold_short(node: Node) -> None:
    guard = node.context.guard
    guard.lots = {i: replace(rules, long_only=False) for i, rules in guard.lots.items()}


def _lots_are_rounded_up(node: Node) -> None:
    guard, judge = node.context.guard, node.context.guard._through_limits

    def changed(proposal: Any, *, whole: bool) -> Any:
        decision = judge(proposal, whole=whole)
        if not decision.limit or not decision.allowed:
            return decision
        lot = guard.lots[proposal.instrument_id].lot
        return replace(decision, quantity=decision.quantity + lot)

    guard._through_limits = changed  # type: ignore[method-assign]


def _cancels_are_dropped(node: Node) -> None:
    node.strategies[RANDOM].answering._sender.cancel = lambda intent: None


FAULTS: dict[str, Callable[[Node], None]] = {
    **{f"no {name}": without(name) for name in LIMITS},
    "rules do not count": _rules_do_not_count,
    "pending orders do not count": _pending_orders_do_not_count,
    "unanswered changes do not count": _unanswered_changes_do_not_count,
    "changes are not judged": _changes_are_not_judged,
    "prices are judged off the grid": _prices_are_judged_off_the_grid,
    "lots are rounded up": _lots_are_rounded_up,
    "spot is sold short": _spot_is_sold_short,
    "fills count as often as they are told": _fills_count_as_often_as_they_are_told,
    "fills do not reach the limits": _fills_do_not_reach_the_limits,
    "predictions do not expire": _predictions_do_not_expire,
    "halts are not asked": _halts_are_not_asked,
    "halts are forgotten": _halts_are_forgotten,
    "halts are not stored": _halts_are_not_stored,
    "resumes are not stored": _resumes_are_not_stored,
    "ids of the journal are not remembered": _ids_of_the_journal_are_not_remembered,
    "orders before a restart do not count": _orders_before_a_restart_do_not_count,
    "resting orders are not asked for": _resting_orders_are_not_asked_for,
    "unanswered orders are not asked for": _unanswered_orders_are_not_asked_for,
    "orders around the guard pass": _orders_around_the_guard_pass,
    "halts are not carried out": _halts_are_not_carried_out,
    "exits need an active state": _exits_need_an_active_state,
    "exits need the journal": _exits_need_the_journal,
    "cancels are dropped": _cancels_are_dropped,
    "orders are sent twice": _orders_are_sent_twice,
    "the stop is forgotten": _the_stop_is_forgotten,
    "the stop is not made larger": _the_stop_is_not_made_larger,
    "the journal is written afterwards": _the_journal_is_written_afterwards,
    "the log ahead is thrown away": _the_log_ahead_is_thrown_away,
    "opening orders leave without the journal": _opening_orders_leave_without_the_journal,
}
