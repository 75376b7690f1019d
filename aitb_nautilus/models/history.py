"""Who published, promoted, rolled back or withdrew which version of a model, when and why.

``models/<id>/history.jsonl`` holds one event a line and is only ever appended to. Aliases and
withdrawals follow from it alone. A line without its line feed was being written when the writer was
killed: it never happened, and the next writer removes it.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.folders import Folder

__all__ = ["HISTORY_NAME", "Event", "EventKind", "History", "append", "event_now", "read_history"]

HISTORY_NAME = "history.jsonl"
_LARGEST = 64 << 20

EventKind = Literal["publish", "promote", "rollback", "withdraw"]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that was done with one version.

    Attributes
    ----------
    version
        Published, promoted, rolled back to, or withdrawn.
    ts_ns
        When, ns UTC.
    who
        User and machine.
    why
        In the user's words.
    alias
        That points to the version from then on.
    previous
        Version that the alias pointed to before.
    manifest_sha256
        Of the published ``bundle.json``.
    content_sha256
        Of everything in it but version, parent and time: the same for the same model.
    """

    kind: EventKind
    version: int
    ts_ns: int
    who: str
    why: str = ""
    alias: str | None = None
    previous: int | None = None
    manifest_sha256: str | None = None
    content_sha256: str | None = None

    def __post_init__(self) -> None:
        if (self.alias is None) != (self.kind in {"publish", "withdraw"}):
            raise ValueError("promote and rollback, and only these, name an alias")
        if self.version < 1:
            raise ValueError("version must be at least 1")


@dataclass(frozen=True, slots=True)
class History:
    """What follows from the events of one model.

    Attributes
    ----------
    events
        Oldest first.
    aliases
        Alias to the versions that it was promoted to and not rolled back from; the last counts.
    withdrawn
        Version to the event that withdrew it.
    published
        Version to the event that announced it. A publisher that was killed leaves an event without
        a version; its number is not used again.
    """

    events: tuple[Event, ...]
    aliases: dict[str, list[int]]
    withdrawn: dict[int, Event]
    published: dict[int, Event]

    @classmethod
    def of(cls, events: Sequence[Event]) -> History:
        """Derive the state from the events."""
        history = cls(tuple(events), {}, {}, {})
        for event in events:
            if event.kind == "publish":
                history.published[event.version] = event
            elif event.kind == "withdraw":
                history.withdrawn[event.version] = event
            elif event.alias is not None:
                stack = history.aliases.setdefault(event.alias, [])
                if event.kind == "promote":
                    stack.append(event.version)
                else:
                    _roll_back(stack, event.version)
        return history

    def current(self, alias: str) -> int | None:
        """Return the version that an alias points to, or None if there is no such alias."""
        stack = self.aliases.get(alias)
        return stack[-1] if stack else None

    def before(self, alias: str) -> int | None:
        """Return the version to roll an alias back to: the last one that is not withdrawn."""
        earlier = self.aliases.get(alias, [])[:-1]
        current = self.current(alias)
        usable = (v for v in reversed(earlier) if v not in self.withdrawn and v != current)
        return next(usable, None)


def read_history(folder: Folder) -> History:
    """Read the history of a model; one that was copied here without it has an empty one.

    Parameters
    ----------
    folder
        Of the model.

    Raises
    ------
    ModelError
        If a line is no event.
    """
    if HISTORY_NAME not in folder.names():
        return History.of(())
    data = folder.read(HISTORY_NAME, _LARGEST)
    events = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            events.append(msgspec.json.decode(line, type=Event))
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise ModelError(
                f"{folder.path / HISTORY_NAME}: line {number}",
                f"is no event ({e})",
                "aliases and withdrawals follow from this file, so nothing is guessed",
                "Restore the file from a backup",
            ) from e
    return History.of(events)


def append(folder: Folder, event: Event) -> None:
    """Add one event and force it to the disk. The caller holds the folder's lock."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    new = HISTORY_NAME not in folder.names()
    with os.fdopen(os.open(HISTORY_NAME, flags, 0o644, dir_fd=folder.handle), "r+b") as file:
        # What a killed writer left behind the last line feed goes first.
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.seek(whole)
        file.write(msgspec.json.encode(event) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if new:
        folder.sync()


def event_now(
    kind: EventKind,
    version: int,
    why: str = "",
    alias: str | None = None,
    previous: int | None = None,
) -> Event:
    """Return an event that happens now, by whoever runs this process."""
    one_line = " ".join(why.split())
    return Event(kind, version, time.time_ns(), _whoever(), one_line, alias, previous)


def _whoever() -> str:
    """Return user and machine of this process: ``anna@desk``."""
    try:
        user = getpass.getuser()
    except OSError:  # a container's user may have no name
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _roll_back(stack: list[int], version: int) -> None:
    """Take off what was promoted after a version."""
    while stack and stack[-1] != version:
        stack.pop()
    if not stack:
        stack.append(version)
