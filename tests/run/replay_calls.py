"""What is called in the replay of a run, and which record or entry of the recording came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.risk import sender
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.departures import Departures
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.journal_chain import Record
from aitb_nautilus.risk.journal_reader import read
from aitb_nautilus.risk.replay_compare import JournalAgain
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_file import INPUTS_NAME, read_entries
from aitb_nautilus.risk.warming import WARM_UP
from aitb_nautilus.run.replay import replay

__all__ = ["Calls", "calls_of"]

_KINDS = ("intent", "decision", "sent")


class Calls:
    """The calls of a replay without a fault, in their order; None: nothing came of one.

    Parameters
    ----------
    folder
        Of the run.

    Attributes
    ----------
    entries, records
        Of the recording, and of the journal what a desk says.
    rows, answers, told
        Of features, of the model, and of predictions: entries of the recording.
    wishes
        Each intent that was carried out, and the record of it.
    judged, planned
        The records of what the guard decided, and of what was sent.
    left
        Commands in the recording.
    """

    def __init__(self, folder: Path) -> None:
        self.entries: list[Entry] = list(read_entries(folder / INPUTS_NAME))
        self.records = [record for record in read(folder) if record.kind in _KINDS]
        self.rows: list[Entry | None] = []
        self.answers: list[Entry | None] = []
        self.told: list[Entry | None] = []
        self.wishes: list[tuple[Any, Record | None]] = []
        self.judged: list[Record | None] = []
        self.planned: list[Record | None] = []
        self.left: list[Entry | None] = []
        self._compared: list[str] = []
        self._later: list[Callable[[], None]] = []

    def of_kind(self, kind: str) -> list[Record]:
        """Return the records of a kind."""
        return [record for record in self.records if record.kind == kind]

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Look on while something is replayed."""
        append = JournalAgain.append

        def compare(journal: JournalAgain, body: Any, *rest: Any, **how: Any) -> None:
            append(journal, body, *rest, **how)
            if body.kind in _KINDS:
                self._compared.append(body.kind)

        for name in ("append", "note"):
            patch.setattr(JournalAgain, name, compare)
        self._count(patch, FeatureEngine, "update", self.rows)
        self._count(patch, ModelSession, "predict_row", self.answers)
        self._count(patch, GuardedActor, "publish_prediction", self.told, True)
        self._watch_wishes(patch)
        self._watch_guard(patch)
        self._watch_sender(patch)

    def end(self) -> None:
        """Put to each call what came of it."""
        for put in self._later:
            put()
        for name, lists in (("features", [self.rows]), ("prediction", [self.answers, self.told])):
            entries = [entry for entry in self.entries if entry.kind == name]
            for found in lists:  # those of the past come first, and are not recorded
                found[:] = [None] * (len(found) - len(entries)) + entries

    def _count(
        self, patch: pytest.MonkeyPatch, of: Any, name: str, to: list[Any], is_silent: bool = False
    ) -> None:
        right = getattr(of, name)

        def counted(*args: Any) -> Any:
            answer = right(*args)
            if answer is not None or is_silent:
                to.append(None)
            return answer

        patch.setattr(of, name, counted)

    def _watch_wishes(self, patch: pytest.MonkeyPatch) -> None:
        right = Answers._carry_out

        def carried_out(answers: Answers, intent: Any) -> Any:
            place, before = len(self.wishes), len(self._compared)
            self.wishes.append((intent, None))
            decision = right(answers, intent)
            self.wishes[place] = intent, self._record_after(before, "intent")
            return decision

        patch.setattr(Answers, "_carry_out", carried_out)

    def _watch_guard(self, patch: pytest.MonkeyPatch) -> None:
        right = Guard.judge

        def judged(guard: Guard, *args: Any) -> Any:
            decision = right(guard, *args)
            if decision.limit == WARM_UP:
                self.judged.append(None)
            else:
                self._put_later(self.judged, "decision")
            return decision

        patch.setattr(Guard, "judge", judged)

    def _watch_sender(self, patch: pytest.MonkeyPatch) -> None:
        plan, send = sender.plan, Departures.send
        commands = iter([entry for entry in self.entries if entry.kind == "command"])

        def planning(*args: Any) -> Any:
            terms = plan(*args)
            place = len(self.planned)
            self.planned.append(None)

            def put() -> None:
                # By its id: what waits for its turn is written later than what comes meanwhile.
                mine = (
                    r for r in self.of_kind("sent") if r.client_order_id == terms.client_order_id
                )
                self.planned[place] = next((r for r in mine if r.body.action == "submit"), None)

            self._later.append(put)
            return terms

        def sending(departures: Departures, name: str, command: Callable[[], None]) -> None:
            place = len(self.left)
            self.left.append(None)

            def leave() -> None:
                self.left[place] = next(commands)
                command()

            send(departures, name, leave)

        patch.setattr(sender, "plan", planning)
        patch.setattr(Departures, "send", sending)

    def _put_later(self, to: list[Record | None], kind: str) -> None:
        """Take the next record of a kind for what comes of this call, once it is written."""
        place, before = len(to), len(self._compared)
        to.append(None)

        def put() -> None:
            to[place] = self._record_after(before, kind)

        self._later.append(put)

    def _record_after(self, before: int, kind: str) -> Record | None:
        if kind not in self._compared[before:]:
            return None
        return self.of_kind(kind)[self._compared[:before].count(kind)]


def calls_of(folder: Path) -> Calls:
    """Replay a run that has no fault, and return what was called."""
    calls = Calls(folder)
    with pytest.MonkeyPatch.context() as patch:
        calls.watch(patch)
        again = replay(folder)
    assert again.divergence is None, again.divergence
    calls.end()
    return calls
