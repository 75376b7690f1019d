"""Bars that touch stop and target, by hand. Fees 2 and 5 bps, slippage 10 bps, tick 0.1.

A long enters at 100 + slippage = 100.1, stop 95, target 105; a short at 99.9, stop 105, target 95.
"""

from __future__ import annotations

import pytest

from aitb_nautilus.messages import CancelIntent, CloseIntent, ModifyIntent
from tests.run.desk_lab import MINUTE, T0, A, B, Lab, Outcome, buy, flat, sell

BOTH = (100, 106, 94, 100)  # touches 95 and 105
ROWS = [*flat(100, 4), BOTH, *flat(100, 4)]  # bar 5 does
CANCEL_OTHER = {
    "exit:stop": [CancelIntent(client_order_id="exit:target")],
    "exit:target": [CancelIntent(client_order_id="exit:stop")],
}


def stop(side, trigger_price: float, quantity: float = 1):
    return side(
        quantity,
        kind="STOP_MARKET",
        trigger_price=trigger_price,
        reduce_only=True,
        purpose="exit:stop",
    )


def target(side, price: float, quantity: float = 1):
    return side(quantity, kind="LIMIT", price=price, reduce_only=True, purpose="exit:target")


LONG = {"entry": [stop(sell, 95), target(sell, 105)]}
SHORT = {"entry": [stop(buy, 105), target(buy, 95)]}

BRACKET = """
class Bracket(Scripted):
    def on_number(self, bar, number):
        if number == 2:
            self.submit_order_list(
                self.order_factory.bracket(
                    instrument_id=InstrumentId.from_str("AAAUSDT-PERP.SIM"),
                    order_side=OrderSide.SIDE,
                    quantity=Quantity.from_str("1.000"),
                    sl_trigger_price=Price.from_str("STOP"),
                    tp_price=Price.from_str("TARGET"),
                    contingency_type=ContingencyType.OUO,
                )
            )
        return ()
"""


def exit_of(outcome: Outcome) -> tuple[str, float, int]:
    """Return type, price and bar of the one closing fill."""
    fill = outcome.fills[-1]
    kind = next(
        o["type"]
        for o in outcome.table("orders")
        if o["client_order_id"] == fill["client_order_id"]
    )
    assert len(outcome.fills) == 2
    assert (fill["ts"] - T0) % MINUTE == 0
    return kind, fill["price"], (fill["ts"] - T0) // MINUTE


STOP_LONG = ("STOP_MARKET", 94.9)  # 95 * 0.999 = 94.905, down
TARGET_LONG = ("LIMIT", 105.0)
STOP_SHORT = ("STOP_MARKET", 105.2)  # 105 * 1.001 = 105.105, up
TARGET_SHORT = ("LIMIT", 95.0)
CASES = [
    (buy, LONG, "stop_first", STOP_LONG),
    (buy, LONG, "target_first", TARGET_LONG),
    (sell, SHORT, "stop_first", STOP_SHORT),
    (sell, SHORT, "target_first", TARGET_SHORT),
]
IDS = ["long stop", "long target", "short stop", "short target"]


@pytest.mark.parametrize("siblings", [{}, CANCEL_OTHER], ids=["left alone", "cancelled"])
@pytest.mark.parametrize(("side", "exits", "rule", "wanted"), CASES, ids=IDS)
def test_one_bar_that_touches_both_exits_follows_the_rule(
    lab: Lab, side, exits, rule: str, wanted, *, siblings
) -> None:
    outcome = lab.trade(
        ROWS, {2: [side()]}, {**exits, **siblings}, backtest={"ambiguous_bars": rule}
    )
    assert exit_of(outcome) == (*wanted, 5)
    ambiguous = outcome.record.ambiguous
    assert (ambiguous.count, ambiguous.rule) == (1, rule)
    # long: stop 94.9 - 100.1 and its fee 94.9 * 0.0005, target 105 - 100.1 and 105 * 0.0002
    # short: stop 99.9 - 105.2 and 105.2 * 0.0005, target 99.9 - 95 and 95 * 0.0002
    either = (-5.24745, 4.879) if side is buy else (-5.3526, 4.881)
    assert (ambiguous.pnl_stop_first, ambiguous.pnl_target_first) == pytest.approx(either)
    # The trip earned what its rule says, less the fee of the entry.
    told = either[0] if rule == "stop_first" else either[1]
    entry_fee = outcome.fills[0]["fee"]
    assert outcome.trips[0]["pnl"] == pytest.approx(told - entry_fee)


def test_stop_counts_first_unless_the_config_says_otherwise(lab: Lab) -> None:
    outcome = lab.trade(ROWS, {2: [buy()]}, LONG)
    assert exit_of(outcome) == (*STOP_LONG, 5)
    assert outcome.record.ambiguous.rule == "stop_first"


