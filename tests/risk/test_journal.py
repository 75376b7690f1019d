"""The journal as its writer meets it: what is written, when it is on the disk, who may write."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from decimal import Decimal
from itertools import batched
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from aitb_nautilus.errors import DataError
from aitb_nautilus.messages import (
    CancelIntent,
    CloseIntent,
    Fill,
    ModifyIntent,
    OrderIntent,
    OrderUpdate,
)
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_chain import chained, decode_body, encode_body, link
from aitb_nautilus.risk.journal_file import JournalError
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import Wanted, count, read
from aitb_nautilus.risk.journal_records import (
    Acknowledged,
    Body,
    Closed,
    Decided,
    Filled,
    Halted,
    Intended,
    Opened,
    Resumed,
    Sent,
)
from tests.journal_samples import (
    BTC,
    EMA,
    ONE,
    OPENED,
    T0,
    fill,
    records,
    rows_of,
    wish,
    write_orders,
)

ROOT = Path(__file__).parents[2]
MODES = pytest.mark.parametrize("durable", [True, False], ids=["durable", "fast"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@MODES
def test_life_of_an_order_is_read_back_as_it_was_written(path: Path, durable: bool) -> None:
    with Journal(path, OPENED, T0, durable=durable) as journal:
        assert wish(journal, "o1", T0 + 5) == 4
        assert fill(journal, "o1", T0 + 7) == 6
    found = list(read(path))
    assert [(r.seq, r.ts - T0, r.kind) for r in found] == [
        (1, 0, "opened"),
        (2, 5, "intent"),
        (3, 5, "decision"),
        (4, 5, "sent"),
        (5, 7, "acknowledged"),
        (6, 7, "filled"),
        (7, 7, "closed"),
    ]
    assert found[0].body == OPENED
    assert (found[2].strategy_id, found[2].instrument_id, found[2].client_order_id) == (
        EMA,
        BTC,
        "o1",
    )
    assert found[2].body == Decided(
        outcome="allowed",
        wanted=ONE,
        quantity=ONE,
        equity=100_000.0,
        mark=30_000.0,
        open_orders=2,
    )
    assert found[6].body == Closed()


def test_hash_is_the_one_that_the_page_of_the_decision_states(path: Path) -> None:
    write_orders(path, 1)
    previous = bytes(32)
    for *fields, stored in rows_of(path):
        array = json.dumps(fields[:-1], separators=(",", ":"))[:-1] + f",{fields[-1]}]"
        previous = hashlib.sha256(previous + array.encode()).digest()
        assert stored == previous


def test_durable_record_is_on_the_disk_when_append_returns(path: Path) -> None:
    with Journal(path, OPENED, T0) as journal:
        assert count(path) == 1
        wish(journal, "o1")
        assert count(path) == 4
        assert journal.state.waiting == 0


def test_noted_records_wait_for_the_next_append_or_flush(path: Path) -> None:
    with Journal(path, OPENED, T0) as journal:
        journal.note(Decided(outcome="refused", limit="spread"), T0)
        assert (count(path), journal.state.waiting) == (1, 1)
        journal.flush()
        assert (count(path), journal.state.waiting) == (2, 0)


@MODES
def test_what_stands_before_a_record_is_written_with_it(path: Path, durable: bool) -> None:
    wished, cancel = Intended(action="cancel"), Sent(action="cancel")
    with Journal(path, OPENED, T0, durable=durable) as journal:
        journal.note(Decided(outcome="allowed"), T0 + 1, EMA, BTC, "o1", before=wished)
        assert journal.append(cancel, T0 + 2, EMA, BTC, "o1", before=wished) == 5
    found = list(read(path))[1:-1]
    assert [r.body for r in found] == [wished, Decided(outcome="allowed"), wished, cancel]
    assert [r.ts - T0 for r in found] == [1, 1, 2, 2]
    assert {(r.strategy_id, r.instrument_id, r.client_order_id) for r in found} == {
        (EMA, BTC, "o1")
    }


@pytest.mark.parametrize("records", [99, 100, 101, 250])
def test_records_of_one_commit_are_one_chain_however_many_they_are(
    path: Path, records: int
) -> None:
    with Journal(path, OPENED, T0, durable=False, batch=records) as journal:
        for number in range(records):
            journal.note(Halted(reason=str(number)), T0)
        assert count(path) == 1 + records
    assert verify(path).whole
    reasons = [r.body.reason for r in read(path) if isinstance(r.body, Halted)]
    assert reasons == [str(number) for number in range(records)]


def test_fast_journal_writes_a_batch_at_a_time(path: Path) -> None:
    with Journal(path, OPENED, T0, durable=False, batch=4) as journal:
        seqs = [journal.append(Resumed(reason="r", who="w"), T0) for _ in range(6)]
        assert seqs == [2, 3, 4, 5, 6, 7]
        assert (count(path), journal.state.waiting) == (5, 2)
    assert count(path) == 8


def test_fast_and_durable_journals_of_the_same_decisions_are_the_same(tmp_path: Path) -> None:
    heads = {
        write_orders(tmp_path / f"{durable}.sqlite", 250, durable=durable)
        for durable in (True, False)
    }
    assert len(heads) == 1


def test_journal_is_gone_on_with_from_its_head(path: Path) -> None:
    head = write_orders(path, 1)
    with Journal(path, OPENED, T0 + 60) as journal:
        wish(journal, "o9", T0 + 61)
    opened = [r.body for r in read(path, Wanted(kinds=("opened",)))]
    assert [b.resumed_from for b in opened if isinstance(b, Opened)] == ["", head]
    proof = verify(path, head)
    assert (proof.whole, proof.noted_at, proof.records) == (True, 7, 12)


def test_run_that_raises_says_so_in_the_last_record(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Journal(path, OPENED, T0):
        _ = 1 / 0
    (last,) = read(path, Wanted(last=1))
    assert last.body == Closed(why="ZeroDivisionError: division by zero")


def test_closed_journal_is_one_plain_file_and_takes_nothing_more(path: Path) -> None:
    journal = Journal(path, OPENED, T0)
    assert len(list(path.parent.iterdir())) == 4  # the file, what SQLite keeps beside it, the lock
    journal.close("stopped by anna", T0 + 9)
    journal.close()
    assert list(path.parent.iterdir()) == [path]
    assert [r.ts for r in read(path)] == [T0, T0 + 9]
    with pytest.raises(JournalError, match="was closed"):
        journal.append(Closed(), T0)


def test_closing_while_somebody_reads_leaves_a_whole_journal(path: Path) -> None:
    journal = Journal(path, OPENED, T0)
    reader = read(path)
    assert next(reader).kind == "opened"
    journal.close()
    assert list(reader) == []
    assert verify(path).closed


@pytest.mark.parametrize("statement", ["UPDATE records SET ts = 0", "DELETE FROM records"])
def test_file_refuses_to_change_or_lose_a_record(path: Path, statement: str) -> None:
    write_orders(path)
    with (
        closing(sqlite3.connect(path)) as database,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        database.execute(statement)
    assert verify(path).whole


def test_reader_sees_one_moment_while_the_writer_goes_on(path: Path) -> None:
    with Journal(path, OPENED, T0) as journal:
        wish(journal, "o1")
        reader = read(path)
        first = next(reader)
        wish(journal, "o2")
        assert [first.seq, *(r.seq for r in reader)] == [1, 2, 3, 4]
        assert count(path) == 7


def test_filters_choose_records(path: Path) -> None:
    write_orders(path, 3)
    with Journal(path, OPENED, T0 + 100) as journal:
        journal.append(Halted(reason="loss"), T0 + 101, "grid-002", "ETHUSDT-PERP.BINANCE")

    def seqs(**wanted: object) -> list[int]:
        return [r.seq for r in read(path, Wanted(**wanted))]  # type: ignore[arg-type]

    assert seqs(client_order_id="o1") == [7, 8, 9, 10, 11]
    assert seqs(kinds=("sent", "halted")) == [4, 9, 14, 19]
    assert seqs(strategy_id="grid-002") == [19]
    assert seqs(instrument_id=BTC, kinds=("filled",)) == [6, 11, 16]
    assert seqs(since_ns=T0 + 2, kinds=("filled", "opened")) == [16, 18]
    assert seqs(last=2) == [19, 20]
    assert count(path, Wanted(strategy_id=EMA, last=2)) == 15


@given(st.lists(records(), max_size=8), st.text(st.characters(exclude_categories=["Cs"])))
@settings(max_examples=60, deadline=None)
def test_any_record_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[Body], name: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "journal.sqlite"
    with Journal(path, OPENED, 0, durable=False) as journal:
        for ts, body in enumerate(bodies):
            journal.append(body, ts, name, name, name)
    found = list(read(path))[1:-1]
    assert [(r.body, r.client_order_id) for r in found] == [(b, name) for b in bodies]
    assert verify(path).whole


@given(records())
@settings(max_examples=100, deadline=None)
def test_same_body_is_always_the_same_text(body: Body) -> None:
    text = encode_body(body)
    assert encode_body(decode_body(body.kind, text)) == text


def test_numbers_and_texts_that_json_lacks_are_written_all_the_same(path: Path) -> None:
    with Journal(path, OPENED, T0) as journal:
        price = float("nan")
        intended = Intended(action="submit", quantity=Decimal("NaN"), price=price)
        journal.append(intended, T0)
        journal.append(Acknowledged(answer="rejected", reason="odd \ud800 text"), T0)
        with pytest.raises(JournalError, match="surrogates not allowed"):
            journal.append(Halted(reason="r"), T0, "ema-\ud800")
    _, nan, odd, gap, _ = read(path)
    assert isinstance(nan.body, Intended)
    assert nan.body.price is None
    assert str(nan.body.quantity) == "NaN"
    assert odd.body == Acknowledged(answer="rejected", reason="odd ? text")
    assert gap.kind == "gap"
    assert verify(path).lost == 1


@pytest.mark.parametrize("ts", [-1, 1 << 63])
def test_time_that_is_none_is_refused_before_it_is_written(path: Path, ts: int) -> None:
    with Journal(path, OPENED, T0) as journal:
        with pytest.raises(ValueError, match="ts was"):
            journal.append(Closed(), ts)
        assert not journal.broken


@MODES
def test_threads_write_one_chain(path: Path, durable: bool) -> None:
    seqs: list[int] = []

    def work(number: int) -> None:
        seqs.extend(journal.append(Halted(reason=f"{number}-{i}"), T0, EMA) for i in range(20))

    with Journal(path, OPENED, T0, durable=durable, batch=7) as journal:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(seqs) == list(range(2, 82))
    assert verify(path).records == 82
    reasons = [r.body.reason for r in read(path) if isinstance(r.body, Halted)]
    assert sorted(reasons) == sorted(f"{n}-{i}" for n in range(4) for i in range(20))


def test_second_writer_is_refused_in_one_paragraph(path: Path) -> None:
    with Journal(path, OPENED, T0):
        with pytest.raises(JournalError) as refused:
            Journal(path, OPENED, T0)
        assert f"is being written by another node (process {os.getpid()})" in str(refused.value)
        assert count(path) == 1
    Journal(path, OPENED, T0).close()


HOLDER = """
import sys
from pathlib import Path
from aitb_nautilus.risk.journal import Journal
from tests.journal_samples import OPENED, T0
journal = Journal(Path(sys.argv[1]), OPENED, T0)
print("here", flush=True)
sys.stdin.readline()
"""


def test_lock_of_another_process_holds_until_it_is_dead(path: Path) -> None:
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "here\n"
        with pytest.raises(JournalError, match=f"process {holder.pid}"):
            Journal(path, OPENED, T0)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    Journal(path, OPENED, T0 + 1).close()
    assert [r.kind for r in read(path)] == ["opened", "opened", "closed"]


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("PRAGMA user_version = 2", "is a journal of version 2, this program reads and writes"),
        ("PRAGMA application_id = 7", "is no journal"),
    ],
)
def test_file_of_another_version_or_kind_is_refused(path: Path, prepare: str, said: str) -> None:
    write_orders(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(prepare)
    with pytest.raises(DataError, match=said):
        Journal(path, OPENED, T0)
    with pytest.raises(DataError, match=said):
        verify(path)
    assert list(path.parent.iterdir()) == [path]


def test_text_file_is_no_journal_and_stays_as_it_is(path: Path) -> None:
    path.write_text("not a database, but long enough to be read as one " * 40)
    before = path.read_bytes()
    with pytest.raises(DataError, match="is no journal"):
        Journal(path, OPENED, T0)
    assert path.read_bytes() == before


def test_what_a_killed_maker_left_is_begun_anew(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    assert path.stat().st_size > 0
    write_orders(path)
    assert verify(path).whole


def test_journal_with_a_broken_end_is_not_gone_on_with(path: Path) -> None:
    write_orders(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO records VALUES (18, 0, 'closed', '', '', '', '{}', x'00')")
    with pytest.raises(JournalError, match="record 18, the last one, is broken"):
        Journal(path, OPENED, T0)


def test_missing_folder_is_one_paragraph(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be made: no such file or directory"):
        Journal(tmp_path / "nowhere" / "journal.sqlite", OPENED, T0)


def test_messages_become_records() -> None:
    order = OrderIntent(instrument_id=BTC, side="SELL", kind="LIMIT", quantity=ONE, price=2.5)
    assert Intended.of(order, "btc_up@3 0.29") == Intended(
        action="submit",
        side="SELL",
        order_kind="LIMIT",
        quantity=ONE,
        price=2.5,
        purpose="entry",
        because="btc_up@3 0.29",
    )
    assert Intended.of(ModifyIntent(client_order_id="o", trigger_price=3.5)) == Intended(
        action="modify", trigger_price=3.5
    )
    assert Intended.of(CloseIntent(instrument_id=BTC)) == Intended(
        action="close", purpose="exit:signal"
    )
    assert Intended.of(CancelIntent(client_order_id="o")) == Intended(action="cancel")
    answers = [
        Acknowledged.of(update).answer
        for update in (
            OrderUpdate("o", BTC, 1, "ACCEPTED"),
            OrderUpdate("o", BTC, 1, "CANCELED"),
            OrderUpdate("o", BTC, 1, "EXPIRED"),
            OrderUpdate("o", BTC, 1, "REJECTED"),
            OrderUpdate("o", BTC, 1, "DENIED"),
            OrderUpdate("o", BTC, 1, None, ONE, answers_change=True),
            OrderUpdate("o", BTC, 1, None, reason="too late", answers_change=True),
        )
    ]
    assert answers == [
        "accepted",
        "cancelled",
        "expired",
        "rejected",
        "denied",
        "updated",
        "unchanged",
    ]
    fact = Fill(EMA, BTC, "o", "t-1", 1, "BUY", 2.5, ONE, 0.1, "MAKER")
    assert Filled.of(fact, Decimal(0)) == Filled(
        trade_id="t-1",
        side="BUY",
        price=2.5,
        quantity=ONE,
        fee=0.1,
        liquidity="MAKER",
        leaves=Decimal(0),
    )


@given(st.lists(records(), max_size=5), st.binary(min_size=32, max_size=32))
def test_many_are_chained_as_one_is(bodies: list[Body], previous: bytes) -> None:
    entries = [field for body in bodies for field in (7, "s", "i", "o", body)]
    rows = list(batched(chained(previous, 41, entries), 8, strict=True))
    assert [row[0] for row in rows] == list(range(42, 42 + len(bodies)))
    for row in rows:
        assert row[-1] == link(previous, row[:-1])
        previous = row[-1]


class MallInfo(ctypes.Structure):
    """What mallinfo2(3) tells, glibc alone."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc alone")
def test_little_is_kept_of_what_was_written(tmp_path: Path) -> None:
    told = ctypes.CDLL(None).mallinfo2
    told.restype = MallInfo

    with Journal(tmp_path / "journal.sqlite", OPENED, T0, on_disk="soon") as journal:
        for number in range(300):
            wish(journal, f"o{number}")
        before = told().uordblks
        for number in range(300, 2_400):
            wish(journal, f"o{number}")
        kept = told().uordblks - before
    assert (tmp_path / "journal.sqlite").stat().st_size > 1_000_000
    assert kept < 300_000
