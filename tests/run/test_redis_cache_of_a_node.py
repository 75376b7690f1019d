"""The engine's cache in Redis: what it brings back after a kill, and when it is older than that."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.firewall_file import FirewallFile
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.run.engine_cache import EngineCache
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.node_preparation import prepare_node
from aitb_nautilus.run.replay import replay
from tests.redis_lab import RedisServer
from tests.run import test_recovery_of_a_node as alone
from tests.run.node_lab import LIMIT_S, Node, NodeLab, json_of, node_lab
from tests.run.test_live import SECRET, exits

LIVE = ("--run", "--live-orders")
NOTHING_OPEN = "0 things are not explained"
EMPTIED = "the cache was emptied"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


def config_of(lab: NodeLab, server: RedisServer, **more: Any) -> str:
    return str(
        lab.write(
            strategies=exits(lab.plain()),
            live={"holes": "accept", "snapshot_secs": 1.0},
            redis={"url": server.url, "cache": True, "streams": False, "timeout_secs": 1.0, **more},
        )
    )


def traded(lab: NodeLab, *words: str, entries: int = 1) -> Node:
    """Let a node trade until it holds something with a resting stop and target."""
    node = lab.start(*words, secret=SECRET)
    node.wait_for("warm after")
    lab.play()
    wait_for_entries(node, entries)
    time.sleep(0.5)
    return node


def wait_for_entries(node: Node, count: int) -> None:
    until = time.monotonic() + 40
    while node.said.count("(entry)") < count:
        assert time.monotonic() < until, node.said
        time.sleep(0.02)


def killed(lab: NodeLab, node: Node) -> None:
    lab.pause()
    time.sleep(0.5)
    node.process.send_signal(signal.SIGKILL)
    node.end()


def keys(server: RedisServer, pattern: str) -> list[str]:
    found = server.client().keys(f"trader-AITB-001:*:{pattern}")
    return sorted(key.partition(":")[2].partition(":")[2] for key in found)


def open_in(server: RedisServer) -> set[str]:
    """Return ids of the orders that the cache has open."""
    client = server.client()
    (all_,) = client.keys("trader-AITB-001:*:index:orders")
    closed = client.keys("trader-AITB-001:*:index:orders_closed")
    return client.smembers(all_) - (client.smembers(closed[0]) if closed else set())


def test_engine_begins_with_what_it_knew_and_agrees_with_journal_and_venue(
    lab: NodeLab, redis_server: RedisServer
) -> None:
    config = config_of(lab, redis_server)
    # Turned around: the position of the cache is not just its first fill.
    killed(lab, traded(lab, "live", config, *LIVE, entries=3))
    before = lab.venue()
    assert before["position"]
    assert len(open_in(redis_server)) == 2
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("recovered in")
    assert f"1 positions and 2 open orders are known, {NOTHING_OPEN}" in node.said
    assert lab.venue() == before
    assert EMPTIED not in node.said
    engine = (lab.last().folder / "engine.jsonl").read_text()
    # Its own orders: none had to be made up for what the venue has.
    assert "Created external order" not in engine
    lab.play()
    node.wait_for("(exit:signal)")
    code, _, _ = node.stop()
    assert code == 0, node.said


def test_cache_that_is_older_than_the_journal_is_emptied_and_the_venue_asked(
    lab: NodeLab, redis_server: RedisServer
) -> None:
    config = config_of(lab, redis_server)
    node = traded(lab, "live", config, *LIVE)
    # From here on the cache lacks everything: it keeps the first position, stop and target.
    redis_server.kill()
    node.wait_for("the engine's cache has lost its Redis")
    wait_for_entries(node, node.said.count("(entry)") + 1)
    killed(lab, node)
    before = lab.venue()
    redis_server.start()
    stale = open_in(redis_server)
    assert len(stale) == 2
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("recovered in")
    assert EMPTIED in node.said
    assert NOTHING_OPEN in node.said
    assert "halted" not in node.said
    assert lab.venue() == before
    lab.play()
    node.wait_for("(exit:signal)")
    assert node.stop()[0] == 0
    assert not open_in(redis_server) & stale
    # What differed, and what was done about it, stands in journal and table.
    folder = lab.last().folder
    found = [r.body for r in read(folder, Wanted(kinds=("found",)))]
    assert {f"cache:{name}" for name in stale} <= {row.key for row in found}
    settled = [r.body for r in read(folder, Wanted(kinds=("settled",)))]
    assert {(one.choice, one.who) for one in settled} == {("ignore", "node")}
    table = FirewallFile(tmp_state(lab), "AITB-001").table()
    assert table is not None
    assert (table.rows, len(table.settled)) == ((), len(found))
    again = replay(folder)
    assert (again.divergence, again.differences) == (None, 0)


def tmp_state(lab: NodeLab) -> Path:
    return lab.folder / "state"


def test_order_of_the_cache_that_no_journal_knows_never_reaches_the_engine(
    lab: NodeLab, redis_server: RedisServer
) -> None:
    config = config_of(lab, redis_server)
    killed(lab, traded(lab, "live", config, *LIVE))
    client = redis_server.client()
    name = sorted(open_in(redis_server))[0]
    # An order that no journal knows, as a cache of another desk would hold it.
    (key,) = client.keys(f"trader-AITB-001:*:orders:{name}")
    stranger = "f" * 32
    for event in client.lrange(key, 0, -1):
        client.rpush(key.replace(name, stranger), event.replace(name, stranger))
    for index in ("orders", "order_ids"):
        (kept,) = client.keys(f"trader-AITB-001:*:index:{index}")
        client.sadd(kept, stranger)
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("recovered in")
    assert f"order {stranger} is open in the engine's cache, and not in the journal" in node.said
    assert NOTHING_OPEN in node.said
    node.stop()


def test_cache_that_cannot_be_read_is_emptied(lab: NodeLab, redis_server: RedisServer) -> None:
    config = config_of(lab, redis_server)
    node = traded(lab, "live", config, *LIVE)
    client = redis_server.client()
    pattern = "trader-AITB-001:*:positions:*"
    assert alone.is_true_soon(lambda: client.keys(pattern))
    killed(lab, node)
    (key,) = client.keys(pattern)
    client.rpush(key, "no JSON")
    node = lab.start("live", config, *LIVE, secret=SECRET)
    node.wait_for("recovered in")
    assert "the engine's cache cannot be read" in node.said
    assert NOTHING_OPEN in node.said
    node.stop()


@pytest.mark.parametrize("how", ["stall", "kill"])
def test_redis_that_stalls_or_dies_holds_up_neither_orders_nor_the_end(
    lab: NodeLab, redis_server: RedisServer, how: str
) -> None:
    config = config_of(lab, redis_server, streams=True)
    node = lab.start("live", config, *LIVE, "--json", secret=SECRET)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(entry)")
    getattr(redis_server, how)()
    try:
        node.wait_for("the engine's cache has lost its Redis")
        entries = node.said.count("(entry)")
        until = time.monotonic() + LIMIT_S
        while node.said.count("(entry)") < entries + 2:
            assert time.monotonic() < until, node.said
            time.sleep(0.05)
        code, out, took = node.stop()
    finally:
        if how == "stall":
            redis_server.go_on()
    assert code == 0, node.said
    assert json_of(out)["status"] == "complete"
    assert took < 10
    # Said once, and not by the engine for every command.
    assert "nautilus_infrastructure" not in node.said


def test_cache_is_written_again_once_redis_is_back(lab: NodeLab, redis_server: RedisServer) -> None:
    config = config_of(lab, redis_server)
    node = traded(lab, "live", config, *LIVE)
    redis_server.kill()
    node.wait_for("the engine's cache has lost its Redis")
    redis_server.start()
    node.wait_for("Redis is back for the engine's cache")
    orders = len(keys(redis_server, "orders:*"))
    until = time.monotonic() + LIMIT_S
    while len(keys(redis_server, "orders:*")) < orders + 2:
        assert time.monotonic() < until, node.said
        time.sleep(0.05)
    code, _, _ = node.stop()
    assert code == 0, node.said


def test_paper_leaves_the_cache_alone(lab: NodeLab, redis_server: RedisServer) -> None:
    config = config_of(lab, redis_server)
    node = lab.start("paper", config, secret=SECRET)
    node.wait_for("recovered in")
    lab.play()
    node.wait_for("(entry)")
    assert node.stop()[0] == 0
    assert redis_server.client().keys("*") == []


def test_another_account_has_another_cache_and_the_same_one_the_same() -> None:
    def name(account: str) -> str:
        return str(EngineCache("redis://u:p%40x@h", "T-001", 1, account, 2.0).instance_id())

    assert name("AITB-001.live-11111111") == name("AITB-001.live-11111111")
    assert name("AITB-001.live-11111111") != name("AITB-001.live-22222222")
    reached = EngineCache("redis://u:p%40x@h", "T-001", 7, "a", 1.2).database()
    assert (reached.host, reached.port) == ("127.0.0.1", 7)
    assert (reached.username, reached.password) == ("u", "p@x")
    assert (reached.response_timeout, reached.number_of_retries) == (2, 0)


@pytest.mark.parametrize(
    "scenario",
    [
        alone.test_stop_that_was_taken_away_meanwhile_is_placed_anew_before_any_bar,
        alone.test_foreign_order_binds_to_reducing_and_is_cancelled_when_a_person_says_so,
    ],
    ids=lambda scenario: scenario.__name__.removeprefix("test_"),
)
def test_recovery_with_the_cache_is_the_one_without_it(
    lab: NodeLab,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    scenario: Callable[[NodeLab], None],
) -> None:
    write = lab.write
    redis = {"url": redis_server.url, "cache": True}
    monkeypatch.setattr(lab, "write", lambda **sections: write(redis=redis, **sections))
    scenario(lab)
    assert redis_server.client().keys("trader-AITB-001:*:orders:*")


@pytest.mark.parametrize(
    ("venue", "why"),
    [
        ({"name": "BINANCE", "account": "margin"}, ""),
        ({"name": "BINANCE", "account": "cash"}, "is a spot market"),
        ({"name": "BINANCE", "account": "margin", "adapter": "bybit"}, "is not Binance USD-M"),
    ],
)
def test_cache_is_refused_where_it_cannot_agree_or_a_stop_that_is_gone_would_be_believed_in(
    tmp_path: Path, venue: dict[str, str], why: str
) -> None:
    coin = "BTCUSDT" if venue["account"] == "cash" else "BTCUSDT-PERP"
    block = {"starting_balance": "1000 USDT", "maker_fee_bps": 2.0, "taker_fee_bps": 5.0, **venue}
    sizing = {"method": "equity_fraction", "fraction": 0.5}
    params = {"instruments": [f"{coin}.BINANCE"], "interval": "1m", "sizing": sizing}
    path = tmp_path / "desk.toml"
    path.write_text(
        tomli_w.dumps(
            {
                "catalog": {"path": str(tmp_path / "data")},
                "risk": {"max_order_notional": 100.0, "max_position_notional": 100.0},
                "venues": [block],
                "strategies": [
                    {"class": "strategies.ema_cross:EmaCross", "id": "ema", "params": params}
                ],
                "redis": {"cache": True},
            }
        )
    )
    desk = load_config(path)
    prepare_node(desk, RunState(), "paper", time.time_ns())
    if not why:
        prepare_node(desk, RunState(), "live", time.time_ns())
        return
    with pytest.raises(ConfigError, match=rf"redis\.cache: was true, and .* {why}"):
        prepare_node(desk, RunState(), "live", time.time_ns())
