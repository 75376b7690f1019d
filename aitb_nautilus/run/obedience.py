"""What a node does at a command, and when it has done it.

Works on guard, ledger and chronicle alone; `NodeCommands` calls it in the engine's own thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import to_builtins

from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.flatten import still_open
from aitb_nautilus.risk.silence import looks_on
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.trading_states import Halt, StateError, StateScope
from aitb_nautilus.run.command_messages import Answer, Command
from aitb_nautilus.run.command_words import halt_of, resume_of, said_of_halt, said_of_resume
from aitb_nautilus.run.config import TraderSettings
from aitb_nautilus.run.node_status import StatusTeller
from aitb_nautilus.settings import nearest

__all__ = ["Obedience"]


class Obedience:
    """Obey commands.

    Parameters
    ----------
    trader, context, strategies, about
        As of `NodeCommands`.

    Attributes
    ----------
    status
        Tells how the node stands.
    """

    def __init__(
        self,
        trader: TraderSettings,
        context: Context,
        strategies: Sequence[GuardedStrategy],
        about: Mapping[str, str],
    ) -> None:
        self._context = context
        self._strategies = {StateScope.strategy(s.component_id).id for s in strategies}
        self.status = StatusTeller(trader, context, strategies, about)

    def begin(self, command: Command, who: str, ts: int) -> Answer | Halt:
        """Begin to obey; return the answer, or the halt of which `finish` says when it is done.

        Parameters
        ----------
        who
            User and machine.
        ts
            Now, ns UTC.
        """
        if command.verb == "status":
            return Answer(done=True, said="", status=self.status.tell(ts))
        why = self._unknown(command.scope)
        if why:
            return Answer(done=False, said=why, exit_code=2)
        if command.verb == "resume":
            return self._resume(command, who, ts)
        guard = self._context.guard
        halt = halt_of(command, who, ts)
        self._context.tape.heard("restrict", "", command.verb, who, ts, to_builtins(halt))
        # Should it fail, the halt holds all the same; the gap in the journal says that it did.
        self._context.chronicle.commanded(command.verb, halt.scope, who, halt.reason, ts)
        guard.restrict(halt)
        if guard.states.unwritten:
            return Answer(
                done=False,
                said=f"{halt.scope} is {halt.level}, but that cannot be written "
                f"({guard.states.unwritten}): it ends with the node's process",
                todo="Make room on the disk; the node tries again every few seconds, and opens "
                "nothing until then",
                exit_code=1,
                status=self.status.tell(ts),
            )
        return halt

    def finish(self, halt: Halt, ts: int, timeout_s: float | None) -> Answer | None:
        """Return the answer once a halt has come about, or nobody waits longer; else None.

        Parameters
        ----------
        timeout_s
            How long it was waited for, if that is over; else None.
        """
        states, scope = self._context.guard.states, halt.scope
        held = states.held(scope)
        if not held:
            said = f"{scope} was resumed before everything had ended"
            return Answer(done=False, said=said, exit_code=1, status=self.status.tell(ts))
        left = []
        if states.of_scope(scope) == "halted":
            left = still_open(self._context.ledger, scope, flatten=halt.flatten)
        silent = looks_on(self._context.guard)
        if left and silent:
            return Answer(
                done=False,
                said=f"{scope} is halted, but {silent}",
                todo="End what is left at the venue itself",
                left=left,
                exit_code=1,
                status=self.status.tell(ts),
            )
        if left and timeout_s is None:
            return None
        if left:
            return Answer(
                done=False,
                said=f"{scope} is halted and nothing opens any more, but within {timeout_s:g} s "
                f"not everything has ended",
                todo="The node goes on with it; see how far it is with: aitb status",
                left=left,
                exit_code=1,
                status=self.status.tell(ts),
            )
        return Answer(done=True, said=said_of_halt(halt, held), status=self.status.tell(ts))

    def _resume(self, command: Command, who: str, ts: int) -> Answer:
        resume = resume_of(command, who, ts)
        if not resume.reason:
            return Answer(done=False, said="a resume needs a reason", exit_code=2)
        self._context.tape.heard("resume", "", who, ts, to_builtins(resume))
        why = self._context.chronicle.commanded("resume", resume.scope, who, resume.reason, ts)
        if why:
            said = f"nothing was resumed, since it cannot be journalled: {why}"
            return Answer(done=False, said=said, exit_code=1, status=self.status.tell(ts))
        try:
            lifted = self._context.guard.resume(resume)
        except StateError as e:
            said = f"nothing was resumed: {e.paragraph()}"
            return Answer(done=False, said=said, exit_code=1, status=self.status.tell(ts))
        said = said_of_resume(resume, lifted, self._context.guard.states.in_force)
        return Answer(done=True, said=said, status=self.status.tell(ts))

    def _unknown(self, scope: StateScope) -> str:
        """Return why a scope is none; empty if it is one, or something holds for it."""
        if scope.kind == "trader" or self._context.guard.states.held(scope):
            return ""
        known = list(self._strategies if scope.kind == "strategy" else self._context.instruments)
        if scope.id in known:
            return ""
        close = nearest(scope.id, known)
        hint = f"did you mean {close}?" if close else f"it has {', '.join(sorted(known))}"
        return f"the node has no {scope.kind} {scope.id!r}: {hint}"
