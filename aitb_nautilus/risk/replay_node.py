"""What the node itself did to guard and ledger while a run was recorded, done again.

A person's commands, halts for reasons that lie in the node, and what holds opening orders up for a
while: the desk decides under them, and did not make them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aitb_nautilus.risk.carried_over import tell_carried_over
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.limit_memory import MemoryRow
from aitb_nautilus.risk.state_file import Change
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.trading_states import Halt, Resume

__all__ = ["NodeAgain"]


class NodeAgain:
    """Do again what the node did.

    Parameters
    ----------
    context
        Of the desk that decides again.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def tell(self, entry: Entry) -> bool:
        """Do what an entry says; return whether it was the node's."""
        context, what = self._context, entry.what
        guard, chronicle = context.guard, context.chronicle
        match entry.kind:
            case "withheld":
                guard.withheld.clear()
                guard.withheld.update(what[0])
            case "equity":
                context.ledger.settle_on(what[0])
            case "memories":
                guard.memory.bring_back(msgspec.convert(what[0], list[MemoryRow]))
                guard.hearing.heard = guard.memory.fills
            case "account":
                guard.memory.account = what[0]
                guard.memory.begin()
                if what[2]:
                    guard.begin_anew(what[1])
            case "expire" if context.turns is not None:
                context.turns.expire(what[0])
            case "halted":
                guard.halt(*what)
            case "failed":
                guard.halt(*what)
                context.run_state.stop(what[0])
            case "restrict":
                verb, who, ts, plain = what
                halt = msgspec.convert(plain, Halt)
                chronicle.commanded(verb, halt.scope, who, halt.reason, ts)
                guard.restrict(halt)
            case "resume":
                who, ts, plain = what
                resume = msgspec.convert(plain, Resume)
                chronicle.commanded("resume", resume.scope, who, resume.reason, ts)
                guard.resume(resume)
            case "states":
                self._states(*what)
            case _:
                return False
        return True

    def _states(self, ts: int, unheard: Any, in_force: Any, lift_with: str) -> None:
        guard = self._context.guard
        halts = msgspec.convert(in_force, list[Halt])
        guard.states.lift_with = lift_with
        guard.states.put_in_force(halts)
        tell_carried_over(self._context, msgspec.convert(unheard, list[Change]), ts)
