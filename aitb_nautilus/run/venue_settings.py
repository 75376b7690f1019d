"""What a config says of an exchange: what it costs, and how it is reached."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import msgspec

from aitb_nautilus.settings import Secret, Settings

__all__ = ["AdapterName", "VenueSettings"]

_MAX_BPS = 1000.0
_MAX_BALANCE = 10**12  # the engine's money ends at 1.7e13
_CODE = "^[A-Z][A-Z0-9_]*$"
Bps = Annotated[float, msgspec.Meta(ge=0, le=_MAX_BPS)]
FeeBps = Annotated[float, msgspec.Meta(ge=-100, le=_MAX_BPS)]
_NAME = msgspec.Meta(
    pattern=_CODE,
    description="a venue's name in capitals, digits and underscores",
    examples=["BINANCE"],
)
_RUN = msgspec.Meta(
    pattern="^run:.+$",
    description="run: and the id of a run, or its folder",
    examples=["run:20240301-101530-my_desk"],
)
_HTTP = msgspec.Meta(
    pattern=r"^https?://[^\s/]+",
    description="an address that begins with https:// or http://",
    examples=["https://fapi.binance.com"],
)
_WS = msgspec.Meta(
    pattern=r"^wss?://[^\s/]+",
    description="an address that begins with wss:// or ws://",
    examples=["wss://fstream.binance.com/ws"],
)
HttpUrl = Annotated[str, _HTTP]
WsUrl = Annotated[str, _WS]

AdapterName = Literal["binance", "bybit", "okx", "coinbase", "kraken"]

_ADAPTERS: dict[str, AdapterName] = {
    "BINANCE": "binance",
    "BYBIT": "bybit",
    "OKX": "okx",
    "COINBASE": "coinbase",
    "KRAKEN": "kraken",
}


class VenueSettings(Settings, frozen=True):
    """Block ``[[venues]]``: an exchange and what it costs.

    Attributes
    ----------
    name
        The part of an instrument's id after the dot.
    starting_balance
        Amount and currency, such as ``10000 USDT``.
    maker_fee_bps, taker_fee_bps
        Of the value of a fill, in basis points; a maker fee may be negative (a rebate).
    account
        ``cash`` for spot, ``margin`` for perpetuals.
    leverage
        Largest leverage of a margin account.
    latency_ms
        From a decision to the venue's book. With bars alone, all latencies below one bar give the
        same fills; with quotes they do not.
    latency
        ``run:ID``: a back-test pays what that run on paper or live measured of the way of its
        orders, drawn anew for each moment and instrument, in place of `latency_ms`. ID is the name
        of a folder under ``backtest.runs``, or a folder.
    slippage_bps
        How much worse than the reference price a taker fills, in basis points of it.
    limit_fill
        When a resting limit order fills: ``through`` once a trade was beyond its price, ``touch``
        once a trade was at its price.
    adapter
        Which of the engine's adapters speaks to the exchange in paper and live; absent: the one of
        the venue's name.
    environment
        Of the exchange: ``live``, or one of its places to practise.
    base_url_http, base_url_ws, base_url_ws_private, base_url_ws_business, base_url_ws_trading
        Where it is reached; absent: where the adapter knows it to be. See docs/venues.md for which
        of them an adapter takes.
    api_key, api_secret, api_passphrase
        References to secrets, ``env:NAME`` or ``file:PATH``. Paper needs none where the market is
        public.
    """

    name: Annotated[str, _NAME]
    starting_balance: str
    maker_fee_bps: FeeBps
    taker_fee_bps: FeeBps
    account: Literal["cash", "margin"] = "margin"
    leverage: Annotated[float, msgspec.Meta(ge=1, le=150)] = 1.0
    latency_ms: Annotated[float, msgspec.Meta(ge=0.001, le=600_000)] = 50.0
    latency: Annotated[str, _RUN] | None = None
    slippage_bps: Bps = 1.0
    limit_fill: Literal["through", "touch"] = "through"
    adapter: AdapterName | None = None
    environment: Literal["live", "testnet", "demo"] = "live"
    base_url_http: HttpUrl | None = None
    base_url_ws: WsUrl | None = None
    base_url_ws_private: WsUrl | None = None
    base_url_ws_business: WsUrl | None = None
    base_url_ws_trading: WsUrl | None = None
    api_key: Secret | None = None
    api_secret: Secret | None = None
    api_passphrase: Secret | None = None

    def __post_init__(self) -> None:
        """Refuse a balance that is none."""
        self.balance()
        if self.account == "cash" and self.leverage != 1:
            raise ValueError("leverage must be 1 on a cash account")

    @property
    def adapter_name(self) -> AdapterName | None:
        """Return the adapter, or None if the engine has none of the venue's name."""
        return self.adapter or _ADAPTERS.get(self.name)

    @property
    def has_countdown(self) -> bool:
        """Return whether the venue cancels orders of a node that falls silent, if asked to."""
        return self.adapter_name == "binance" and self.account == "margin"

    @property
    def latency_ns(self) -> int:
        """Return the latency, ns."""
        return round(self.latency_ms * 1e6)

    def balance(self) -> tuple[Decimal, str]:
        """Return amount and currency of the starting balance."""
        amount, _, currency = self.starting_balance.partition(" ")
        try:
            value = Decimal(amount.replace("_", ""))
        except InvalidOperation:
            value = Decimal(0)
        # A NaN is refused first: it cannot be compared.
        is_amount = value.is_finite() and 0 < value <= _MAX_BALANCE
        if not (is_amount and value == round(value, 8) and re.match(_CODE, currency)):
            raise ValueError(
                f"starting_balance was {self.starting_balance!r}, must be an amount above zero, "
                f"at most {_MAX_BALANCE:,} and with at most 8 decimals, and a currency, such as "
                f"'10000 USDT'"
            )
        return value, currency
