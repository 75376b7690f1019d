"""Train a model from Python, and let it trade if it is good for anything.

python examples/train_model.py quickstart/quickstart.toml

As ``aitb train``, ``aitb models promote`` and ``aitb backtest`` do.
"""

import sys
from pathlib import Path

from aitb_nautilus import backtest, train
from aitb_nautilus.models.registry import Registry


def main(config: str) -> None:
    """Train the model of one config; promote it and run the config if it beats the baselines."""
    report = train(config)
    model = report.model
    print(f"{model.id}@{model.version}: {report.judgement.verdict}")
    if not report.judgement.useful:
        print("It stays where it is: the desk would trade on nothing.")
        return
    Registry(Path(model.path).parents[1]).promote(f"{model.id}@{model.version}", "production")
    run = backtest(config)
    print(Path(run.run_dir) / "report.html")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "quickstart/quickstart.toml")
