"""``aitb risk`` as a person and as a script meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.messages import CloseIntent
from tests.run.desk_lab import A, Lab, Outcome, buy, flat


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    return Lab(tmp_path)


@pytest.fixture
def outcome(lab: Lab) -> Outcome:
    """Return a run of two trades: one that won, one that lost."""
    close = [CloseIntent(instrument_id=A)]
    rows = [*flat(100, 4), *flat(110, 4), *flat(99, 8)]
    return lab.trade(rows, {2: [buy(5)], 6: close, 7: [buy(5)], 11: close})


def test_says_first_that_all_decisions_are_as_they_were(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["risk", str(outcome.folder)]) == 0
    said = capsys.readouterr().out
    assert "4 decisions taken again with the run's own limits: all as they were." in said
    assert "No limit was changed" in said


def test_shows_what_other_limits_refuse_and_what_that_saves(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["risk", str(outcome.folder), "--set", "risk.max_order_notional=200"]
    assert main([*words, "--set", "risk.max_orders_per_day=1", "--first", "1"]) == 0
    said = capsys.readouterr().out
    assert "risk.max_order_notional  1000000.0 -> 200" in said
    assert "risk.max_orders_per_day  none -> 1" in said
    assert "The first 1 of 2 orders" in said
    assert "5 -> 2" in said
    won, lost = (trip["pnl"] for trip in outcome.trips)
    effects = [f"{-0.6 * won:+,.2f}", f"{-lost:+,.2f}"]
    plain = said.replace("\N{MINUS SIGN}", "-")
    assert all(effect in plain for effect in effects)
    assert "exits shrink with what there is to close" in said


def test_json_is_one_object_with_every_order(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["risk", str(outcome.folder), "--set", "risk.max_order_notional=200", "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["decisions"], found["differences"]) == (4, [])
    assert [o["order"]["outcome"] for o in found["orders"]] == ["shrunk", "shrunk"]
    assert [o["order"]["would"] for o in found["orders"]] == ["2", "1.818"]
    assert found["recorded"]["fills"] == found["other"]["fills"] == 4


def test_decision_that_differs_is_named_and_nothing_is_claimed(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    path = outcome.folder / "bars.parquet"
    table = pq.read_table(path)
    closes = table.column("close").to_numpy().copy()
    closes[5] = 111.0
    column = table.column_names.index("close")
    pq.write_table(table.set_column(column, "close", pa.array(closes)), path)
    assert main(["risk", str(outcome.folder), "--set", "risk.max_order_notional=200"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "scripted-001 in AAAUSDT-PERP.SIM" in said.err
    assert "was '110.0', and is '111.0'" in " ".join(said.err.split())


def test_wrong_change_is_a_usage_error(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["risk", str(outcome.folder), "--set", "max_leverage=2"]) == 2
    assert "must be a key of [risk] and a value" in capsys.readouterr().err
    assert main(["risk", str(outcome.folder), "--set", "risk.max_levrage=2"]) == 3
    assert "max_leverage" in capsys.readouterr().err
    assert main(["risk", "nowhere"]) == 4
