"""Kill a live node at random moments around a halt, and see that no acknowledged one is lost.

    python -m tests.run.kill_node 25 [SEED]

Each time a node starts and trades, and a halt is given from this process; the node is killed with
SIGKILL up to `_LONGEST_S` later, before, while or after it obeys. If the halt was acknowledged, the
state file must hold it.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from aitb_nautilus.run.command_client import give, kept, status_of
from aitb_nautilus.run.command_messages import Command
from aitb_nautilus.run.state_place import StatePlace
from tests.run.test_halts_on_a_node import CONFIG, ROOT

_LONGEST_S = 0.08


class Tally(msgspec.Struct):
    """What many kills came to."""

    kills: int = 0
    acknowledged: int = 0
    held_without_word: int = 0
    lost: int = 0


def kill_many(folder: Path, kills: int, seed: int) -> Tally:
    """Kill a node so many times, and return what was found."""
    config = folder / "desk.toml"
    config.write_text(CONFIG)
    place, dice, tally = StatePlace.read(config), random.Random(seed), Tally()
    for number in range(kills):
        told = _killed(place, folder / f"{number}.sqlite", dice.uniform(0, _LONGEST_S))
        held = kept(place).scopes[0].level == "halted"
        tally.kills += 1
        tally.acknowledged += told
        tally.held_without_word += held and not told
        tally.lost += told and not held
        resume = Command(verb="resume", level="active", reason="the next one")
        give(place, resume)
    return tally


def _killed(place: StatePlace, journal: Path, after_s: float) -> bool:
    """Start a node, halt it, kill it, and return whether the halt was acknowledged before."""
    words = [sys.executable, "-m", "tests.run.live_node", str(place.config), str(journal)]
    done: list[float] = []

    def halt() -> None:
        answer, by_node = give(place, Command(verb="halt", reason="a test"))
        if answer.done and by_node:
            done.append(time.monotonic())

    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL) as node:
        while (status := status_of(place, 5.0)) is None or not status.bars:
            time.sleep(0.02)
        asking = threading.Thread(target=halt)
        asking.start()
        time.sleep(after_s)
        killed = time.monotonic()
        node.send_signal(signal.SIGKILL)
        node.wait()
    # What is given once more after the kill, where no node runs, is no acknowledgement of one.
    asking.join()
    return bool(done and done[0] <= killed)


def main() -> int:
    """Run from the command line; leave with 1 if a halt was lost."""
    kills = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder:
        tally = kill_many(Path(folder), kills, seed)
    sys.stdout.write(msgspec.json.encode(tally).decode() + "\n")
    return int(bool(tally.lost))


if __name__ == "__main__":
    sys.exit(main())
