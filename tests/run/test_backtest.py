"""A whole run: its folder, its errors, its halts."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from aitb_nautilus.errors import HaltedError, RunError
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.load import load_config
from tests.run.desk_lab import T0, A, B, Lab, Outcome, buy, flat, sell

ROWS = [(100 + i, 101 + i, 99 + i, 100 + i) for i in range(20)]
FILES = [
    "bars.parquet",
    "config.toml",
    "equity.parquet",
    "fills.parquet",
    "funding.parquet",
    "journal.sqlite",
    "latency.parquet",
    "log.jsonl",
    "orders.parquet",
    "past.parquet",
    "positions.parquet",
    "predictions.parquet",
    "refusals.parquet",
    "report.html",
    "risk.parquet",
    "risk_parts.parquet",
    "run.json",
    "tails.parquet",
]


def names(outcome: Outcome) -> list[str]:
    return sorted(p.name for p in outcome.folder.iterdir())


def test_run_folder_is_complete_and_says_so(lab: Lab) -> None:
    outcome = lab.trade(ROWS, {2: [buy()], 5: [sell()]})
    record = outcome.record
    assert names(outcome) == FILES
    assert (record.status, record.error, record.mode) == ("complete", None, "backtest")
    assert Path(record.run_dir) == outcome.folder
    assert record.run_id == outcome.folder.name
    assert (record.name, record.currency, record.simulated) == ("desk", "USDT", False)
    desk = load_config(lab.folder / "desk.toml")
    assert record.config_sha256 == desk.sha256()
    assert (outcome.folder / "config.toml").read_text() == desk.toml()
    assert load_config(outcome.folder / "config.toml").sha256() == desk.sha256()
    assert outcome.log == []
    seconds = record.seconds
    assert min(seconds.load, seconds.engine, seconds.report) >= 0
    assert seconds.total == pytest.approx(seconds.load + seconds.engine + seconds.report, abs=0.01)
    (venue,) = record.venues
    assert (venue.name, venue.account, venue.leverage) == ("SIM", "margin", 10)
    assert (venue.maker_fee_bps, venue.taker_fee_bps, venue.slippage_bps) == (2, 5, 10)
    assert venue.starting_balances == ["10000 USDT"]
    assert set(record.versions) >= {"aitb_nautilus", "nautilus_trader", "python"}


def test_record_that_is_returned_is_the_one_on_the_disk(lab: Lab) -> None:
    lab.bars(ROWS)
    record = backtest(lab.config(lab.strategy({2: [buy()]})))
    assert record == lab.last().record


def test_desk_object_and_path_give_the_same_run(lab: Lab) -> None:
    lab.bars(ROWS)
    path = lab.config(lab.strategy({2: [buy()]}))
    first, second, third = backtest(path), backtest(str(path)), backtest(load_config(path))
    assert first.fingerprint == second.fingerprint == third.fingerprint
    assert len({first.run_dir, second.run_dir, third.run_dir}) == 3


THREAD = """
import sys, threading
from aitb_nautilus.run.backtest import backtest

thread = threading.Thread(target=lambda: print(backtest(sys.argv[1]).status))
thread.start()
thread.join()
"""


def test_run_works_outside_the_main_thread(lab: Lab) -> None:
    lab.bars(ROWS)
    done = lab.process(lab.config(lab.strategy({2: [buy()]})), code=THREAD)
    assert (done.returncode, done.stdout) == (0, "complete\n"), done.stderr


def test_progress_counts_every_bar_and_names_the_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aitb_nautilus.run.feed.Feed.__init__.__defaults__", (8,))
    lab.bars(ROWS)
    told = []
    backtest(lab.config(lab.strategy({})), lambda *args: told.append(args))
    assert told == [(8, 20, "2023-01-01"), (16, 20, "2023-01-01"), (20, 20, "2023-01-01")]


RAISES = """
class Timed(Scripted):
    def decide_on_start(self):
        self.clock.set_time_alert_ns("soon", MOMENT, callback=self.ring)
        return ()

    def ring(self, event):
        raise ValueError("boom")

class Topical(Scripted):
    def decide_on_start(self):
        self.subscribe_topic("news", self.hear)
        return ()

    def on_number(self, bar, number):
        if number == 6:
            self.publish_message("news", "x")
        return super().on_number(bar, number)

    def hear(self, message):
        raise ValueError("boom")

class Bar(Scripted):
    def on_number(self, bar, number):
        if number == 6:
            raise ValueError("boom")
        return super().on_number(bar, number)

