"""A node that publishes to Redis, and whoever follows it from another process."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.risk.journal_file import find_journal
from aitb_nautilus.risk.journal_reader import read
from aitb_nautilus.run.replay import replay
from tests.model_lab import put_for
from tests.redis_lab import RedisServer
from tests.run.node_lab import BTC, LIMIT_S, NodeLab, json_of, node_lab

LAST_STEP_S = 10.0
"""Within so many seconds a node must have ended after a signal."""


def events(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def of_journal(told: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the records of the journal that a stream told."""
    return [
        (
            said["seq"], event["ts"], event["kind"], said["strategy_id"], said["instrument_id"],
            said["client_order_id"], said["body"], said["hash"],
        )
        for event in told
        if "seq" in (said := event["data"])
    ]  # fmt: skip


def journal_of(folder: Path) -> list[tuple[Any, ...]]:
    """Return the records of a run's journal."""
    return [
        (
            one.seq, one.ts, one.kind, one.strategy_id, one.instrument_id, one.client_order_id,
            json.loads(msgspec.json.encode(one.body)), one.hash,
        )
        for one in read(find_journal(folder))
    ]  # fmt: skip


def column(folder: Path, table: str, name: str) -> list[Any]:
    """Return a column of a table of a run, times as ns."""
    found = pq.read_table(folder / f"{table}.parquet").column(name)
    return found.cast("int64").to_pylist() if "timestamp" in str(found.type) else found.to_pylist()


def with_model(lab: NodeLab, redis: dict[str, Any]) -> Path:
    """Write a desk that trades a model's predictions."""
    features = parse_features(["log_return(1)", "zscore(close,5)"], interval="1m")
    put_for(Registry(lab.folder / "models"), "up", features, (BTC,), seed=1)
    params = {"models": ["up"], "registry": str(lab.folder / "models"), "valid_bars": 50}
    strategy = {
        "instruments": [BTC],
        "interval": "1m",
        "model": "up",
        "direction": "both",
        "long_enter": 0.55,
        "long_exit": 0.5,
        "short_enter": 0.45,
        "short_exit": 0.5,
        "sizing": {"method": "equity_fraction", "fraction": 0.2},
        "exits": {"stop_frac": 0.01, "target_frac": 0.02},
    }
    return lab.write(
        redis=redis,
        actors=[{"class": "actors.inference:OnnxInferenceActor", "id": "model", "params": params}],
        strategies=[
            {"class": "strategies.threshold:Threshold", "id": "threshold", "params": strategy}
        ],
    )


def test_follower_hears_each_prediction_decision_order_and_fill_in_order_and_as_the_folder_has_it(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "keys"))
    with node_lab(tmp_path) as lab:
        desk = with_model(lab, {"url": redis_server.url, "status_secs": 0.5})
        follower = lab.start("follow", str(desk), "--all", "--until-closed", "--json")
        node = lab.start("live", str(desk), "--run", "--live-orders")
        node.wait_for("recovered")
        lab.play()
        node.wait_for("(exit:signal)")
        code, _, _ = node.stop()
        assert code == 0, node.said
        code, out = follower.end()
        assert code == 0, follower.said
        told, folder = events(out), lab.last().folder
    assert of_journal(told) == journal_of(folder)
    kinds = {event["kind"] for event in told}
    assert kinds >= {"opened", "intent", "decision", "sent", "acknowledged", "filled", "position"}
    assert {event["run"] for event in told} == {folder.name}
    foretold = [event["data"] for event in told if event["kind"] == "prediction"]
    assert [p["ts_event"] for p in foretold] == column(folder, "predictions", "ts")
    assert [p["probability"] for p in foretold] == column(folder, "predictions", "probability")
    fills = [event["data"]["body"] for event in told if event["kind"] == "filled"]
    assert [fill["trade_id"] for fill in fills] == column(folder, "fills", "trade_id")
    # A prediction stands before what was decided on it.
    first = [event["kind"] for event in told if event["kind"] in ("prediction", "decision")]
    assert first[0] == "prediction"
    held = [event["data"]["quantity"] for event in told if event["kind"] == "position"]
    assert len(held) == len(fills)
    assert any(float(quantity) for quantity in held)
    # Whoever listens changes nothing: all of it comes out once more, without a Redis.
    redis_server.kill()
    again = replay(folder)
    assert (again.divergence, again.differences, again.is_whole) == (None, 0, True)
    redis_server.start()


