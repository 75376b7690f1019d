"""A back-test has trading states of its own, in memory: it never sees nor changes the trader's."""

from __future__ import annotations

from aitb_nautilus.cli import main
from aitb_nautilus.run.backtest import backtest
from tests.run.desk_lab import A, Lab, buy, flat

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


def test_halt_in_a_back_test_is_not_kept(lab: Lab) -> None:
    lab.bars([*ROWS, *flat(50.0, 5)])
    config = lab.config(lab.strategy({3: [buy(50)]}), risk={"drawdown": {"halt_frac": 0.1}})
    record = backtest(config)
    assert record.halts
    assert "only a person" not in record.halts[0].reason
    assert not (lab.folder / "state").exists()
    assert A in str(record.data)
