"""The sections of a desk's config file.

One TOML file describes one desk; the same file serves every mode. See ``aitb show-config --schema``
for a JSON schema that editors understand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

import msgspec

from aitb_nautilus.features.settings import FeatureSettings
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.times import parse_time
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.settings import Settings
from aitb_nautilus.training.settings import ModelSettings

__all__ = [
    "BacktestSettings",
    "CatalogSettings",
    "ComponentSettings",
    "DeskConfig",
    "TraderSettings",
    "VenueSettings",
]

_MAX_BPS = 1000.0
_MAX_BALANCE = 10**12  # the engine's money ends at 1.7e13
_CODE = "^[A-Z][A-Z0-9_]*$"
Bps = Annotated[float, msgspec.Meta(ge=0, le=_MAX_BPS)]
FeeBps = Annotated[float, msgspec.Meta(ge=-100, le=_MAX_BPS)]


class TraderSettings(Settings, frozen=True):
    """Section ``[trader]``: whose desk this is.

    Attributes
    ----------
    id
        Name and tag, joined by a hyphen. Order ids are hashes of decisions, and of this name.
    currency
        What equity, limits and results are counted in; the quote currency of every instrument.
    """

    id: Annotated[str, msgspec.Meta(pattern="^[A-Z][A-Z0-9_]*-[0-9]{3}$")] = "AITB-001"
    currency: Annotated[str, msgspec.Meta(pattern=_CODE)] = "USDT"


class CatalogSettings(Settings, frozen=True):
    """Section ``[catalog]``: where recorded data lie.

    Attributes
    ----------
    path
        Folder, relative to where the command runs.
    """

    path: str = "data"


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
        same fills.
    slippage_bps
        How much worse than the reference price a taker fills, in basis points of it.
    limit_fill
        When a resting limit order fills: ``through`` once a trade was beyond its price, ``touch``
        once a trade was at its price.
    """

    name: Annotated[str, msgspec.Meta(pattern=_CODE)]
    starting_balance: str
    maker_fee_bps: FeeBps
    taker_fee_bps: FeeBps
    account: Literal["cash", "margin"] = "margin"
    leverage: Annotated[float, msgspec.Meta(ge=1, le=150)] = 1.0
    latency_ms: Annotated[float, msgspec.Meta(ge=0.001, le=600_000)] = 50.0
    slippage_bps: Bps = 1.0
    limit_fill: Literal["through", "touch"] = "through"

    def __post_init__(self) -> None:
        """Refuse a balance that is none."""
        self.balance()
        if self.account == "cash" and self.leverage != 1:
            raise ValueError("leverage must be 1 on a cash account")

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


class ComponentSettings(Settings, frozen=True, rename={"path": "class"}):
    """Block ``[[strategies]]`` or ``[[actors]]``: one component and its own settings.

    Attributes
    ----------
    path
        ``module:Class``, written ``class`` in the file.
    id
        Name of this one; appears in ids, tables and logs.
    params
        The component's own settings.
    """

    path: str
    id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z0-9_]{0,30}$")]
    params: dict[str, Any] = msgspec.field(default_factory=dict)


class BacktestSettings(Settings, frozen=True):
    """Section ``[backtest]``: which part of the past, and how it is told.

    Attributes
    ----------
    start, end
        First and first-not-included moment, as ``2023-01-01`` or ``2023-01-01T12:00:00``, UTC.
        Absent means as far as the data reach.
    ambiguous_bars
        What counts first if one bar touches both stop and target.
    runs
        Folder of run folders, relative to where the command runs.
    """

    start: str | None = None
    end: str | None = None
    ambiguous_bars: Literal["stop_first", "target_first"] = "stop_first"
    runs: str = "runs"

    def __post_init__(self) -> None:
        """Refuse times that are none, and an end before the start."""
        start, end = self.range_ns()
        if start is not None and end is not None and start >= end:
            raise ValueError(f"end was {self.end}, must be after start, which is {self.start}")

    def range_ns(self) -> tuple[int | None, int | None]:
        """Return start and end, ns UTC."""
        return (
            None if self.start is None else _time("start", self.start),
            None if self.end is None else _time("end", self.end),
        )


class DeskConfig(Settings, frozen=True):
    """A whole config file.

    Attributes
    ----------
    features, model
        What ``aitb train`` computes and teaches; a back-test leaves them alone.
    """

    risk: RiskSettings
    venues: Annotated[tuple[VenueSettings, ...], msgspec.Meta(min_length=1)]
    trader: TraderSettings = TraderSettings()
    catalog: CatalogSettings = CatalogSettings()
    instruments: tuple[InstrumentSettings, ...] = ()
    actors: tuple[ComponentSettings, ...] = ()
    strategies: tuple[ComponentSettings, ...] = ()
    backtest: BacktestSettings = BacktestSettings()
    features: FeatureSettings | None = None
    model: ModelSettings | None = None

    def __post_init__(self) -> None:
        """Refuse names that stand twice, and balances in another currency."""
        _refuse_twice("venues", "name", [v.name for v in self.venues])
        _refuse_twice("instruments", "id", [i.id for i in self.instruments])
        _refuse_twice(
            "strategies and actors", "id", [c.id for c in (*self.strategies, *self.actors)]
        )
        for venue in self.venues:
            currency = venue.balance()[1]
            if currency != self.trader.currency:
                raise ValueError(
                    f"venues {venue.name}: starting_balance is in {currency}, must be in "
                    f"trader.currency, which is {self.trader.currency}"
                )


def _time(key: str, text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as e:
        raise ValueError(f"{key} was {e}") from e


def _refuse_twice(section: str, key: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{section} has {key} {name!r} twice")
