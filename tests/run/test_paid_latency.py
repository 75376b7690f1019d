"""A back-test that pays what a run on paper or live measured: ``latency = "run:ID"``."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.latency import Latencies
from aitb_nautilus.observe.latency_record import latency_records, latency_table
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.measured_way import MeasuredWay
from aitb_nautilus.run.paid_latency import paid_latencies
from aitb_nautilus.run.replay import replay
from tests.run.desk_lab import MINUTE, T0, Lab, Outcome, buy, flat, sell

MS = 1_000_000
TIMES = [n * MS for n in (*range(101, 140), 400)]  # 40 orders: 101 to 139 ms, and a slow one
PAID: dict[str, Any] = {"backtest": {"fills": "quotes"}, "venue": {"latency": "run:measured"}}


def measured(lab: Lab, times: list[int] = TIMES, **changes: Any) -> Path:
    """Make a run that measured the ways of orders; return its folder."""
    folder = lab.folder / "runs" / "measured"
    if not folder.exists():
        lab.bars(flat(100.0, 8))
        lab.quotes([(0, 100.0, 100.1), *((n * 10 * MS, 100.0, 100.1) for n in (1, 48_000))])
        made = lab.run(lab.strategy({1: [buy(1)]}))
        made.folder.rename(folder)
    latencies = Latencies()
    for ns in times:
        latencies.spent("order", ns)
    record = lab.read(folder).record
    told = {"mode": "live", "run_id": "measured", "latency": latency_records(latencies)} | changes
    record = msgspec.structs.replace(record, **told)
    (folder / "run.json").write_bytes(msgspec.json.encode(record))
    pq.write_table(latency_table(latencies), folder / "latency.parquet")
    return folder


def script() -> dict[Any, Any]:
    return {n: [buy(1) if n % 2 else sell(1)] for n in range(1, 8)}


def ways(outcome: Outcome) -> list[int]:
    """Return how long after its bar each order filled, ns."""
    return [(fill["ts"] - T0) % MINUTE for fill in outcome.fills]


def test_each_order_pays_a_latency_that_was_measured(lab: Lab) -> None:
    measured(lab)
    outcome = lab.run(lab.strategy(script()), **PAID)
    assert len(outcome.fills) == 7
    assert len(set(ways(outcome))) > 4
    for ns in ways(outcome):
        # Evenly within a bucket, never wider than a 128th.
        assert any(abs(ns - one) <= one // 128 + 2 for one in TIMES)


def test_same_seed_draws_the_same_and_another_seed_others(lab: Lab) -> None:
    measured(lab)
    one = lab.run(lab.strategy(script()), **PAID)
    same = lab.run(lab.strategy(script()), **PAID)
    other = lab.run(
        lab.strategy(script()), venue=PAID["venue"], backtest={"fills": "quotes", "latency_seed": 2}
    )
    assert one.record.fingerprint == same.record.fingerprint
    assert ways(one) == ways(same) != ways(other)


def test_orders_say_when_they_were_sent_and_stages_what_was_paid(lab: Lab) -> None:
    measured(lab)
    outcome = lab.run(lab.strategy(script()), **PAID)
    assert [(o["ts"] - T0) % MINUTE for o in outcome.table("orders")] == [0] * 7
    stages = {one.stage: one for one in outcome.record.latency}
    assert stages["fill"].clock == "simulated"
    assert stages["fill"].max_ns == max(ways(outcome))
    assert (
        "submit" not in stages
    )  # how long this machine took is not known where simulated time passes


def test_run_says_whose_latency_it_paid(lab: Lab) -> None:
    measured(lab)
    outcome = lab.run(lab.strategy(script()), **PAID)
    (venue, _) = (*outcome.record.venues, None)[:2]
    assert venue is not None
    assert venue.paid is not None
    assert (venue.paid.run_id, venue.paid.mode, venue.paid.orders) == ("measured", "live", 40)
    assert venue.latency_ms == pytest.approx(120, rel=0.01)
    assert venue.paid.max_ns == 400 * MS
    text = " ".join(outcome.record.honesty)
    assert "the latency that measured measured on 40 orders (half of them within 12" in text
    assert "as measured" in (outcome.folder / "report.html").read_text()


def test_on_bars_prices_stay_those_of_the_open(lab: Lab) -> None:
    measured(lab)
    rows = [(100.0 + n, 100.5 + n, 99.5 + n, 100.0 + n) for n in range(8)]
    lab.store.path.rename(lab.folder / "away")
    lab.bars(rows)
    fixed = lab.run(lab.strategy(script()))
    paid = lab.run(lab.strategy(script()), venue=PAID["venue"])
    assert [f["price"] for f in paid.fills] == [f["price"] for f in fixed.fills]
    assert len(set(ways(paid))) > 4


def test_latency_beyond_a_quarter_of_a_bar_wants_quotes(lab: Lab) -> None:
    measured(lab, [*TIMES, 16_000 * MS])
    with pytest.raises(ConfigError, match=r"slowest order took 16000 ms.*fills = .quotes."):
        lab.run(lab.strategy(script()), venue=PAID["venue"])
    assert len(lab.run(lab.strategy(script()), **PAID).fills) == 7


@pytest.mark.parametrize(
    ("times", "changes", "found"),
    [
        (TIMES[:29], {}, "which measured 29 orders .* at least 30"),
        (TIMES[:1], {}, "which measured 1 order from"),
        ([], {}, "which measured no order from"),
        (TIMES, {"mode": "backtest"}, "a back-test: its venue answered as its config said"),
        (TIMES, {"venues": []}, "must be a run at SIM"),
        ([*TIMES, -1, -2, -3], {}, "3 of 43 times fell below zero.*Set this machine's clock"),
    ],
    ids=["few", "one", "none", "backtest", "venue", "clock"],
)
def test_run_that_measured_nothing_to_pay_is_refused(
    lab: Lab, times: list[int], changes: dict[str, Any], found: str
) -> None:
    measured(lab, times, **changes)
    with pytest.raises(ConfigError, match=f"venues SIM.latency: was 'run:measured'.*{found}"):
        lab.run(lab.strategy(script()), **PAID)


def test_run_that_is_not_there_is_refused_with_the_nearest(lab: Lab) -> None:
    measured(lab)
    with pytest.raises(ConfigError, match=r"no such run in .*did you mean 'run:measured'\?"):
        lab.run(lab.strategy(script()), venue={"latency": "run:mesured"})
    with pytest.raises(ConfigError, match="latency: was 'measured'"):
        lab.run(lab.strategy(script()), venue={"latency": "measured"})


def test_folder_may_be_named_and_a_damaged_one_is_refused(lab: Lab) -> None:
    folder = measured(lab)
    venue = {"latency": f"run:{folder}"}
    assert lab.run(lab.strategy(script()), venue=venue).record.fills == 7
    table = pq.read_table(folder / "latency.parquet")
    pq.write_table(table.slice(3), folder / "latency.parquet")
    with pytest.raises(DataError, match="order has 37 values"):
        lab.run(lab.strategy(script()), venue=venue)


def test_show_config_says_what_will_be_paid(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    measured(lab)
    data = lab.plain(lab.strategy(script()), **PAID)
    del data["venues"][1:]
    path = str(lab.write(data))
    assert main(["show-config", path]) == 0
    text = capsys.readouterr().out
    assert "# venues SIM: a back-test pays the latency of 40 orders of measured (live)" in text
    assert ": p50 12" in text
    assert "longest 400 ms" in text
    assert main(["show-config", path, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["paid_latency"]["SIM"]["orders"] == 40
    assert told["config"]["venues"][0]["latency"] == "run:measured"
    assert main(["show-config", path, "--diff", "backtest", "paper"]) == 0
    assert "run:measured" in capsys.readouterr().out


def test_draws_have_the_quantiles_of_what_was_measured(lab: Lab) -> None:
    rng = random.Random(4)
    times = [int(rng.lognormvariate(18, 0.6)) for _ in range(5_000)]
    measured(lab, times)
    paid = paid_latencies(load_config(lab.config(lab.strategy({}), **PAID)), {"SIM"})["SIM"]
    draw = paid.draws(7)
    drawn, times = sorted(draw() for _ in range(20_000)), sorted(times)
    for share in (0.1, 0.5, 0.9, 0.99):
        exact = times[int(share * len(times))]
        assert drawn[int(share * len(drawn))] == pytest.approx(exact, rel=0.06)
    assert drawn[-1] <= times[-1]


def test_what_is_sent_later_never_arrives_before() -> None:
    times = iter([500 * MS, 100 * MS, 700 * MS])
    way = MeasuredWay(lambda: next(times))
    assert [way.leaves_at(now) + 1_000 for now in (0, 10 * MS, 20 * MS)] == [
        500 * MS,
        500 * MS,
        720 * MS,
    ]


def test_what_is_sent_at_one_moment_arrives_together_and_draws_once() -> None:
    times = iter([500 * MS, 100 * MS])
    way = MeasuredWay(lambda: next(times))
    assert [way.leaves_at(7), way.leaves_at(7)] == [7 + 500 * MS - 1_000] * 2
    assert way.leaves_at(900 * MS) == 1_000 * MS - 1_000


def test_closed_market_hears_it_when_it_opens() -> None:
    way = MeasuredWay(lambda: 5 * MS, lambda now: max(now, 9 * MS))
    assert [way.leaves_at(now) for now in (0, 20 * MS)] == [9 * MS, 25 * MS - 1_000]


def test_cancel_of_an_order_on_its_way_arrives_after_it(lab: Lab) -> None:
    measured(lab)
    code = """
    class Hasty(Scripted):
        def on_number(self, bar, number):
            yield from super().on_number(bar, number)
            if number == 1:
                for order in self.view.open_orders(bar.instrument_id):
                    yield CancelIntent(client_order_id=order.client_order_id)
    """
    order = buy(1, kind="LIMIT", price=90.0, purpose="entry")
    outcome = lab.run(lab.strategy({1: [order]}, code=code, cls="Hasty"), **PAID)
    (row,) = outcome.table("orders")
    assert row["status"] == "CANCELED"
    assert row["ts_last"] - T0 > MINUTE + 100 * MS


def test_recorded_run_that_pays_is_decided_again_as_it_was(lab: Lab) -> None:
    measured(lab)
    path = lab.config(lab.strategy(script()), **PAID)
    outcome = lab.read(Path(backtest(path, record=True).run_dir))
    found = replay(outcome.folder)
    assert (found.divergence, found.is_whole, found.equal["orders"]) == (None, True, 7)


def test_recorded_run_with_a_gap_is_decided_again_as_it_was(lab: Lab) -> None:
    lab.bars([*flat(100.0, 2), None, None, *flat(100.0, 3)])
    path = lab.config(lab.strategy({2: [buy(1)], 4: [sell(1)]}))
    outcome = lab.read(Path(backtest(path, record=True).run_dir))
    assert outcome.record.fills == 2
    found = replay(outcome.folder)
    assert (found.divergence, found.is_whole) == (None, True)
