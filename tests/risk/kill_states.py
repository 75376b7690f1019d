"""Kill a writer of trading states at random moments, and see that no halt that it told of is lost.

    python -m tests.risk.kill_states 1000 [SEED]

Each time a child process takes the lock, opens the state file, halts and resumes scopes, and tells
each change once it is written. It is killed with SIGKILL somewhere in that; every other one once it
has told something, since it may take longer to begin on a busy machine. Then what the file says
must be what was told, but for the one change that may have been written and not told any more. The
same file is gone on with; every hundredth kill begins a new one.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

import msgspec

from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.risk.state_lock import StateLock
from aitb_nautilus.risk.trading_states import TRADER, Halt, Resume, StateScope, TradingStates
from tests.risk.killing import told_by_killed

_LONGEST_S = 0.06
_KILLS_A_FILE = 100
_SCOPES = (TRADER, *(StateScope.strategy(name) for name in "abc"), StateScope.instrument("X.V"))


class Change(msgspec.Struct, frozen=True):
    """What a writer did: a halt, or else a resume."""

    halt: Halt | None
    resume: Resume | None


class Tally(msgspec.Struct):
    """What many kills came to."""

    kills: int = 0
    before_the_first: int = 0
    told: int = 0
    held: int = 0
    untold: int = 0
    lost: int = 0
    invented: int = 0


def kill_many(folder: Path, kills: int, seed: int) -> Tally:
    """Kill a writer so many times, and return what was found."""
    dice, tally = random.Random(seed), Tally()
    held: list[Halt] = []
    for number in range(kills):
        if number % _KILLS_A_FILE == 0:
            held = []
        path = folder / f"{number // _KILLS_A_FILE}.sqlite"
        write, after_s = partial(_write, path, number), dice.uniform(0, _LONGEST_S)
        words = told_by_killed(write, after_s, has_begun=number % 2 == 1)
        lines = [line for line in words.splitlines(keepends=True) if line.endswith(b"\n")]
        told = [msgspec.json.decode(line, type=Change) for line in lines]
        held = _judge(path, held, told, tally)
    return tally


def _write(path: Path, number: int, told: int) -> None:
    """Halt and resume until killed; no two halts are equal."""
    dice = random.Random(number)
    states = TradingStates()
    with StateLock(path):
        file = StateFile(path)
        states.put_in_force(file.read())
        states.keeper = file
        for ts in itertools.count(number * 1_000_000):
            scope = dice.choice(_SCOPES)
            if dice.random() < 0.3 and states.held(scope):
                change = Change(None, Resume(ts, f"resume {ts}", "ann@box", scope))
                states.lift(change.resume)
            else:
                cause = dice.choice(("command", "limit", "error"))
                halt = Halt(ts, f"halt {ts}", cause=cause, scope=scope, flatten=dice.random() < 0.5)
                change = Change(halt, None)
                if not states.restrict(halt):
                    continue
            os.write(told, msgspec.json.encode(change) + b"\n")


def _judge(path: Path, held: list[Halt], told: list[Change], tally: Tally) -> list[Halt]:
    """Compare what a killed writer told with what the file holds, and return the latter."""
    tally.kills += 1
    tally.told += len(told)
    tally.before_the_first += not told
    for change in told:
        if change.halt is not None:
            held = [*held, change.halt]
        else:
            held = [h for h in held if h.scope != change.resume.scope]
    with StateLock(path), StateFile(path) as file:
        found, newest = file.read(), file.changes(1)
    tally.held += len(found)
    if found == held:
        return found
    # The last change may have been written without being told; nothing else may differ.
    tally.untold += 1
    last = newest[0]
    if last.level == "active":
        expected = [h for h in held if h.scope != last.scope]
    else:
        expected = [*held, *(h for h in found if h.ts == last.ts and h not in held)]
    tally.lost += sum(h not in found for h in expected)
    tally.invented += sum(h not in expected for h in found)
    return found


def main() -> int:
    """Run from the command line; leave with 1 if anything was lost."""
    kills = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder:
        tally = kill_many(Path(folder), kills, seed)
    sys.stdout.write(msgspec.json.encode(tally).decode() + "\n")
    return int(bool(tally.lost or tally.invented))


if __name__ == "__main__":
    sys.exit(main())
