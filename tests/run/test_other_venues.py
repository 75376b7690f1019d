"""Live nodes at the venues beside Binance: connected, subscribed, with the right bars in time.

Every node runs in a process of its own, through the engine's own adapter, against a local server
that speaks the venue's protocol. All run at once, since each has to wait for a minute to end.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
import tomli_w
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.exchange_servers import MINUTE_MS, bar
from tests.run.node_lab import Node, start_node
from tests.run.test_node_clients import VENUES
from tests.venue_servers.base import VenueServer, now_ms, serving
from tests.venue_servers.bybit import BybitServer
from tests.venue_servers.coinbase import CoinbaseServer
from tests.venue_servers.kraken import KrakenFuturesServer, KrakenSpotServer
from tests.venue_servers.okx import OkxServer

SERVERS: dict[tuple[str, str], type[VenueServer]] = {
    ("BYBIT", "margin"): BybitServer,
    ("BYBIT", "cash"): BybitServer,
    ("OKX", "margin"): OkxServer,
    ("OKX", "cash"): OkxServer,
    ("COINBASE", "cash"): CoinbaseServer,
    ("KRAKEN", "margin"): KrakenFuturesServer,
    ("KRAKEN", "cash"): KrakenSpotServer,
}
STREAMED = {"BYBIT", "OKX"}
_AFTER_S = 6.0
"""So long after a minute its bar is there, by asking as well."""
_NOBODY_WAITS = "Failed to report writer update to controller"
"""The engine's words for a socket that it was just connecting anew when it was told to leave: by
then nobody waits for it. It writes its errors to stderr, whatever it is told."""


class Ran(NamedTuple):
    """What became of a node: its run folder, what it said, and what its venue was asked.

    `left` is what it said once it was told to stop.
    """

    folder: Path
    said: str
    left: list[str]
    server: VenueServer


def _config(folder: Path, name: str, account: str, server: VenueServer) -> None:
    secrets = {"api_key": "c2VjcmV0", "api_secret": "c2VjcmV0", "api_passphrase": "secret"}
    if name == "COINBASE":
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        secrets |= {"api_key": "organizations/a/apiKeys/b", "api_secret": pem.decode()}
    for key_name, text in secrets.items():
        (folder / key_name).write_text(text)
    instrument_id = VENUES[name, account]
    params = {
        "instruments": [instrument_id],
        "interval": "1m",
        "sizing": {"method": "fixed_notional", "notional": 100.0},
    }
    venue: dict[str, Any] = {
        "name": name,
        "account": account,
        "starting_balance": "1000 USDT",
        "maker_fee_bps": 1.0,
        "taker_fee_bps": 2.0,
        "base_url_http": server.url_http,
    }
    for kind in ("", "_private", "_business", "_trading"):
        venue[f"base_url_ws{kind}"] = f"{server.url_ws}/socket{kind}"
    desk = {
        "catalog": {"path": str(folder / "data")},
        "risk": {"max_order_notional": 1e3, "max_position_notional": 1e3},
        "venues": [venue | {key_name: f"file:{folder / key_name}" for key_name in secrets}],
        "instruments": [
            {
                "id": instrument_id,
                "kind": "spot" if account == "cash" else "perpetual",
                "base": "BTC",
                "quote": "USDT",
                "tick_size": "0.01",
                "lot_size": "0.001",
            }
        ],
        "strategies": [{"class": "strategies.ema_cross:EmaCross", "id": "ema", "params": params}],
    }
    (folder / "desk.toml").write_text(tomli_w.dumps(desk))


@contextmanager
def _ran(tmp_path: Path) -> Iterator[dict[tuple[str, str], Ran]]:
    """Run a live node, which sends no orders, at every venue through the end of a minute."""
    nodes: dict[tuple[str, str], tuple[Node, Path, VenueServer]] = {}
    with ExitStack() as stack:
        for (name, account), kind in SERVERS.items():
            folder = tmp_path / f"{name}-{account}"
            folder.mkdir()
            server = stack.enter_context(serving(kind()))
            _config(folder, name, account, server)
            node = start_node(folder, "live", "desk.toml", "--run")
            stack.callback(node.kill)
            nodes[name, account] = node, folder, server
        for node, _, _ in nodes.values():
            node.wait_for("warm after", 90)
        time.sleep((MINUTE_MS - now_ms() % MINUTE_MS) / 1000 + _AFTER_S)
        done = {}
        for venue, (node, folder, server) in nodes.items():
            before = len(node.lines)
            code, _, _ = node.stop()
            assert code == 0, f"{venue}: {node.said}"
            (run,) = (folder / "runs").glob("2*")
            done[venue] = Ran(run, "\n".join(node.lines[:before]), node.lines[before:], server)
        yield done


def _rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


@pytest.mark.slow
def test_nodes_connect_and_tell_the_bars_of_their_venue_at_their_closes(tmp_path: Path) -> None:
    with _ran(tmp_path) as ran:
        assert set(ran) == set(SERVERS)
        for (name, account), one in ran.items():
            _see_bars(one)
            _see_connection(one, name, account)
            _see_streams(one, is_streamed=name in STREAMED)


def _see_bars(ran: Ran) -> None:
    past, told = (_rows(ran.folder / name) for name in ("past.parquet", "bars.parquet"))
    assert len(past) > 200
    assert len(told) >= 1
    closes = [int(row["ts"].timestamp()) * 1000 for row in past + told]
    assert closes == list(range(closes[0], closes[-1] + 1, MINUTE_MS))
    for row, close in zip(past + told, closes, strict=True):
        wanted = bar(close - MINUTE_MS)
        names = ("open", "high", "low", "close", "volume")
        assert [row[name] for name in names] == [float(getattr(wanted, name)) for name in names]


def _see_connection(ran: Ran, name: str, account: str) -> None:
    """See that there is an account, and that nothing was sent."""
    assert "connected; equity 1,000.00" in ran.said
    assert "0 things are not explained" in ran.said
    assert "ERROR" not in ran.said
    assert [line for line in ran.left if "ERROR" in line and _NOBODY_WAITS not in line] == []
    private = json.dumps([message for path, message in ran.server.said if path != "/socket"])
    assert {
        "BYBIT": '"auth"',
        "OKX": '"login"',
        "COINBASE": "",  # one socket for all, and its key signs each request
        "KRAKEN": "executions" if account == "cash" else "signed_challenge",
    }[name] in private
    assert not [path for _, path in ran.server.asked if "sendorder" in path or "AddOrder" in path]
    assert '"order.create"' not in private


def _see_streams(ran: Ran, *, is_streamed: bool) -> None:
    """See that bars are streamed where the stream brings closed ones, and asked for elsewhere."""
    heard = json.dumps([message for _, message in ran.server.said])
    words = ('"kline.1.', '"candle1m"', '"candles"', '"ohlc"')
    assert any(word in heard for word in words) == is_streamed
    assert "asking the venue's history" not in ran.said
    report = (ran.folder / "report.html").read_text()
    assert ("streams no closed bars" in report) == (not is_streamed)


def test_swap_in_contracts_of_a_part_of_a_coin_is_refused(tmp_path: Path) -> None:
    class Contracts(OkxServer):
        def get(self, path: str, query: Mapping[str, str]) -> Any:
            answer = super().get(path, query)
            if path.endswith("/instruments"):
                answer["data"][0]["ctVal"] = "0.01"
            return answer

    with serving(Contracts()) as server:
        _config(tmp_path, "OKX", "margin", server)
        node = start_node(tmp_path, "live", "desk.toml", "--run")
        code, _ = node.end()
    assert code == 3, node.said
    said = "error: instrument BTC-USDT-SWAP.OKX: is traded by the venue in contracts of 0.01"
    assert node.said.count(said) == 1
    assert "Traceback" not in node.said


@pytest.mark.realdata
def test_okx_messages_have_the_fields_of_a_recording(market_dir: Path) -> None:
    folder = market_dir / "ws_raw"
    with gzip.open(folder / "cryptofeed_OKX.ws.1.0.gz", "rt") as lines:
        recorded = [json.loads(line.partition(": ")[2]) for line in lines if '"data":[{' in line]
    with gzip.open(folder / "cryptofeed_OKX.0.gz", "rt") as lines:
        answers = [line.partition(": ")[2] for line in lines if "instType=SWAP" in line]
    server = OkxServer()
    theirs = next(one["data"][0] for one in recorded if one["arg"]["channel"] == "tickers")
    arg = {"channel": "tickers", "instId": "BTC-USDT"}
    subscribed = [{"op": "subscribe", "args": [arg]}]
    (ours,) = server.push("/public", subscribed, None, bar(now_ms() // MINUTE_MS * MINUTE_MS))
    assert set(ours["data"][0]) == set(theirs)
    instrument = json.loads(answers[0])["data"][0]
    swap = server.get("/api/v5/public/instruments", {"instType": "SWAP"})["data"][0]
    assert set(instrument) <= set(swap)  # the exchange has added fields since


@pytest.mark.realdata
def test_kraken_pairs_have_the_fields_of_a_recording(market_dir: Path) -> None:
    with gzip.open(market_dir / "ws_raw" / "cryptofeed_KRAKEN.0.gz", "rt") as lines:
        answer = next(line.partition(": ")[2] for line in lines if "AssetPairs ->" in line)
    recorded = next(iter(json.loads(answer)["result"].values()))
    ours = KrakenSpotServer().get("/0/public/AssetPairs", {})["result"]["XBTUSDT"]
    assert set(recorded) <= set(ours)
