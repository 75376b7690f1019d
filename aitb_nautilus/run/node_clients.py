"""The engine's own adapters for the venues of a config: data, and execution.

Product and account kind follow from the venue's `account`: cash is spot, margin is linear
perpetuals. Secrets are revealed here and nowhere else, and go to the engine only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from nautilus_trader.adapters.binance import (
    BinanceDataClientConfig,
    BinanceDataClientFactory,
    BinanceEnvironment,
    BinanceExecutionClientConfig,
    BinanceExecutionClientFactory,
    BinanceInstrumentProviderConfig,
    BinanceProductType,
    BinanceSpotMarketDataMode,
)
from nautilus_trader.adapters.bybit import (
    BybitDataClientConfig,
    BybitDataClientFactory,
    BybitEnvironment,
    BybitExecutionClientConfig,
    BybitExecutionClientFactory,
    BybitProductType,
)
from nautilus_trader.adapters.coinbase import (
    CoinbaseDataClientConfig,
    CoinbaseDataClientFactory,
    CoinbaseEnvironment,
    CoinbaseExecutionClientConfig,
    CoinbaseExecutionClientFactory,
)
from nautilus_trader.adapters.kraken import (
    KrakenDataClientConfig,
    KrakenDataClientFactory,
    KrakenEnvironment,
    KrakenExecutionClientConfig,
    KrakenExecutionClientFactory,
    KrakenProductType,
)
from nautilus_trader.adapters.okx import (
    OKXDataClientConfig,
    OKXDataClientFactory,
    OKXEnvironment,
    OKXExecutionClientConfig,
    OKXExecutionClientFactory,
    OKXInstrumentType,
)
from nautilus_trader.model import AccountId, AccountType

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.binance_klines import INTERVALS_MS, interval_name
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.venue_keys import refuse_missing_keys

__all__ = ["Client", "Clients", "clients_of", "data_client", "execution_client"]


class Client(msgspec.Struct, frozen=True):
    """A client of the engine: its factory and its config."""

    factory: Any
    config: Any


class Clients(msgspec.Struct, frozen=True):
    """The clients of one venue; `execution` is None where orders are simulated."""

    data: Client
    execution: Client | None


def clients_of(preparation: Preparation) -> dict[str, Clients]:
    """Return the clients of a node by venue name; nothing is connected.

    Raises
    ------
    ConfigError
        As `data_client` and `execution_client`; also if the venue has no bars of the length that
        a component wants.
    """
    where = str(preparation.desk.path)
    speed = preparation.desk.config.rehearsal_speed
    found = {}
    for bar_type in preparation.bar_types:
        spec = preparation.instruments[Interval.instrument_of_bar_type(bar_type)]
        _check_interval(preparation.venues[spec.venue], Interval.of_bar_type(bar_type), where)
    for venue in preparation.venues.values():
        if speed != 1 and venue.base_url_http is None:
            raise ConfigError(
                f"{where}: rehearsal_speed",
                f"was {speed}, and {venue.name} is the real one",
                "must be 1 there",
                "Such a config is for its rehearsal alone: --rehearsal URL",
            )
        own = [spec.id for spec in preparation.instruments.values() if spec.venue == venue.name]
        trades = preparation.mode == "live"
        found[venue.name] = Clients(
            data_client(venue, own, where), execution_client(venue, own, where) if trades else None
        )
    return found


def data_client(venue: VenueSettings, instrument_ids: list[str], where: str) -> Client:
    """Return the client that brings a venue's market data; without keys, which it does not need.

    Parameters
    ----------
    instrument_ids
        Of the venue, that the run wants.
    where
        The config file, for errors.

    Raises
    ------
    ConfigError
        If the engine has no adapter of the venue, or the venue does not practise where the config
        wants it.
    """
    anonymous = msgspec.structs.replace(venue, api_key=None, api_secret=None, api_passphrase=None)
    return _DATA[_adapter(venue, where)](anonymous, instrument_ids, where)


def execution_client(venue: VenueSettings, instrument_ids: list[str], where: str) -> Client:
    """Return the client that trades at a venue.

    Raises
    ------
    ConfigError
        As `data_client`; also if a key is missing or cannot be read.
    """
    adapter = _adapter(venue, where)
    refuse_missing_keys(venue, adapter, where)
    return _EXECUTION[adapter](venue, instrument_ids, where)


def _check_interval(venue: VenueSettings, interval: Interval, where: str) -> None:
    """Refuse bars that the adapter would refuse once it is connected."""
    if venue.adapter_name != "binance":
        return
    spot = _is_spot(venue)
    if interval_name(interval.ns // 1_000_000, spot=spot) is None:
        named = [n for n, ms in INTERVALS_MS.items() if interval_name(ms, spot=spot)]
        raise ConfigError(
            f"{where}: interval",
            f"was {interval}",
            f"must be one of {', '.join(named)}: Binance has no other bars of "
            f"{'spot markets' if spot else 'perpetuals'}",
            "Shorter ones can be back-tested, where the catalog has them",
        )


def _adapter(venue: VenueSettings, where: str) -> str:
    name = venue.adapter_name
    if name is None:
        raise ConfigError(
            f"{where}: venues {venue.name}.adapter",
            "is missing, and the engine has no adapter of that name",
            f"must be one of {', '.join(_DATA)}",
            "A venue of a simulated market can be back-tested only",
        )
    return name


def _environment(venue: VenueSettings, names: Mapping[str, Any], where: str) -> Any:
    if venue.environment not in names:
        raise ConfigError(
            f"{where}: venues {venue.name}.environment",
            f"was {venue.environment!r}",
            f"must be one of {', '.join(names)} at this venue",
        )
    return names[venue.environment]


def _keys(venue: VenueSettings) -> dict[str, Any]:
    return {
        "api_key": None if venue.api_key is None else venue.api_key.reveal(),
        "api_secret": None if venue.api_secret is None else venue.api_secret.reveal(),
    }


def _is_spot(venue: VenueSettings) -> bool:
    return venue.account == "cash"


def _account_id(venue: VenueSettings) -> AccountId:
    return AccountId(f"{venue.name}-001")


# Binance


def _binance(venue: VenueSettings, instrument_ids: list[str], where: str) -> dict[str, Any]:
    environments = {
        "live": BinanceEnvironment.LIVE,
        "testnet": BinanceEnvironment.TESTNET,
        "demo": BinanceEnvironment.DEMO,
    }
    return {
        "product_type": BinanceProductType.SPOT if _is_spot(venue) else BinanceProductType.USD_M,
        "environment": _environment(venue, environments, where),
        "base_url_http": venue.base_url_http,
        "base_url_ws": venue.base_url_ws,
        # Only what the run wants: the whole exchange takes seconds, and memory for thousands.
        "instrument_provider": BinanceInstrumentProviderConfig(
            load_all=False, load_ids=instrument_ids
        ),
    }


def _binance_data(venue: VenueSettings, instrument_ids: list[str], where: str) -> Client:
    terms = _binance(venue, instrument_ids, where)
    # The other mode of spot wants a key, which market data need not have.
    mode = BinanceSpotMarketDataMode.Json
    config = BinanceDataClientConfig(spot_market_data_mode=mode, **terms, **_keys(venue))
    return Client(BinanceDataClientFactory(), config)


def _binance_execution(venue: VenueSettings, instrument_ids: list[str], where: str) -> Client:
    terms = _binance(venue, instrument_ids, where)
    config = BinanceExecutionClientConfig(
        account_id=_account_id(venue),
        base_url_ws_trading=venue.base_url_ws_trading,
        **terms,
        **_keys(venue),
    )
    return Client(BinanceExecutionClientFactory(), config)


# Bybit


def _bybit(venue: VenueSettings, where: str) -> dict[str, Any]:
    environments = {
        "live": BybitEnvironment.MAINNET,
        "testnet": BybitEnvironment.TESTNET,
        "demo": BybitEnvironment.DEMO,
    }
    return {
        "product_types": [BybitProductType.SPOT if _is_spot(venue) else BybitProductType.LINEAR],
        "environment": _environment(venue, environments, where),
        "base_url_http": venue.base_url_http,
        "base_url_ws_private": venue.base_url_ws_private,
        **_keys(venue),
    }


def _bybit_data(venue: VenueSettings, _: list[str], where: str) -> Client:
    config = BybitDataClientConfig(
        base_url_ws_public=venue.base_url_ws, bars_timestamp_on_close=True, **_bybit(venue, where)
    )
    return Client(BybitDataClientFactory(), config)


def _bybit_execution(venue: VenueSettings, _: list[str], where: str) -> Client:
    config = BybitExecutionClientConfig(
        account_id=_account_id(venue),
        base_url_ws_trade=venue.base_url_ws_trading,
        **_bybit(venue, where),
    )
    return Client(BybitExecutionClientFactory(), config)


# OKX


def _okx(venue: VenueSettings, where: str) -> dict[str, Any]:
    environments = {"live": OKXEnvironment.LIVE, "demo": OKXEnvironment.DEMO}
    return {
        "instrument_types": [OKXInstrumentType.SPOT if _is_spot(venue) else OKXInstrumentType.SWAP],
        "environment": _environment(venue, environments, where),
        "api_passphrase": None if venue.api_passphrase is None else venue.api_passphrase.reveal(),
        "base_url_http": venue.base_url_http,
        "base_url_ws_business": venue.base_url_ws_business,
        **_keys(venue),
    }


def _okx_data(venue: VenueSettings, _: list[str], where: str) -> Client:
    config = OKXDataClientConfig(base_url_ws_public=venue.base_url_ws, **_okx(venue, where))
    return Client(OKXDataClientFactory(), config)


def _okx_execution(venue: VenueSettings, _: list[str], where: str) -> Client:
    config = OKXExecutionClientConfig(
        account_id=_account_id(venue),
        base_url_ws_private=venue.base_url_ws_private,
        **_okx(venue, where),
    )
    return Client(OKXExecutionClientFactory(), config)


# Coinbase


def _coinbase(venue: VenueSettings, where: str) -> dict[str, Any]:
    environments = {"live": CoinbaseEnvironment.LIVE, "testnet": CoinbaseEnvironment.SANDBOX}
    return {
        "environment": _environment(venue, environments, where),
        "base_url_rest": venue.base_url_http,
        "base_url_ws": venue.base_url_ws,
        **_keys(venue),
    }


def _coinbase_data(venue: VenueSettings, _: list[str], where: str) -> Client:
    return Client(CoinbaseDataClientFactory(), CoinbaseDataClientConfig(**_coinbase(venue, where)))


def _coinbase_execution(venue: VenueSettings, _: list[str], where: str) -> Client:
    config = CoinbaseExecutionClientConfig(
        account_id=_account_id(venue),
        account_type=AccountType.CASH if _is_spot(venue) else AccountType.MARGIN,
        **_coinbase(venue, where),
    )
    return Client(CoinbaseExecutionClientFactory(), config)


# Kraken


def _kraken(venue: VenueSettings, where: str) -> dict[str, Any]:
    environments = {"live": KrakenEnvironment.LIVE, "demo": KrakenEnvironment.DEMO}
    return {
        "product_type": KrakenProductType.SPOT if _is_spot(venue) else KrakenProductType.FUTURES,
        "environment": _environment(venue, environments, where),
        "base_url": venue.base_url_http,
        **_keys(venue),
    }


def _kraken_data(venue: VenueSettings, _: list[str], where: str) -> Client:
    config = KrakenDataClientConfig(
        ws_public_url=venue.base_url_ws,
        ws_private_url=venue.base_url_ws_private,
        **_kraken(venue, where),
    )
    return Client(KrakenDataClientFactory(), config)


def _kraken_execution(venue: VenueSettings, _: list[str], where: str) -> Client:
    config = KrakenExecutionClientConfig(
        account_id=_account_id(venue), ws_url=venue.base_url_ws_private, **_kraken(venue, where)
    )
    return Client(KrakenExecutionClientFactory(), config)


type _Make = Callable[[VenueSettings, list[str], str], Client]

_DATA: dict[str, _Make] = {
    "binance": _binance_data,
    "bybit": _bybit_data,
    "okx": _okx_data,
    "coinbase": _coinbase_data,
    "kraken": _kraken_data,
}
_EXECUTION: dict[str, _Make] = {
    "binance": _binance_execution,
    "bybit": _bybit_execution,
    "okx": _okx_execution,
    "coinbase": _coinbase_execution,
    "kraken": _kraken_execution,
}
