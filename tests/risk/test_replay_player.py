"""What a recording says when it is played, fact by fact."""

from __future__ import annotations

from collections.abc import Sequence

from aitb_nautilus.messages import prediction_topic
from aitb_nautilus.risk.replay_compare import Findings, JournalAgain
from aitb_nautilus.risk.replay_player import RecordingPlayer
from aitb_nautilus.risk.replay_stage import ReplayStage
from aitb_nautilus.risk.tape import Entry
from tests.risk.rig import BTC, make_context

TOPIC = prediction_topic("up", BTC)


def play(entries: Sequence[Entry]) -> tuple[RecordingPlayer, ReplayStage]:
    findings, stage = Findings(), ReplayStage()
    player = RecordingPlayer(
        iter(entries),
        make_context(),
        components={},
        stage=stage,
        findings=findings,
        journal=JournalAgain(iter(()), findings),
        check_bar=lambda *_: None,
    )
    return player, stage


def heard(who: str) -> Entry:
    return Entry("hear", 0, 1, who, ())


def reading(value: int) -> Entry:
    return Entry("reading", 0, 1, "", (value,))


def test_listener_that_waits_for_its_bar_reads_the_clock_as_it_did_then() -> None:
    # A prediction may come before the bar that it answers: who hears it keeps it for later.
    command = Entry("command", 0, 1, "a", ("cancel", "1"))
    player, stage = play([heard("a"), heard("b"), reading(7), reading(8), command])
    told: list[str] = []
    for who in ("a", "b"):
        stage.subscribe(who, TOPIC, lambda _, who=who: told.append(who))  # type: ignore[misc]
    stage.publish(TOPIC, "a prediction")
    assert told == ["a", "b"]
    assert [player.reading(0), player.reading(0)] == [7, 8]


def test_listeners_that_answer_at_once_hear_in_the_order_of_the_recording() -> None:
    player, stage = play([heard("b"), reading(7), reading(8), heard("a"), reading(9)])
    told: list[tuple[str, int]] = []
    for who in ("a", "b"):
        stage.subscribe(
            who,
            TOPIC,
            lambda _, who=who: told.append((who, player.reading(0))),  # type: ignore[misc]
        )
    stage.publish(TOPIC, "a prediction")
    # The first asked less often than it did; what it did not ask is left out.
    assert told == [("b", 7), ("a", 9)]
