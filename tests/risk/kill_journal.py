"""Kill a writer of a durable journal at random moments, and see that nothing it acted on is lost.

    python -m tests.risk.kill_journal 1000 [SEED [before|soon]]

Each time a child process opens the journal, writes orders, and tells the number of a record once
`append` has returned. Two orders of three are written ahead of SQLite, which takes one of them at
once, and the other one with what comes next (only ``soon`` does so). The child is killed with
SIGKILL somewhere in that; every other one once it has told something, since to open a journal alone
may take longer on a busy disk. Then the chain must verify, every record that was told must be
there, and an order that was sent and not answered must be named by `unresolved`. The same file is
gone on with; every hundredth kill begins a new one.
"""

from __future__ import annotations

import os
import random
import struct
import sys
import tempfile
from functools import partial
from pathlib import Path

import msgspec

from aitb_nautilus.errors import DataError
from aitb_nautilus.risk.disk import OnDisk
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_recovery import unresolved
from tests.journal_samples import OPENED, fill, wish
from tests.risk.killing import told_by_killed

_TOLD = struct.Struct("<QQ?")
"""Number of a record, its time, and whether it says that an order is sent."""
_LONGEST_S = 0.12
_KILLS_A_FILE = 100


class Tally(msgspec.Struct):
    """What many kills came to."""

    kills: int = 0
    before_the_first: int = 0
    while_an_order_was_out: int = 0
    told: int = 0
    records: int = 0
    lost: int = 0
    broken: int = 0
    unnamed: int = 0


def kill_many(folder: Path, kills: int, seed: int, on_disk: OnDisk) -> Tally:
    """Kill a writer so many times, and return what was found."""
    dice, tally = random.Random(seed), Tally()
    for number in range(kills):
        path = folder / f"{number // _KILLS_A_FILE}.sqlite"
        write = partial(_write, path, number, on_disk)
        after_s, has_begun = dice.uniform(0, _LONGEST_S), number % 2 == 1
        _judge(path, told_by_killed(write, after_s, has_begun=has_begun), tally)
        if (number + 1) % _KILLS_A_FILE == 0 or number + 1 == kills:
            tally.records += verify(path).records
    return tally


def _write(path: Path, number: int, on_disk: OnDisk, told: int) -> None:
    """Write orders until killed; the time of a record is told with it, and no other has it."""
    ts = (number + 1) << 32
    journal = Journal(path, OPENED, ts, on_disk=on_disk)
    while True:
        ts += 10
        order = f"o{ts}"
        number = wish(journal, order, ts, ahead=ts // 10 % 3 > 0)
        os.write(told, _TOLD.pack(number, ts, True))
        if ts // 10 % 3 == 1:
            journal.settle()
        os.write(told, _TOLD.pack(fill(journal, order, ts + 1), ts + 1, False))


def _judge(path: Path, told: bytes, tally: Tally) -> None:
    """Compare what a killed writer told with what the file holds."""
    known = list(_TOLD.iter_unpack(told))
    tally.kills += 1
    tally.told += len(known)
    tally.before_the_first += not known
    try:
        proof = verify(path)
    except DataError:  # killed before there was a journal at all
        tally.lost += len(known)
        return
    tally.broken += not proof.whole
    if not known:
        return
    seq, ts, is_sent = known[-1]
    here = {r.seq: r.ts for r in read(path, Wanted(since_ns=known[0][1]))}
    tally.lost += sum(here.get(seq) != ts for seq, ts, _ in known)
    if is_sent:
        tally.while_an_order_was_out += 1
        answered = any(r.seq > seq for r in read(path, Wanted(client_order_id=f"o{ts}")))
        named = any(u.client_order_id == f"o{ts}" for u in unresolved(path))
        tally.unnamed += not (named or answered)


def main() -> int:
    """Run from the command line; leave with 1 if anything was lost."""
    kills = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    on_disk: OnDisk = "soon" if sys.argv[3:] == ["soon"] else "before"
    with tempfile.TemporaryDirectory() as folder:
        tally = kill_many(Path(folder), kills, seed, on_disk)
    sys.stdout.write(msgspec.json.encode(tally).decode() + "\n")
    return int(bool(tally.lost or tally.broken or tally.unnamed))


if __name__ == "__main__":
    sys.exit(main())
