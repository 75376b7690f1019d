"""The sections of a desk's config file.

One TOML file describes one desk; the same file serves every mode. See ``aitb show-config --schema``
for a JSON schema that editors understand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from aitb_nautilus.features.settings import FeatureSettings
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.times import parse_time
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.run.node_settings import (
    LiveSettings,
    PaperSettings,
    RecordingSettings,
    WarmUpSettings,
)
from aitb_nautilus.run.redis_settings import RedisSettings
from aitb_nautilus.run.venue_settings import VenueSettings
from aitb_nautilus.settings import Settings
from aitb_nautilus.training.settings import ModelSettings

__all__ = [
    "BacktestSettings",
    "CatalogSettings",
    "ComponentSettings",
    "DeskConfig",
    "LiveSettings",
    "PaperSettings",
    "RecordingSettings",
    "RedisSettings",
    "TraderSettings",
    "VenueSettings",
    "WarmUpSettings",
]

_TRADER = msgspec.Meta(
    pattern="^[A-Z][A-Z0-9_]*-[0-9]{3}$",
    description="a name of capitals, digits and underscores, a hyphen and three digits",
    examples=["AITB-001"],
)
_CURRENCY = msgspec.Meta(
    pattern="^[A-Z][A-Z0-9_]*$",
    description="a currency's code in capitals",
    examples=["USDT"],
)
_COMPONENT = msgspec.Meta(
    pattern="^[A-Za-z][A-Za-z0-9_]{0,30}$",
    description="a letter and up to 30 more letters, digits and underscores",
    examples=["ema_cross"],
)


class TraderSettings(Settings, frozen=True):
    """Section ``[trader]``: whose desk this is.

    Attributes
    ----------
    id
        Name and tag, joined by a hyphen. Order ids are hashes of decisions, and of this name.
    currency
        What equity, limits and results are counted in; the quote currency of every instrument.
    state
        Folder of the trader's state file, where halts are kept, and of the command socket of its
        node. Relative to this file, so that whoever gives a command finds it from anywhere. A
        back-test does not look at it.
    """

    id: Annotated[str, _TRADER] = "AITB-001"
    currency: Annotated[str, _CURRENCY] = "USDT"
    state: Annotated[str, msgspec.Meta(min_length=1)] = "state"


class CatalogSettings(Settings, frozen=True):
    """Section ``[catalog]``: where recorded data lie.

    Attributes
    ----------
    path
        Folder, relative to where the command runs.
    """

    path: str = "data"


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
    id: Annotated[str, _COMPONENT]
    params: dict[str, Any] = msgspec.field(default_factory=dict)


class BacktestSettings(Settings, frozen=True):
    """Section ``[backtest]``: which part of the past, and how it is told.

    Attributes
    ----------
    start, end
        First and first-not-included moment, as ``2023-01-01`` or ``2023-01-01T12:00:00``, UTC.
        Absent means as far as the data reach.
    fills
        ``bars``: at the next bar's open and at triggers inside a bar. ``quotes``: at the best bid
        and ask that the catalog has, when the order arrives there; latency then costs what the
        market moved meanwhile, the spread is paid in place of ``slippage_bps``, and a limit order
        fills once the other side comes to its price, whatever ``limit_fill`` says.
    ambiguous_bars
        What counts first if one bar touches both stop and target; quotes say it themselves.
    latency_seed
        Of what is drawn where a venue's `latency` names a run.
    runs
        Folder of run folders, relative to where the command runs; paper and live put theirs
        there as well.
    """

    start: str | None = None
    end: str | None = None
    fills: Literal["bars", "quotes"] = "bars"
    ambiguous_bars: Literal["stop_first", "target_first"] = "stop_first"
    latency_seed: int = 1
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
    redis
        Where paper and live publish what they do; absent: nowhere.
    rehearsal_speed
        Written by ``aitb rehearse --speed N`` into the config that it makes: how many seconds of
        the market pass in one. Such a config runs against that rehearsal only.
    """

    risk: RiskSettings
    venues: Annotated[tuple[VenueSettings, ...], msgspec.Meta(min_length=1)]
    trader: TraderSettings = TraderSettings()
    catalog: CatalogSettings = CatalogSettings()
    instruments: tuple[InstrumentSettings, ...] = ()
    actors: tuple[ComponentSettings, ...] = ()
    strategies: tuple[ComponentSettings, ...] = ()
    backtest: BacktestSettings = BacktestSettings()
    warm_up: WarmUpSettings = WarmUpSettings()
    paper: PaperSettings = PaperSettings()
    live: LiveSettings = LiveSettings()
    recording: RecordingSettings = RecordingSettings()
    redis: RedisSettings | None = None
    features: FeatureSettings | None = None
    model: ModelSettings | None = None
    rehearsal_speed: Annotated[int, msgspec.Meta(ge=1)] = 1

    def __post_init__(self) -> None:
        """Refuse names that stand twice, other currencies, and a switch that no venue has."""
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
            if self.live.dead_man_secs and not venue.has_countdown:
                raise ValueError(
                    f"live.dead_man_secs was {self.live.dead_man_secs:g}, and {venue.name} has no "
                    "countdown that cancels orders which this program could use; must be 0: only "
                    "Binance's perpetuals (adapter binance, account margin) have one"
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
