"""How a journal stands, as a node's status says it."""

from __future__ import annotations

import msgspec

__all__ = ["JournalState"]


class JournalState(msgspec.Struct, frozen=True):
    """How a journal stands.

    Attributes
    ----------
    broken
        Whether the last write failed: nothing that opens a position may be sent.
    why
        What the disk or the database said; empty if it is not broken.
    lost, first_ts, last_ts
        Records that could not be written since it broke, and the times of the first and last of
        them; 0 if none.
    waiting
        Records that wait for the next write.
    records
        Records that are written.
    head
        Hash of the last of them, hex: whoever notes it can prove later that nothing was cut off.
    """

    broken: bool
    why: str
    lost: int
    first_ts: int
    last_ts: int
    waiting: int
    records: int
    head: str
