"""Countdowns at a rehearsal of the exchange, without a node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.run.binance_rest import BinanceRest
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.countdowns import Countdowns
from aitb_nautilus.settings import Secret
from tests.run.node_lab import BTC, NodeLab, node_lab

SECS = 1.5
_SOON_S = 10.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeLab]:
    with node_lab(tmp_path_factory.mktemp("countdowns")) as lab:
        yield lab


@pytest.fixture
def countdowns(lab: NodeLab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Countdowns]:
    monkeypatch.setenv("K", "rehearsal")
    venue = VenueSettings(
        name="BINANCE",
        account="margin",
        starting_balance="10 USDT",
        maker_fee_bps=0.0,
        taker_fee_bps=0.0,
        base_url_http=lab.running.url_http,
        api_key=Secret("env:K"),
        api_secret=Secret("env:K"),
    )
    one = Countdowns({BTC: BinanceRest(venue)}, SECS)
    yield one
    lab.running.call(lambda r: r.exchange.faults.clear())
    one.close(end=True)


def running(lab: NodeLab) -> list[str]:
    return list(lab.running.call(lambda r: dict(r.exchange.countdowns)))  # type: ignore[attr-defined]


def soon(look: Callable[[], object]) -> None:
    until = time.monotonic() + _SOON_S
    while not look():
        assert time.monotonic() < until
        time.sleep(0.02)


def refuse(lab: NodeLab) -> None:
    fault = Fault(kind="refuse", match="countdownCancelAll", times=1_000)
    lab.running.call(lambda r: r.exchange.faults.arm(fault))


def test_countdown_runs_while_it_is_wanted(lab: NodeLab, countdowns: Countdowns) -> None:
    countdowns.want(BTC, True)
    assert countdowns.missing() == [BTC]
    soon(lambda: not countdowns.missing())
    assert running(lab) == ["BTCUSDT"]
    countdowns.want(BTC, False)
    soon(lambda: not running(lab))
    assert countdowns.missing() == []


def test_countdown_is_renewed_in_time(lab: NodeLab, countdowns: Countdowns) -> None:
    countdowns.want(BTC, True)
    soon(lambda: not countdowns.missing())
    # What ended it at the venue is made good by the next renewal.
    lab.running.call(lambda r: r.exchange.countdowns.clear())  # type: ignore[attr-defined]
    soon(lambda: running(lab))


def test_end_is_said_again_so_that_an_old_request_leaves_nothing(
    lab: NodeLab, countdowns: Countdowns
) -> None:
    countdowns.want(BTC, False)
    lab.running.call(lambda r: r.exchange.set_countdown("BTCUSDT", 60_000))  # type: ignore[attr-defined]
    soon(lambda: not running(lab))


def test_refused_renewals_are_missed_once_the_countdown_has_run_out(
    lab: NodeLab, countdowns: Countdowns
) -> None:
    countdowns.want(BTC, True)
    soon(lambda: not countdowns.missing())
    refuse(lab)
    soon(countdowns.failures)
    assert "HTTP 503" in countdowns.failures()[BTC]
    soon(countdowns.missing)
    lab.running.call(lambda r: r.exchange.faults.clear())
    soon(lambda: not countdowns.missing() and not countdowns.failures())


def test_countdown_that_only_just_became_possible_is_not_missed(
    lab: NodeLab, countdowns: Countdowns
) -> None:
    countdowns.want(BTC, False)
    refuse(lab)
    countdowns.want(BTC, True)
    assert countdowns.missing() == []
    soon(countdowns.missing)


def test_end_leaves_it_to_run_out_or_ends_it(lab: NodeLab, countdowns: Countdowns) -> None:
    countdowns.want(BTC, True)
    soon(lambda: not countdowns.missing())
    assert countdowns.close(end=False) == []
    assert running(lab) == ["BTCUSDT"]
    assert countdowns.close(end=True) == []
    assert running(lab) == []


def test_end_that_the_venue_does_not_take_is_told(lab: NodeLab, countdowns: Countdowns) -> None:
    countdowns.want(BTC, True)
    soon(lambda: not countdowns.missing())
    refuse(lab)
    assert countdowns.close(end=True) == [BTC]
