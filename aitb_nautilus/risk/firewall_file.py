"""The firewall's table and the answers to it, beside the trading states of the trader.

The node writes the table, whole, at each check; a person adds answers, a line each. So both can be
read and answered while no node runs, and a restart forgets neither.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from aitb_nautilus.errors import DataError, RunError
from aitb_nautilus.files import whole_file
from aitb_nautilus.risk.firewall import Choice, Unexplained

__all__ = ["Answer", "FirewallFile", "Settled", "Table"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants done about one row.

    Attributes
    ----------
    key, at_venue
        Of the row. If the thing has changed since, the answer is to another row.
    strategy
        To which it shall belong, as the config names it; empty where none is needed.
    who, reason
        User and machine, and why.
    ts
        When, ns UTC.
    """

    key: str
    at_venue: str
    choice: Choice
    strategy: str = ""
    who: str
    reason: str
    ts: int


class Settled(msgspec.Struct, frozen=True):
    """What became of an answer; `said` is empty if it was carried out."""

    answer: Answer
    ts: int
    said: str = ""


class Table(msgspec.Struct, frozen=True):
    """What the last check found.

    Attributes
    ----------
    ts
        When, ns UTC.
    rows
        Things that are neither explained nor ignored.
    settled
        Answers that were dealt with, the oldest first.
    """

    ts: int
    rows: tuple[Unexplained, ...]
    settled: tuple[Settled, ...] = ()


class FirewallFile:
    """Two files of one trader: what was found, and what was answered.

    Parameters
    ----------
    folder
        The trader's state folder.
    trader_id
        Names the files.
    """

    def __init__(self, folder: Path, trader_id: str) -> None:
        self.path = folder / f"{trader_id}.firewall.json"
        self._answers = folder / f"{trader_id}.answers.jsonl"

    def table(self) -> Table | None:
        """Return what the last check found; None if there was none.

        Raises
        ------
        DataError
            If the file is damaged.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Table)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as e:
            raise _damaged(self.path, str(e)) from e

    def put_table(self, table: Table) -> None:
        """Replace what the last check found.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self.path) as temporary:
                temporary.write_bytes(msgspec.json.format(msgspec.json.encode(table)))
        except OSError as e:
            raise _unwritable(self.path, e) from e

    def answers(self) -> list[Answer]:
        """Return all answers, the oldest first.

        Raises
        ------
        DataError
            If the file is damaged.
        """
        try:
            lines = self._answers.read_bytes().splitlines()
            return [msgspec.json.decode(line, type=Answer) for line in lines]
        except FileNotFoundError:
            return []
        except msgspec.MsgspecError as e:
            raise _damaged(self._answers, str(e)) from e

    def add_answer(self, answer: Answer) -> None:
        """Add an answer; it is on the disk when this returns.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        line = msgspec.json.encode(answer) + b"\n"
        try:
            with self._answers.open("ab", buffering=0) as file:
                file.write(line)
                os.fsync(file.fileno())
        except OSError as e:
            raise _unwritable(self._answers, e) from e


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        str(path),
        f"is damaged ({why})",
        "must be as this program wrote it",
        "Move the file away; the next check of a node writes a new one",
    )


def _unwritable(path: Path, error: OSError) -> RunError:
    why = (error.strerror or str(error)).lower()
    return RunError(str(path), f"cannot be written ({why})", todo="Make room on the disk")
