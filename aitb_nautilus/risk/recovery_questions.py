"""What a venue is asked for after a crash: one question an order, from all of its commands."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from aitb_nautilus.risk.journal_records import Action
from aitb_nautilus.risk.journal_recovery import Unresolved

__all__ = ["Question", "questions_of", "sent_words"]

_OF: dict[Action, str] = {"submit": "", "modify": "change of ", "cancel": "cancel of "}


class Question(msgspec.Struct, frozen=True):
    """An order that the venue must be asked for.

    Attributes
    ----------
    strategy_id, instrument_id
        Empty if the order was sent while the journal could not be written.
    actions
        Commands that nobody answered.
    may_be_there
        Whether one of them may have left; else the node ended before it could.
    line
        What is asked for, in one line.
    """

    client_order_id: str
    strategy_id: str
    instrument_id: str
    actions: tuple[Action, ...]
    may_be_there: bool
    line: str


def questions_of(commands: Sequence[Unresolved]) -> list[Question]:
    """Return one question an order, from all of its commands."""
    by_order: dict[str, list[Unresolved]] = {}
    for command in commands:
        by_order.setdefault(command.client_order_id, []).append(command)
    return [
        Question(
            name,
            some[0].strategy_id,
            some[0].instrument_id,
            tuple(command.action for command in some),
            any(command.stage != "decided" for command in some),
            _line(some[0]),
        )
        for name, some in by_order.items()
    ]


def sent_words(questions: Sequence[Question], silent: Collection[str]) -> str:
    """Return what was sent, and what the venue says of the first of it, in words.

    Parameters
    ----------
    silent
        Ids of orders of which it has said nothing at all.
    """
    first, others = questions[0], len(questions) - 1
    more = f", and {others} more" if others else ""
    said = "does not know it"
    if first.client_order_id in silent:
        said = "has not said in time what became of it"
    return f"order {first.client_order_id} ({first.line}){more} was sent, and the venue {said}"


def _line(command: Unresolved) -> str:
    if command.stage == "lost":
        return "sent while the journal could not be written"
    parts = (
        f"{_OF[command.action]}{command.side or 'an order'}",
        command.quantity,
        command.instrument_id,
        command.order_kind,
        None if command.price is None else f"at {command.price:g}",
        None if command.trigger_price is None else f"from {command.trigger_price:g}",
    )
    return " ".join(str(part) for part in parts if part is not None) + f" by {command.strategy_id}"
