"""When limits begin to act, when they end, and what they forget."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from aitb_nautilus.messages import ModifyIntent, OrderIntent
from aitb_nautilus.risk.drawdown import DrawdownLadder
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.holdings import Looks
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import Limit, Proposal, Verdict
from aitb_nautilus.risk.trading_states import Resume
from tests.risk.limit_lab import DAY, MINUTE, Desk, X, Y, settings

HOUR = 60 * MINUTE


def lose(desk: Desk, loss: float, instrument: str = X, purpose: str = "exit:signal") -> None:
    desk.trade("1", 100.0, instrument)
    desk.trade("-1", 100.0 - loss, instrument, purpose=purpose)


def desk_with(**risk: object) -> Desk:
    desk = Desk(settings(**risk))
    for instrument in (X, Y):
        desk.bar(100.0, instrument=instrument)
    return desk


def passes(desk: Desk, instrument: str = X) -> bool:
    return desk.ask("1", instrument=instrument).line == ""


def test_pause_after_a_streak_ends_to_the_nanosecond_and_the_count_begins_anew() -> None:
    desk = desk_with(loss_streak={"losses": 2, "pause_minutes": 60})
    lose(desk, 1)
    assert passes(desk)
    lose(desk, 1, Y)
    desk.now += HOUR - 1
    assert not passes(desk)
    assert not passes(desk, Y)
    desk.now += 1
    assert passes(desk)
    lose(desk, 1)
    assert passes(desk)


def test_gain_or_nothing_ends_a_streak() -> None:
    desk = desk_with(loss_streak={"losses": 2, "pause_minutes": 60})
    for loss in (1, 0, 1, -1, 1):
        lose(desk, loss)
    assert passes(desk)


def test_fees_make_a_flat_trade_a_loss() -> None:
    desk = desk_with(loss_cooldown_minutes=30)
    desk.trade("1", fee=0.1)
    desk.trade("-1", fee=0.1)
    assert "lost 0.20" in desk.ask("1").line


def test_each_trade_counts_by_itself_and_a_flip_ends_one() -> None:
    desk = desk_with(loss_cooldown_minutes=30)
    desk.trade("1")
    desk.trade("-3", 101.0)  # gains 1 and goes short 2
    assert passes(desk)
    desk.trade("1", 102.0)  # part of an exit ends nothing
    assert passes(desk)
    desk.trade("1", 102.0)
    assert "lost 2.00" in desk.ask("1").line


def test_cooldown_is_for_the_instrument_that_lost() -> None:
    desk = desk_with(loss_cooldown_minutes=30)
    lose(desk, 1)
    assert not passes(desk)
    assert passes(desk, Y)
    desk.now += 30 * MINUTE
    assert passes(desk)


def test_low_profit_judges_the_last_trades_within_its_window() -> None:
    rule = {"trades": 2, "pause_minutes": 60, "window_minutes": 10, "min_pnl": 0.0}
    desk = desk_with(low_profit=rule)
    lose(desk, 1)
    desk.now += 11 * MINUTE
    lose(desk, 1)
    assert passes(desk)
    lose(desk, 1)
    assert not passes(desk)
    assert passes(desk, Y)
    desk.now += HOUR
    assert passes(desk)
    lose(desk, 5)
    assert passes(desk)  # one trade alone is not judged


def test_window_and_pause_of_low_profit_end_to_the_nanosecond() -> None:
    for late in (0, 1):
        rule = {"trades": 2, "pause_minutes": 60, "window_minutes": 10, "min_pnl": 0.0}
        desk = desk_with(low_profit=rule)
        lose(desk, 1)
        desk.now += 10 * MINUTE + late
        lose(desk, 1)
        assert passes(desk) == bool(late)
        desk.now += HOUR - 1
        assert passes(desk) == bool(late)
        desk.now += 1
        assert passes(desk)


def test_profit_right_at_its_floor_is_enough() -> None:
    rule = {"trades": 2, "pause_minutes": 60, "min_pnl": -2.0}
    desk = desk_with(low_profit=rule)
    lose(desk, 1)
    lose(desk, 1)
    assert passes(desk)
    lose(desk, 1.01)
    assert not passes(desk)


def test_stop_guard_counts_losing_stops_within_its_window() -> None:
    rule = {"stops": 2, "window_minutes": 10, "pause_minutes": 60}
    desk = desk_with(stop_guard=rule)
    lose(desk, 1, purpose="exit:stop")
    lose(desk, 1, purpose="exit:signal")
    lose(desk, -1, purpose="exit:stop")
    assert passes(desk)
    desk.now += 11 * MINUTE
    lose(desk, 1, purpose="exit:trailing")
    assert passes(desk)
    lose(desk, 1, Y, purpose="exit:stop")
    assert not passes(desk)
    assert not passes(desk, Y)
    desk.now += HOUR
    assert passes(desk)


def test_day_begins_at_midnight_for_orders_turnover_and_losses() -> None:
    desk = desk_with(max_orders_per_day=1, max_turnover_per_day=500.0, max_daily_loss_frac=0.01)
    assert passes(desk)
    assert not passes(desk)
    desk.trade("4.5")
    desk.bar(70.0, DAY - 1)  # 135 of 10,000 are lost
    assert not passes(desk)
    desk.bar(70.0, 1)  # the close at midnight is the first equity of the day
    assert desk.ask("7").quantity == 7
    desk.bar(69.0, MINUTE)
    assert not passes(desk)  # the one order of this day was sent


def test_daily_loss_is_counted_from_the_equity_of_the_day() -> None:
    desk = desk_with(max_daily_loss_frac=0.01)
    desk.trade("10")
    desk.bar(95.0, HOUR)  # 50 of 10,000
    desk.bar(92.0, DAY - HOUR)  # the first equity of the day: 9,920
    desk.bar(82.2, HOUR)  # 98 of 9,920
    assert passes(desk)
    desk.bar(82.0, HOUR)  # 100 of 9,920: 1.008 %
    assert not passes(desk)


@pytest.mark.parametrize("key", ["max_daily_loss_frac", "max_daily_loss"])
def test_loss_of_a_day_counts_until_the_last_nanosecond_before_midnight(key: str) -> None:
    desk = desk_with(**{key: 0.01 if key.endswith("frac") else 100.0})
    desk.trade("10")
    desk.bar(90.0, HOUR)  # 100 of 10,000
    desk.bar(100.0, 0, Y)
    desk.now = 2 * DAY - 1
    assert not passes(desk)
    desk.now += 1  # whatever comes before the bar that closes now
    assert passes(desk)


def test_loss_after_midnight_counts_though_no_bar_closed_at_midnight() -> None:
    desk = desk_with(max_daily_loss_frac=0.01)
    desk.trade("20")
    desk.bar(99.0, HOUR)
    desk.bar(100.0, 0, Y)  # 9,980, the last of the day
    desk.now += DAY
    desk.trade("-20", 93.0)  # 9,860: 1.2 % of it, before any bar of the new day
    assert "the day has lost 1.20% of 9,980.00" in desk.ask("1").line
    desk.bar(93.0, HOUR)
    desk.bar(100.0, 0, Y)
    assert "the day has lost 1.20% of 9,980.00" in desk.ask("1").line


def test_what_comes_late_from_the_day_before_does_not_begin_it_anew() -> None:
    desk = desk_with(max_orders_per_day=2, max_turnover_per_day=1_000.0)
    desk.trade("4")
    assert passes(desk)
    assert passes(desk)
    desk.now -= 1
    desk.trade("1")
    assert not passes(desk)
    desk.now += 1
    assert not passes(desk)
    assert desk.ask("9").quantity == 0


def test_loss_of_a_rule_is_that_of_its_scope() -> None:
    rule = {"scope": {"strategy": "S"}, "max_daily_loss": 10.0}
    desk = desk_with(rules=[rule])
    desk.trade("1")
    desk.trade("-1", strategy="T-001")
    desk.bar(95.0, MINUTE)
    desk.trade("1", 110.0, strategy="T-001")  # lost 10, and the other 5
    assert passes(desk)
    desk.bar(90.0, MINUTE)
    assert "the day has lost 10.00, and max_daily_loss is 10.00" in desk.ask("1").line
    assert desk.ask("1", strategy="T-001").line == ""


def test_leverage_of_a_rule_counts_its_scope_against_all_equity() -> None:
    rule = {"scope": {"instrument": X}, "max_leverage": 0.1}
    desk = desk_with(rules=[rule])
    desk.trade("8")
    desk.trade("50", instrument=Y)
    assert desk.ask("5").quantity == 2
    assert desk.ask("50", instrument=Y).line == ""


def test_limit_that_shrinks_without_a_word_shrinks_all_the_same() -> None:
    class Mute(Limit):
        name = "mute"

        def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
            return Verdict(Decimal(1))

    desk = desk_with()
    guard = Guard(desk.ledger, [Mute()], desk.guard.lots)
    intent = OrderIntent(instrument_id=X, side="BUY", quantity=Decimal(3))
    assert guard.judge(intent, "S-001", desk.now).quantity == 1


def test_stale_market_opens_again_with_its_next_bar_and_others_are_not_hit() -> None:
    desk = desk_with(max_stale_bars=1)
    for instrument in (X, Y):
        desk.bar(100.0, MINUTE if instrument == X else 0, instrument)
    desk.now += MINUTE
    assert passes(desk)
    desk.bar(100.0, 1, Y)
    assert not passes(desk)
    assert passes(desk, Y)
    desk.bar(100.0)
    assert passes(desk)


def test_drawdown_steps_back_when_equity_recovers() -> None:
    desk = desk_with(drawdown={"shrink_frac": 0.01, "reduce_frac": 0.05})
    desk.trade("20")
    desk.bar(70.0, MINUTE)
    assert desk.ask("4").quantity == 0
    desk.bar(90.0, MINUTE)
    assert desk.ask("4").quantity == 2
    desk.bar(99.0, MINUTE)
    assert desk.ask("4").quantity == 4


def test_drawdown_counts_from_the_highest_close_and_between_closes() -> None:
    desk = desk_with(drawdown={"reduce_frac": 0.05})
    desk.trade("20")
    for instrument in (X, Y):
        desk.bar(200.0, MINUTE if instrument == X else 0, instrument)  # the peak: 12,000
    desk.bar(171.0, MINUTE)
    assert passes(desk)  # 11,420 is 4.83 % below
    desk.trade("-10", 166.0)
    assert "5.25% below its peak 12,000.00" in desk.ask("1").line


@pytest.mark.parametrize(
    ("close", "quantity"), [(75.1, 4), (75.0, 2), (50.1, 2), (50.0, 0), (25.1, 0)]
)
def test_each_step_of_the_ladder_begins_right_at_its_drawdown(close: float, quantity: int) -> None:
    steps = {"shrink_frac": 0.25, "reduce_frac": 0.5, "halt_frac": 0.75}
    desk = desk_with(drawdown=steps)
    desk.trade("100")
    desk.bar(close, MINUTE)
    desk.bar(100.0, 0, Y)
    assert desk.ask("4").quantity == quantity
    assert not desk.guard.halts
    desk.bar(25.0, MINUTE)
    desk.bar(100.0, 0, Y)
    assert len(desk.guard.halts) == 1


def test_change_that_only_moves_a_price_passes_the_first_step_and_no_larger_one_does() -> None:
    desk = desk_with(drawdown={"shrink_frac": 0.01})
    order = desk.rest("1")
    desk.trade("20")
    desk.bar(90.0, MINUTE)

    def change(**terms: object) -> Decimal:
        intent = ModifyIntent(client_order_id=order.client_order_id, **terms)  # type: ignore[arg-type]
        return desk.guard.judge_modify(intent, order, desk.now).quantity

    assert change(price=89.0) == 1
    assert change(quantity=Decimal(2)) == 0


def test_daily_loss_is_reached_right_at_its_figure() -> None:
    desk = desk_with(max_daily_loss_frac=0.25)
    desk.trade("100")
    desk.bar(75.1, MINUTE)
    desk.bar(100.0, 0, Y)
    assert passes(desk)
    desk.bar(75.0, MINUTE)
    desk.bar(100.0, 0, Y)
    assert not passes(desk)


def test_trade_that_brought_nothing_lost_nothing_and_is_a_trade() -> None:
    lost, each = desk_with(loss_cooldown_minutes=30), desk_with(cooldown_minutes=30)
    for desk in (lost, each):
        lose(desk, 0)
    assert passes(lost)
    each.now += 30 * MINUTE - 1
    assert not passes(each)
    each.now += 1
    assert passes(each)


def test_stop_without_a_loss_does_not_count_and_one_at_the_end_of_the_window_does() -> None:
    desk = desk_with(stop_guard={"stops": 2, "window_minutes": 10, "pause_minutes": 60})
    lose(desk, 0, purpose="exit:stop")
    lose(desk, 1, purpose="exit:stop")
    assert passes(desk)
    desk.now += 10 * MINUTE
    lose(desk, 1, purpose="exit:stop")
    assert not passes(desk)


def test_bar_that_is_told_twice_is_no_shorter_interval() -> None:
    desk = desk_with(max_stale_bars=1)
    for after in (MINUTE, 0, 0):
        desk.bar(100.0, after)
    assert passes(desk)
    desk.now += MINUTE
    assert passes(desk)


def test_trader_without_any_equity_is_refused_in_words() -> None:
    correlation = {"max_volatility_frac": 0.5, "max_risk_share_frac": 0.5, "min_bars": 2}
    for limit in ({"max_daily_loss_frac": 0.5}, {"correlation": correlation}):
        desk = desk_with(**limit)
        desk.bar(100.0, MINUTE)
        desk.bar(110.0, MINUTE)
        desk.bar(100.0, MINUTE)
        desk.trade("1", fee=10_000.0)
        desk.trade("-1")
        for instrument in (X, Y):
            desk.bar(100.0, DAY - 3 * MINUTE if instrument == X else 0, instrument)
        assert desk.ledger.equity() == 0
        refused = desk.ask("1")
        assert not refused.allowed
        assert "100" in refused.line


def test_peak_of_the_last_days_is_forgotten_once_it_is_older() -> None:
    desk = desk_with(drawdown={"reduce_frac": 0.05, "window_days": 2})
    desk.trade("20")

    def both(close: float, after: int) -> None:
        desk.bar(close, after)
        desk.bar(100.0, 0, Y)

    both(150.0, HOUR)  # the peak: 11,000
    both(120.0, HOUR)  # 10,400 is 5.45 % below
    desk.trade("-20", 120.0)
    assert not passes(desk)
    both(120.0, 2 * DAY - HOUR - 1)
    assert "5.45% below its peak 11,000.00" in desk.ask("1").line
    both(120.0, 1)
    assert passes(desk)
    desk.trade("20", 120.0)
    both(90.0, HOUR)
    assert "below its peak 10,400.00" in desk.ask("1").line


def test_highest_of_the_last_days_is_that_of_a_plain_account() -> None:
    ladder = DrawdownLadder(0.1, 0.5, None, None, 3)
    draw, seen = random.Random(4), []
    looks = Looks(Ledger(100.0))
    for hour in range(400):
        looks._ledger.starting_equity = draw.uniform(50, 150)
        looks._whole.clear()
        ladder.hear_close(hour * HOUR, looks)
        seen.append(looks._ledger.starting_equity)
        assert ladder._peak == max(seen[-72:])


def test_last_step_halts_and_asks_to_close_everything_once() -> None:
    desk = desk_with(drawdown={"halt_frac": 0.1})
    desk.trade("20")
    for close in (45.0, 40.0):
        for instrument in (X, Y):
            desk.bar(close, MINUTE if instrument == X else 0, instrument)
    guard = desk.guard
    assert (guard.state, len(guard.halts)) == ("halted", 1)
    assert guard.states.flattens("S-001", X)
    halt = guard.halts[0]
    assert halt.by_limit
    assert "equity 8,900.00 lies 11.00% below its peak 10,000.00" in halt.reason
    assert "drawdown.halt_frac is 10.00%" in halt.reason
    assert not desk.ask("1").allowed
    assert desk.ask("20", "SELL").quantity == 20  # an exit passes


def test_resumed_ladder_counts_from_the_equity_of_the_resume() -> None:
    desk = desk_with(drawdown={"shrink_frac": 0.05, "halt_frac": 0.1})
    desk.bar(100.0, MINUTE)
    desk.trade("20")
    desk.bar(40.0, MINUTE)  # 8,800 of 10,000
    assert desk.guard.state == "halted"
    assert desk.guard.resume(Resume(5, "looked at it", "me@here"))
    for close in (40.0, 39.0):  # 20 of 8,800 is not a twentieth
        desk.bar(close, MINUTE)
        assert desk.guard.state == "active"
        assert desk.ask("1").line == ""
    desk.bar(0.5, MINUTE)  # 8,010 is 8.98 % below
    assert desk.guard.state == "active"
    assert "8.98% below its peak 8,800.00" in desk.ask("4").line
    desk.trade("20", 0.5)
    desk.bar(0.1, MINUTE)
    assert desk.guard.state == "active"
    assert len(desk.guard.halts) == 1


def test_ladder_halts_again_after_a_resume_once_as_much_was_lost_again() -> None:
    desk = desk_with(drawdown={"halt_frac": 0.1})
    desk.bar(100.0, MINUTE)
    desk.trade("20")
    desk.bar(40.0, MINUTE)
    desk.guard.resume(Resume(5, "looked at it", "me@here"))
    desk.trade("60", 40.0)
    desk.bar(28.0, MINUTE)  # 80 * 12 = 960 of 8,800
    assert desk.guard.state == "halted"
    assert [halt.by_limit for halt in desk.guard.halts] == [True, True]


def test_equity_is_looked_at_once_all_bars_of_a_time_are_there() -> None:
    # Long X and short Y of the same amount: while only one is marked, half the book looks lost.
    desk = desk_with(drawdown={"halt_frac": 0.1})
    desk.trade("20")
    desk.trade("-20", instrument=Y)
    for close in (100.0, 40.0, 200.0):
        desk.bar(close, MINUTE)
        desk.bar(close, 0, Y)
    assert desk.guard.state == "active"
    desk.bar(100.0, MINUTE)  # X alone: it stays open whether Y is still to come
    assert desk.guard.state == "active"
    desk.bar(100.0, MINUTE)
    assert desk.guard.state == "halted"


@pytest.mark.parametrize(
    ("risk", "room"),
    [
        ({"max_gross_notional": 500.0}, "5"),
        ({"max_net_notional": 500.0}, "5"),
        ({"max_leverage": 0.05}, "5"),
        ({"max_concentration_frac": 0.05}, "5"),
        ({"max_turnover_per_day": 500.0}, "5"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_changed_order_is_not_counted_twice(risk: dict[str, float], room: str) -> None:
    desk = desk_with(**risk)
    order = desk.rest("4")

    def change(quantity: str) -> Decimal:
        intent = ModifyIntent(client_order_id=order.client_order_id, quantity=Decimal(quantity))
        return desk.guard.judge_modify(intent, order, desk.now).quantity

    assert change(room) == Decimal(room)
    assert change("5.001") == 0
    assert change("1") == 1


def test_bar_that_came_late_is_old_by_the_clock_of_the_node_and_not_by_its_own_time() -> None:
    desk = desk_with(max_stale_bars=1)
    desk.bar(100.0, MINUTE)
    desk.guard.clock = lambda: desk.now + MINUTE + 1
    assert "1.0 intervals of 60 s old" in desk.ask("1").line
    desk.guard.clock = lambda: desk.now + MINUTE
    assert passes(desk)


def test_bar_ahead_of_the_clock_of_the_node_is_told_by_that_clock() -> None:
    desk = desk_with(max_clock_skew_ms=500)
    desk.guard.clock = lambda: desk.now - 500_000_001
    assert "the last bar of X.V lies 500 ms ahead of the clock" in desk.ask("1").line
    desk.guard.clock = lambda: desk.now - 500_000_000
    assert passes(desk)


def test_rate_counts_by_the_clock_when_orders_answer_facts_of_different_age() -> None:
    desk = desk_with(max_orders_per_minute=2)
    clock = desk.now + HOUR
    desk.guard.clock = lambda: clock
    assert passes(desk)
    assert passes(desk)
    desk.now = clock  # another strategy answers a fact of this moment
    assert "in 60.0 s" in desk.ask("1").line
    clock += MINUTE
    assert passes(desk)
    desk.now -= HOUR  # and one an older fact; both left in this minute
    assert passes(desk)
    assert not passes(desk)
