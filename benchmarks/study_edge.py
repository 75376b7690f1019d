"""Does a desk find an edge where none is, and the one that was planted?

Markets are simulated, a model is trained on their first 150 days, and the desk trades the 90 days
after it, costs included: the same steps as ``aitb data simulate``, ``aitb train`` and
``aitb backtest``. Prints a table; ``docs/decisions/0013-edge-on-simulated-markets.md`` has the
settings' reasons and the figures of a whole run. Run as ``python benchmarks/study_edge.py``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.observe.verdict import verdict_of
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.training import TrainingDesk, load_training, train
from aitb_nautilus.training.settings import Algorithm, LightgbmSettings, LogisticSettings
from catalog.simulate import SimulationSettings, simulate_into
from catalog.store import BarStore

BTC, ETH = "BTCUSDT-PERP.BINANCE", "ETHUSDT-PERP.BINANCE"
START, TRAINED, DAYS = "2024-01-01", "2024-05-30", 240
EMPTY_SEEDS, PLANTED_SEEDS = range(1, 21), range(1, 11)
STRENGTH, HALF_LIFE = 0.04, 24

# Linear, penalised and calibrated, as a weak signal under much noise asks for; and 200 trees that
# learn such rows by heart, neither stopped early nor calibrated.
MODELS: dict[str, tuple[Algorithm, Literal["sigmoid", "none"]]] = {
    "sober": (LogisticSettings(), "sigmoid"),
    "rash": (LightgbmSettings(early_stopping_rounds=0), "none"),
}
COSTS = {"with": (2.0, 5.0, 1.0), "without": (0.0, 0.0, 0.0)}

CONFIG = """
[catalog]
path = "{folder}/data"

[features]
interval = "5m"
columns = [
    "log_return(1)", "log_return(4)", "log_return(16)", "log_return(48)", "log_return(96)",
    "ema_ratio(12,48)", "ema_ratio(24,96)", "rsi(14)", "zscore(close,96)", "zscore(volume,96)",
    "realised_volatility(96)", "hour_sin", "hour_cos", "ema_ratio(4,12)@1h",
]

[model]
id = "{name}"
instruments = ["{btc}", "{eth}"]
end = "{trained}"
registry = "{folder}/models"
label = {{ kind = "sign", horizon_bars = 24 }}
folds = {{ count = 2 }}

[[venues]]
name = "BINANCE"
account = "margin"
leverage = 3
starting_balance = "10000 USDT"
maker_fee_bps = {maker}
taker_fee_bps = {taker}
slippage_bps = {slippage}
latency_ms = 50

[risk]
max_order_notional = 20_000
max_position_notional = 20_000

[[actors]]
class = "actors.inference:OnnxInferenceActor"
id = "inference"
params = {{ models = ["{name}"], registry = "{folder}/models" }}

[[strategies]]
class = "strategies.threshold:Threshold"
id = "threshold"

[strategies.params]
instruments = ["{btc}", "{eth}"]
interval = "5m"
model = "{name}"
direction = "both"
long_enter = 0.54
long_exit = 0.49
short_enter = 0.46
short_exit = 0.51
sizing = {{ method = "equity_fraction", fraction = 0.5 }}
exits = {{ stop_frac = 0.03, target_frac = 0.08, max_bars = 288 }}

[backtest]
start = "{trained}"
runs = "{folder}/runs"
"""

type Planted = Literal["none", "momentum"]
type Variants = tuple[tuple[str, str], ...]
"""Pairs of model and costs."""


@dataclass(frozen=True)
class Result:
    """One market, one model, one back-test."""

    alpha: Planted
    model: str
    costs: str
    seed: int
    record: RunRecord
    seconds: float

    @property
    def kind(self) -> str:
        """The verdict in a word; ``positive`` is the one that says "edge"."""
        verdict = verdict_of(self.record)
        assert ("edge" in verdict.sentence) == (verdict.kind == "positive")
        return verdict.kind

    @property
    def net(self) -> float:
        """Net result after costs, fraction of the starting equity."""
        assert self.record.final_equity is not None
        return self.record.final_equity / self.record.starting_equity - 1

    def row(self) -> str:
        """Return a line of the table."""
        assert self.record.stats is not None
        (model,) = self.record.models
        figures = model.figures
        assert figures is not None
        assert model.sample == "out"
        auc = "-" if figures.auc is None else f"{figures.auc:.4f}"
        assert figures.log_loss is not None
        assert figures.log_loss_prior is not None
        stats = self.record.stats
        return (
            f"| {self.seed} | {auc} | {figures.log_loss:.5f} | {figures.log_loss_prior:.5f} "
            f"| {stats.trades + stats.open_trades} | {self.net:+.2%} | {self.kind} |"
        )


def with_model(desk: TrainingDesk, name: str) -> TrainingDesk:
    """Return the training with one of `MODELS`; a file cannot turn early stopping off."""
    algorithm, calibration = MODELS[name]
    model = replace(desk.config.model, algorithm=algorithm, calibration=calibration)
    return replace(desk, config=replace(desk.config, model=model))


def study(
    folder: Path,
    seed: int,
    alpha: Planted,
    variants: Variants,
) -> Iterator[Result]:
    """Simulate one market; train and trade each variant, a pair of model and costs."""
    spec = SimulationSettings(
        instruments=(BTC, ETH),
        interval="5m",
        start=START,
        days=DAYS,
        seed=seed,
        alpha=alpha,
        alpha_strength=STRENGTH,
        alpha_halflife_bars=HALF_LIFE,
    )
    folder.mkdir(exist_ok=True)
    simulate_into(BarStore(folder / "data"), spec)
    trained: set[str] = set()
    for name, costs in variants:
        began = time.perf_counter()
        path = folder / f"{name}-{costs}-costs.toml"
        maker, taker, slippage = COSTS[costs]
        path.write_text(
            CONFIG.format(
                folder=folder, btc=BTC, eth=ETH, trained=TRAINED, name=name,
                maker=maker, taker=taker, slippage=slippage,
            )
        )  # fmt: skip
        if name not in trained:
            trained.add(name)
            train(with_model(load_training(path), name))
        record = backtest(path)
        yield Result(alpha, name, costs, seed, record, time.perf_counter() - began)


def main() -> None:
    """Run the whole study and print its tables."""
    plan: dict[Planted, tuple[range, Variants]] = {
        "none": (EMPTY_SEEDS, (("sober", "with"), ("rash", "without"))),
        "momentum": (PLANTED_SEEDS, (("sober", "with"),)),
    }
    results: list[Result] = []
    for alpha, (seeds, variants) in plan.items():
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                os.environ["AITB_HOME"] = f"{folder}/home"  # keys of its own
                for result in study(Path(folder), seed, alpha, variants):
                    results.append(result)
                    print(alpha, result.model, result.row(), file=sys.stderr, flush=True)
    for alpha, (_, variants) in plan.items():
        for name, costs in variants:
            part = [r for r in results if (r.alpha, r.model, r.costs) == (alpha, name, costs)]
            print(f"\nalpha {alpha}, {name} model, {costs} costs\n")
            print("| seed | AUC | log loss | of the prior | trades | net result | verdict |")
            print("|---|---|---|---|---|---|---|")
            print("\n".join(r.row() for r in part))
            kinds = Counter(r.kind for r in part)
            print("\n" + ", ".join(f"{kind}: {count}" for kind, count in kinds.most_common()))
            print(f"{sum(r.seconds for r in part) / len(part):.1f} s each")


if __name__ == "__main__":
    main()
