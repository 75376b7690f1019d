"""Rows that the node settles by itself: nobody is asked, and everybody can read what was done."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import to_builtins

from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.firewall import Unexplained
from aitb_nautilus.risk.firewall_file import Answer, FirewallFile, Settled, Table

__all__ = ["settle_by_node"]

_KEPT = 1_000


def settle_by_node(
    context: Context, file: FirewallFile, rows: Sequence[Unexplained], reason: str, now: int
) -> None:
    """Write rows, and that they are settled, into the journal and the table.

    Parameters
    ----------
    reason
        What the node did about them.
    now
        ns UTC.

    Raises
    ------
    RunError
        If the table cannot be written.
    DataError
        If it is damaged.
    """
    before = file.table()
    settled = () if before is None else before.settled
    for row in rows:
        answer = Answer(
            key=row.key, at_venue=row.at_venue, choice="ignore", who="node", reason=reason, ts=now
        )
        context.tape.heard("row", "", now, to_builtins(row))
        context.chronicle.found(row, now)
        context.tape.heard("settled", "", now, to_builtins(row), to_builtins(answer), "")
        context.chronicle.settled(row, answer, "", now)
        settled = (*settled, Settled(answer, now))
    file.put_table(Table(now, () if before is None else before.rows, settled[-_KEPT:]))
