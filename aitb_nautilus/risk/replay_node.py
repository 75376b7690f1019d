"""What the node itself did to guard and ledger while a run was recorded, done again.

A person's commands, halts for reasons that lie in the node, what holds opening orders up for a
while, what was taken over from the run before, and what the firewall found: the desk decides under
them, and did not make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from aitb_nautilus.messages import BarClosed, Fill, OrderUpdate
from aitb_nautilus.risk.carried_over import tell_carried_over
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.exit_levels import ExitState
from aitb_nautilus.risk.firewall import Unexplained
from aitb_nautilus.risk.firewall_file import Answer
from aitb_nautilus.risk.journal_carried import Carried
from aitb_nautilus.risk.limit_memory import MemoryRow
from aitb_nautilus.risk.recovery import Finding, Unknown, follow
from aitb_nautilus.risk.state_file import Change
from aitb_nautilus.risk.taking_over import (
    adopt,
    begin_day,
    begin_with_equity,
    bind,
    hold,
    know_sent,
    protect,
    put_back,
)
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.trading_states import Halt, Resume
from aitb_nautilus.risk.venue_facts import VenueOrder

__all__ = ["NodeAgain"]

_Exits = dict[str, dict[str, ExitState]]
_FACTS: dict[str, type[Fill | OrderUpdate | Unknown]] = {
    one.__name__: one for one in (Fill, OrderUpdate, Unknown)
}
"""What may have come that no strategy was told of."""


class NodeAgain:
    """Do again what the node did.

    Parameters
    ----------
    context
        Of the desk that decides again.
    components
        Its strategies and actors by id.
    """

    def __init__(self, context: Context, components: Mapping[str, Any]) -> None:
        self._context = context
        self._components = components

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
            case "expire":
                context.expire(what[0])
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
                return self._take_over(entry)
        return True

    def _take_over(self, entry: Entry) -> bool:
        """Do what an entry says of the time before the run; return whether it says that."""
        context, what = self._context, entry.what
        match entry.kind:
            case "sent before":
                know_sent(context, what[0])
            case "bound":
                bind(context, msgspec.convert(what[0], Halt))
            case "carried":
                strategies = [s for s in self._components.values() if hasattr(s, "exit_managers")]
                carried = msgspec.convert(what[0], Carried)
                hold(context, strategies, carried, msgspec.convert(what[1], _Exits))
            case "protect":
                now, instrument_id = what
                protect(context, self._components[entry.who], instrument_id, now)
            case "exits":
                now, instrument_id, rows = what
                bars = [BarClosed(*row) for row in rows]
                put_back(context, self._components[entry.who], instrument_id, bars, now)
            case "began with":
                begin_with_equity(context, what[0])
            case "began at":
                begin_day(context, what[0])
            case "untold":
                now, name, plain = what
                fact = msgspec.convert(plain, _FACTS[name])
                follow(Finding((fact,)), context, {}, now)
            case "adopted":
                owner, now, plain = what
                adopt(context, msgspec.convert(plain, VenueOrder), owner, now)
            case "row":
                now, plain = what
                context.chronicle.found(msgspec.convert(plain, Unexplained), now)
            case "settled":
                now, row, answer, said = what
                found = msgspec.convert(row, Unexplained)
                context.chronicle.settled(found, msgspec.convert(answer, Answer), said, now)
            case _:
                return False
        return True

    def _states(self, ts: int, unheard: Any, in_force: Any, lift_with: str) -> None:
        guard = self._context.guard
        halts = msgspec.convert(in_force, list[Halt])
        guard.states.lift_with = lift_with
        # What the node itself had found by then was told before.
        guard.states.put_in_force(one for one in halts if one not in guard.states.in_force)
        tell_carried_over(self._context, msgspec.convert(unheard, list[Change]), ts)
