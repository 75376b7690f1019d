"""Ctrl-C, SIGTERM and SIGKILL."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from aitb_nautilus.errors import RunError
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.stops import stop_on_signals
from tests.run.desk_lab import HOUR, T0, Lab, buy, flat

TRADED = {2: [buy()], 4: [buy()]}

SELF_INFLICTED = """
class Impatient(Scripted):
    def on_number(self, bar, number):
        if number == 6:
            os.kill(os.getpid(), signal.{signal})
        return super().on_number(bar, number)

class Hasty(Scripted):
    def __init__(self, *args):
        super().__init__(*args)
        os.kill(os.getpid(), signal.SIGINT)
"""

SLOW = """
class Slow(Scripted):
    def on_number(self, bar, number):
        if number == 6:
            print("trading", flush=True)
        if number > 6:
            time.sleep(0.01)
        return super().on_number(bar, number)
"""


def test_signals_become_a_wish_and_the_handlers_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    state = RunState()
    with stop_on_signals(state):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert state.stop_reason == "interrupted by SIGINT"  # the first reason stays
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), stop_on_signals(RunState()):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_the_handlers_alone() -> None:
    seen = []

    def work() -> None:
        with stop_on_signals(RunState()):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_interrupted_run_keeps_what_was_done_until_then(lab: Lab, name: str) -> None:
    lab.bars([(100 + i, 101 + i, 99 + i, 100 + i) for i in range(300)])
    lab.funding([T0 + HOUR], [1e-3])  # long after the signal: nobody pays it
    code = SELF_INFLICTED.format(signal=name)
    with pytest.raises(RunError, match=f"interrupted by {name}") as caught:
        lab.run(lab.strategy(TRADED, code=code, cls="Impatient"))
    outcome = lab.last()
    assert str(outcome.folder) in str(caught.value)
    record = outcome.record
    assert (record.status, record.error) == ("interrupted", str(caught.value))
    # Bars 1 to 6: bought at 102 and at 104, each plus 0.2 and a fee, valued at bar 6's close, 105.
    assert record.bars == 6
    assert [f["price"] for f in outcome.fills] == [102.2, 104.2]
    assert len(outcome.table("equity")) == len(outcome.table("bars")) == 6
    assert outcome.table("funding") == []
    wanted = 10_000 + 2 * 105 - 206.4 - 206.4 * 0.0005
    assert record.final_equity == pytest.approx(wanted)
    assert outcome.trips[0]["close_price"] == 105
    assert record.fingerprint is not None
    assert (outcome.folder / "report.html").exists()


def test_signal_before_the_first_bar_ends_the_run_there(lab: Lab) -> None:
    lab.bars(flat(100, 30))
    code = SELF_INFLICTED.format(signal="SIGINT")
    with pytest.raises(RunError, match="interrupted by SIGINT"):
        lab.run(lab.strategy(TRADED, code=code, cls="Hasty"))
    record = lab.last().record
    assert (record.status, record.bars, record.orders) == ("interrupted", 1, 0)
    assert record.final_equity == 10_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_from_outside_ends_a_long_run_in_order(lab: Lab, number: signal.Signals) -> None:
    lab.bars(flat(100, 100_000))
    process = lab.start(lab.config(lab.strategy(TRADED, code=SLOW, cls="Slow")))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert f"interrupted by {number.name}" in err
    outcome = lab.last()
    assert outcome.record.status == "interrupted"
    assert 6 <= outcome.record.bars < 10_000
    assert len(outcome.table("equity")) == outcome.record.bars
    assert len(outcome.fills) == 2


def test_killed_run_says_running_and_has_no_tables(lab: Lab) -> None:
    lab.bars(flat(100, 100_000))
    process = lab.start(lab.config(lab.strategy(TRADED, code=SLOW, cls="Slow")))
    process.kill()
    process.communicate(timeout=60)
    outcome = lab.last()
    assert outcome.record.status == "running"
    assert outcome.record.fingerprint is None
    left = {p.name for p in outcome.folder.iterdir()}
    assert {n for n in left if not n.startswith("journal.")} == {"config.toml", "run.json"}