class Fill(Scripted):
    def decide_on_fill(self, fill):
        raise ValueError("boom")

class Accepted(Scripted):
    def decide_on_order(self, order, update):
        raise ValueError("boom")

class Start(Scripted):
    def decide_on_start(self):
        raise ValueError("boom")

class Stop(Scripted):
    def decide_on_stop(self):
        raise ValueError("boom")

class Dispose(Scripted):
    def on_dispose(self):
        raise ValueError("boom")

class Exit(Scripted):
    def on_number(self, bar, number):
        if number == 6:
            raise SystemExit("boom")
        return ()

class Interrupt(Scripted):
    def on_number(self, bar, number):
        if number == 6:
            raise KeyboardInterrupt("boom")
        return ()

class Size(Scripted):
    def on_number(self, bar, number):
        if number == 6:
            return [OrderIntent(instrument_id=bar.instrument_id, side="BUY")]
        return super().on_number(bar, number)

class Nonsense(Scripted):
    def on_number(self, bar, number):
        return ["buy"] if number == 6 else super().on_number(bar, number)

class Teller(GuardedActor):
    def on_start(self):
        raise ValueError("boom")
""".replace("MOMENT", str(T0 + 330_000_000_000))


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        ("Bar", "ValueError: boom"),
        ("Fill", "ValueError: boom"),
        ("Accepted", "ValueError: boom"),
        ("Timed", "ValueError: boom"),
        ("Topical", "ValueError: boom"),
        ("Start", "ValueError: boom"),
        ("Stop", "ValueError: boom"),
        ("Dispose", "ValueError: boom"),
        ("Exit", "SystemExit: boom"),
        ("Interrupt", "KeyboardInterrupt: boom"),
        ("Size", "had no quantity"),
        ("Nonsense", "answered with 'buy', which is no intent"),
    ],
)
def test_error_in_a_callback_fails_the_run_with_its_place(lab: Lab, cls: str, words: str) -> None:
    lab.bars(ROWS)
    limit = buy(kind="LIMIT", price=95.0, purpose="rest")
    strategy = lab.strategy({2: [buy(), limit]}, code=RAISES, cls=cls)
    with pytest.raises(RunError) as caught:
        lab.run(strategy)
    text = str(caught.value)
    module = strategy["class"].partition(":")[0]
    assert caught.value.exit_code == 1
    assert "scripted-001." in text
    assert words in text
    assert "The whole traceback stands in" in text
    assert "\n" not in text
    if cls not in ("Size", "Nonsense"):
        assert f"{module}.py" in text
    outcome = lab.last()
    assert (outcome.record.status, outcome.record.error) == ("failed", text)
    assert names(outcome) == FILES
    (trace,) = [line for line in outcome.log if "Traceback" in line["message"]]
    assert trace["component"] == "scripted-001"
    assert words in trace["message"]
    assert trace["level"] == "ERROR"
    (halt,) = outcome.record.halts  # nothing opens any more
    assert words.removeprefix("had") in halt.reason
    if cls in ("Bar", "Exit", "Interrupt", "Size", "Nonsense", "Topical"):
        assert outcome.record.bars == 6
        assert len(outcome.table("equity")) == 6


def test_error_in_an_actor_fails_the_run(lab: Lab) -> None:
    lab.bars(ROWS)
    strategy = lab.strategy({2: [buy()]}, code=RAISES)
    module = strategy["class"].partition(":")[0]
    actors = [{"class": f"{module}:Teller", "id": "teller"}]
    with pytest.raises(RunError, match=r"teller-001.on_start.*raised ValueError: boom"):
        lab.run(strategy, actors=actors)
    assert lab.last().record.status == "failed"


def test_error_of_one_strategy_stops_the_others(lab: Lab) -> None:
    lab.bars(ROWS)
    with pytest.raises(RunError, match=r"second-002\.on_number"):
        lab.run(
            lab.strategy({6: [buy()], 7: [buy()]}, id_="first"),
            lab.strategy({}, code=RAISES, cls="Bar", id_="second"),
            lab.strategy({6: [buy(3)]}, id_="third"),
        )
    outcome = lab.last()
    # The first one's order of that bar was on its way; the third one was not asked any more.
    assert {o["strategy_id"] for o in outcome.table("orders")} == {"first-001"}
    assert len(outcome.table("orders")) == 1


AROUND = """
class Around(Scripted):
    def on_number(self, bar, number):
        if number == 6:
            order = self.order_factory.market(
                InstrumentId.from_str("AAAUSDT-PERP.SIM"), OrderSide.BUY, Quantity.from_str("1.000")
            )
            Strategy.submit_order(self, order)
        return super().on_number(bar, number)
