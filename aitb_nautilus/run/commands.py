"""The part of halts and commands that lives in a node.

A live node, whatever it is fed by, attaches it like this::

    with NodeCommands(desk, context, strategies, {"mode": "paper", "run_id": run_id}) as commands:
        ...  # give context.chronicle its journal: commands are journalled as well
        node.add_actor(commands.actor)  # before all others: it hears a bar first
        ...  # add actors and strategies
        node.run()  # or run_async()

Entering says that this node runs for the trader (a second one is refused), brings back the trading
states that hold and what the limits remember, and opens the command socket; leaving closes it. From
then on every halt and every resume is on the disk before anybody is told of it. The actor looks
into the queue of commands every `TICK_MS` by a timer of the engine, and at every bar before a
strategy does; everything that touches guard, ledger and strategies happens there, in the engine's
own thread.

A back-test does not do this: it has the same states, in memory.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Self

from msgspec import to_builtins

from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.carried_over import tell_carried_over
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.limit_memory import MEMORY
from aitb_nautilus.risk.state_file import Change, StateFile
from aitb_nautilus.risk.state_lock import StateLock
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.trading_states import TRADER, Halt
from aitb_nautilus.run.command_messages import Answer
from aitb_nautilus.run.command_queue import CommandQueue, Waiting
from aitb_nautilus.run.command_socket import listening
from aitb_nautilus.run.load import Desk
from aitb_nautilus.run.obedience import Obedience
from aitb_nautilus.run.state_place import StatePlace
from aitb_nautilus.settings import Settings

__all__ = ["TICK_MS", "CommandActor", "NodeCommands"]

TICK_MS = 100
_LOCK_S = 1.0
_RETRY_NS = 5_000_000_000
"""How often states that could not be written are tried again."""


class NodeCommands:
    """Keep a node's trading states on the disk, and obey commands from other processes.

    Parameters
    ----------
    desk
        What runs.
    context
        What the node's components share.
    strategies
        All of the node's.
    about
        What ``aitb status`` says of the run, such as ``mode`` and ``run_id``.

    Attributes
    ----------
    actor
        To be added to the node before all other actors.
    queue
        Takes commands from any thread.

    Raises
    ------
    StateError
        On entering: if another node runs for the trader, or the states cannot be read and written.
    DataError
        On entering: if the state file is none, or one of a newer version.
    """

    def __init__(
        self,
        desk: Desk,
        context: Context,
        strategies: Sequence[GuardedStrategy],
        about: Mapping[str, str],
    ) -> None:
        self.queue = CommandQueue()
        self.actor = CommandActor(Settings(), context, "aitb_commands-001")
        self.actor.commands = self
        self.strategies = strategies
        self._place = StatePlace.of(desk.path, desk.config.trader)
        self._on_disk = desk.config.live.on_disk
        self._context = context
        self._obedience = Obedience(desk.config.trader, context, strategies, about)
        self._unheard: list[Change] = []
        self._open = ExitStack()
        self._unfinished: list[tuple[Waiting, Halt]] = []
        self._tried = 0
        self._news: list[str] = []
        self._begins_anew = False

    def __enter__(self) -> Self:
        states = self._context.guard.states
        with ExitStack() as opening:
            opening.enter_context(StateLock(self._place.file, _LOCK_S))
            file = opening.enter_context(
                StateFile(self._place.file, by_node=True, memories=self._on_disk)
            )
            states.put_in_force(file.read())
            self._unheard = file.take_unheard()
            states.keeper = file
            states.lift_with = f"aitb resume {shlex.quote(str(self._place.config))}"
            self._bring_back(file)
            opening.enter_context(listening(self._place.socket, self.queue))
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def begin(self, ts: int) -> None:
        """Journal what was changed while no node ran, and what holds; the actor calls it."""
        self._obedience.status.started = ts
        context, states = self._context, self._context.guard.states
        kept = [to_builtins(one) for one in context.guard.memory.brought_back]
        context.tape.heard("memories", "", kept)
        context.tape.heard(
            "states", "", ts, [to_builtins(one) for one in self._unheard],
            [to_builtins(one) for one in states.in_force], states.lift_with,
        )  # fmt: skip
        tell_carried_over(context, self._unheard, ts)
        self._begins_anew = any(c.level == "active" and c.scope == TRADER for c in self._unheard)
        self._unheard = []

    def know_equity(self, ts: int) -> list[str]:
        """Take note that the ledger's equity is that of the account by now; return news of it."""
        context, memory = self._context, self._context.guard.memory
        context.tape.heard("account", "", memory.account, ts, self._begins_anew)
        self._news += filter(None, [memory.begin()])
        if self._begins_anew:
            context.guard.begin_anew(ts)
        news, self._news = self._news, []
        return news

    def _bring_back(self, file: StateFile) -> None:
        """Let the limits go on, and halt if what one of them remembers cannot be read."""
        guard = self._context.guard
        self._news, broken = guard.memory.bring_back(file.memories())
        guard.memory.keeper, guard.hearing.heard = file, guard.memory.fills
        if broken:
            reason = f"{'; '.join(broken)}. Nothing opens; with a resume it begins anew"
            guard.restrict(Halt(time.time_ns(), reason, cause="check"))

    def hear_bar(self, bar: BarClosed) -> None:
        """Remember when an instrument had its last bar."""
        self._obedience.status.bars[bar.instrument_id] = bar.ts

    def obey(self, ts: int) -> None:
        """Carry out what waits, and what the states in force still want; now, ns UTC."""
        states = self._context.guard.states
        if states.unwritten and ts - self._tried >= _RETRY_NS:
            self._tried = ts
            states.write()
        if MEMORY in self._context.guard.withheld:
            self._context.guard.memory.write(ts, ())
        while (waiting := self.queue.take()) is not None:
            try:
                answer = self._obedience.begin(waiting.command, waiting.who, ts)
            except BaseException as e:
                said = f"the node failed at it: {type(e).__name__}: {e}"
                waiting.answer(Answer(done=False, said=said, exit_code=1))
                raise
            if isinstance(answer, Halt):
                self._unfinished.append((waiting, answer))
            else:
                waiting.answer(answer)
        if states.in_force:
            for strategy in self.strategies:
                strategy.answering.enforce(ts)
        for one in tuple(self._unfinished):
            waiting, halt = one
            over = waiting.command.timeout_s if waiting.is_due else None
            finished = self._obedience.finish(halt, ts, over)
            if finished is not None:
                waiting.answer(finished)
                self._unfinished.remove(one)


class CommandActor(GuardedActor):
    """Bring the engine's time and bars to a node's commands."""

    commands: NodeCommands

    def bar_types(self) -> Sequence[str]:
        """Listen to every bar that a strategy listens to, before it does."""
        wanted = (b for s in self.commands.strategies for b in s.bar_types())
        return list(dict.fromkeys(wanted))

    def starting(self) -> None:
        """Begin to look into the queue."""
        self.commands.begin(self.now())
        self.clock.set_timer("aitb_commands", timedelta(milliseconds=TICK_MS), callback=self._look)

    def hear_bar(self, bar: BarClosed) -> None:
        """Obey what was commanded before the bar's strategies decide."""
        self.commands.hear_bar(bar)
        self.commands.obey(self.now())

    def _look(self, _: object) -> None:
        self.commands.obey(self.now())
