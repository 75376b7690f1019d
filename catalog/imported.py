"""What an import did to the quotes or the funding rates of one instrument, file by file."""

from __future__ import annotations

import msgspec

from catalog.batch import WriteResult

__all__ = ["Imported"]


class Imported(msgspec.Struct, frozen=True):
    """What one import did to one instrument; times are those of the first and the last row."""

    instrument_id: str
    first_ns: int
    last_ns: int
    rows_added: int = 0
    rows_same: int = 0
    rows_replaced: int = 0
    files: int = 0

    def with_file(self, first_ns: int, last_ns: int, written: WriteResult) -> Imported:
        """Return what is done once one more file is written."""
        return Imported(
            self.instrument_id,
            min(first_ns, self.first_ns),
            max(last_ns, self.last_ns),
            self.rows_added + written.rows_added,
            self.rows_same + written.rows_same,
            self.rows_replaced + written.rows_replaced,
            self.files + 1,
        )
