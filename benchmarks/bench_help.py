"""Time `aitb --help` in a fresh process, against an interpreter that only starts."""

import json
import statistics
import subprocess
import sys
import time

ROUNDS = 9


def seconds(*arguments: str) -> float:
    """Return the median wall time of one fresh Python process."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print two figures: the seconds of the overview, and those of a bare interpreter."""
    bare = seconds("-c", "pass")
    overview = seconds("-m", "aitb_nautilus", "--help")
    print(
        json.dumps(
            {
                "figure": "aitb --help",
                "value": overview,
                "unit": "s",
                "limit": 0.5,
                "better": "lower",
                "note": f"median of {ROUNDS}; a bare interpreter takes {bare:.3f} s",
            }
        )
    )


if __name__ == "__main__":
    main()
