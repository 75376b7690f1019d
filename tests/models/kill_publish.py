"""Kill publishers and count what is left: ``kill_publish.py RANDOM_KILLS [SEED]``.

A publisher is killed once before each of its calls that touch the disk, and then as many others at
random moments. After every kill the version of the alias must load, with the same bytes, and so
must every other version that is there. Prints one JSON object; leaves with 1 if anything was
broken.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.trust import Keyring
from tests.model_lab import graph, put

CALLS = ("fsync", "mkdir", "open", "rename", "unlink")


def published_in_child(registry: Registry, bias: float, before: Callable[[], None]) -> int:
    """Publish a model in a forked process; return its id."""
    child = os.fork()
    if child == 0:
        before()
        put(registry, bias=bias)
        os._exit(0)
    return child


def die_at(step: int) -> None:
    """Kill this process right before its n-th call that touches the disk."""
    left = [step]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def counting(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counting

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def was_killed(child: int) -> bool:
    """Wait for a child and return whether a kill ended it."""
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the publisher failed by itself"
    return False


class Watch:
    """What must hold after every kill."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        put(registry, bias=-1.0)
        registry.promote("btc_up@1", "production")
        self.model = graph(bias=-1.0)
        self.leftovers = self.checked = 0
        self.verified = {1}

    def check(self) -> None:
        """Load the alias, and every version that has appeared since."""
        loaded = self.registry.verify("btc_up@production")
        assert loaded.resolved.version == 1
        assert loaded.bundle.model == self.model
        for version in self.registry.versions("btc_up"):
            if version not in self.verified:
                self.registry.verify(f"btc_up@{version}")
                self.verified.add(version)
        self.leftovers += (self.registry.root / "btc_up" / ".unfinished").exists()
        self.checked += 1


def main() -> None:
    """Kill, check, count, print."""
    rounds, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    begun = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="aitb-kill-"))
    try:
        registry = Registry(folder / "models", Keyring(folder / "config"))
        watch = Watch(registry)
        steps = 0
        while was_killed(published_in_child(registry, steps / 100, partial(die_at, steps + 1))):
            steps += 1
            watch.check()
        times = []
        for i in range(5):
            start = time.perf_counter()
            was_killed(published_in_child(registry, 10 + i / 100, lambda: None))
            times.append(time.perf_counter() - start)
        longest = 1.2 * statistics.median(times)
        draw = random.Random(seed)
        killed = finished = 0
        while killed < rounds:
            child = published_in_child(registry, 100 + (killed + finished) / 100, lambda: None)
            time.sleep(draw.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
            died = was_killed(child)
            killed, finished = killed + died, finished + (not died)
            watch.check()
        # Whatever was left behind, the next publisher starts clean.
        assert put(registry, bias=9.5).new
        assert not (registry.root / "btc_up" / ".unfinished").exists()
        print(
            json.dumps(
                {
                    "steps": steps,
                    "random_kills": killed,
                    "finished_before_the_kill": finished,
                    "leftovers": watch.leftovers,
                    "checked": watch.checked,
                    "versions": len(watch.verified),
                    "milliseconds_a_publication": round(1000 * statistics.median(times), 2),
                    "seconds": round(time.perf_counter() - begun, 1),
                }
            )
        )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
