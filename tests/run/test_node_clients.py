"""Every venue's adapter, built from a config in a whole node; nothing is connected."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.run.live import check_live
from aitb_nautilus.run.node_clients import data_client, execution_client
from aitb_nautilus.run.venue_settings import VenueSettings
from aitb_nautilus.settings import Secret, decode

VENUES = {
    ("BINANCE", "margin"): "BTCUSDT-PERP.BINANCE",
    ("BINANCE", "cash"): "BTCUSDT.BINANCE",
    ("BYBIT", "margin"): "BTCUSDT-LINEAR.BYBIT",
    ("BYBIT", "cash"): "BTCUSDT-SPOT.BYBIT",
    ("OKX", "margin"): "BTC-USDT-SWAP.OKX",
    ("OKX", "cash"): "BTC-USDT.OKX",
    ("COINBASE", "cash"): "BTC-USDT.COINBASE",
    ("KRAKEN", "margin"): "PF_XBTUSDT.KRAKEN",
    ("KRAKEN", "cash"): "BTC/USDT.KRAKEN",
}
LOCAL = {
    "base_url_http": "http://127.0.0.1:9",
    "base_url_ws": "ws://127.0.0.1:9/public",
    "base_url_ws_private": "ws://127.0.0.1:9/private",
    "base_url_ws_business": "ws://127.0.0.1:9/business",
    "base_url_ws_trading": "ws://127.0.0.1:9/trade",
}
PEM = """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIIvr3kLbMEwFlPDPMdmRkU8Y0yBqB8wX0q1tJtyr2yMQoAoGCCqGSM49
AwEHoUQDQgAEm6nsEYvrVkcE9JLdPSJrPTJZJJwIpdXb8YkQm1bkbfFKFgFdOXZ6
r2Jk7LkQTTaLr3uZJtvcB3Lb7r9d6mXQdQ==
-----END EC PRIVATE KEY-----
"""


def settings(name: str = "BINANCE", **terms: Any) -> VenueSettings:
    block = {"name": name, "starting_balance": "1000 USDT", "maker_fee_bps": 1, "taker_fee_bps": 2}
    return decode(block | terms, VenueSettings, "desk.toml")


def write(folder: Path, name: str, account: str, places: Mapping[str, str]) -> Path:
    """Write a config that trades one instrument of a venue."""
    instrument_id = VENUES[name, account]
    secrets = {}
    for key in ("api_key", "api_secret", "api_passphrase"):
        (folder / key).write_text(PEM if (name, key) == ("COINBASE", "api_secret") else "c2VjcmV0")
        secrets[key] = f"file:{folder / key}"
    if name == "COINBASE":
        (folder / "api_key").write_text("organizations/a/apiKeys/b")
    params = {
        "instruments": [instrument_id],
        "interval": "1m",
        "sizing": {"method": "fixed_notional", "notional": 100.0},
    }
    data = {
        "catalog": {"path": str(folder / "data")},
        "risk": {"max_order_notional": 1e3, "max_position_notional": 1e3},
        "venues": [
            {
                "name": name,
                "account": account,
                "starting_balance": "1000 USDT",
                "maker_fee_bps": 1.0,
                "taker_fee_bps": 2.0,
                **places,
                **secrets,
            }
        ],
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
    path = folder / "desk.toml"
    path.write_text(tomli_w.dumps(data))
    return path


@pytest.mark.parametrize(("name", "account"), VENUES)
def test_whole_node_is_built_for_the_venue(name: str, account: str, tmp_path: Path) -> None:
    told = check_live(write(tmp_path, name, account, LOCAL))
    assert told.execution[name]["client"] == f"{name.lower()} adapter"
    assert told.data[name]["product"] == ("spot" if account == "cash" else "linear perpetuals")
    assert told.data[name]["base_url_http"] == LOCAL["base_url_http"]


def test_urls_of_the_config_reach_the_adapters() -> None:
    keys = {name: Secret("env:PATH") for name in ("api_key", "api_secret", "api_passphrase")}
    for name in ("BINANCE", "BYBIT", "OKX", "COINBASE", "KRAKEN"):
        venue = settings(name, **LOCAL, **{k: v.reference for k, v in keys.items()})
        data = data_client(venue, [], "desk.toml").config
        execution = execution_client(venue, [], "desk.toml").config
        for config in (data, execution):
            urls = [getattr(config, n) for n in dir(config) if "url" in n and "proxy" not in n]
            assert {u for u in urls if u is not None} <= set(LOCAL.values())
            assert LOCAL["base_url_http"] in urls


def test_venue_without_an_adapter_is_an_error_of_the_config() -> None:
    with pytest.raises(ConfigError) as caught:
        data_client(settings("SIM"), [], "desk.toml")
    assert "desk.toml: venues SIM.adapter: is missing" in str(caught.value)
    assert data_client(settings("SIM", adapter="binance"), [], "desk.toml").config is not None


@pytest.mark.parametrize(
    ("name", "environment"), [("OKX", "testnet"), ("COINBASE", "demo"), ("KRAKEN", "testnet")]
)
def test_place_to_practise_that_a_venue_has_not_is_refused(name: str, environment: str) -> None:
    with pytest.raises(ConfigError) as caught:
        data_client(settings(name, environment=environment), [], "desk.toml")
    assert f"venues {name}.environment: was {environment!r}" in str(caught.value)


def test_okx_wants_a_passphrase_as_well() -> None:
    keys = {"api_key": "env:PATH", "api_secret": "env:PATH"}
    with pytest.raises(ConfigError) as caught:
        execution_client(settings("OKX", **keys), [], "desk.toml")
    assert "venues OKX.api_passphrase: is missing" in str(caught.value)


def test_market_data_are_asked_for_without_keys() -> None:
    venue = settings(api_key="env:NO_SUCH_KEY", api_secret="env:NO_SUCH_KEY")
    assert data_client(venue, [], "desk.toml").config is not None


@pytest.mark.parametrize(
    ("account", "interval", "paragraph"),
    [
        ("margin", "1s", "interval: was 1s, must be one of 1m, 3m, 5m,"),
        ("margin", "2m", "Binance has no other bars of perpetuals"),
        ("cash", "10m", "must be one of 1s, 1m, 3m,"),
    ],
)
def test_bars_that_binance_has_not_are_refused_before_anything_is_connected(
    account: str, interval: str, paragraph: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "BINANCE", account, LOCAL)
    path.write_text(path.read_text().replace('interval = "1m"', f'interval = "{interval}"'))
    with pytest.raises(ConfigError) as caught:
        check_live(path)
    assert paragraph in str(caught.value)
