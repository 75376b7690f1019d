"""Give a command to the node of a config's trader, or to its state file where no node runs."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import msgspec

from aitb_nautilus.errors import ConfigError, RunError
from aitb_nautilus.market.instruments import known_instruments, likely_instrument, named_instruments
from aitb_nautilus.risk.state_file import Change, StateFile
from aitb_nautilus.risk.state_lock import StateLock
from aitb_nautilus.risk.trading_states import StateError, StateScope, TradingStates
from aitb_nautilus.run.command_messages import (
    LONGEST_ANSWER,
    Answer,
    Command,
    NodeStatus,
    ScopeState,
)
from aitb_nautilus.run.command_socket import socket_address, user_at_host
from aitb_nautilus.run.command_words import halt_of, resume_of, said_of_halt, said_of_resume
from aitb_nautilus.run.config import DeskConfig
from aitb_nautilus.run.load import read_toml, resolve
from aitb_nautilus.run.node_status import scope_states
from aitb_nautilus.run.state_place import StatePlace
from aitb_nautilus.settings import decode, encode, nearest

__all__ = ["Kept", "give", "kept", "status_of"]

_CONNECT_S = 3.0
_LONGER_S = 5.0
"""How much longer than the node an answer is waited for."""
_STARTING_S = 3.0
"""How long a node may hold its lock before it serves its socket."""
_CHANGES = 10


class Kept(msgspec.Struct, frozen=True):
    """What the state file of a trader says.

    Attributes
    ----------
    scopes
        The trader, and all scopes that are not active.
    changes
        The last halts and resumes, the newest one first.
    """

    scopes: list[ScopeState]
    changes: list[Change]


def give(place: StatePlace, command: Command) -> tuple[Answer, bool]:
    """Give a command, and return the answer, and whether a node gave it.

    Where no node runs, a halt or a resume is written to the state file, and holds from the next
    start.

    Raises
    ------
    RunError
        If no node runs that could flatten; or one runs that does not answer, and the command is no
        halt.
    StateError
        If the state file cannot be written.
    ConfigError
        If no node runs, and the config has no such strategy or instrument.
    """
    tried_until = time.monotonic() + _STARTING_S
    while True:
        answer = _ask(place, command)
        if answer is not None:
            if not answer.obeyed and command.verb in ("halt", "flatten"):
                answer = _also_written(place, command, answer)
            return answer, True
        try:
            with StateLock(place.file):
                return _without_node(place, command), False
        except StateError as e:
            if time.monotonic() < tried_until:
                time.sleep(0.05)
                continue
            if command.verb in ("halt", "flatten"):
                stuck = Answer(
                    done=False,
                    said=f"a node runs for trader {place.trader_id}, but takes no command: "
                    f"{place.socket} does not answer",
                    todo="End its process if it must not trade on",
                    exit_code=1,
                    obeyed=False,
                )
                return _also_written(place, command, stuck), True
            raise RunError(
                f"trader {place.trader_id}",
                f"{e.where} {e.found}, which takes no command",
                f"must answer at {place.socket}",
                "End that process, or wait until it has started",
            ) from e


def status_of(place: StatePlace, timeout_s: float) -> NodeStatus | None:
    """Return how the node of a trader stands; None if none runs.

    Raises
    ------
    RunError
        If one runs that does not answer in time.
    """
    answer = _ask(place, Command(verb="status", timeout_s=timeout_s))
    if answer is None:
        return None
    if answer.status is None:
        raise RunError(f"trader {place.trader_id}", answer.said, todo=answer.todo)
    return answer.status


def kept(place: StatePlace) -> Kept:
    """Return what the state file says; nothing holds where there is none.

    Raises
    ------
    StateError, DataError
        If it cannot be read.
    """
    states, changes = TradingStates(), list[Change]()
    if place.file.exists():
        with StateFile(place.file) as file:
            states.put_in_force(file.read())
            changes = file.changes(_CHANGES)
    return Kept(scope_states(states, []), changes)


def _ask(place: StatePlace, command: Command) -> Answer | None:
    """Return the node's answer; None if nobody listens."""
    if not place.socket.exists():
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_CONNECT_S)
        try:
            connection.connect(socket_address(place.socket))
        except (ConnectionRefusedError, FileNotFoundError):
            return None  # left by a node that was killed, or just taken away
        except PermissionError as e:
            raise RunError(
                str(place.socket),
                "belongs to another user",
                "only the user of the node commands it",
                "Give the command as that user",
            ) from e
        try:
            connection.sendall(msgspec.json.encode(command) + b"\n")
            connection.settimeout(command.timeout_s + _LONGER_S)
            line = b"".join(iter(lambda: _part(connection), b""))
        except OSError as e:
            return _lost(place, str(e))
    if not line.endswith(b"\n") or len(line) > LONGEST_ANSWER:
        return _lost(place, "it gave no whole answer")
    return msgspec.json.decode(line, type=Answer)


