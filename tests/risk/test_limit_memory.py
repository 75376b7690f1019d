"""What limits remember comes back exactly, whatever the limit; what cannot, is said."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.guard import Guard, LotRules
from aitb_nautilus.risk.holdings import Looks
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_memory import MEMORY, MemoryRow
from aitb_nautilus.risk.limit_rule import Limit
from aitb_nautilus.risk.limits import RiskSettings, build_limits
from aitb_nautilus.risk.trading_states import StateError
from tests.risk.limit_lab import (
    LOT,
    MINUTE,
    SCENARIOS,
    Desk,
    Scenario,
    X,
    Y,
    Z,
    settings,
    start,
)

HOUR = 60 * MINUTE


class Shelf:
    """A keeper that remembers rows, or cannot."""

    def __init__(self, rows: dict[tuple[str, str], MemoryRow] | None = None) -> None:
        self.rows = rows or {}
        self.writes: list[list[str]] = []
        self.broken = False

    def remember(self, rows: Sequence[MemoryRow]) -> None:
        if self.broken:
            raise StateError("a.sqlite", "disk full")
        self.writes.append([row.limit for row in rows])
        self.rows |= {(row.limit, row.scope): row for row in rows}


def keep(desk: Desk, shelf: Shelf) -> tuple[list[str], list[str]]:
    """Let a desk's limits go on from what a shelf holds, and write there."""
    memory = desk.guard.memory
    found = memory.bring_back(list(shelf.rows.values()))
    memory.keeper, desk.guard.hearing.heard = shelf, memory.fills
    return found


def kept_desk(risk: RiskSettings, shelf: Shelf) -> Desk:
    desk = Desk(risk)
    keep(desk, shelf)
    return desk


def restarted(desk: Desk, risk: RiskSettings, *, ledger: Ledger | None = None) -> Desk:
    """Return the desk with the limits of another process; the ledger comes from the journal."""
    other = Desk(risk)
    other.ledger = copy.deepcopy(desk.ledger) if ledger is None else ledger
    other.guard = Guard(other.ledger, build_limits(risk), dict.fromkeys((X, Y, Z), LotRules(LOT)))
    other.now, other.count = desk.now, desk.count
    for name in ("_flat_at", "_awaited", "_there", "_now", "_told"):
        # The journal's fills tell the first, bars of the past the others.
        setattr(other.guard.hearing, name, copy.copy(getattr(desk.guard.hearing, name)))
    return other


def state(limit: Limit) -> dict[str, Any]:
    return {k: v for k, v in vars(limit).items() if k not in ("scope", "place")}


def every_limit() -> set[type[Limit]]:
    found, left = set(), [Limit]
    while left:
        left += (children := left.pop().__subclasses__())
        found |= {one for one in children if not one.__name__.startswith("_")}
    return {one for one in found if one.__module__.startswith("aitb_nautilus.risk.")}


def test_scenarios_hold_every_limit() -> None:
    names = {scenario.limit for scenario in SCENARIOS}
    assert {one.name for one in every_limit()} == names


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.limit}-{s.quantity}")
def test_limit_that_changes_says_how_it_survives_a_restart(scenario: Scenario) -> None:
    """A new limit that remembers something fails here until it saves it."""
    risk = settings(**scenario.risk)
    fresh = {(one.name, one.place): one for one in build_limits(risk)}
    desk = start(scenario)
    desk.ask(*scenario.wish, **scenario.terms)
    desk.bar(100.0, MINUTE)
    for limit in desk.guard.limits:
        changed = repr(state(limit)) != repr(state(fresh[limit.name, limit.place]))
        if limit.relearns:
            assert limit.memory is None
        else:
            assert not changed or limit.memory is not None, f"{type(limit).__name__} forgets"


@pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS if s.limit != "liquidity"], ids=lambda s: s.limit
)
def test_limit_goes_on_as_if_nothing_had_happened(scenario: Scenario) -> None:
    desk = start(scenario)
    shelf = Shelf()
    keep(desk, shelf)
    desk.guard.memory.write(desk.now, desk.guard.memory.everything)
    other = restarted(desk, settings(**scenario.risk))
    assert keep(other, shelf) == ([], [])
    twins = zip(desk.guard.limits, other.guard.limits, strict=True)
    for before, after in ((b, a) for b, a in twins if b.memory is not None):
        assert state(before) == state(after)
        if before.name == scenario.limit:
            asked = [d.ask(*scenario.wish, **scenario.terms) for d in (desk, other)]
            assert asked[0] == asked[1]
            assert all(word in asked[1].line for word in scenario.words)


ALL = {
    "max_orders_per_minute": 3,
    "max_orders_per_day": 12,
    "max_turnover_per_day": 4_000.0,
    "max_daily_loss": 30.0,
    "max_daily_loss_frac": 0.004,
    "cooldown_minutes": 2,
    "loss_cooldown_minutes": 7,
    "loss_streak": {"losses": 2, "pause_minutes": 9},
    "low_profit": {"trades": 3, "min_pnl": 1.0, "pause_minutes": 11, "window_minutes": 50},
    "stop_guard": {"stops": 2, "window_minutes": 30, "pause_minutes": 13},
    "drawdown": {"shrink_frac": 0.002, "reduce_frac": 0.008, "window_days": 1},
    "rules": [
        {"scope": {"instrument": Y}, "max_daily_loss": 10.0, "max_orders_per_day": 5},
        {"scope": {"strategy": "S"}, "loss_streak": {"losses": 4, "pause_minutes": 5}},
    ],
}
EVENTS = st.one_of(
    st.tuples(st.just("bar"), st.sampled_from([X, Y]), st.integers(90, 110), st.integers(1, 300)),
    st.tuples(st.just("trip"), st.sampled_from([X, Y]), st.integers(-9, 5), st.booleans()),
    st.tuples(st.just("hold"), st.sampled_from([X, Y]), st.integers(-3, 3), st.just(0)),
    st.tuples(st.just("ask"), st.sampled_from([X, Y]), st.integers(1, 3), st.just(0)),
    st.tuples(st.just("resume"), st.just(X), st.just(0), st.just(0)),
)


def happen(desk: Desk, event: tuple[str, str, int, Any]) -> object:
    kind, where, number, more = event
    if kind == "bar":
        desk.bar(float(number), more * MINUTE, where)
    elif kind == "trip":
        desk.trade("1", 100.0, where)
        desk.trade("-1", 100.0 + number, where, purpose="exit:stop" if more else "exit:signal")
    elif kind == "hold" and number:
        desk.trade(str(number), desk.ledger.marks[where], where)
    elif kind == "resume":
        desk.guard.begin_anew(desk.now)
    elif kind == "ask":
        return desk.ask(str(number), instrument=where)
    return None


@hypothesis_settings(max_examples=120, deadline=None)
@given(st.lists(EVENTS, max_size=25), st.lists(EVENTS, min_size=1, max_size=25))
def test_any_history_goes_on_the_same_after_a_restart(before: list[Any], after: list[Any]) -> None:
    risk, shelf = settings(**ALL), Shelf()
    desk = kept_desk(risk, shelf)
    for instrument in (X, Y):
        desk.bar(100.0, instrument=instrument)
    for event in before:
        happen(desk, event)
    other = restarted(desk, risk)
    # Nothing was written at the end: each event has left on the shelf what it changed.
    assert keep(other, Shelf(dict(shelf.rows))) == ([], [])
    for event in after:
        assert happen(desk, event) == happen(other, event)
    for one, twin in zip(desk.guard.limits, other.guard.limits, strict=True):
        if one.memory is not None:
            assert one.save(Looks(desk.ledger)) == twin.save(Looks(other.ledger))


def after_losing(risk: RiskSettings) -> tuple[Desk, Shelf]:
    """Return a desk that lost 597 of 10,000 and is flat, and what is kept of it."""
    shelf = Shelf()
    desk = kept_desk(risk, shelf)
    desk.bar(100.0)
    desk.trade("6")
    desk.bar(0.5, MINUTE)
    desk.trade("-6", 0.5)
    return desk, shelf


