"""Keys that a venue does not take: the start ends at once, and says which and what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.venue_keys import refuse_missing_keys
from aitb_nautilus.settings import Secret
from tests.run.node_lab import NodeLab
from tests.run.refusing_lab import PRODUCTS, config_of, refusing_lab
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import LIVE

STRANGER = "W" * 64
"""A key that has the form of one, and is nobody's."""


@pytest.fixture(params=PRODUCTS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NodeLab]:
    with refusing_lab(tmp_path, request.param) as lab:
        yield lab


def config_with(lab: NodeLab, key: str = "rehearsal", **live: float) -> str:
    """Write a config whose API key stands in a file."""
    (lab.folder / "key").write_text(key)
    return config_of(lab, live, api_key="file:key")


def end_of_start(lab: NodeLab, config: str, secret: str = SECRET) -> tuple[int, str]:
    """Start a node that must not start; return its exit code and the one line that it says."""
    began = time.monotonic()
    code, _ = (node := lab.start("live", config, *LIVE, secret=secret)).end()
    assert time.monotonic() - began < 60.0
    (line,) = node.lines
    assert not (lab.folder / "runs").exists()
    return code, line.removeprefix(f"error: {lab.folder / 'desk.toml'}: ")


def test_wrong_secret_ends_the_start_at_once_and_is_named_by_its_reference(lab: NodeLab) -> None:
    wrong = "aSecretOfAnotherKey"
    code, line = end_of_start(lab, config_with(lab, connect_secs=300.0), secret=wrong)
    assert code == 3
    assert line.startswith(
        "venues BINANCE.api_secret: BINANCE refuses what is signed with env:REHEARSAL_SECRET "
        "(HTTP 400, -1022: Signature for this request is not valid), "
        "must be the secret that belongs to the key of file:key"
    )
    assert wrong not in line
    node = lab.start("live", config_with(lab), *LIVE, secret=SECRET)
    node.wait_for("recovered in")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (STRANGER, "refuses the key of file:key (HTTP 401, -2015: Invalid API-key, IP, or"),
        ("cut-off", "says that file:key holds no API key (HTTP 401, -2014: API-key format"),
    ],
)
def test_wrong_key_ends_the_start_at_once(lab: NodeLab, key: str, words: str) -> None:
    code, line = end_of_start(lab, config_with(lab, key, connect_secs=300.0))
    assert code == 3
    assert line.startswith(f"venues BINANCE.api_key: BINANCE {words}")
    assert key not in line
    if key == STRANGER:
        market = "futures" if "PERP" in lab.spec.id else "spot trading"
        assert f"whether {market} is enabled for it, and whether its list of IP addresses" in line


def test_key_that_an_address_may_not_use_says_what_the_venue_said(lab: NodeLab) -> None:
    told = "Invalid API-key, IP, or permissions for action, request ip: 203.0.113.7"
    fault = Fault(kind="refuse", match="GET", status=401, code=-2015, message=told, times=99)
    config = config_with(lab)
    path = "/fapi/v3/balance" if "PERP" in lab.spec.id else "/api/v3/account"
    lab.running.call(lambda r: r.inject(msgspec.structs.replace(fault, match=path)))
    code, line = end_of_start(lab, config)
    assert (code, "-2015: " + told in line) == (3, True)


def test_venue_that_does_not_tell_of_the_account_is_asked_until_it_does(lab: NodeLab) -> None:
    path = "/fapi/v3/balance" if "PERP" in lab.spec.id else "/api/v3/account"
    lab.running.call(lambda r: r.inject(Fault(kind="refuse", match=path, status=503, times=2)))
    node = lab.start("live", config_with(lab), *LIVE, secret=SECRET)
    node.wait_for("recovered in")
    node.stop()
    lab.running.call(lambda r: r.inject(Fault(kind="refuse", match=path, status=503, times=99)))
    code, _ = (node := lab.start("live", config_with(lab, connect_secs=3.0), *LIVE)).end()
    assert code == 1
    assert "venue BINANCE: did not tell what the account holds: HTTP 503" in node.said


@pytest.mark.parametrize("key", ["two words", "“quoted”", "line\nend"])
def test_key_that_no_header_can_carry_is_refused_before_anything_is_asked(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", key)
    venue = VenueSettings(
        name="BINANCE",
        starting_balance="1 USDT",
        maker_fee_bps=0,
        taker_fee_bps=0,
        api_key=Secret("env:A_KEY"),
        api_secret=Secret("env:A_SECRET"),
    )
    with pytest.raises(ConfigError, match=r"desk.toml: venues BINANCE.api_key: env:A_KEY") as told:
        refuse_missing_keys(venue, "binance", "desk.toml")
    assert key not in str(told.value)


def test_blanks_and_line_ends_around_a_secret_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_KEY", " abc\n")
    assert Secret("env:A_KEY").reveal() == "abc"
    monkeypatch.setenv("A_KEY", " \n")
    with pytest.raises(ConfigError, match="must hold the secret"):
        Secret("env:A_KEY").reveal()
