"""Tables that a node writes while it runs: those of its end, and again after a disk was full."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from msgspec.structs import replace

from aitb_nautilus.errors import RunError
from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.node_preparation import prepare_node
from aitb_nautilus.run.prediction_recorder import PredictionRecorder
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.run_writer import RunWriter
from aitb_nautilus.run.snapshots import Facts, Snapshots, stand
from aitb_nautilus.settings import Settings
from tests.run.desk_lab import MINUTE, A, B, Lab, flat
from tests.run.test_node_preparation import NOW, prepared

CARRIED_AT = NOW - 5 * MINUTE


@pytest.fixture
def run(lab: Lab) -> Preparation:
    return prepared(lab, flat(100, 12)).run


@pytest.fixture
def facts(lab: Lab, run: Preparation) -> Facts:
    bars = prepared(lab, flat(100, 12)).plan.past[A]
    order = Order(
        client_order_id="O-1",
        strategy_id="S-001",
        instrument_id=A,
        side="BUY",
        kind="MARKET",
        quantity=Decimal(2),
        price=None,
        trigger_price=None,
        reduce_only=False,
        purpose="entry",
        ts_sent=CARRIED_AT,
    )
    fill = Fill("S-001", A, "O-1", "T-1", CARRIED_AT, "BUY", 100.0, Decimal(2), 0.1, "TAKER")
    return Facts(
        told={A: bars},
        past={},
        orders=[order],
        fills=[fill],
        predictions=PredictionRecorder(Settings(), run.context, "recorder").table(),
        late={},
        equity=10_000.0,
        balances=None,
    )


def test_tables_while_it_runs_are_those_of_its_end_byte_for_byte(
    tmp_path: Path, run: Preparation, facts: Facts
) -> None:
    (tmp_path / "during").mkdir()
    (tmp_path / "after").mkdir()
    snapshots = Snapshots(run, RunWriter(tmp_path / "during"))
    snapshots.take(facts)
    snapshots.close()
    standing = stand(run, facts, RunWriter(tmp_path / "after").table)
    assert standing.results is not None
    assert (standing.results.orders, standing.results.fills) == (1, 1)
    during, after = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("during", "after")
    )
    assert len(after) == 13
    assert during == after


def test_fill_from_before_the_run_counts_as_one_of_its_beginning(
    run: Preparation, facts: Facts
) -> None:
    tables: dict[str, pa.Table] = {}
    stand(run, facts, tables.__setitem__)
    assert tables["fills"].column("ts").cast(pa.int64()).to_pylist() == [NOW]


def test_position_is_worth_what_the_past_says_until_its_first_bar_has_closed(
    lab: Lab, facts: Facts
) -> None:
    rows = lab.bars(flat(110, 12), B)
    lab.bars(flat(100, 12))
    config = lab.config(lab.strategy({}, instruments=(A, B)), warm_up={"bars": 6})
    run = prepare_node(load_config(config), RunState(), "paper", NOW).run
    carried = replace(facts.fills[0], instrument_id=B, client_order_id="O-2", trade_id="T-2")
    facts = replace(facts, past={B: rows}, fills=[*facts.fills, carried])
    tables: dict[str, pa.Table] = {}
    results = stand(run, facts, tables.__setitem__).results
    assert results is not None
    # Of B nothing was told yet: what was bought at 100 is worth 110.
    assert results.final_equity == pytest.approx(10_000 + 2 * (110 - 100) - 2 * 0.1)
    open_now = {row["instrument_id"]: row for row in tables["positions"].to_pylist()}
    assert (open_now[B]["close_price"], open_now[B]["ts_close"]) == (110.0, None)
    assert open_now[B]["pnl"] == pytest.approx(20 - 0.1)
    assert set(tables["bars"].column("instrument_id").to_pylist()) == {A}
    assert results.bars == len(facts.told[A])


def test_next_one_is_written_when_there_is_room_again(
    tmp_path: Path, run: Preparation, facts: Facts
) -> None:
    folder = tmp_path / "run"  # is not there yet
    snapshots = Snapshots(run, RunWriter(folder))
    snapshots.take(facts)
    assert snapshots._last is not None
    assert isinstance(snapshots._last.exception(timeout=60), RunError)
    folder.mkdir()
    with pytest.raises(RunError, match="could not be written"):
        snapshots.take(facts)  # what the first one raised
    snapshots.close()
    assert (folder / "orders.parquet").exists()
