"""What a journal could not write, until it can say so."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import batched
from typing import Any

from aitb_nautilus.risk.journal_chain import ENTRY_FIELDS, Entry
from aitb_nautilus.risk.journal_records import Gap, Sent

__all__ = ["Missing"]

_SENT_KEPT = 1_000


class Missing:
    """What could not be written since the journal broke.

    Attributes
    ----------
    why
        What the disk or the database said first; empty if nothing is missing.
    count, first_ts, last_ts
        Records, and the times of the first and the last.
    sent
        Orders whose sending is among them.
    """

    def __init__(self) -> None:
        self.why = ""
        self.count = 0
        self.first_ts = 0
        self.last_ts = 0
        self.sent: list[str] = []

    def add(self, waiting: Sequence[Any], why: str) -> None:
        """Count what was lost, given as `chained` takes it; the first reason stays."""
        self.why = self.why or why
        entries = list(batched(waiting, ENTRY_FIELDS, strict=True))
        if entries and not self.count:
            self.first_ts = entries[0][0]
        if entries:
            self.last_ts = entries[-1][0]
        self.count += len(entries)
        sent = [order for _, _, _, order, body in entries if isinstance(body, Sent)]
        self.sent += sent[: _SENT_KEPT - len(self.sent)]

    def gap(self) -> Entry | tuple[()]:
        """Return the record that says what is missing; nothing if nothing is."""
        if not self.count:
            return ()
        gap = Gap(
            lost=self.count,
            first_ts=self.first_ts,
            last_ts=self.last_ts,
            why=self.why,
            sent=tuple(self.sent),
        )
        return (self.last_ts, "", "", "", gap)
