"""From a command to what it changes, and what is said of it, whether a node runs or not."""

from __future__ import annotations

from collections.abc import Sequence

from aitb_nautilus.market.times import iso
from aitb_nautilus.risk.trading_states import Halt, Resume
from aitb_nautilus.run.command_messages import Command

__all__ = ["NO_REASON", "halt_of", "resume_of", "said_of_halt", "said_of_resume"]

NO_REASON = "no reason was given"


def halt_of(command: Command, who: str, ts: int) -> Halt:
    """Return the halt that a command wants."""
    flatten = command.verb == "flatten"
    return Halt(
        ts,
        command.reason.strip() or NO_REASON,
        cause="command",
        level="reducing" if command.level == "reducing" and not flatten else "halted",
        scope=command.scope,
        who=who,
        flatten=flatten,
    )


def resume_of(command: Command, who: str, ts: int) -> Resume:
    """Return the resume that a command wants."""
    reducing = command.level == "reducing"
    return Resume(
        ts, command.reason.strip(), who, command.scope, "reducing" if reducing else "active"
    )


def said_of_halt(wanted: Halt, held: Sequence[Halt]) -> str:
    """Return what holds now, and who was first.

    Parameters
    ----------
    wanted
        By the command.
    held
        All that holds for its scope, the first one first.
    """
    halted = any(halt.level == "halted" for halt in held)
    what = "is reducing: only what reduces is sent"
    if halted:
        what = "is halted: nothing opens any more"
    if wanted.flatten:
        what = "is halted and flat: nothing is held, no order rests, nothing opens any more"
    first = held[0]
    before = ""
    if first.ts < wanted.ts:
        before = f". It was {first.level} before, since {_second(first.ts)} by {first.who}: "
        before += first.reason
    return f"{wanted.scope} {what}{before}"


def said_of_resume(resume: Resume, lifted: Sequence[Halt], in_force: Sequence[Halt]) -> str:
    """Return what was lifted, and what still holds for other scopes.

    Parameters
    ----------
    in_force
        All that holds now.
    """
    others = [h for h in in_force if h.scope != resume.scope]
    said = f"nothing held {resume.scope}; it is as it was"
    if lifted:
        reasons = "; ".join(
            f"{h.level} since {_second(h.ts)} by {h.who}: {h.reason}" for h in lifted
        )
        said = f"{resume.scope} is {resume.level} again. Lifted: {reasons}"
    if others:
        rest = "; ".join(dict.fromkeys(f"{h.scope} is {h.level}" for h in others))
        said += f". What still holds: {rest}"
    return said


def _second(ts: int) -> str:
    return iso(ts // 10**9 * 10**9)