LADDER = settings(drawdown={"shrink_frac": 0.02, "reduce_frac": 0.05})
DAILY = settings(max_daily_loss_frac=0.04)


@pytest.mark.parametrize(
    ("risk", "line"),
    [
        (LADDER, "equity 9,403.00 lies 5.97% below its peak 10,000.00, and from 5.00% on only"),
        (DAILY, "the day has lost 5.97% of 10,000.00"),
        (settings(max_daily_loss=500.0), "the day has lost 597.00"),
    ],
)
def test_loss_is_not_forgiven_by_a_process_that_only_knows_the_account(
    risk: RiskSettings, line: str
) -> None:
    desk, shelf = after_losing(risk)
    other = restarted(desk, risk, ledger=Ledger(9_403.0))
    keep(other, shelf)
    assert other.guard.memory.begin() == ""
    other.bar(100.0, MINUTE)
    assert line in desk.ask("1").line
    assert line in other.ask("1").line


def test_position_that_is_not_there_any_more_counts_as_closed_at_the_last_price() -> None:
    risk, shelf = settings(max_daily_loss=500.0), Shelf()
    desk = kept_desk(risk, shelf)
    desk.bar(100.0)
    desk.trade("6")
    desk.bar(0.5, MINUTE)
    other = restarted(desk, risk, ledger=Ledger(9_403.0))
    keep(other, shelf)
    other.bar(100.0, MINUTE)
    assert "the day has lost 597.00" in other.ask("1").line
    other.trade("1")
    other.trade("-1", 50.0)
    other.bar(50.0, MINUTE)
    assert "the day has lost 647.00" in other.ask("1").line


@pytest.mark.parametrize(
    ("risk", "words"), [(LADDER, "lies 5.97% below"), (DAILY, "has lost 5.97%")]
)
def test_money_that_came_in_is_no_gain(risk: RiskSettings, words: str) -> None:
    desk, shelf = after_losing(risk)
    other = restarted(desk, risk, ledger=Ledger(20_000.0))
    keep(other, shelf)
    said = other.guard.memory.begin()
    assert said == (
        "equity is 20,000.00, and was 9,403.00 when the last node ended; drawdown and the day's "
        "loss stay the part that they were"
    )
    other.bar(100.0)
    assert words in other.ask("1").line


def test_money_that_went_out_counts_as_lost_until_a_person_resumes() -> None:
    desk, shelf = after_losing(LADDER)
    other = restarted(desk, LADDER, ledger=Ledger(5_000.0))
    keep(other, shelf)
    assert other.guard.memory.begin().endswith("are measured from what it was")
    other.bar(100.0)
    assert "lies 50.00% below its peak 10,000.00" in other.ask("1").line
    other.guard.begin_anew(other.now)
    assert other.ask("1").line == ""


def test_another_account_begins_with_the_same_drawdown() -> None:
    desk, shelf = after_losing(LADDER)
    other = restarted(desk, LADDER, ledger=Ledger(500.0))
    keep(other, shelf)
    other.guard.memory.account = "at BINANCE live"
    assert "on another account" in other.guard.memory.begin()
    other.bar(100.0)
    assert "equity 500.00 lies 5.97% below its peak" in other.ask("1").line


def test_what_is_remembered_is_judged_by_the_settings_of_now() -> None:
    old = settings(
        loss_streak={"losses": 3, "pause_minutes": 60},
        stop_guard={"stops": 3, "window_minutes": 10, "pause_minutes": 60},
        low_profit={"trades": 3, "min_pnl": 0.0, "pause_minutes": 60},
        cooldown_minutes=30,
        max_orders_per_day=5,
    )
    shelf = Shelf()
    desk = kept_desk(old, shelf)
    desk.bar(100.0)
    for _ in range(2):
        desk.trade("1")
        desk.trade("-1", 99.0, purpose="exit:stop")
    desk.now += 30 * MINUTE
    assert desk.ask("1").line == ""
    tighter: dict[str, dict[str, Any]] = {
        "2 trades in a row lost": {"loss_streak": {"losses": 2, "pause_minutes": 60}},
        "2 stops lost within 10 minutes": {
            "stop_guard": {"stops": 2, "window_minutes": 10, "pause_minutes": 60}
        },
        "the last 2 trades in X.V brought -2.00": {
            "low_profit": {"trades": 2, "min_pnl": 0.0, "pause_minutes": 60}
        },
        "opens again at 1970-01-02 00:31:00": {"cooldown_minutes": 31},
        "max_orders_per_day is 1": {"max_orders_per_day": 1},
    }
    for words, changed in tighter.items():
        other = restarted(desk, settings(**changed))
        lines, broken = keep(other, Shelf(dict(shelf.rows)))
        assert broken == []
        assert words in other.ask("1").line
        (said,) = (line for line in lines if "judged anew" in line)
        assert said.startswith(f"{next(iter(changed))} of the trader was {{")
        gone = [line for line in lines if "not in the config any more" in line]
        assert len(gone) == 4


