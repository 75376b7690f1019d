"""Equity and funding: by hand, and against a slow reference on random trading."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import Fill
from aitb_nautilus.run.accounting import equity_curve, from_before, funding_payments
from tests.run.desk_lab import DAY, HOUR, LATENCY, MINUTE, SPOT, T0, A, B, Lab, buy, flat, sell

OFFSET = {A: LATENCY - MINUTE, B: LATENCY - MINUTE}


def frame(closes, *, start: int = 0, opens=None) -> BarFrame:
    values = np.array(closes, np.float64)
    ts = start + MINUTE * np.arange(1, len(values) + 1)
    firsts = values if opens is None else np.array(opens, np.float64)
    return BarFrame(ts.astype(np.int64), firsts, values, values, values, np.ones(len(values)))


def fill(
    ts: float, side: str, quantity: str, price: float, fee: float = 0, instrument_id=A
) -> Fill:
    name = f"{instrument_id}-{ts}-{side}"
    return Fill(
        "s-001",
        instrument_id,
        name,
        name,
        round(ts * MINUTE),
        side,
        price,
        Decimal(quantity),
        fee,
        "TAKER",
    )


def test_equity_is_cash_plus_what_is_held_at_each_close() -> None:
    fills = [fill(1.1, "BUY", "2", 101, 0.5), fill(3.1, "SELL", "3", 104, 0.25)]
    curve = equity_curve(1000.0, fills, [], {A: frame([100, 102, 103, 105, 90])})
    # bar 2: 1000 - 202 - 0.5 + 2 * 102; bar 4: + 312 - 0.25 - 1 * 105
    assert curve.equity.tolist() == pytest.approx([1000, 1001.5, 1003.5, 1004.25, 1019.25])
    assert curve.exposure.tolist() == [0, 204, 206, -105, -90]
    assert curve.market.tolist() == pytest.approx([1000, 1020, 1030, 1050, 900])


def test_fill_at_a_bar_close_belongs_to_that_bar() -> None:
    curve = equity_curve(1000.0, [fill(2, "BUY", "1", 99)], [], {A: frame([100, 100, 100])})
    assert curve.equity.tolist() == [1000, 1001, 1001]


def test_instruments_share_one_curve_and_begin_when_they_are_listed() -> None:
    frames = {A: frame([100, 110, 110, 121]), B: frame([50, 60], start=2 * MINUTE)}
    curve = equity_curve(1000.0, [fill(3.1, "BUY", "1", 50, 0, B)], [], frames)
    assert curve.ts.tolist() == [MINUTE, 2 * MINUTE, 3 * MINUTE, 4 * MINUTE]
    assert curve.equity.tolist() == [1000, 1000, 1000, 1010]
    # 500 each: A from 100 on, B waits at its first open until it is there
    assert curve.market.tolist() == pytest.approx([1000, 1050, 1050, 500 * 1.21 + 500 * 1.2])


def test_curve_of_a_stopped_run_ends_there_and_holds_what_filled_after_it() -> None:
    fills = [fill(1.1, "BUY", "2", 100, 0.5), fill(2.1, "SELL", "2", 103, 0.5)]
    curve = equity_curve(1000.0, fills, [], {A: frame([100, 102, 50])}, until=2 * MINUTE)
    assert curve.ts.tolist() == [MINUTE, 2 * MINUTE]
    assert curve.equity.tolist() == [1000, 1005]
    assert curve.exposure.tolist() == [0, 0]


def payments(fills, times, rates, until=None, bars=None):
    frames = {A: frame([100, 101, 102, 103, 104]) if bars is None else bars}
    funding = {A: (np.array(times, np.int64), np.array(rates, np.float64))}
    return [
        (p.ts // MINUTE, p.quantity, p.price, pytest.approx(p.amount))
        for p in funding_payments(fills, frames, funding, tick_offset_ns=OFFSET, until=until)
    ]


def test_long_pays_and_short_receives_on_the_close_at_the_settlement() -> None:
    times, rates = [2 * MINUTE, 4 * MINUTE], [0.001, 0.002]
    assert payments([fill(1.1, "BUY", "2", 100)], times, rates) == [
        (2, 2.0, 101.0, -2 * 101 * 0.001),
        (4, 2.0, 103.0, -2 * 103 * 0.002),
    ]
    assert payments([fill(2.1, "SELL", "3", 100)], times, rates) == [
        (4, -3.0, 103.0, 3 * 103 * 0.002)
    ]


def test_what_was_carried_over_pays_at_a_settlement_before_the_first_bar() -> None:
    past, first = frame([50, 100]), frame([101, 102], start=2 * MINUTE)
    carried = [fill(1.5, "BUY", "2", 90)]
    times, rates = np.array([MINUTE, 2 * MINUTE], np.int64), np.array([0.001, 0.002])
    (paid,) = funding_payments(
        carried, {A: from_before(first, past)}, {A: (times, rates)}, tick_offset_ns=OFFSET
    )
    # The close of the past at that moment; at the settlement before it, nothing was held here.
    assert (paid.ts, paid.price) == (2 * MINUTE, 100.0)
    assert paid.amount == pytest.approx(-2 * 100 * 0.002)
    assert from_before(first, None) is first


def test_negative_rate_pays_the_long() -> None:
    assert payments([fill(1.1, "BUY", "2", 100)], [2 * MINUTE], [-0.001]) == [
        (2, 2.0, 101.0, 2 * 101 * 0.001)
    ]


def test_who_left_before_the_settlement_or_at_it_pays_nothing() -> None:
    fills = [fill(1.1, "BUY", "2", 100), fill(3, "SELL", "2", 100)]
    assert payments(fills, [3 * MINUTE, 4 * MINUTE], [0.001, 0.001]) == []


def test_settlement_inside_a_bar_pays_on_its_open() -> None:
    bars = frame([100, 101, 102], opens=[100, 100.5, 101.5])
    # after the opening tick of the third bar, and just before it
    late, early = round(2.5 * MINUTE), 2 * MINUTE + LATENCY - 1
    assert payments([fill(1, "BUY", "1", 100)], [early, late], [0.01, 0.01], bars=bars) == [
        (2, 1.0, 101.0, -1.01),
        (2, 1.0, 101.5, -1.015),
    ]


def test_settlements_outside_the_bars_or_after_a_stop_do_not_count() -> None:
    fills = [fill(0.5, "BUY", "1", 100)]
    times = [MINUTE // 2, MINUTE, 3 * MINUTE, 5 * MINUTE, 6 * MINUTE]
    assert [p[0] for p in payments(fills, times, [0.01] * 5)] == [1, 3, 5]
    assert [p[0] for p in payments(fills, times, [0.01] * 5, until=3 * MINUTE)] == [1, 3]


def test_funding_is_paid_at_the_settlement_and_agrees_with_the_engine(lab: Lab) -> None:
    # The run reconciles with the engine's balance; here the amount itself. Bar 6 closes at T0.
    rows = [*flat(100, 2), *((100 + i, 101 + i, 99 + i, 100.5 + i) for i in range(8))]
    lab.bars(rows, start=T0 - 6 * MINUTE)
    lab.funding([T0], [0.001])
    both = lab.run(lab.strategy({2: [buy(3)]}, id_="one"), lab.strategy({3: [buy(1)]}, id_="two"))
    paid = [(f["ts"], f["quantity"], f["price"], f["amount"]) for f in both.table("funding")]
    assert paid == [  # a table of costs: positive was paid
        (T0, 3.0, 103.5, pytest.approx(3 * 103.5 * 0.001)),
        (T0, 1.0, 103.5, pytest.approx(103.5 * 0.001)),
    ]
    assert both.record.costs.funding == pytest.approx(4 * 103.5 * 0.001)
    assert [t["funding"] for t in both.trips] == pytest.approx([0.3105, 0.1035])
    short = lab.run(lab.strategy({3: [sell(1)]}))
    assert [t["funding"] for t in short.trips] == pytest.approx([-0.1035])


@pytest.mark.parametrize("last", [False, True], ids=["in a gap", "at the last close"])
def test_funding_at_odd_moments_agrees_with_the_engine(lab: Lab, last: bool) -> None:
    hole = [] if last else [None] * 3
    lab.bars([*flat(100, 3), *hole, *flat(110, 1)], start=T0 - 4 * MINUTE)
    lab.funding([T0], [0.001])
    outcome = lab.run(lab.strategy({2: [buy()]}))
    assert [f["price"] for f in outcome.table("funding")] == [110.0 if last else 100.0]


def test_funding_inside_daily_bars_agrees_with_the_engine(lab: Lab) -> None:
    rows = [*flat(100, 2), (101, 103, 100, 102), (103, 104, 102, 103), *flat(104)]
    lab.bars(rows, interval="1d")
    times = [T0 + 2 * DAY + 8 * HOUR, T0 + 2 * DAY + 16 * HOUR, T0 + 3 * DAY]
    lab.funding(times, [0.001, 0.002, -0.001])
    outcome = lab.run(lab.strategy({2: [buy()]}, interval="1d"))
    # within the third day on its open, 101; at its end on its close, 102
    amounts = [f["amount"] for f in outcome.table("funding")]
    assert amounts == pytest.approx([0.101, 0.202, -0.102])


@pytest.mark.parametrize(("low", "payers"), [(94, 0), (97, 1)])
def test_position_stopped_in_the_bar_of_the_settlement_pays_nothing(
    lab: Lab, low: float, payers: int
) -> None:
    lab.bars([*flat(100, 3), (100, 100, low, 98), *flat(98, 2)], start=T0 - 4 * MINUTE)
    lab.funding([T0], [0.001])
    stop = sell(kind="STOP_MARKET", trigger_price=96.0, reduce_only=True, purpose="exit:stop")
    outcome = lab.run(lab.strategy({2: [buy()]}, {"entry": [stop]}))
    assert len(outcome.table("funding")) == payers


RANDOM = '''
import random


class Random(Scripted):
    """Wish anything that the guard may or may not allow, the same for the same seed."""

    def on_number(self, bar, number):
        dice = random.Random(SEED * 1_000_003 + hash((bar.instrument_id == BASE, bar.ts)) % 10**9)
        iid, price = bar.instrument_id, bar.close
        for order in self.view.open_orders(iid):
            if dice.random() < 0.1:
                yield CancelIntent(client_order_id=order.client_order_id)
            elif dice.random() < 0.1 and order.kind == "LIMIT":
                yield ModifyIntent(
                    client_order_id=order.client_order_id,
                    price=price * dice.uniform(0.97, 1.03),
                    quantity=order.quantity + Decimal(dice.randrange(1, 500)) / 1000,
                )
        if dice.random() < 0.4:
            kind = dice.choice(["MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT"])
            quoted = price * dice.uniform(0.98, 1.02)
            yield OrderIntent(
                instrument_id=iid,
                side=dice.choice(["BUY", "SELL"]),
                kind=kind,
                quantity=Decimal(dice.randrange(1, 4000)) / 1000,
                price=quoted if "LIMIT" in kind else None,
                trigger_price=price * dice.uniform(0.98, 1.02) if "STOP" in kind else None,
                reduce_only=dice.random() < 0.3,
            )
        if dice.random() < 0.05:
            yield CloseIntent(instrument_id=iid)
'''


def random_rows(seed: int, count: int, price: float) -> list[tuple[float, ...] | None]:
    """Return bars of a random walk with gaps in the price and in the data."""
    dice = np.random.default_rng(seed)
    rows: list[tuple[float, ...] | None] = []
    for _ in range(count):
        gap = dice.normal(0, 0.02) if dice.random() < 0.1 else 0
        first = round(price * (1 + gap), 1)
        last = round(first * (1 + dice.normal(0, 0.005)), 1)
        high = round(max(first, last) + abs(dice.normal(0, 0.5)), 1)
        low = round(min(first, last) - abs(dice.normal(0, 0.5)), 1)
        row = (first, high, low, last, round(dice.uniform(0, 5), 3))
        rows.append(None if len(rows) > 5 and dice.random() < 0.05 else row)
        price = last
    return rows


def reference(outcome, frames, start: float) -> dict[int, tuple[float, float]]:
    """Return equity and exposure at each close: one loop over everything that happened.

    An order of the last bar fills after it, at its close; it counts with that bar.
    """
    end = max(int(bars.ts_close[-1]) for bars in frames.values())
    events = [(min(f["ts"], end), 0, f) for f in outcome.fills]
    events += [(f["ts"], 1, f) for f in outcome.table("funding")]
    for instrument_id, bars in frames.items():
        events += [
            (int(ts), 2, (instrument_id, close))
            for ts, close in zip(bars.ts_close, bars.close, strict=True)
        ]
    cash, held, marks, curve = Decimal(repr(start)), {}, {}, {}
    for ts, kind, fact in sorted(events, key=lambda e: e[:2]):
        if kind == 0:
            quantity = Decimal(repr(fact["quantity"])) * (1 if fact["side"] == "BUY" else -1)
            cash -= quantity * Decimal(repr(fact["price"])) + Decimal(repr(fact["fee"]))
            held[fact["instrument_id"]] = held.get(fact["instrument_id"], 0) + quantity
        elif kind == 1:
            cash -= Decimal(repr(fact["amount"]))
        else:
            marks[fact[0]] = Decimal(repr(float(fact[1])))
            worth = sum((q * marks[i] for i, q in held.items()), Decimal(0))
            curve[ts] = (float(cash + worth), float(worth))
    return curve


@pytest.mark.parametrize("seed", range(6))
def test_random_trading_adds_up_whichever_way_it_is_counted(lab: Lab, seed: int) -> None:
    ids = (A, B) if seed % 2 else (A, SPOT)
    frames = {
        i: lab.bars(random_rows(seed * 10 + n, 400, 100), i, start=T0 + n * 30 * MINUTE)
        for n, i in enumerate(ids)
    }
    lab.funding([T0 + n * HOUR for n in range(1, 7)], [1e-4, -2e-4, 3e-4, 0, -5e-4, 1e-3])
    code = RANDOM.replace("SEED", str(seed)).replace("BASE", repr(A))
    strategies = [
        lab.strategy(
            {},
            instruments=ids,
            code=code.replace("* 1_000_003", f"* {n}"),
            cls="Random",
            id_=f"s{n}",
        )
        for n in (1_000_003, 999_983)
    ]
    outcome = lab.run(*strategies)  # compares its accounts with the engine's
    record, trips = outcome.record, outcome.trips
    assert len(outcome.fills) > 50

    table = outcome.table("equity")
    wanted = reference(outcome, frames, record.starting_equity)
    assert [row["ts"] for row in table] == sorted(wanted)
    for row in table:
        assert (row["equity"], row["exposure"]) == pytest.approx(wanted[row["ts"]], abs=1e-6)

    net = record.final_equity - record.starting_equity
    assert record.final_equity == table[-1]["equity"]
    assert sum(t["pnl"] for t in trips) == pytest.approx(net, abs=1e-6)
    costs = record.costs
    for name in ("fees", "slippage", "funding"):
        assert sum(t[name] for t in trips) == pytest.approx(getattr(costs, name), abs=1e-6)
    assert sum(f["fee"] for f in outcome.fills) == pytest.approx(costs.fees, abs=1e-9)
    assert sum(f["slippage"] for f in outcome.fills) == pytest.approx(costs.slippage, abs=1e-9)
    assert sum(f["amount"] for f in outcome.table("funding")) == pytest.approx(costs.funding)
    assert costs.net_pnl == pytest.approx(net)
    assert costs.gross_pnl - costs.fees - costs.slippage - costs.funding == pytest.approx(net)
    stats = record.stats
    assert (stats.fees, stats.slippage, stats.funding) == pytest.approx(
        (costs.fees, costs.slippage, costs.funding)
    )
    assert (record.fills, record.orders) == (len(outcome.fills), len(outcome.table("orders")))
