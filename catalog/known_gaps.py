"""Gaps that an exchange itself has: the next download does not ask for them again.

One small JSON file a series and exchange, below ``downloads/gaps`` in the catalog, where the engine
does not look. Losing it costs requests, never data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from aitb_nautilus.errors import DataError
from aitb_nautilus.files import whole_file
from catalog.places import Gap

__all__ = ["KnownGaps"]


class _File(msgspec.Struct):
    """The layout of the file."""

    bar_type: str
    exchange: str
    gaps: list[Gap]


class KnownGaps:
    """The gaps of one series at one exchange.

    Parameters
    ----------
    catalog
        Folder of the catalog.
    bar_type, exchange
        Which series, and who was asked.
    """

    def __init__(self, catalog: Path, bar_type: str, exchange: str) -> None:
        name = f"{bar_type.replace('/', '')}.{exchange}.json"
        self.path = catalog / "downloads" / "gaps" / name
        self._bar_type = bar_type
        self._exchange = exchange

    def read(self) -> list[Gap]:
        """Return the gaps, oldest first.

        Raises
        ------
        DataError
            If the file is damaged.
        """
        if not self.path.exists():
            return []
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_File).gaps
        except msgspec.MsgspecError as e:
            raise DataError(
                str(self.path), f"is damaged ({e})", todo="Remove it; its gaps are asked for again"
            ) from e

    def replace(self, first_ns: int, last_ns: int, gaps: Sequence[Gap], step_ns: int) -> None:
        """Set the gaps between two close times, both included; others stay as they are."""
        kept = [part for gap in self.read() for part in _outside(gap, first_ns, last_ns, step_ns)]
        together = sorted([*kept, *gaps], key=lambda gap: gap.first_ns)
        if together == self.read():
            return
        file = _File(self._bar_type, self._exchange, together)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.path) as place:
            place.write_bytes(msgspec.json.encode(file))


def _outside(gap: Gap, first_ns: int, last_ns: int, step_ns: int) -> list[Gap]:
    """Return the parts of a gap before and after a stretch."""
    parts = []
    for begin, end in (
        (gap.first_ns, min(gap.last_ns, first_ns - step_ns)),
        (max(gap.first_ns, last_ns + step_ns), gap.last_ns),
    ):
        if begin <= end:
            parts.append(Gap(begin, end, (end - begin) // step_ns + 1))
    return parts
