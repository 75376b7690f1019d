"""A back-test has trading states of its own, in memory: it never sees nor changes the trader's."""

from __future__ import annotations

from aitb_nautilus.cli import main
from aitb_nautilus.run.backtest import backtest
from tests.run.desk_lab import A, B, Lab, buy, flat

ROWS = flat(100.0, 30)


def test_halted_trader_is_back_tested_as_if_it_were_not(lab: Lab) -> None:
    lab.bars(ROWS)
    config = lab.config(lab.strategy({3: [buy()]}))
    free = backtest(config)
    state = lab.folder / "state"
    assert not state.exists()
    assert main(["halt", str(config), "--reason", "a test"]) == 0
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    halted = backtest(config)
    assert (halted.orders, halted.fills) == (free.orders, free.fills) == (1, 1)
    assert halted.fingerprint == free.fingerprint
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before


HALTING = """
from aitb_nautilus.risk.trading_states import Halt, StateScope


class Halting(Scripted):
    def on_number(self, bar, number):
        if (bar.instrument_id, number) == ("AAAUSDT-PERP.SIM", 3):
            scope = StateScope.instrument(bar.instrument_id)
            self.context.guard.restrict(Halt(bar.ts, "by hand", cause="command", scope=scope))
        return super().on_number(bar, number)
"""


def test_instrument_that_is_halted_opens_nothing_and_the_other_one_does(lab: Lab) -> None:
    for instrument_id in (A, B):
        lab.bars(ROWS, instrument_id)
    script = {(A, 5): [buy()], (B, 5): [buy(1, B)]}
    strategy = lab.strategy(script, instruments=(A, B), code=HALTING, cls="Halting")
    record = backtest(lab.config(strategy))
    assert (record.orders, record.refused) == (1, 1)
    assert [(halt.scope, halt.reason) for halt in record.halts] == [(A, "by hand")]
    assert record.status == "complete"


def test_halt_in_a_back_test_is_not_kept(lab: Lab) -> None:
    lab.bars([*ROWS, *flat(50.0, 5)])
    config = lab.config(lab.strategy({3: [buy(50)]}), risk={"drawdown": {"halt_frac": 0.1}})
    record = backtest(config)
    assert record.halts
    assert "only a person" not in record.halts[0].reason
    assert not (lab.folder / "state").exists()
    assert A in str(record.data)
