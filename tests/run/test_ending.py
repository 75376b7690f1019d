"""How a run ended: errors make it fail, and what did its work does not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from aitb_nautilus.errors import HaltedError
from aitb_nautilus.risk.firewall import Explained
from aitb_nautilus.risk.firewall_check import Firewall
from aitb_nautilus.risk.firewall_file import FirewallFile
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.risk.venue_facts import VenueFacts
from aitb_nautilus.run.ending import what_ended
from tests.risk.rig import BTC, make_context


def test_run_that_the_firewall_restricted_has_not_failed(tmp_path: Path) -> None:
    context = make_context()
    firewall = Firewall(context, ["ema-001"], FirewallFile(tmp_path, "AITB-001"), None)  # type: ignore[arg-type]  # nothing is cancelled
    facts = VenueFacts(venues=("BINANCE",), positions={BTC: Decimal(1)})
    assert firewall.check(facts, Explained(lots={BTC: Decimal("0.001")}), 5)
    assert context.guard.state == "reducing"
    assert what_ended(context, tmp_path, was_asked=True) == ("complete", None)


@pytest.mark.parametrize("cause", ["command", "limit", "check"])
def test_halt_that_was_meant_is_no_failure(tmp_path: Path, cause: str) -> None:
    context = make_context()
    context.guard.restrict(Halt(5, "why", cause=cause))  # type: ignore[arg-type]  # one of the four
    assert what_ended(context, tmp_path, was_asked=True) == ("complete", None)


def test_halt_for_an_error_is_a_failure(tmp_path: Path) -> None:
    context = make_context()
    context.guard.halt("it broke", 5)
    status, error = what_ended(context, tmp_path, was_asked=True)
    assert status == "failed"
    assert isinstance(error, HaltedError)
