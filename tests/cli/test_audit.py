"""``aitb audit`` as a person and as a script meets it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_records import (
    Acknowledged,
    Decided,
    Gap,
    Halted,
    Intended,
    Resumed,
    Sent,
)
from tests.journal_samples import BTC, EMA, OPENED, T0, fill, wish, write_orders

HOUR = 3_600_000_000_000


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    """Return a run folder with a journal: two orders, a refusal, a halt, a gap."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/20231114-btc")
    folder.mkdir(parents=True)
    with Journal(folder / "journal.sqlite", OPENED, T0, durable=False) as journal:
        wish(journal, "ema001aaaaaaaaaaaaaaaaaaaaaaaa", T0 + HOUR)
        fill(journal, "ema001aaaaaaaaaaaaaaaaaaaaaaaa", T0 + HOUR + 1_500_000)
        refused = Decided(
            outcome="refused",
            wanted=Decimal("0.5"),
            limit="spread",
            line="spread of [12] bps is above 10",
            equity=99_998.5,
            position=Decimal("0.1"),
        )
        journal.append(refused, T0 + 2 * HOUR, "grid-002", BTC, "grid002b")
        journal.append(Halted(reason="daily loss of 5 %"), T0 + 3 * HOUR)
        journal.append(Resumed(reason="seen", who="anna@desk", state="reducing"), T0 + 4 * HOUR)
        gap = Gap(lost=3, first_ts=T0, last_ts=T0, why="database or disk is full")
        journal.append(gap, T0 + 5 * HOUR)
    return folder


