"""Drive the machine for a long time, and tell what came of it.

    python -m tests.risk.machine.long STEPS [SEED]
    python -m tests.risk.machine.long faults [STEPS]
    python -m tests.risk.machine.long engine DESKS

``faults`` plants every fault of `faults.py`, one at a time, and tells after how many steps it is
found; ``engine`` drives the smaller machine through the real engine.

The same actions and checks as in the short run of the tests; a seeded source chooses instead of
Hypothesis, which would spend its time on shrinking. A run is many desks, one after the other, each
with its own limits. At the first thing that must never happen it leaves with 1 and tells the seed
of that desk and its last actions.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.risk.machine.engine_desk import run_desk
from tests.risk.machine.faults import FAULTS
from tests.risk.machine.node import Node
from tests.risk.machine.outcomes import Ended, Found
from tests.risk.machine.world import WEIGHTS, World, nothing

__all__ = ["desk", "main", "memory", "run", "steps_until_found"]

STEPS_A_DESK = 400
_BARS = 60
_NAMES, _PARTS = list(WEIGHTS), list(WEIGHTS.values())


def desk(
    seed: int,
    steps: int,
    tally: Counter[str],
    asked: Counter[str],
    change: Callable[[Node], None] = nothing,
) -> None:
    """Run one desk.

    Raises
    ------
    Found
        With the last actions.
    """
    dice = random.Random(seed)
    last = tally["steps"] + steps
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        world = World(lambda n: int(dice.random() * n), Path(folder), change, tally)
        try:
            while tally["steps"] < last:
                world.step(dice.choices(_NAMES, _PARTS)[0])
        except Ended:
            tally["desks that a person must answer"] += 1
        except BaseException as e:
            why = str(e) if isinstance(e, Found) else traceback.format_exc()
            raise Found(f"seed {seed}: {why}\n" + "\n".join(_story(world, why))) from e
        finally:
            world.close()
            asked.update(world.asked)


def _story(world: World, why: str) -> list[str]:
    """Return the last actions, and before them all that was told of the orders in question."""
    ids = {id_ for id_ in world.venue.orders if f"{id_} " in why or f"{id_}'" in why}
    lines = list(enumerate(world.trace))
    first = max(len(lines) - 40, 0)
    told = [(n, line) for n, line in lines[:first] if any(f"{i} " in line for i in ids)]
    return [f"{n:4} {line}" for n, line in [*told[-30:], *lines[first:]]]


def memory() -> str | None:
    """Return a folder in memory, where there is one: each record is forced to the disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def run(steps: int, seed: int, tally: Counter[str], asked: Counter[str]) -> None:
    """Run desks until so many steps were made."""
    while tally["steps"] < steps:
        desk(seed, min(STEPS_A_DESK, steps - tally["steps"]), tally, asked)
        tally["desks"] += 1
        seed += 1


def steps_until_found(fault: str, most: int) -> tuple[int, str]:
    """Plant a fault and return after how many steps it is found, and by what; 0 if it is not."""
    tally: Counter[str] = Counter()
    seed = 1
    while tally["steps"] < most:
        try:
            desk(seed, STEPS_A_DESK, tally, Counter(), FAULTS[fault])
        except Found as e:
            return tally["steps"], str(e).splitlines()[0]
        seed += 1
    return 0, "nothing"


def try_faults(most: int) -> int:
    """Plant every fault, one at a time, and tell what finds it."""
    missed = 0
    for fault in FAULTS:
        steps, why = steps_until_found(fault, most)
        missed += not steps
        sys.stdout.write(f"{fault:42} {steps:7,}  {why[:150]}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(FAULTS)} faults, {missed} not found\n")
    return int(bool(missed))


def run_engine(desks: int, tally: Counter[str], asked: Counter[str]) -> None:
    """Run desks through the real engine."""
    for seed in range(1, desks + 1):
        _, strategy = run_desk(seed, _BARS)
        tally.update(strategy.tally)
        tally["bars"] += strategy.bars
        asked.update(strategy.asked)
        tally["desks"] += 1


def main() -> int:
    """Run from the command line."""
    if sys.argv[1] == "faults":
        return try_faults(int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
    tally: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    began = time.monotonic()
    found = ""
    try:
        if sys.argv[1] == "engine":
            run_engine(int(sys.argv[2]), tally, asked)
        else:
            run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1, tally, asked)
    except Found as e:
        found = str(e)
    seconds = round(time.monotonic() - began, 1)
    report = {"seconds": seconds, "tally": dict(tally), "asked of limits": dict(asked)}
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    sys.stdout.write(found + "\n" if found else "nothing was found\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
