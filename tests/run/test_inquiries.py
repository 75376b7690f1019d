"""Whom a node asks for missing bars, and when."""

from __future__ import annotations

from aitb_nautilus.run.bar_order import Hole
from aitb_nautilus.run.inquiries import Inquiries

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
OLD = 1_000 * MINUTE


def hole(name: str, last: int = 2 * MINUTE) -> Hole:
    return Hole(name, MINUTE, last)


def ask(inquiries: Inquiries, *names: str, now: int = OLD) -> list[str]:
    """Ask whom may be asked; return them."""
    asked = []
    for name in names:
        if inquiries.may_ask(name, now):
            inquiries.asked(hole(name), now)
            asked.append(name)
    return asked


def test_eight_are_asked_beside_each_other_and_each_once() -> None:
    inquiries = Inquiries()
    names = [f"I{n}" for n in range(20)]
    assert ask(inquiries, *names) == names[:8]
    assert inquiries.answered("I3") == hole("I3")
    assert ask(inquiries, *names) == ["I3"]
    assert len(inquiries) == 8


def test_six_hundred_pages_a_minute_are_the_most() -> None:
    inquiries = Inquiries()
    for n in range(600):
        assert ask(inquiries, "A", now=OLD + n) == ["A"]
        inquiries.answered("A")
    assert ask(inquiries, "A", now=OLD + MINUTE - 1) == []
    assert ask(inquiries, "A", now=OLD + MINUTE) == ["A"]


def test_answer_without_a_bar_is_that_of_the_only_one_asked() -> None:
    inquiries = Inquiries()
    ask(inquiries, "A")
    assert inquiries.answered(None) == hole("A")


def test_after_an_answer_of_nobody_one_is_asked_after_the_other() -> None:
    inquiries = Inquiries()
    ask(inquiries, "A", "B")
    assert inquiries.answered(None) is None
    assert ask(inquiries, "C") == []
    assert inquiries.answered("A") == hole("A")
    later = OLD + 10 * SECOND
    assert inquiries.give_up(later - 1) == []
    assert inquiries.give_up(later) == [hole("B")]
    assert ask(inquiries, "B", "C", now=later) == ["B"]
    assert inquiries.answered(None) == hole("B")
    inquiries.all_is_there()
    assert ask(inquiries, "A", "B", "C", now=later) == ["A", "B", "C"]


def test_silence_is_counted_for_each_and_ends_with_its_answer() -> None:
    inquiries = Inquiries()
    ask(inquiries, "A", "B")
    inquiries.give_up(OLD + 10 * SECOND)
    ask(inquiries, "A", "B", now=OLD + 10 * SECOND)
    inquiries.answered("B")
    silences = [inquiries.silence_ns(name, OLD + 30 * SECOND) for name in "AB"]
    assert silences == [30 * SECOND, 0]
    inquiries.begin_silence()
    assert inquiries.silence_ns("A", OLD + 40 * SECOND) == 0


def test_answer_that_was_given_up_is_nobodys() -> None:
    inquiries = Inquiries()
    ask(inquiries, "A")
    inquiries.give_up(OLD + 10 * SECOND)
    assert inquiries.answered("A") is None


def test_newest_bars_that_the_history_lacks_are_asked_for_three_times() -> None:
    inquiries = Inquiries()
    newest = hole("A", OLD - SECOND)
    assert not inquiries.lacks(newest, OLD)
    assert not inquiries.may_ask("A", OLD + 2 * SECOND - 1)
    assert inquiries.may_ask("A", OLD + 2 * SECOND)
    assert not inquiries.lacks(newest, OLD + 2 * SECOND)
    assert inquiries.lacks(newest, OLD + 4 * SECOND)


def test_old_bars_that_the_history_lacks_are_not_asked_for_again() -> None:
    assert Inquiries().lacks(hole("A"), OLD)