def run(capsys, *words):
    """Run a verb of ``aitb audit``; return its exit code, stdout and stderr."""
    code = main(["audit", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def answer(capsys, *words, code=0):
    """Run a verb with --json; return its one object."""
    found, out, _ = run(capsys, *words, "--json")
    assert found == code
    (line,) = out.splitlines()
    return json.loads(line)


def change(path, statement):
    with closing(sqlite3.connect(path)) as database:
        (trigger,) = database.execute(
            "SELECT sql FROM sqlite_schema WHERE name = 'no_update'"
        ).fetchone()
        database.execute("DROP TRIGGER no_update")
        database.execute(statement)
        database.execute(trigger)
        database.commit()


def test_verify_says_in_one_sentence_that_a_journal_is_whole(run_dir, capsys):
    head = answer(capsys, "verify", run_dir)["head"]
    code, out, err = run(capsys, "verify", run_dir)
    assert (code, err) == (0, "")
    assert " ".join(out.split()) == (
        "whole runs/20231114-btc/journal.sqlite: 11 records, 2023-11-14T22:14:00Z to "
        "2023-11-15T03:14:00Z; 3 records could not be written, in 1 gap. Head "
        f"{head}."
    )


def test_verify_as_json_and_with_a_noted_head(run_dir, capsys):
    proof = answer(capsys, "verify", run_dir / "journal.sqlite")
    head = proof.pop("head")
    assert proof == {
        "path": "runs/20231114-btc/journal.sqlite",
        "whole": True,
        "records": 11,
        "first": "2023-11-14T22:14:00Z",
        "last": "2023-11-15T03:14:00Z",
        "closed": True,
        "gaps": 1,
        "lost": 3,
        "noted_at": None,
        "broken": None,
        "unanswered": [],
    }
    assert answer(capsys, "verify", run_dir, "--head", head)["noted_at"] == 11
    cut = answer(capsys, "verify", run_dir, "--head", "ab" * 32, code=1)
    assert (cut["whole"], cut["broken"]["seq"], cut["broken"]["what"]) == (False, 12, "cut off")


def test_verify_names_the_first_broken_record_and_leaves_with_1(run_dir, capsys):
    change(run_dir / "journal.sqlite", "UPDATE records SET ts = 5 WHERE seq IN (4, 9)")
    code, out, err = run(capsys, "verify", run_dir)
    assert (code, err) == (1, "")
    assert " ".join(out.split()) == (
        "broken runs/20231114-btc/journal.sqlite: record 4 was changed: its content is not what "
        "was written; the 3 records before it are whole."
    )
    assert answer(capsys, "verify", run_dir, code=1)["broken"]["what"] == "changed"


def test_verify_says_that_a_node_still_writes(run_dir, capsys):
    with Journal(run_dir / "journal.sqlite", OPENED, T0 + 6 * HOUR):
        code, out, _ = run(capsys, "verify", run_dir)
    assert code == 0
    assert "not closed (the node runs, or was killed)" in " ".join(out.split())


@pytest.mark.parametrize("width", [80, 120])
def test_show_fits_the_terminal(run_dir, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, err = run(capsys, "show", run_dir)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= width
    flat = " ".join(out.split())
    for said in (
        "2023-11-14 23:14:00.001",
        "submit BUY 0.100 MARKET",
        "allowed 0.100 (saw equity 100000 mark 30000 position 0 open orders 2)",
        "BUY 0.100 at 30001.5, fee 1.5, 0 left",
        "halted by guard: daily loss of 5 %",
        "reducing again by anna@desk: seen",
        "3 records could not be written: database or disk is full",
        "spread of [12] bps is above 10",
        "ema001aaaaaaaaaaaaaaaaaaaaaaaa",
        "the run came to its end",
    ):
        assert said in flat, said
    assert ("strategy" in out.splitlines()[0]) == (width == 120)


def test_show_finds_the_records_that_are_asked_for(run_dir, capsys):
    def seqs(*words):
        return [r["seq"] for r in answer(capsys, "show", run_dir, *words)["records"]]

    assert seqs() == list(range(1, 12))
    assert seqs("--order", "grid002b") == [7]
    assert seqs("--strategy", EMA) == [2, 3, 4, 5, 6]
    assert seqs("--instrument", BTC, "--kind", "decision") == [3, 7]
    assert seqs("--kind", "halted", "--kind", "resumed") == [8, 9]
    assert seqs("--since", "2023-11-15T01:14") == [8, 9, 10, 11]
    assert seqs("--last", "2") == [10, 11]
    assert seqs("--last", "0", "--order", "nobody") == []
    assert "No record fits." in run(capsys, "show", run_dir, "--order", "nobody")[1]
    out = run(capsys, "show", run_dir, "--last", "2")[1]
    assert "The last 2 of 11; --last 0 shows all." in out


def test_show_as_json_holds_every_field(run_dir, capsys):
    shown = answer(capsys, "show", run_dir, "--kind", "sent")
    assert shown["found"] == 1
    (record,) = shown["records"]
    assert len(record.pop("hash")) == 64
    assert record == {
        "seq": 4,
        "ts": T0 + HOUR,
        "time": "2023-11-14T23:14:00Z",
        "kind": "sent",
        "strategy_id": EMA,
        "instrument_id": BTC,
        "client_order_id": "ema001aaaaaaaaaaaaaaaaaaaaaaaa",
        "body": {"action": "submit", "side": "BUY", "order_kind": "MARKET", "quantity": "0.100"},
    }


def test_show_spells_changes_exits_and_reasons(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "journal.sqlite"
    half = Decimal("0.5")
    bodies = [
        Intended(action="close", purpose="exit:signal", because="btc_up@3 0.21"),
        Decided(outcome="shrunk", wanted=Decimal(1), quantity=half, limit="gross", line="too big"),
        Decided(outcome="allowed", action="modify", quantity=half, reducing=True),
        Sent(action="modify", quantity=half, price=2.25, trigger_price=2.5, reduce_only=True),
        Acknowledged(answer="updated", quantity=half, price=2.25),
        Acknowledged(answer="rejected", reason="no\nmargin"),
    ]
    with Journal(path, OPENED, T0, durable=False) as journal:
        for body in bodies:
            journal.append(body, T0)
    with pytest.raises(ZeroDivisionError), Journal(path, OPENED, T0):
        _ = 1 / 0
    flat = " ".join(run(capsys, "show", path)[1].split())
    for said in (
        "close, exit:signal because btc_up@3 0.21",
        "shrunk 0.5 of 1 by gross: too big (saw position 0 open orders 0)",
        "allowed change 0.5, only reduces (saw",
        "modify 0.5 at 2.25 trigger 2.5, reduce-only",
        "updated quantity 0.5 at 2.25",
        "rejected: no margin",
        "run 20231114-221400-btc, config c0c0c0c0c0c0, goes on from ",
        "ZeroDivisionError: division by zero",
    ):
        assert said in flat, said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["verify", "nowhere"], 4, "nowhere: is not there"),
        (["verify", "runs"], 4, "runs: holds no journal.sqlite"),
        (["show", "note.txt"], 4, "is no journal"),
        (["verify", "old.sqlite"], 4, "is a journal of version 9"),
        (["verify", "runs/20231114-btc", "--head", "abc"], 2, "--head was 'abc'"),
        (["show", "runs/20231114-btc", "--since", "noon"], 2, "'noon' is not a time"),
        (["show", "runs/20231114-btc", "--kind", "sentt"], 2, "'sentt'"),
        (["show", "odd.sqlite"], 1, "record 1 is none that this program writes"),
    ],
)
def test_what_cannot_be_read_is_one_paragraph_with_its_exit_code(
    run_dir, capsys, words, code, said
):
    Path("note.txt").write_text("a text, and no database at all; " * 20)
    for name, statement in (
        ("old.sqlite", "PRAGMA user_version = 9"),
        ("odd.sqlite", "UPDATE records SET kind = 'guess' WHERE seq = 1"),
    ):
        write_orders(Path(name), 1)
        change(name, statement)
    found, out, err = run(capsys, *words)
    assert (found, out) == (code, "")
    assert said in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1


def test_verify_names_the_commands_that_nobody_answered(run_dir, capsys):
    assert answer(capsys, "verify", run_dir)["unanswered"] == []
    with Journal(run_dir / "journal.sqlite", OPENED, T0, durable=False) as journal:
        wish(journal, "ema001bbbbbbbbbbbbbbbbbbbbbbbb", T0 + 6 * HOUR)
    assert answer(capsys, "verify", run_dir)["unanswered"] == ["ema001bbbbbbbbbbbbbbbbbbbbbbbb"]
    _, out, _ = run(capsys, "verify", run_dir)
    assert "Without an answer: ema001bbbbbbbbbbbbbbbbbbbbbbbb." in " ".join(out.split())


def test_verify_compares_the_head_that_the_run_has_noted(run_dir, capsys):
    head = answer(capsys, "verify", run_dir)["head"]
    (run_dir / "run.json").write_text(json.dumps({"journal": {"records": 1, "head": head}}))
    assert answer(capsys, "verify", run_dir)["noted_at"] is not None
    (run_dir / "run.json").write_text(json.dumps({"journal": {"records": 1, "head": "0" * 64}}))
    assert answer(capsys, "verify", run_dir, code=1)["broken"]["what"] == "cut off"
    (run_dir / "run.json").write_text("no JSON")
    code, _, err = run(capsys, "verify", run_dir)
    assert code == 4
    assert "cannot be read" in " ".join(err.split())
