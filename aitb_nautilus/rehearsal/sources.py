"""Where a rehearsal's market comes from, and what makes an exchange of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.rehearsal.account import Account
from aitb_nautilus.rehearsal.bar_feed import BookModel, bar_events, scaled_interval_ms, shifted
from aitb_nautilus.rehearsal.candles import Candles
from aitb_nautilus.rehearsal.clock import MS, Clock, SteppedClock
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.feed import Event, FundingSettled, Timeline, merge
from aitb_nautilus.rehearsal.futures_api import USD_M_API
from aitb_nautilus.rehearsal.futures_exchange import FuturesExchange
from aitb_nautilus.rehearsal.futures_venue import FuturesVenue
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.recorded_feed import recorded_events, recorded_start_ns
from aitb_nautilus.rehearsal.signing import ApiKey
from aitb_nautilus.rehearsal.spot.account import SpotAccount
from aitb_nautilus.rehearsal.spot.api import SPOT_API
from aitb_nautilus.rehearsal.spot.venue import SpotVenue
from aitb_nautilus.rehearsal.symbols import Rules
from aitb_nautilus.rehearsal.venue import Venue
from aitb_nautilus.settings import Settings

__all__ = ["BarSource", "RecordedSource", "RehearsalSettings", "Source", "build"]

_MINUTE_NS = 60_000_000_000


class RehearsalSettings(Settings, frozen=True):
    """What the rehearsed exchange is like.

    Parameters
    ----------
    product
        Which of Binance's protocols it speaks: ``usd_m`` (USDⓈ-M futures)
        or ``spot``.
    host, port
        Where it listens; port 0 takes a free one.
    balances
        What the wallet holds at the start, by asset, as text.
    leverage
        Leverage of every symbol at the start, 1 to 125.
    maker_fee, taker_fee
        Fraction of a fill's value, as text.
    bnb_price
        Price of BNB in quote currency, as text: on spot, fees are paid with what `balances` has of
        it. None: they are taken from what is received.
    api_key, api_secret
        The one key that is known. The secret is no secret: it opens nothing but this server.
    public_key
        In place of the secret, an Ed25519 public key in hexadecimal.
    speed
        How many recorded seconds pass in one; 1 is the dress rehearsal. Bars become shorter by as
        much, so Binance must know a kline of that length.
    countdown_cancels_stops
        Whether the end of a countdown cancels conditional orders too; Binance does not say.
    book
        The book around bars.
    """

    product: Literal["usd_m", "spot"] = "usd_m"
    host: str = "127.0.0.1"
    port: int = 0
    balances: dict[str, str] = msgspec.field(default_factory=lambda: {"USDT": "100000"})
    leverage: int = 20
    maker_fee: str = "0.0002"
    taker_fee: str = "0.0005"
    bnb_price: str | None = None
    api_key: str = "rehearsal"
    api_secret: str = "rehearsal"  # noqa: S105
    public_key: str | None = None
    speed: int = 1
    countdown_cancels_stops: bool = True
    book: BookModel = BookModel()

    def __post_init__(self) -> None:
        if not 1 <= self.leverage <= 125:
            raise ValueError(f"leverage was {self.leverage}, must be 1 to 125")
        if self.speed < 1:
            raise ValueError(f"speed was {self.speed}, must be at least 1")


@dataclass(frozen=True)
class BarSource:
    """Bars of one instrument, from the catalog.

    Parameters
    ----------
    spec
        The instrument.
    frame
        Bars, oldest first.
    interval_ns
        Their length.
    start_ns
        Bars that close later are played, the others are history that REST offers.
    funding
        Settlements as (time in ns, rate as text), recorded times, oldest first; those before the
        start are history.
    """

    spec: InstrumentSettings
    frame: BarFrame
    interval_ns: int
    start_ns: int
    funding: Sequence[tuple[int, str]] = field(default=())


@dataclass(frozen=True)
class RecordedSource:
    """Recorded messages of one instrument.

    Parameters
    ----------
    spec
        The instrument.
    path
        Lines of receive time and JSON, gzipped.
    interval_ns
        Length of the bars that are made of the trades.
    """

    spec: InstrumentSettings
    path: Path
    interval_ns: int = _MINUTE_NS

    @property
    def start_ns(self) -> int:
        """Recorded time of its first message, ns."""
        return recorded_start_ns(self.path)


type Source = BarSource | RecordedSource


def build(
    settings: RehearsalSettings, sources: Sequence[Source], clock: Clock
) -> tuple[Exchange[Any], Iterator[Event], Timeline]:
    """Return an exchange, what will happen on it, and where recorded times lie on its clock.

    The first bar begins at the last whole interval before now, so that bars lie on Binance's grid;
    what of it has passed is played at once. A clock that is stepped is moved to that beginning.

    Raises
    ------
    DataError
        If there is no source, or nothing to play.
    ConfigError
        If Binance has no kline of the length that the speed makes.
    """
    if not sources:
        raise DataError("rehearsal", "has no source", "must have bars or recorded messages")
    timeline = _timeline(settings, sources, clock)
    exchange = _exchange(settings, clock)
    feeds = [_list_source(settings, source, timeline, exchange.venue) for source in sources]
    return exchange, merge(feeds), timeline


def _exchange(settings: RehearsalSettings, clock: Clock) -> Exchange[Any]:
    hub = Hub()
    wallet = {asset: Decimal(text) for asset, text in settings.balances.items()}
    public = None if settings.public_key is None else bytes.fromhex(settings.public_key)
    secret = settings.api_secret if public is None else None
    key = ApiKey(settings.api_key, secret=secret, public_key=public)
    keys = {key.name: key}
    if settings.product == "spot":
        bnb = None if settings.bnb_price is None else Decimal(settings.bnb_price)
        account = SpotAccount(wallet, pays_with_bnb=bnb is not None)
        return Exchange(SpotVenue(clock, hub, account, bnb), hub, keys, SPOT_API)
    return FuturesExchange(
        FuturesVenue(clock, hub, Account(wallet, settings.leverage)),
        hub,
        keys,
        USD_M_API,
        countdown_cancels_stops=settings.countdown_cancels_stops,
    )


def _timeline(settings: RehearsalSettings, sources: Sequence[Source], clock: Clock) -> Timeline:
    begins = [source.start_ns for source in sources]
    grid = max(_interval_ms(settings, source) for source in sources) * MS
    now = clock.now_ns()
    recorded = min(begins) - min(begins) % (grid * settings.speed)
    exchange = now - now % grid
    if isinstance(clock, SteppedClock):
        exchange = now + -now % grid
        clock.advance_to(exchange)
    return Timeline(recorded, exchange, settings.speed)


def _interval_ms(settings: RehearsalSettings, source: Source) -> int:
    spot = settings.product == "spot"
    return scaled_interval_ms(source.interval_ns, settings.speed, spot=spot)


def _list_source(
    settings: RehearsalSettings, source: Source, timeline: Timeline, venue: Venue
) -> Iterator[Event]:
    rules = Rules(source.spec, Decimal(settings.maker_fee), Decimal(settings.taker_fee))
    interval_ms = _interval_ms(settings, source)
    if isinstance(source, RecordedSource):
        venue.list_symbol(rules, Candles(rules, interval_ms))
        return recorded_events(rules, source.path, timeline, interval_ms)
    frame = shifted(source.frame, timeline)
    history = source.frame.ts_close <= source.start_ns
    if history.all():
        raise DataError(
            f"rehearsal of {source.spec.id}", "has no bar after its start", "must have some to play"
        )
    market = venue.list_symbol(rules, Candles(rules, interval_ms, frame.take(history)))
    for ts, rate in source.funding:
        if ts > source.start_ns:
            market.funding.append((timeline.at(ts) // MS, rate))
        else:
            market.note_settlement(timeline.at(ts) // MS, rate, "")
    played = bar_events(rules, frame.take(~history), interval_ms, settings.book)
    funding = (
        FundingSettled(timeline.at(ts), rules.symbol, rate)
        for ts, rate in source.funding
        if ts > source.start_ns
    )
    return merge([funding, played])
