"""``aitb follow`` on a stream that a publisher has written to a real Redis."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.messages import Prediction
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_records import Filled, Halted, Opened
from aitb_nautilus.run.redis_server import client_of
from aitb_nautilus.run.redis_settings import RedisSettings
from aitb_nautilus.run.stream_events import HeldNow, Standing, recorded, stream_key
from aitb_nautilus.run.stream_publisher import StreamPublisher
from tests.redis_lab import RedisServer

T0 = 1_700_000_000_125_000_000
BTC = "BTCUSDT-PERP.BINANCE"
KEY = stream_key("AITB-007")


@pytest.fixture
def desk(tmp_path: Path, redis_server: RedisServer) -> Path:
    """Return a file with the two sections that a follower reads."""
    path = tmp_path / "far.toml"
    path.write_text(f'[trader]\nid = "AITB-007"\n[redis]\nurl = "{redis_server.url}"\n')
    return path


def publish(desk: Path, server: RedisServer, run: str = "run-1") -> None:
    """Publish what a short run says, from a journal of its own."""
    settings = RedisSettings(url=server.url)
    one = StreamPublisher(partial(client_of, settings, "far.toml"), KEY, run, settings)
    one.start()

    def tell(rows: Any) -> None:
        for row in rows:
            one.put(row[2], row[1], recorded(row))

    opened = Opened(run_id=run, config_sha256="ab" * 32, mode="paper")
    with Journal(desk.parent / f"{run}.sqlite", opened, T0, tell=tell) as journal:
        foretold = Prediction(
            BTC, "up", "3", 0.42, 0.71, 0.0012, None, 60 * 10**9, T0, T0, T0, T0 + 60 * 10**9
        )
        one.put("prediction", T0, foretold)
        fill = Filled(
            trade_id="t1", side="BUY", price=30_000.5, quantity=Decimal("0.010"), fee=0.15
        )
        journal.append(fill, T0, "ema-001", BTC, "order-1")
        one.put("position", T0, HeldNow("ema-001", BTC, Decimal("0.010"), 30_000.5, 0.0, 0.15, 0.0))
        for _ in range(3):
            one.put("status", T0, Standing("paper", "active", 9_999.85, "USDT", 1, 0, 0))
        halted = Halted(reason="daily loss", who="guard", state="halted", scope="trader")
        journal.append(halted, T0 + 10**9)
        one.put("status", T0, Standing("paper", "halted", 9_999.85, "USDT", 1, 0, 0))
    one.close(5)
    assert one.lost == 0


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_each_event_is_one_line(
    desk: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(desk, redis_server)
    assert main(["follow", str(desk), "--all", "--until-closed"]) == 0
    assert lines(capsys) == [
        "22:13:20.125 opened     run run-1, config abababababab",
        f"22:13:20.125 prediction {BTC} up@3 0.710 up, expects +0.120%, good until 22:14:20",
        f"22:13:20.125 filled     ema-001 {BTC} BUY 0.010 at 30000.5, fee 0.15",
        f"22:13:20.125 position   ema-001 {BTC} 0.010 at 30000.5, -0.15 realized with costs",
        "22:13:20.125 status     paper, active, equity 9,999.85 USDT, 1 position, 0 open orders",
        "22:13:21.125 halted     halted by guard: daily loss",
        "22:13:20.125 status     paper, halted, equity 9,999.85 USDT, 1 position, 0 open orders",
        "22:13:21.125 closed     the run came to its end",
    ]


def test_json_is_one_object_a_line_with_everything_that_was_published(
    desk: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(desk, redis_server)
    words = ["follow", str(desk), "--all", "--until-closed", "--json", "--kind", "filled"]
    assert main(words) == 0
    (line,) = lines(capsys)
    event = json.loads(line)
    assert (event["run"], event["number"], event["kind"], event["ts"]) == ("run-1", 3, "filled", T0)
    assert event["data"]["body"]["quantity"] == "0.010"
    assert event["data"]["client_order_id"] == "order-1"
    assert event["data"]["seq"] == 2
    assert len(event["data"]["hash"]) == 64


def test_following_goes_on_after_an_id(
    desk: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(desk, redis_server)
    assert main(["follow", str(desk), "--last", "2", "--until-closed", "--json"]) == 0
    halted, closed = map(json.loads, lines(capsys))
    assert (halted["kind"], closed["kind"]) == ("status", "closed")
    assert main(["follow", str(desk), "--after", halted["id"], "--until-closed", "--json"]) == 0
    assert [json.loads(line) for line in lines(capsys)] == [closed]


@pytest.mark.parametrize("letters", [1, 60, 120])
def test_what_to_do_to_go_on_is_said_on_one_line_however_long_the_path(
    desk: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str], letters: int
) -> None:
    publish(desk, redis_server)
    config = desk.rename(desk.with_name(f"{'f' * letters}.toml"))
    assert main(["follow", str(config), "--last", "1", "--until-closed"]) == 0
    (newest,) = redis_server.client().xrevrange(KEY, count=1)
    said = capsys.readouterr().err
    assert said == f"to go on from here: aitb follow {config} --after {newest[0]}\n"


def test_events_that_are_missing_or_were_taken_out_are_said(
    desk: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(desk, redis_server)
    client = redis_server.client()
    ids = [entry_id for entry_id, _ in client.xrange(KEY)]
    client.xdel(KEY, ids[0], ids[3], ids[4])
    assert main(["follow", str(desk), "--after", "1-1", "--until-closed", "--json"]) == 0
    err = capsys.readouterr().err.replace("\n", " ")
    assert f"the stream begins at {ids[1]} by now: events before it are missing" in err
    assert "2 events are missing here" in err


def test_entry_of_a_newer_version_is_refused(
    desk: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"v": "2", "run": "r", "n": 1, "kind": "filled", "ts": 1, "data": "{}"}
    redis_server.client().xadd(KEY, fields, id="5-1")
    assert main(["follow", str(desk), "--all"]) == 4
    assert "is of version 2, must be of version 1" in capsys.readouterr().err
    redis_server.client().xadd(KEY, {"word": "x"}, id="6-1")
    assert main(["follow", str(desk), "--after", "5-1"]) == 4
    assert "is no event of a node" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no [redis]"),
        ("[redis]\nstreams = false\n", "redis.streams: was false"),
        ("[redis]\nurl = 'redis://127.0.0.1:1'\n", "cannot be reached"),
    ],
)
def test_config_that_publishes_nothing_cannot_be_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(text)
    assert main(["follow", str(path)]) == 3
    assert said in capsys.readouterr().err


def test_beginnings_that_exclude_each_other_are_refused(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["follow", str(desk), "--all", "--last", "3"]) == 2
    assert main(["follow", str(desk), "--after", "yesterday"]) == 2
    assert "was 'yesterday'" in capsys.readouterr().err
