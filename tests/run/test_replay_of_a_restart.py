"""Runs that took over a position with its exits, decided once more, and with planted faults."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aitb_nautilus.risk import sender
from aitb_nautilus.risk.journal_carried import Carried
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.replay_compare import Divergence
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_file import INPUTS_NAME, read_entries
from aitb_nautilus.run.replay import replay
from aitb_nautilus.run.what_if import what_if
from tests.run.node_lab import node_lab
from tests.run.replay_lab import PLANTS, Broken, copy_of, rewrite
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import LIVE, config_of, killed_in_a_position

type Values = tuple[Any, ...]


@pytest.fixture(scope="module", params=["paper", "live"])
def restarted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that went on after a kill, and has closed and opened since."""
    mode = request.param
    with node_lab(tmp_path_factory.mktemp(mode), api_secret=SECRET) as lab:
        words = (mode, config_of(lab), *(LIVE if mode == "live" else ()))
        killed_in_a_position(lab, *words)
        node = lab.start(*words, secret=SECRET)
        node.wait_for("(carried)")
        lab.play()
        node.wait_for("(exit:signal)")
        node.wait_for("(entry)")
        assert node.stop(signal.SIGTERM)[0] == 0
        return lab.last().folder


def kinds(folder: Path) -> set[str]:
    return {entry.kind for entry in read_entries(folder / INPUTS_NAME)}


def changed(folder: Path, kind: str, change: Callable[[Values], Values]) -> None:
    """Change the first entry of a kind."""

    def rewritten(entries: list[Entry]) -> list[Entry]:
        place = next(i for i, entry in enumerate(entries) if entry.kind == kind)
        entries[place] = entries[place]._replace(what=change(entries[place].what))
        return entries

    rewrite(folder, rewritten)


def found(folder: Path) -> Divergence:
    again = replay(folder)
    assert again.differences == 1
    assert again.divergence is not None
    assert again.divergence.recorded != again.divergence.replayed
    return again.divergence


def test_restart_with_a_position_and_its_exits_comes_out_as_it_was(restarted: Path) -> None:
    (carried,) = (r.body for r in read(restarted, Wanted(kinds=(Carried.kind,))))
    assert isinstance(carried, Carried)
    assert len(carried.positions) == 1
    assert {o.purpose for o in carried.orders} == {"exit:stop", "exit:target"}
    assert {"sent before", "carried", "exits"} <= kinds(restarted)
    again = replay(restarted)
    assert (again.divergence, again.differences, again.is_whole) == (None, 0, True)
    assert (again.unchecked, again.remarks) == (0, [])
    assert min(again.equal[layer] for layer in ("data", "intents", "decisions", "orders")) > 0  # type: ignore[type-var]
    taken = what_if(restarted)
    assert (taken.differences, taken.openings > 0) == ([], True)


def test_other_limits_are_asked_of_a_restart(restarted: Path) -> None:
    other = what_if(restarted, changes=["risk.max_order_notional=1000"])
    assert other.differences == []
    assert "max_order_notional" in {one.order.limit for one in other.orders}


def _larger(what: Values) -> Values:
    carried, exits = what
    (position,) = carried["positions"]
    larger = position | {"quantity": str(float(position["quantity"]) * 2)}
    return carried | {"positions": [larger]}, exits


def test_position_that_was_taken_over_otherwise_is_named(restarted: Path, tmp_path: Path) -> None:
    folder = copy_of(restarted, tmp_path)
    changed(folder, "carried", _larger)
    divergence = found(folder)
    assert divergence.layer in ("intents", "decisions", "orders")
    assert divergence.who == "ema-001"


def test_balance_that_was_taken_over_otherwise_is_named(restarted: Path, tmp_path: Path) -> None:
    """The venue's word comes after the journal's; on paper there is the journal's alone."""

    def less(entry: Entry) -> Entry:
        match entry.kind, entry.what:
            case "carried", (carried, exits):
                balance = carried["balance"] - 1
                return entry._replace(what=(carried | {"balance": balance}, exits))
            case "equity", (balance,):
                return entry._replace(what=(balance - 1,))
        return entry

    folder = copy_of(restarted, tmp_path)
    rewrite(folder, lambda entries: [less(entry) for entry in entries])
    assert found(folder).layer in ("intents", "decisions")


def test_what_is_held_is_out_of_sight_while_the_past_is_told(
    restarted: Path, tmp_path: Path
) -> None:
    """A position that is seen by then would be closed for a cross of last week."""
    folder = copy_of(restarted, tmp_path)

    def earlier(entries: list[Entry]) -> list[Entry]:
        carried = entries.pop(next(i for i, e in enumerate(entries) if e.kind == "carried"))
        entries.insert(next(i for i, e in enumerate(entries) if e.kind == "past"), carried)
        return entries

    rewrite(folder, earlier)
    again = replay(folder)
    assert (again.divergence, again.differences, again.is_whole) == (None, 0, True)


def test_missing_news_of_an_order_is_named(restarted: Path, tmp_path: Path) -> None:
    """On paper no strategy is told that orders have ended with the simulated exchange."""
    folder = copy_of(restarted, tmp_path)

    def without(entries: list[Entry]) -> list[Entry]:
        place = next(i for i, entry in enumerate(entries) if entry.kind in ("untold", "fill"))
        return entries[:place] + entries[place + 1 :]

    rewrite(folder, without)
    assert found(folder).recorded


def test_fault_in_a_bar_is_named(
    restarted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of(restarted, tmp_path)
    PLANTS["data"](monkeypatch, folder, 0)
    assert found(folder).layer == "data"


def test_fault_in_a_limit_is_named(restarted: Path, tmp_path: Path) -> None:
    folder = copy_of(restarted, tmp_path)
    path, was = folder / "config.toml", "max_order_notional = 20000.0"
    text = path.read_text()
    assert text.count(was) == 1
    path.write_text(text.replace(was, "max_order_notional = 1000.0"))
    assert found(folder).layer == "decisions"


def test_fault_in_an_order_is_named(restarted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, right = Broken(0), sender.plan

    def plan(*args: Any) -> Any:
        terms = right(*args)
        return replace(terms, quantity=terms.quantity * 2) if broken.is_it else terms

    monkeypatch.setattr(sender, "plan", plan)
    assert found(restarted).layer == "orders"
