"""What the last runs of a trader left, told by their journals while no node runs."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Literal, get_args

import msgspec

from aitb_nautilus.errors import AitbError
from aitb_nautilus.observe.left_record import LeftRecord
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Closed
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.run.last_run import LastRun, read_last
from aitb_nautilus.run.recorded_run import RecordedRun
from aitb_nautilus.run.state_place import StatePlace
from aitb_nautilus.run.still_held import left_by

__all__ = ["LastLeft", "NodeMode", "last_left"]

NodeMode = Literal["paper", "live"]
_LATEST = 20
"""Among so many records is the latest: they stand in the order of writing, not of their times."""


class LastLeft(msgspec.Struct, frozen=True, kw_only=True):
    """What the last run in a mode, on one account, left.

    Attributes
    ----------
    folder
        Of the run.
    is_closed
        Whether it ended in order; else it was killed, and what came after is not known.
    left
        After the last record of its journal, without what is halted; None if it cannot be read.
    missing
        Why not, in a paragraph.
    """

    run_id: str
    mode: NodeMode
    folder: str
    is_closed: bool = False
    left: LeftRecord | None = None
    missing: str = ""


def last_left(place: StatePlace) -> list[LastLeft]:
    """Return what the last runs left, paper first; where there were several accounts, of each.

    A journal that is not there any more, or that cannot be read, is said and hides nothing else.

    Parameters
    ----------
    place
        Of the trader.
    """
    found: list[LastLeft] = []
    for mode in get_args(NodeMode):
        pattern = f"{glob.escape(place.trader_id)}.{mode}-????????.json"
        found += [_of_file(path, mode) for path in sorted(place.folder.glob(pattern))]
    return found


def _of_file(path: Path, mode: NodeMode) -> LastLeft:
    last = LastRun("", "")
    try:
        last = read_last(path) or last
        folder = Path(last.folder)
        ledger = rebuild(folder, Ledger(0.0, RecordedRun(folder, may_run=True).lots))
        latest = list(read(folder, Wanted(last=_LATEST)))
    except AitbError as e:
        return LastLeft(run_id=last.run_id, mode=mode, folder=last.folder, missing=e.paragraph())
    return LastLeft(
        run_id=last.run_id,
        mode=mode,
        folder=last.folder,
        is_closed=isinstance(latest[-1].body, Closed),
        left=left_by(ledger, (), max(record.ts for record in latest)),
    )