"""


def test_order_around_the_guard_halts_the_run_with_exit_6(lab: Lab) -> None:
    lab.bars(ROWS)
    with pytest.raises(HaltedError) as caught:
        lab.run(lab.strategy({2: [buy()], 9: [buy()]}, code=AROUND, cls="Around"))
    assert caught.value.exit_code == 6
    assert "scripted-001 at 2023-01-01T00:06:00Z" in str(caught.value)
    assert "was sent around the guard" in str(caught.value)
    outcome = lab.last()
    record = outcome.record
    assert (record.status, record.error) == ("failed", str(caught.value))
    assert record.halts[0].scope == "scripted-001"
    assert record.halts[0].ts == "2023-01-01T00:06:00Z"
    assert record.bars == 6
    assert names(outcome) == FILES
    assert any(line["message"].startswith("halted: ") for line in outcome.log)


def test_error_that_follows_a_halt_does_not_hide_it(lab: Lab) -> None:
    lab.bars(ROWS)
    code = AROUND + "    def decide_on_fill(self, fill):\n        raise ValueError('after')\n"
    with pytest.raises(HaltedError, match="was sent around the guard"):
        lab.run(lab.strategy({}, code=code, cls="Around"))
    assert any("ValueError: after" in line["message"] for line in lab.last().log)


def test_halt_reaches_the_shell_as_exit_code_6(lab: Lab) -> None:
    lab.bars(ROWS)
    done = lab.process(lab.config(lab.strategy({}, code=AROUND, cls="Around")))
    assert done.returncode == 6
    assert done.stderr.count("\n") == 1
    assert "was sent around the guard" in done.stderr


def test_refused_and_shrunk_orders_stand_in_the_log(lab: Lab) -> None:
    script = {
        2: [buy(3)],  # worth 303, shrunk to 250
        4: [buy(kind="LIMIT", price=10.0)],  # too far from the last price
        6: [buy()],  # nothing is left of the position
    }
    risk = {
        "max_order_notional": 250.0,
        "max_position_notional": 250.0,
        "price_band_frac": 0.5,
    }
    outcome = lab.trade(ROWS, script, risk=risk)
    assert [f["quantity"] for f in outcome.fills] == [2.475]  # 250 / 101, down to a lot
    assert outcome.record.refused == 2
    verbs = [line["message"].split(":")[0].split("order ")[1] for line in outcome.log]
    assert verbs == [
        "shrunk by max_order_notional",
        "refused by price_band_frac",
        "refused by max_position_notional",
    ]
    assert {line["component"] for line in outcome.log} == {"scripted-001"}


def test_failed_run_with_an_open_position_still_adds_up(lab: Lab) -> None:
    lab.bars(ROWS)
    lab.funding([T0 + 15 * 60 * 10**9], [1e-3])
    with pytest.raises(RunError):
        lab.run(lab.strategy({2: [buy()], 4: [sell(3)]}, code=RAISES, cls="Bar"))
    outcome = lab.last()
    net = outcome.record.final_equity - outcome.record.starting_equity
    assert sum(t["pnl"] for t in outcome.trips) == pytest.approx(net)
    # +1 at 102.2 from bar 3, -3 at 103.8 from bar 5, -2 left at bar 6's close of 105
    fees = (102.2 + 3 * 103.8) * 0.0005
    assert net == pytest.approx(103.8 - 102.2 + 2 * (103.8 - 105) - fees)


def test_two_desks_one_after_the_other_do_not_disturb_each_other(lab: Lab) -> None:
    lab.bars(ROWS, A)
    lab.bars(flat(200, 20), B)
    first = lab.run(lab.strategy({2: [buy()]}))
    lab.run(lab.strategy({(B, 3): [sell(2, B)]}, instruments=(B,)))
    again = lab.run(lab.strategy({2: [buy()]}))
    assert first.record.fingerprint == again.record.fingerprint
    assert first.table("equity") == again.table("equity")


def test_config_written_by_hand_is_resolved_into_the_folder(lab: Lab) -> None:
    outcome = lab.trade(ROWS, {})
    written = tomllib.loads((outcome.folder / "config.toml").read_text())
    assert written["backtest"]["ambiguous_bars"] == "stop_first"  # a default, written out
    assert written["risk"]["max_open_orders"] == 100