def test_limit_that_comes_back_into_the_config_still_remembers() -> None:
    desk, shelf = after_losing(LADDER)
    without = restarted(desk, settings())
    lines, _ = keep(without, shelf)
    assert lines == [
        "drawdown of the trader is not in the config any more: what it remembers is kept, and not "
        "looked at"
    ]
    without.bar(100.0, MINUTE)
    back = restarted(without, LADDER)
    assert keep(back, shelf) == ([], [])
    assert "below its peak 10,000.00" in back.ask("1").line


@pytest.mark.parametrize(
    "text", ["{", "{}", "[1]", '{"peak":-1.0,"highs":[]}', '{"peak":1,"highs":[],"more":1}', "x"]
)
def test_memory_that_cannot_be_read_is_named(text: str) -> None:
    row = MemoryRow("drawdown", "the trader", "{}", text, 5)
    lines, broken = keep(Desk(LADDER), Shelf({("drawdown", "the trader"): row}))
    assert lines == []
    (why,) = broken
    assert why.startswith("what drawdown of the trader remembers cannot be read (")


def test_count_is_kept_before_the_order_is_sent_and_refused_if_it_cannot_be() -> None:
    desk = kept_desk(settings(max_orders_per_day=9), shelf := Shelf())
    desk.bar(100.0)
    desk.ask("1")
    assert sorted(shelf.writes[-1]) == ["max_orders_per_day", "max_orders_per_minute"]
    shelf.broken = True
    refused = desk.ask("1")
    assert (refused.allowed, refused.limit, refused.outside) == (False, MEMORY, True)
    assert "what the limits remember cannot be written (disk full): nothing opens" in refused.line
    # An exit passes, and nothing else until the file can be written.
    desk.trade("2")
    assert desk.ask("2", "SELL", purpose="exit:signal").reducing
    shelf.broken = False
    assert desk.ask("1").limit == MEMORY
    desk.now += 6 * 10**9
    desk.guard.memory.write(desk.now, ())
    assert desk.ask("1").line == ""
    count = shelf.rows["max_orders_per_day", "the trader"].memory
    assert count == '{"day":1,"count":3}'  # what was refused was counted as well


def test_rate_remembers_a_minute_and_no_more() -> None:
    desk = kept_desk(settings(max_orders_per_minute=1_000), shelf := Shelf())
    desk.bar(100.0)
    for _ in range(50):
        desk.ask("1")
        desk.now += 10 * 10**9
    times = shelf.rows["max_orders_per_minute", "the trader"].memory
    assert times.count(",") == 5


def test_one_write_an_event_and_none_if_nothing_changed() -> None:
    risk = settings(max_turnover_per_day=9e9, loss_streak={"losses": 3, "pause_minutes": 1})
    desk = kept_desk(risk, shelf := Shelf())
    desk.bar(100.0)
    assert len(shelf.writes) == 1
    desk.bar(100.0, MINUTE)
    assert len(shelf.writes) == 1
    desk.trade("1")
    assert sorted(shelf.writes[-1]) == ["account", "fills", "loss_streak", "max_turnover_per_day"]
    with desk.guard.weighing():
        desk.ask("1")
    assert len(shelf.writes) == 2