def test_redis_that_is_killed_and_comes_back_costs_no_event_and_no_trade(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with node_lab(tmp_path) as lab:
        desk = lab.write(redis={"url": redis_server.url})
        follower = lab.start("follow", str(desk), "--all", "--until-closed", "--json")
        node = lab.start("paper", str(desk))
        node.wait_for("recovered")
        lab.play()
        node.wait_for("(entry)")
        redis_server.kill()
        before = node.said.count("(entry)")
        node.wait_for("Redis is away")
        follower.wait_for("Redis is away")
        until = time.monotonic() + LIMIT_S
        while node.said.count("(entry)") < before + 2:
            assert time.monotonic() < until, node.said
            time.sleep(0.05)
        redis_server.start()
        node.wait_for("Redis is back")
        follower.wait_for("Redis is back")
        code, _, _ = node.stop()
        assert code == 0, node.said
        code, out = follower.end()
        assert code == 0, follower.said
        assert "events were not published" not in node.said
        assert "missing" not in follower.said
        assert of_journal(events(out)) == journal_of(lab.last().folder)


def test_follower_ends_with_a_signal_and_the_next_one_goes_on_where_it_was(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with node_lab(tmp_path) as lab:
        desk = lab.write(redis={"url": redis_server.url})
        node = lab.start("paper", str(desk))
        node.wait_for("recovered")
        first = lab.start("follow", "desk.toml", "--all", "--json")
        lab.play()
        node.wait_for("(entry)")
        until = time.monotonic() + LIMIT_S
        while not any(one["cmd"] == "xread" for one in redis_server.client().client_list()):
            assert time.monotonic() < until, "nobody follows"
            time.sleep(0.05)
        code, told, took = first.stop()
        assert (code, took < LAST_STEP_S) == (0, True)
        after = events(told)[-1]["id"]
        second = lab.start("follow", "desk.toml", "--after", after, "--json", "--until-closed")
        node.wait_for("(exit:signal)")
        node.stop()
        code, rest = second.end()
        assert code == 0
        folder = lab.last().folder
    assert of_journal(events(told) + events(rest)) == journal_of(folder)


def test_redis_that_stalls_holds_up_neither_trading_nor_the_end(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with node_lab(tmp_path) as lab:
        desk = lab.write(redis={"url": redis_server.url, "timeout_secs": 1.0})
        node = lab.start("live", str(desk), "--run", "--live-orders", "--json")
        node.wait_for("recovered")
        lab.play()
        node.wait_for("(entry)")
        redis_server.stall()
        before = node.said.count("(entry)")
        node.wait_for("Redis is away")
        until = time.monotonic() + LIMIT_S
        while node.said.count("(entry)") < before + 2:
            assert time.monotonic() < until, node.said
            time.sleep(0.05)
        code, out, took = node.stop()
        redis_server.go_on()
    assert code == 0, node.said
    assert json_of(out)["status"] == "complete"
    assert took < LAST_STEP_S
    assert "events were not published" in node.said


def test_node_does_not_start_without_the_redis_of_its_config(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    redis_server.kill()
    with node_lab(tmp_path) as lab:
        desk = lab.write(redis={"url": redis_server.url})
        code, _ = lab.start("paper", str(desk)).end()
        assert code == 3
        # Nothing of it is left behind.
        assert not (tmp_path / "runs").exists()
    redis_server.start()
