"""Which column of a file is what, by the usual spellings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.settings import nearest

__all__ = [
    "BINANCE_KLINES",
    "ROLES",
    "BarColumns",
    "FundingColumns",
    "QuoteColumns",
    "TradeColumns",
    "bar_columns",
    "funding_columns",
    "quote_columns",
    "trade_columns",
]

BINANCE_KLINES = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
"""The columns of Binance's public kline files, which had no header until 2022 (spot: never)."""

_BARS_AND_RATES = ("time", "open", "high", "low", "close", "volume", "symbol", "rate")
ROLES = (*_BARS_AND_RATES, "bid", "ask", "bid_size", "ask_size", "price", "size")
"""What a column can be named for with ``--columns``."""

_PRICES = ("open", "high", "low", "close")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_OPEN_TIMES = _words(
    "open_time opentime open_timestamp ts_open start_time start begin time_open timestamp time "
    "datetime date date_time ts t unix unix_timestamp epoch timestamp_ms datetime_utc time_utc "
    "date_utc index index_level_0"
)
_CLOSE_TIMES = _words(
    "close_time closetime close_timestamp ts_close time_close end_time end ts_event"
)
_FUNDING_TIMES = _words("funding_time fundingtime calc_time funding_timestamp") + _OPEN_TIMES
_TICK_TIMES = (
    _words(
        "trade_time trade_ms transact_time transaction_time transaction_ms event_time event_ms "
        "exchange_time ts_event"
    )
    + _OPEN_TIMES
)
_BIDS = _words("bid bid_price bidprice best_bid best_bid_price bid_px")
_ASKS = _words("ask ask_price askprice best_ask best_ask_price ask_px")
_SIZES = _words("qty quantity size amount volume q")
_RATES = _words("funding_rate fundingrate last_funding_rate lastfundingrate funding rate")
_VOLUMES = _words("volume vol v base_volume volume_base basevolume base_asset_volume volumefrom")
_SYMBOLS = _words("symbol ticker pair instrument instrument_id market")
_QUOTE_WORDS = {"usd", "usdt", "usdc", "busd", "eur", "gbp", "quote", "to"}


class BarColumns(msgspec.Struct, frozen=True):
    """Names of the columns that hold bars; `volume` and `symbol` may be absent.

    `stamps_are_close` is whether the time column's name says that it is the close.
    """

    time: str
    open: str
    high: str
    low: str
    close: str
    volume: str | None
    symbol: str | None
    stamps_are_close: bool


class FundingColumns(msgspec.Struct, frozen=True):
    """Names of the columns that hold funding rates; `symbol` may be absent."""

    time: str
    rate: str
    symbol: str | None


def bar_columns(names: Sequence[str], given: Mapping[str, str], where: str) -> BarColumns:
    """Find the columns of bars.

    Parameters
    ----------
    names
        As they stand in the file.
    given
        Role to name, for columns with an unusual name; see `ROLES`.
    where
        The file, for the error.

    Raises
    ------
    UsageError
        If a given role does not exist.
    DataError
        If a given column is not there, or a needed one is not found.
    """
    chosen = _chosen(names, given, where)
    plain = _plain_names(names)
    time = chosen.get("time") or _first(plain, _OPEN_TIMES)
    stamps_are_close = False
    if time is None or ("time" in chosen and _plain(time) in _CLOSE_TIMES):
        time = time or _first(plain, _CLOSE_TIMES)
        stamps_are_close = True
    prices = _prices(plain, where, {k: v for k, v in chosen.items() if k in _PRICES})
    found = {"time": time, **prices}
    missing = [role for role, name in found.items() if name is None]
    if missing:
        raise _missing(names, missing, where)
    return BarColumns(
        time=str(time),
        open=str(prices["open"]),
        high=str(prices["high"]),
        low=str(prices["low"]),
        close=str(prices["close"]),
        volume=chosen.get("volume") or _volume(plain),
        symbol=chosen.get("symbol") or _first(plain, _SYMBOLS),
        stamps_are_close=stamps_are_close,
    )


def funding_columns(names: Sequence[str], given: Mapping[str, str], where: str) -> FundingColumns:
    """Find the columns of funding rates; takes and raises what `bar_columns` does."""
    chosen = _chosen(names, given, where)
    plain = _plain_names(names)
    time = chosen.get("time") or _first(plain, _FUNDING_TIMES)
    rate = chosen.get("rate") or _first(plain, _RATES)
    missing = [role for role, name in (("time", time), ("rate", rate)) if name is None]
    if missing:
        raise _missing(names, missing, where)
    return FundingColumns(str(time), str(rate), chosen.get("symbol") or _first(plain, _SYMBOLS))


