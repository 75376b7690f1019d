"""Run a desk on recorded bars from Python, as ``aitb backtest`` does.

python examples/backtest_desk.py quickstart/quickstart.toml
"""

import sys
from pathlib import Path

from aitb_nautilus import backtest, load_config


def main(config: str) -> None:
    """Run one config and say where the report lies."""
    desk = load_config(config)
    record = backtest(desk)
    stats = record.stats
    print(f"{record.name}: {record.bars:,} bars, {record.fills} fills, status {record.status}")
    if stats is not None:
        label = "simulated market, " if record.simulated else ""
        print(f"{label}net return {stats.total_return:+.2%}, market {stats.market_return:+.2%}")
    print(Path(record.run_dir) / "report.html")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "quickstart/quickstart.toml")