@pytest.mark.parametrize(("side", "exits", "rule", "wanted"), CASES, ids=IDS)
def test_the_bar_of_the_entry_itself_is_settled_too(
    lab: Lab, side, exits, rule: str, wanted
) -> None:
    rows = [*flat(100, 2), BOTH, *flat(100, 3)]
    outcome = lab.trade(rows, {2: [side()]}, exits, backtest={"ambiguous_bars": rule})
    assert exit_of(outcome) == (*wanted, 3)
    assert outcome.record.ambiguous.count == 1


@pytest.mark.parametrize(("side", "exits", "rule", "wanted"), CASES, ids=IDS)
def test_linked_orders_of_a_bracket_follow_the_rule(
    lab: Lab, side, exits, rule: str, wanted
) -> None:
    terms = ("BUY", "95.0", "105.0") if side is buy else ("SELL", "105.0", "95.0")
    code = BRACKET
    for mark, text in zip(("SIDE", "STOP", "TARGET"), terms, strict=True):
        code = code.replace(mark, text)
    outcome = lab.trade(ROWS, {}, code=code, cls="Bracket", backtest={"ambiguous_bars": rule})
    assert exit_of(outcome) == (*wanted, 5)
    assert outcome.record.ambiguous.count == 1
    ended = {o["type"]: o["status"] for o in outcome.table("orders")}
    loser = "LIMIT" if wanted[0] == "STOP_MARKET" else "STOP_MARKET"
    assert ended == {"MARKET": "FILLED", wanted[0]: "FILLED", loser: "CANCELED"}


