"""A desk pointed at a running rehearsal in place of the exchange; nothing else of it differs."""

from __future__ import annotations

import os
from typing import Literal
from urllib.error import URLError
from urllib.request import urlopen

import msgspec

from aitb_nautilus.errors import ConfigError, RunError
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.load import Desk
from aitb_nautilus.settings import Secret, Settings

__all__ = ["RehearsalAddress", "ask_rehearsal", "at_rehearsal"]

_ASK_S = 5.0
_KEY, _SECRET = "AITB_REHEARSAL_KEY", "AITB_REHEARSAL_SECRET"


class RehearsalAddress(Settings, frozen=True):
    """What a rehearsal says of itself."""

    venue: str
    product: Literal["usd_m", "spot"]
    speed: int
    base_url_http: str
    base_url_ws: str
    base_url_ws_trading: str
    api_key: str
    api_secret: str


def ask_rehearsal(url: str) -> RehearsalAddress:
    """Return where a rehearsal is reached and with which key.

    Parameters
    ----------
    url
        What ``aitb rehearse`` printed as ``base_url_http``.

    Raises
    ------
    ConfigError
        If the text is no URL of HTTP.
    RunError
        If nothing answers there, or something that is no rehearsal.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"rehearsal {url}", "is no URL", "must begin with http://")
    where = f"rehearsal {url}"
    todo = "Start one with: aitb rehearse CONFIG"
    try:
        with urlopen(f"{url.rstrip('/')}/rehearsal/address", timeout=_ASK_S) as answer:  # noqa: S310
            return msgspec.json.decode(answer.read(), type=RehearsalAddress)
    except (URLError, TimeoutError, ConnectionError) as e:
        raise RunError(where, f"does not answer ({e})", "must be running", todo) from e
    except msgspec.MsgspecError as e:
        raise RunError(where, f"is no rehearsal ({e})", "must be one", todo) from e


def at_rehearsal(desk: Desk, url: str) -> Desk:
    """Return a desk whose venue is a running rehearsal: its addresses and its key.

    Raises
    ------
    ConfigError
        If the desk has no such venue, or its durations are those of another speed.
    RunError
        If no rehearsal answers.
    """
    address = ask_rehearsal(url)
    config = desk.config
    if config.rehearsal_speed != address.speed:
        raise ConfigError(
            f"{desk.path}: rehearsal_speed",
            f"was {config.rehearsal_speed}",
            f"must be {address.speed}, as fast as the rehearsal at {url} is",
            "Use the config that aitb rehearse wrote, or start it at the speed of this one",
        )
    if address.venue not in {venue.name for venue in config.venues}:
        raise ConfigError(
            f"{desk.path}: venues", f"have no {address.venue}", f"must be what {url} rehearses"
        )
    # The engine's adapters take keys; these open the rehearsal alone.
    os.environ[_KEY], os.environ[_SECRET] = address.api_key, address.api_secret
    venues = tuple(
        _pointed(venue, address) if venue.name == address.venue else venue
        for venue in config.venues
    )
    return msgspec.structs.replace(desk, config=msgspec.structs.replace(config, venues=venues))


def _pointed(venue: VenueSettings, address: RehearsalAddress) -> VenueSettings:
    return msgspec.structs.replace(
        venue,
        adapter="binance",
        environment="live",
        base_url_http=address.base_url_http,
        base_url_ws=address.base_url_ws,
        base_url_ws_trading=address.base_url_ws_trading,
        api_key=Secret(f"env:{_KEY}"),
        api_secret=Secret(f"env:{_SECRET}"),
    )