class QuoteColumns(msgspec.Struct, frozen=True):
    """Names of the columns that hold best bids and asks; `symbol` may be absent."""

    time: str
    bid: str
    ask: str
    bid_size: str
    ask_size: str
    symbol: str | None


class TradeColumns(msgspec.Struct, frozen=True):
    """Names of the columns that hold trades; `symbol` may be absent."""

    time: str
    price: str
    size: str
    symbol: str | None


def quote_columns(names: Sequence[str], given: Mapping[str, str], where: str) -> QuoteColumns:
    """Find the columns of quotes; takes and raises what `bar_columns` does."""
    usual = {
        "time": _TICK_TIMES,
        "bid": _BIDS,
        "ask": _ASKS,
        "bid_size": tuple(f"{bid}_{size}" for bid in ("bid", "best_bid") for size in _SIZES),
        "ask_size": tuple(f"{ask}_{size}" for ask in ("ask", "best_ask") for size in _SIZES),
    }
    found, symbol = _found(names, given, where, usual)
    return QuoteColumns(**found, symbol=symbol)


def trade_columns(names: Sequence[str], given: Mapping[str, str], where: str) -> TradeColumns:
    """Find the columns of trades; takes and raises what `bar_columns` does."""
    usual = {"time": _TICK_TIMES, "price": ("price", "px", "p"), "size": _SIZES}
    found, symbol = _found(names, given, where, usual)
    return TradeColumns(**found, symbol=symbol)


def _found(
    names: Sequence[str],
    given: Mapping[str, str],
    where: str,
    usual: Mapping[str, Sequence[str]],
) -> tuple[dict[str, str], str | None]:
    """Return the column of each role, and that of symbols."""
    chosen, plain = _chosen(names, given, where), _plain_names(names)
    found = {role: chosen.get(role) or _first(plain, words) for role, words in usual.items()}
    missing = [role for role, name in found.items() if name is None]
    if missing:
        raise _missing(names, missing, where)
    symbol = chosen.get("symbol") or _first(plain, _SYMBOLS)
    return {role: str(name) for role, name in found.items()}, symbol


def _chosen(names: Sequence[str], given: Mapping[str, str], where: str) -> dict[str, str]:
    for role, name in given.items():
        if role not in ROLES:
            close = nearest(role, ROLES)
            raise UsageError(
                f"--columns {role}={name}",
                f"{role!r} is no role of a column",
                f"did you mean {close!r}?" if close else f"must be one of {', '.join(ROLES)}",
            )
        if name not in names:
            close = nearest(name, names)
            raise DataError(
                f"{where}: column {name!r}",
                f"is not there; the columns are {', '.join(names)}",
                f"did you mean {close!r}?" if close else "",
            )
    return dict(given)


def _prices(
    plain: Mapping[str, str], where: str, chosen: Mapping[str, str]
) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for role in _PRICES:
        usual = (role, role[0], f"{role}_price", f"price_{role}", f"{role}price")
        found[role] = chosen.get(role) or _first(plain, usual)
    if any(found.values()):
        return found
    prefixes = [
        name.removesuffix("_open")
        for name in plain
        if name.endswith("_open")
        and all(f"{name.removesuffix('_open')}_{role}" in plain for role in _PRICES)
    ]
    if len(prefixes) > 1:
        raise DataError(
            f"{where}: columns",
            f"have several sets of prices: {', '.join(f'{p}_open' for p in prefixes)} and so on",
            "must be told which to take",
            f"Name them: --columns open={plain[prefixes[0] + '_open']},high=...,low=...,close=...",
        )
    if prefixes:
        return {role: plain[f"{prefixes[0]}_{role}"] for role in _PRICES}
    return found


def _volume(plain: Mapping[str, str]) -> str | None:
    usual = _first(plain, _VOLUMES)
    if usual:
        return usual
    # CryptoDataDownload writes "Volume BTC" beside "Volume USDT".
    in_base = [
        name
        for name in plain
        if name.startswith("volume_") and name.removeprefix("volume_") not in _QUOTE_WORDS
    ]
    return plain[in_base[0]] if len(in_base) == 1 else None


def _missing(names: Sequence[str], missing: Sequence[str], where: str) -> DataError:
    return DataError(
        f"{where}: columns",
        f"found {', '.join(names)}",
        f"no column looks like {', '.join(missing)}",
        f"Name it: --columns {','.join(f'{role}=NAME' for role in missing)}",
    )


def _first(plain: Mapping[str, str], usual: Sequence[str]) -> str | None:
    return next((plain[name] for name in usual if name in plain), None)


def _plain_names(names: Sequence[str]) -> dict[str, str]:
    """Return the names as they stand by their plain spelling; the first of equals counts."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    return plain


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
