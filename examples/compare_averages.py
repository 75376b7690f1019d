"""Run one desk with several settings and compare the runs in one page.

python examples/compare_averages.py quickstart/quickstart.toml

Trying many settings and keeping the best finds luck as readily as skill: read the comparison as a
question how much the result hangs on the choice, not as a search for the best one.
"""

import sys
import tomllib
from pathlib import Path

import tomli_w

from aitb_nautilus import backtest
from aitb_nautilus.observe.compare import write_comparison

PAIRS = ((12, 48), (24, 96), (48, 192))


def main(config: str) -> None:
    """Run one config per pair of averages."""
    template = tomllib.loads(Path(config).read_text())
    folder = Path("quickstart/compare")
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for fast, slow in PAIRS:
        template["strategies"][0]["params"] |= {"fast": fast, "slow": slow}
        variant = folder / f"ema-{fast}-{slow}.toml"
        variant.write_text(tomli_w.dumps(template))
        runs.append(Path(backtest(variant).run_dir))
    print(write_comparison(runs, folder / "comparison.html"))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "quickstart/quickstart.toml")