def _part(connection: socket.socket) -> bytes:
    return connection.recv(65_536)


def _lost(place: StatePlace, why: str) -> Answer:
    return Answer(
        done=False,
        said=f"the node of trader {place.trader_id} took the command and was not heard of again "
        f"({why})",
        todo="See with aitb status whether it has obeyed; give the command once more if not",
        exit_code=1,
        obeyed=False,
    )


def _also_written(place: StatePlace, command: Command, answer: Answer) -> Answer:
    """Write a halt past a node that does not obey: it holds from its next start at the latest."""
    with StateFile(place.file) as file:
        file.keep(halt_of(command, user_at_host(os.getuid()), time.time_ns()))
    said = f"{answer.said}. The halt is written, and holds from the node's next start at the latest"
    return msgspec.structs.replace(answer, said=said)


def _without_node(place: StatePlace, command: Command) -> Answer:
    """Change the state file; the caller holds the lock."""
    if command.verb == "flatten":
        raise RunError(
            f"trader {place.trader_id}",
            f"no node runs, and nobody else can close what it holds ({place.folder})",
            "must run to be flattened",
            f"Start the node, then flatten; to keep it from opening anything once it is started: "
            f"aitb halt {place.config}",
        )
    _refuse_unknown(place, command.scope)
    who, now = user_at_host(os.getuid()), time.time_ns()
    nobody = f"No node runs for trader {place.trader_id} ({place.folder})"
    states = TradingStates()
    with StateFile(place.file) as file:
        states.put_in_force(file.read())
        states.keeper = file
        if command.verb == "resume":
            resume = resume_of(command, who, now)
            said = said_of_resume(resume, states.lift(resume), states.in_force)
        else:
            halt = halt_of(command, who, now)
            if states.restrict(halt) and states.unwritten:
                raise StateError(
                    str(place.file),
                    states.unwritten,
                    "must be written, or the halt would not hold",
                    "Make room on the disk, then give the command once more",
                )
            said = said_of_halt(halt, states.held(halt.scope))
    return Answer(done=True, said=f"{said}. {nobody}; it holds from the next start")


def _refuse_unknown(place: StatePlace, scope: StateScope) -> None:
    """Refuse a strategy or an instrument that the config does not have: a halt would do nothing."""
    if scope.kind == "trader" or _holds(place.file, scope):
        return
    config = decode(read_toml(place.config), DeskConfig, str(place.config))
    known = [s.id for s in config.strategies]
    likely = known
    if scope.kind == "instrument":
        recorded = resolve("catalog.instruments:catalog_instruments", "catalog")
        extra = [*recorded(Path(config.catalog.path)), *config.instruments]
        known = list(known_instruments(extra))
        likely = named_instruments(encode(config), known)
    if scope.id in known:
        return
    if scope.kind == "instrument":
        close = likely_instrument(scope.id, likely, known)
    else:
        close = nearest(scope.id, known)
    raise ConfigError(
        f"{place.config}: --{scope.kind}",
        f"was {scope.id!r}",
        f"did you mean {close}?" if close else f"must be one of {', '.join(likely or known)}",
    )


def _holds(file: Path, scope: StateScope) -> bool:
    if not file.exists():
        return False
    with StateFile(file) as states:
        return any(halt.scope == scope for halt in states.read())