@pytest.mark.parametrize(
    ("bar", "limit_fill", "count", "wanted"),
    [
        ((100, 105, 94, 100), "through", 0, STOP_LONG),  # 105 is touched, which does not fill it
        ((100, 105, 94, 100), "touch", 1, STOP_LONG),
        ((100, 105.1, 95, 100), "through", 1, STOP_LONG),  # a stop is reached at its price
        ((100, 106, 95.1, 100), "through", 0, TARGET_LONG),
    ],
    ids=["target touched", "target touched fills", "stop touched", "stop missed"],
)
def test_only_what_would_fill_makes_a_bar_ambiguous(
    lab: Lab, bar, limit_fill: str, count: int, wanted
) -> None:
    rows = [*flat(100, 4), bar, *flat(100, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, LONG, venue={"limit_fill": limit_fill})
    assert exit_of(outcome) == (*wanted, 5)
    assert outcome.record.ambiguous.count == count


def test_gap_decides_before_the_rule_does(lab: Lab) -> None:
    # Bar 5 opens below the stop: that is known, whatever the bar does later.
    rows = [*flat(100, 4), (94, 106, 93, 100), *flat(100, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, LONG)
    assert outcome.fills[-1]["price"] == 93.9  # 94 * 0.999 = 93.906, down
    assert outcome.record.ambiguous.count == 0


def test_target_that_was_held_aside_goes_back_to_its_price(lab: Lab) -> None:
    # The stop closes half in bar 5; the target of the whole must still stand at 105 in bar 7, whose
    # high is 105.5, below where it was held.
    rows = [*flat(100, 4), BOTH, *flat(100), (100, 105.5, 100, 100), *flat(100)]
    exits = {"entry": [stop(sell, 95, 1), target(sell, 105, 2)]}
    outcome = lab.trade(rows, {2: [buy(2)]}, exits)
    kinds = [(f["purpose"], f["price"], (f["ts"] - T0) / MINUTE) for f in outcome.fills[1:]]
    assert kinds == [("exit:stop", 94.9, 5), ("exit:target", 105.0, 7)]


def test_tables_show_the_price_that_the_strategy_set(lab: Lab) -> None:
    outcome = lab.trade(ROWS, {2: [buy()]}, LONG)
    prices = {o["type"]: (o["price"], o["trigger_price"]) for o in outcome.table("orders")}
    assert prices == {
        "MARKET": (None, None),
        "STOP_MARKET": (None, 95.0),
        "LIMIT": (105.0, None),
    }


SPY = """
class Spy(Scripted):
    def decide_on_order(self, order, update):
        terms = (update.price, update.trigger_price, order.price, order.trigger_price)
        if set(terms) - {None, 95.0, 105.0}:
            raise AssertionError(f"saw {terms}, which looks ahead")
        return ()

    def decide_on_fill(self, fill):
        for order in self.view.open_orders(fill.instrument_id):
            if order.price not in (None, 95.0, 105.0):
                raise AssertionError(f"saw {order.price}, which looks ahead")
        return super().decide_on_fill(fill)
"""


@pytest.mark.parametrize(("side", "exits", "rule", "wanted"), CASES, ids=IDS)
def test_strategy_never_sees_that_an_order_was_held_aside(
    lab: Lab, side, exits, rule: str, wanted
) -> None:
    rules = {"ambiguous_bars": rule}
    outcome = lab.trade(ROWS, {2: [side()]}, exits, code=SPY, cls="Spy", backtest=rules)
    assert exit_of(outcome) == (*wanted, 5)


def test_every_ambiguous_exit_of_a_run_is_counted(lab: Lab) -> None:
    rows = [*ROWS, *flat(100, 2), (100, 107, 93, 100), *flat(100, 2)]  # bars 5 and 12
    outcome = lab.trade(
        rows, {2: [buy()], 8: [sell(purpose="short")]}, {**LONG, "short": SHORT["entry"]}
    )
    assert [f["price"] for f in outcome.fills] == [100.1, 94.9, 99.9, 105.2]
    assert outcome.record.ambiguous.count == 2
    assert outcome.record.ambiguous.pnl_stop_first == pytest.approx(-5.24745 - 5.3526)


def test_orders_changed_many_times_before_count_once(lab: Lab) -> None:
    rows = [*flat(100, 8), BOTH, *flat(100, 2)]
    changes = {
        n: [ModifyIntent(client_order_id="exit:target", price=110 - n + 0.5)] for n in range(3, 8)
    }
    outcome = lab.trade(rows, {2: [buy()], **changes}, LONG)
    # After bar 7 the target stands at 103.5; bar 9 touches it and the stop.
    assert exit_of(outcome) == (*STOP_LONG, 9)
    assert outcome.record.ambiguous.count == 1
    assert outcome.record.ambiguous.pnl_target_first == pytest.approx(
        103.5 - 100.1 - 103.5 * 0.0002
    )


def test_bar_far_beyond_the_search_window_is_found(lab: Lab) -> None:
    rows = [*flat(100, 2), *flat(100, 2100), BOTH, *flat(100, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, LONG)
    assert exit_of(outcome) == (*STOP_LONG, 2103)
    assert outcome.record.ambiguous.count == 1


def test_stop_moved_out_of_reach_leaves_the_bar_unambiguous(lab: Lab) -> None:
    move = ModifyIntent(client_order_id="exit:stop", trigger_price=93.0)
    outcome = lab.trade(ROWS, {2: [buy()], 4: [move]}, LONG)
    assert exit_of(outcome) == (*TARGET_LONG, 5)
    assert outcome.record.ambiguous.count == 0


def test_position_closed_before_the_bar_leaves_it_unambiguous(lab: Lab) -> None:
    close = [CancelIntent(client_order_id=p) for p in ("exit:stop", "exit:target")]
    outcome = lab.trade(ROWS, {2: [buy()], 4: [*close, CloseIntent(instrument_id=A)]}, LONG)
    assert outcome.fills[-1]["purpose"] == "exit:signal"
    assert outcome.record.ambiguous.count == 0


def test_two_strategies_on_one_instrument_are_settled_each_on_its_own(lab: Lab) -> None:
    lab.bars(ROWS)
    outcome = lab.run(
        lab.strategy({2: [buy()]}, LONG, id_="one"),
        lab.strategy(
            {2: [buy(2)]}, {"entry": [stop(sell, 96, 2), target(sell, 104, 2)]}, id_="two"
        ),
    )
    closing = [(f["strategy_id"], f["price"]) for f in outcome.fills if f["purpose"] != "entry"]
    assert closing == [("two-002", 95.9), ("one-001", 94.9)]  # the higher stop comes first
    assert outcome.record.ambiguous.count == 2


def test_two_instruments_are_settled_each_on_its_own(lab: Lab) -> None:
    lab.bars(ROWS, A)
    lab.bars([*flat(100, 5), BOTH, *flat(100, 3)], B)
    long_b = [
        stop(lambda q, **t: sell(q, B, **t), 95),
        target(lambda q, **t: sell(q, B, **t), 105),
    ]
    script = {2: [buy(), buy(1, B)]}
    outcome = lab.run(lab.strategy(script, {**LONG, (B, "entry"): long_b}, instruments=(A, B)))
    closing = [
        (f["instrument_id"], f["price"], (f["ts"] - T0) / MINUTE)
        for f in outcome.fills
        if f["purpose"] != "entry"
    ]
    assert closing == [(A, 94.9, 5), (B, 94.9, 6)]
    assert outcome.record.ambiguous.count == 2


def test_bars_after_a_gap_are_settled(lab: Lab) -> None:
    rows = [*flat(100, 4), None, None, None, BOTH, *flat(100, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, LONG)
    assert exit_of(outcome) == (*STOP_LONG, 8)
    assert outcome.record.ambiguous.count == 1
