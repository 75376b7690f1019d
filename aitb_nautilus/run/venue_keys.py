"""The keys of a venue's account: there, readable, and taken by the venue.

With a key that the venue does not take the engine waits for its connection until the time is over,
and says no more than that. So a live node asks for its account once before it connects: a venue
that refuses a signed question for its key or its signature would refuse every order as well.

References
----------
Binance, USDⓈ-M futures, Error Codes: -1022 INVALID_SIGNATURE, -2014 BAD_API_KEY_FMT, -2015
REJECTED_MBX_KEY (https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code);
Spot has the same.
"""

from __future__ import annotations

from typing import Final

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.run.binance_rest import AskError, BinanceRest
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.venue_patience import asked_patiently

__all__ = ["refuse_missing_keys", "refuse_wrong_keys"]

_SIGNATURE: Final = -1022
_FORMAT: Final = -2014
_KEY: Final = -2015
_UNAUTHORISED: Final = 401
_ACCOUNT, _SPOT_ACCOUNT = "/fapi/v3/balance", "/api/v3/account"


def refuse_missing_keys(venue: VenueSettings, adapter: str, where: str) -> None:
    """Look whether the config names every key that trading at a venue needs; nothing is asked.

    Parameters
    ----------
    where
        The config file.

    Raises
    ------
    ConfigError
        If a key is missing or cannot be read, or holds what no key does.
    """
    for name in ("api_key", "api_secret", *(["api_passphrase"] if adapter == "okx" else [])):
        if getattr(venue, name) is None:
            raise ConfigError(
                f"{where}: venues {venue.name}.{name}",
                "is missing",
                "must be a reference to a secret: live trading needs an account",
                f'Write {name} = "env:{venue.name}_{name.upper()}" and set that variable',
            )
    if venue.api_key is None:
        return
    key = venue.api_key.reveal()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(
            f"{where}: venues {venue.name}.api_key",
            f"{venue.api_key.reference} holds a blank, a line end or a sign that no key has",
            "must hold the key and nothing else",
            "Copy it once more, without quotation marks",
        )


def refuse_wrong_keys(run: Preparation) -> None:
    """Ask a live node's venues for its account, before it connects.

    Venues that nobody can ask are passed over.

    Raises
    ------
    ConfigError
        If a venue refuses the key or the signature.
    RunError
        If a venue does not answer for as long as the node may take to connect.
    """
    if run.mode != "live":
        return
    for venue in run.venues.values():
        if venue.adapter_name == "binance":
            _ask(venue, str(run.desk.path), run.desk.config.live.connect_secs)


def _ask(venue: VenueSettings, where: str, patience_s: float) -> None:
    rest = BinanceRest(venue)
    path = _SPOT_ACCOUNT if venue.account == "cash" else _ACCOUNT

    def ask() -> None:
        try:
            rest.ask("GET", path, {})
        except AskError as e:
            refused = _refused(venue, where, e)
            if refused is None:
                raise
            raise refused from e

    asked_patiently(venue, ask, "did not tell what the account holds", patience_s)


def _refused(venue: VenueSettings, where: str, error: AskError) -> ConfigError | None:
    """Return what is wrong with the keys, or None if the venue has refused for another reason."""
    if venue.api_key is None or venue.api_secret is None:
        return None
    key, secret = venue.api_key.reference, venue.api_secret.reference
    place = f"{where}: venues {venue.name}"
    told = f"(HTTP {error.status}, {error.code}: {error.words.rstrip('.')})"
    if error.code == _SIGNATURE:
        return ConfigError(
            f"{place}.api_secret",
            f"{venue.name} refuses what is signed with {secret} {told}",
            f"must be the secret that belongs to the key of {key}, an HMAC one",
            f"Look whether {secret} holds all of it and nothing else, and belongs to the same key; "
            "a secret that is lost cannot be shown again: make a new key at the venue",
        )
    if error.code == _FORMAT:
        return ConfigError(
            f"{place}.api_key",
            f"{venue.name} says that {key} holds no API key {told}",
            "must be the key as the venue shows it",
            f"Look whether {key} holds all of it and nothing else, and not the secret",
        )
    if error.code != _KEY and error.status != _UNAUTHORISED:
        return None
    market = "spot trading" if venue.account == "cash" else "futures"
    return ConfigError(
        f"{place}.api_key",
        f"{venue.name} refuses the key of {key} {told}",
        f"must be a key of its {venue.environment} environment that may trade {market} from this "
        "machine's address",
        f"Look in the venue's API management whether the key of {key} is there, whether "
        f"{market} is enabled for it, and whether its list of IP addresses has the one of this "
        "machine; a key of a testnet opens nothing else",
    )
