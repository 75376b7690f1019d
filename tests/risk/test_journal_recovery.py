"""After a crash exactly those commands are asked for at the venue that nobody answered."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_records import (
    Acknowledged,
    Action,
    Answer,
    Body,
    Decided,
    Filled,
    Gap,
    Sent,
)
from aitb_nautilus.risk.journal_recovery import Unresolved, unresolved
from tests.journal_samples import BTC, EMA, ONE, OPENED, T0, fill, wish

SUBMIT, MODIFY, CANCEL = (Sent(action=action) for action in ("submit", "modify", "cancel"))


def asked(path: Path, *bodies: Body) -> list[tuple[Action, str]]:
    """Return what of one order is unresolved after these records."""
    with Journal(path, OPENED, T0, durable=False) as journal:
        for body in bodies:
            journal.append(body, T0, EMA, BTC, "o1")
    return [(u.action, u.stage) for u in unresolved(path)]


def answer(word: Answer) -> Acknowledged:
    return Acknowledged(answer=word)


def filled(leaves: Decimal | None) -> Filled:
    return Filled(trade_id="t", side="BUY", price=1.0, quantity=ONE, leaves=leaves)


@pytest.mark.parametrize(
    ("bodies", "left"),
    [
        ([], []),
        ([Decided(outcome="refused")], []),
        ([Decided(outcome="allowed")], [("submit", "decided")]),
        ([Decided(outcome="shrunk"), SUBMIT], [("submit", "sent")]),
        ([SUBMIT, answer("accepted")], []),
        ([SUBMIT, answer("rejected")], []),
        ([SUBMIT, answer("denied")], []),
        ([SUBMIT, answer("unknown")], []),
        ([SUBMIT, filled(None)], []),
        ([SUBMIT, MODIFY, answer("accepted")], [("modify", "sent")]),
        ([SUBMIT, answer("accepted"), MODIFY, filled(ONE)], [("modify", "sent")]),
        ([SUBMIT, answer("accepted"), MODIFY, answer("updated")], []),
        ([SUBMIT, answer("accepted"), MODIFY, answer("unchanged")], []),
        ([SUBMIT, answer("accepted"), CANCEL], [("cancel", "sent")]),
        ([SUBMIT, answer("accepted"), CANCEL, answer("cancelled")], []),
        ([SUBMIT, answer("accepted"), CANCEL, filled(ONE)], [("cancel", "sent")]),
        ([SUBMIT, answer("accepted"), CANCEL, filled(Decimal(0))], []),
        ([SUBMIT, answer("accepted"), CANCEL, filled(Decimal(-1))], []),
        ([SUBMIT, MODIFY, CANCEL, answer("expired")], []),
        ([SUBMIT, MODIFY, CANCEL], [("submit", "sent"), ("modify", "sent"), ("cancel", "sent")]),
        ([Decided(outcome="allowed", action="modify")], [("modify", "decided")]),
    ],
)
def test_command_is_asked_for_until_it_is_answered(
    tmp_path: Path, bodies: list[Body], left: list[tuple[Action, str]]
) -> None:
    assert asked(tmp_path / "journal.sqlite", *bodies) == left


def test_order_that_was_out_at_the_crash_is_named_with_its_terms(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, OPENED, T0, durable=False) as journal:
        for name in ("o1", "o2", "o3"):
            wish(journal, name, T0 + 1)
        fill(journal, "o1")
        fill(journal, "o3")
    assert unresolved(path) == [
        Unresolved("o2", EMA, BTC, "submit", "sent", 7, T0 + 1, "BUY", "MARKET", ONE, None, None)
    ]


def test_later_run_resolves_what_an_earlier_one_left(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    assert asked(path, SUBMIT) == [("submit", "sent")]
    assert asked(path, answer("unknown")) == []


def test_order_that_was_sent_into_a_gap_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    gap = Gap(lost=9, first_ts=T0, last_ts=T0, why="disk full", sent=("o1", "o7"))
    assert asked(path, SUBMIT, gap, answer("accepted")) == [("submit", "lost")]
    assert [u.client_order_id for u in unresolved(path)] == ["o7"]
