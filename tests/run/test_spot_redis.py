"""A spot node that publishes to Redis: kills, dust and the user's coins."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

from tests.redis_lab import RedisServer
from tests.run.node_lab import NodeLab, node_lab
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import comes_out_again, is_true_soon
from tests.run.test_spot_orders import (
    BEGAN,
    LOT,
    books,
    config_of,
    ours,
    resting,
    started,
    trade_and_enter_again,
    wallet,
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    fees = {"maker_fee": "0.001", "taker_fee": "0.001"}
    with node_lab(tmp_path, product="spot", api_secret=SECRET, balances=BEGAN, **fees) as lab:
        yield lab


def with_redis(config: str, server: RedisServer) -> str:
    """Add a Redis server to a config."""
    redis = {"redis": {"url": server.url, "timeout_secs": 1.0}}
    with Path(config).open("a") as file:
        file.write("\n" + tomli_w.dumps(redis))
    return config


def test_kill_of_a_spot_node_with_redis_loses_nothing(
    lab: NodeLab, redis_server: RedisServer
) -> None:
    config = with_redis(config_of(lab, {"trailing_frac": 0.001}), redis_server)
    for _ in range(2):
        node = started(lab, config)
        lab.play()
        trade_and_enter_again(node)
        lab.pause()
        node.process.send_signal(signal.SIGKILL)
        node.end()
    node = started(lab, config)
    assert "0 things are not explained" in node.said
    lab.play()
    trade_and_enter_again(node)
    lab.pause()
    assert is_true_soon(lambda: sum(o[2] for o in resting(lab)) == ours(lab) // LOT * LOT)
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert wallet(lab) == books(lab)
    assert lab.last().record.halts == []
    comes_out_again(lab)
    assert redis_server.client().keys("*")
