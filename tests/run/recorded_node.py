"""A recorded run of a node to replay: a model, a strategy that trades it, and one beside it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.models.registry import Registry
from tests.model_lab import put_for
from tests.run.node_lab import BTC, NodeLab

__all__ = ["record_node"]

FEATURES = parse_features(
    ["log_return(1)", "zscore(close,5)", "range_position(8)"], interval="1m", longest_gap_bars=4
)
BARS = 45
LIVE = ("--run", "--live-orders")


def record_node(
    lab: NodeLab, mode: str, secret: str, bars: int = BARS, *, is_killed: bool = False
) -> Path:
    """Let a node trade so many bars, end it, and return its run folder.

    Its orders are of all kinds: entries, some of them shrunk or refused, stops and targets that
    rest, are moved and cancelled, closes.
    """
    registry = lab.folder / "models"
    os.environ["AITB_HOME"] = str(lab.folder / "home")
    if not registry.exists():
        put_for(Registry(registry), "up", FEATURES, (BTC,), seed=1)
    model = {"models": ["up"], "registry": str(registry), "inference": "inline", "valid_bars": 50}
    threshold = {
        "instruments": [BTC],
        "interval": "1m",
        "model": "up",
        "direction": "both",
        "long_enter": 0.55,
        "long_exit": 0.5,
        "short_enter": 0.45,
        "short_exit": 0.5,
        "sizing": {"method": "equity_fraction", "fraction": 0.05},
        "exits": {
            "stop_frac": 0.02,
            "target_frac": 0.03,
            "trailing_frac": 0.0005,
            "max_bars": 9,
        },
    }
    cross = {
        "instruments": [BTC],
        "interval": "1m",
        "fast": 2,
        "slow": 3,
        "sizing": {"method": "equity_fraction", "fraction": 0.1},
    }
    config = lab.write(
        actors=[{"class": "actors.inference:OnnxInferenceActor", "id": "model", "params": model}],
        strategies=[
            {"class": "strategies.threshold:Threshold", "id": "threshold", "params": threshold},
            {"class": "strategies.ema_cross:EmaCross", "id": "ema", "params": cross},
        ],
        risk={"max_order_notional": 4_000.0, "max_orders_per_minute": 500},
        live={"holes": "accept"},
        venue={"starting_balance": "100000 USDT"},
    )
    node = lab.start(mode, str(config), *(LIVE if mode == "live" else ()), secret=secret)
    node.wait_for("warm after")
    lab.play()
    for number in range(5, bars + 5, 5):  # each of them within the lab's limit
        lab.wait_until(number)
    if is_killed:
        node.kill()
        lab.pause()
        return lab.last().folder
    code, _, _ = node.stop(signal.SIGTERM)
    lab.pause()
    assert code == 0, node.said
    return lab.last().folder
