"""The journal that a back-test leaves in its folder."""

from __future__ import annotations

import sqlite3

import pytest

from aitb_nautilus.errors import RunError
from aitb_nautilus.risk.journal_file import JOURNAL_NAME
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import read
from tests.run.desk_lab import MINUTE, T0, Lab, buy, flat, sell

LOCKS = """
class Locks(Scripted):
    def decide_on_bar(self, bar):
        from pathlib import Path
        import sqlite3
        if not hasattr(self, "stranger"):
            path = max((Path(__file__).parent / "runs").iterdir()) / "journal.sqlite"
            self.stranger = sqlite3.connect(path, isolation_level=None)
            self.stranger.execute("BEGIN IMMEDIATE")
        return super().decide_on_bar(bar)
"""


def test_run_folder_holds_a_whole_journal_whose_end_is_noted(lab: Lab) -> None:
    outcome = lab.trade(flat(100, 8), {2: [buy()], 5: [sell()]})
    path = outcome.folder / JOURNAL_NAME
    noted = outcome.record.journal
    assert noted is not None
    proof = verify(path, noted.head)
    assert (proof.whole, proof.closed, proof.records) == (True, True, noted.records)
    told = list(read(path))
    order = ["intent", "decision", "sent", "filled"]
    assert [r.kind for r in told] == ["opened", *order, *order, "closed"]
    opened = told[0].body
    assert (opened.run_id, opened.mode) == (outcome.folder.name, "backtest")
    assert opened.config_sha256 == outcome.record.config_sha256
    assert opened.limits["max_order_notional"] == 1e6
    assert (told[0].ts, told[-1].ts) == (T0, T0 + 8 * MINUTE)
    assert sorted(p.name for p in outcome.folder.glob("journal*")) == [JOURNAL_NAME]


def test_end_that_was_cut_off_is_seen_by_the_noted_head(lab: Lab) -> None:
    outcome = lab.trade(flat(100, 8), {2: [buy()], 5: [sell()]})
    path = outcome.folder / JOURNAL_NAME
    with sqlite3.connect(path) as database:
        (guarding,) = database.execute(
            "SELECT sql FROM sqlite_schema WHERE name = 'no_delete'"
        ).fetchone()
        database.execute("DROP TRIGGER no_delete")
        database.execute("DELETE FROM records WHERE seq > 5")
        database.execute(guarding)
    database.close()
    assert verify(path).whole
    noted = outcome.record.journal
    assert noted is not None
    assert not verify(path, noted.head).whole


def test_error_ends_the_journal_with_its_reason(lab: Lab) -> None:
    lab.bars(flat(100, 8))
    code = """
class Fails(Scripted):
    def decide_on_bar(self, bar):
        if bar.ts > 1_672_531_200_000_000_000 + 180_000_000_000:
            raise ValueError("boom")
        return super().decide_on_bar(bar)
"""
    with pytest.raises(RunError, match="boom"):
        lab.run(lab.strategy({2: [buy()]}, code=code, cls="Fails"))
    told = list(read(lab.last().folder / JOURNAL_NAME))
    assert told[-1].kind == "closed"
    assert "boom" in told[-1].body.why
    assert [r.body.reason for r in told if r.kind == "halted"] == [told[-1].body.why]


def test_run_whose_journal_could_not_be_written_has_failed(lab: Lab) -> None:
    lab.bars(flat(100, 8))
    path = lab.config(lab.strategy({2: [buy()]}, code=LOCKS, cls="Locks"))
    done = lab.process(path)
    assert done.returncode == 1
    assert "must be written before an order is sent" in done.stderr
    assert lab.last().record.status == "failed"
