"""Run one desk with several entry levels and compare the runs in one page.

python examples/compare_levels.py quickstart/quickstart.toml

Trying many settings and keeping the best finds luck as readily as skill: read the comparison as a
question how much the result hangs on the choice, not as a search for the best one.
"""

import sys
import tomllib
from pathlib import Path

import tomli_w

from aitb_nautilus import backtest
from aitb_nautilus.observe.compare import write_comparison

LEVELS = (0.54, 0.56, 0.58)


def main(config: str) -> None:
    """Run one config per level; the short side enters as far below one half."""
    template = tomllib.loads(Path(config).read_text())
    folder = Path("quickstart/compare")
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for level in LEVELS:
        levels = {"long_enter": level, "short_enter": round(1 - level, 2)}
        template["strategies"][0]["params"] |= levels
        variant = folder / f"enter-{level:.2f}.toml"
        variant.write_text(tomli_w.dumps(template))
        runs.append(Path(backtest(variant).run_dir))
    print(write_comparison(runs, folder / "comparison.html"))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "quickstart/quickstart.toml")