def test_fill_that_is_told_again_after_a_restart_counts_once() -> None:
    risk = settings(max_turnover_per_day=1_000.0, loss_streak={"losses": 3, "pause_minutes": 1})
    desk = kept_desk(risk, shelf := Shelf())
    desk.bar(100.0)
    before = copy.deepcopy(desk.ledger)
    desk.trade("4")
    # The journal had no time to take the fill: the venue tells it again.
    other = restarted(desk, risk, ledger=before)
    keep(other, shelf)
    order = desk.ledger.orders["O-1"]
    other.ledger.apply_order(copy.deepcopy(order))
    other.ledger.apply_fill(desk.ledger.fills[0])
    other.guard.hear_fill(desk.ledger.fills[0])
    assert other.ask("9").quantity == desk.ask("9").quantity == 6


def test_past_that_warms_up_changes_no_loss_and_no_peak() -> None:
    desk, shelf = after_losing(LADDER)
    other = restarted(desk, LADDER, ledger=Ledger(9_403.0))
    keep(other, shelf)
    rows = dict(shelf.rows)
    for close in (100.0, 50.0, 500.0):
        other.guard.hear_bar(desk_bar(other, close), past=True)
    assert shelf.rows == rows
    ladder, twin = (
        next(one for one in d.guard.limits if one.name == "drawdown") for d in (desk, other)
    )
    assert state(ladder) == state(twin)


def desk_bar(desk: Desk, close: float) -> BarClosed:
    bar = BarClosed(X, desk.now - HOUR, close, close, close, close, 1.0)
    desk.ledger.apply_bar(bar)
    return bar


def test_back_test_keeps_nothing_and_writes_nothing() -> None:
    desk = start(next(s for s in SCENARIOS if s.limit == "loss_streak"))
    assert desk.guard.memory.keeper is None
    assert desk.guard.memory.write(desk.now, desk.guard.memory.everything) == ""


@pytest.mark.parametrize(
    ("risk", "limit", "line"),
    [
        ({"max_daily_loss_frac": 0.03}, "max_daily_loss_frac", "the day has lost 3.10% of 10,000"),
        ({"max_daily_loss": 300.0}, "max_daily_loss", "the day has lost 310.00"),
    ],
)
def test_day_of_a_node_that_remembers_none_begins_with_its_start_and_not_with_its_first_bar(
    risk: dict[str, float], limit: str, line: str
) -> None:
    shelf = Shelf()
    desk = kept_desk(settings(**risk), shelf)
    desk.guard.hear_bar(desk_bar(desk, 100.0), past=True)
    assert desk.guard.memory.begin_day(desk.now) is None
    assert [limit in row for row in shelf.writes] == [True]
    desk.trade("10")
    desk.trade("-10", 69.0)
    assert desk.ask("1").limit == limit
    assert line in desk.ask("1").line

    # Another node goes on with what is remembered, whatever it is worth by then.
    other = restarted(desk, settings(**risk))
    keep(other, shelf)
    other.guard.memory.begin_day(other.now)
    assert other.ask("1").limit == limit


def test_loss_of_a_day_that_has_begun_with_a_start_adds_up_over_its_bars() -> None:
    desk = kept_desk(settings(max_daily_loss_frac=0.01), Shelf())
    desk_bar(desk, 100.0)
    desk.guard.memory.begin_day(desk.now)
    desk.trade("10")
    desk.bar(94.0, HOUR)  # 60 of 10,000
    assert desk.ask("1").line == ""
    desk.bar(90.0, HOUR)  # 40 more
    desk.bar(95.0, HOUR)  # what came back does not count
    assert "the day has lost 1.00% of 10,000.00" in desk.ask("1").line


def test_day_that_has_begun_with_a_start_ends_at_midnight() -> None:
    desk = kept_desk(settings(max_daily_loss_frac=0.03), Shelf())
    desk_bar(desk, 100.0)
    desk.guard.memory.begin_day(desk.now)
    desk.trade("10")
    desk.trade("-10", 69.0)
    desk.now += 24 * HOUR
    desk.bar(100.0)
    assert desk.ask("1").allowed
