"""The rehearsal of a node's test, as the venue that a client of our own asks."""

from __future__ import annotations

from typing import Literal

import pytest

from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.settings import Secret
from tests.run.node_lab import NodeLab

__all__ = ["asked_venue"]


def asked_venue(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch, account: Literal["cash", "margin"], secret: str
) -> VenueSettings:
    """Return its settings; a secret that is not its own is refused there."""
    monkeypatch.setenv("K", "rehearsal")
    monkeypatch.setenv("S", secret)
    return VenueSettings(
        name="BINANCE",
        account=account,
        starting_balance="10 USDT",
        maker_fee_bps=0.0,
        taker_fee_bps=0.0,
        base_url_http=lab.running.url_http,
        api_key=Secret("env:K"),
        api_secret=Secret("env:S"),
    )
