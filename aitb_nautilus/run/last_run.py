"""Which run of a trader was the last one, where its journal is, and what its exits remembered.

A small file beside the trading states, one for paper and one for live. It names the run once that
has taken over what was held before it, so it never points at a journal that does not say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from aitb_nautilus.errors import DataError, RunError
from aitb_nautilus.files import whole_file
from aitb_nautilus.messages import OrderStatus
from aitb_nautilus.observe.run_record import Mode
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.exit_levels import ExitState
from aitb_nautilus.risk.journal_carried import Carried, carry
from aitb_nautilus.risk.journal_file import JOURNAL_NAME
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_recovery import Unresolved, sent_times, unresolved
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.own_trades import OwnTrades
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.state_place import StatePlace

__all__ = ["Funded", "History", "LastRun", "LastRunFile", "history_of", "read_last"]

type ExitMemory = Mapping[str, Mapping[str, ExitState]]


class Funded(msgspec.Struct, frozen=True):
    """What a position was paid for funding, quote currency; the journal has no record of it.

    Attributes
    ----------
    total
        In that run.
    trade
        By the trade that was open, in all runs.
    ts_opened
        When that was opened, ns UTC.
    """

    total: float
    trade: float
    ts_opened: int


type Funding = Mapping[str, Mapping[str, Funded]]


class LastRun(msgspec.Struct, frozen=True):
    """What the file says.

    Attributes
    ----------
    run_id, folder
        Of the run; the folder is absolute.
    exits
        What the exits of each strategy and instrument remembered, by their ids.
    funding
        What each position was paid, by the same.
    """

    run_id: str
    folder: str
    exits: ExitMemory = {}
    funding: Funding = {}


class History(msgspec.Struct, frozen=True):
    """What the last run left.

    Attributes
    ----------
    carried
        For the journal of the next one.
    asked
        Commands that nobody answered.
    exits
        As in `LastRun`.
    missing
        Why its journal cannot be read, in a sentence; empty if it was.
    ended
        What became of its orders that ended, by id.
    """

    carried: Carried
    asked: tuple[Unresolved, ...] = ()
    exits: ExitMemory = {}
    missing: str = ""
    ended: Mapping[str, OrderStatus] = {}


class LastRunFile:
    """The file of one trader and mode.

    Parameters
    ----------
    place
        The trader's state folder.
    mode
        ``paper`` or ``live``.
    venues
        Where the account is, or with what it began: another one has another history.
    """

    def __init__(self, place: StatePlace, mode: Mode, venues: Mapping[str, VenueSettings]) -> None:
        account = sorted(_account(mode, venue) for venue in venues.values())
        digest = hashlib.sha256("\n".join(account).encode()).hexdigest()[:8]
        self.path = place.folder / f"{place.trader_id}.{mode}-{digest}.json"

    def read(self) -> LastRun | None:
        """Return what it says; None if there is none.

        Raises
        ------
        DataError
            If it is damaged.
        """
        return read_last(self.path)

    def write(self, last: LastRun) -> None:
        """Replace it, whole.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self.path) as part:
                part.write_bytes(msgspec.json.encode(last))
        except OSError as e:
            raise RunError(
                str(self.path),
                f"cannot be written: {e.strerror}",
                "must be: after a crash the next run would not know what this one holds",
            ) from e


def read_last(path: Path) -> LastRun | None:
    """Return what such a file says; None if there is none.

    Raises
    ------
    DataError
        If it is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=LastRun)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as e:
        raise DataError(
            str(path),
            f"cannot be read ({e})",
            "must name the trader's last run, so that what it holds is known",
            "Bring it back from a backup, or move it away: then nothing of that run is known, "
            "and what the venue holds is shown by aitb firewall",
        ) from e


def history_of(
    last: LastRun | None, runs: Path, now: int, lots: Mapping[str, LotRules] | None = None
) -> History:
    """Return what the last run left, read from its journal.

    Parameters
    ----------
    last
        The last run; None if there was none.
    runs
        Where run folders are now: the journal is looked for there as well, if it was moved.
    now
        ns UTC.
    lots
        Rounding rules by instrument id; see `Ledger`.

    Raises
    ------
    DataError, JournalError
        If the journal is there and damaged.
    """
    if last is None:
        return History(Carried())
    folders = dict.fromkeys((Path(last.folder), runs.absolute() / last.run_id))
    found = next((one for one in folders if (one / JOURNAL_NAME).exists()), None)
    if found is None:
        looked = " nor ".join(str(one / JOURNAL_NAME) for one in folders)
        missing = (
            f"the journal of the last run, {last.run_id}, is neither {looked}: what that run sent "
            f"and held is not known. Put its folder back and start again; or see what the venue "
            f"holds (aitb firewall), and resume"
            if len(folders) > 1
            else f"the journal of the last run, {looked}, is not there: what that run sent and "
            f"held is not known. Put its folder back and start again; or see what the venue holds "
            f"(aitb firewall), and resume"
        )
        return History(Carried(from_run=last.run_id), missing=missing)
    ledger = Ledger(0.0, lots)
    own = OwnTrades(found, ledger)
    rebuild(found, ledger, own.hear_fill)
    closed = _fund(ledger, last.funding)
    balance = ledger.balance() + closed if ledger.starting_equity else None
    carried = carry(ledger, last.run_id, balance, sent_times(found), now)
    carried = msgspec.structs.replace(carried, own_trades=own.carried())
    ended = {o.client_order_id: o.status for o in ledger.orders.values() if not o.is_open}
    return History(carried, tuple(unresolved(found)), last.exits, ended=ended)


def _fund(ledger: Ledger, funding: Funding) -> float:
    """Let open trades have been paid what they were; return what those before them were."""
    closed = 0.0
    for (owner, name), position in ledger.positions.items():
        paid = funding.get(owner, {}).get(name)
        if paid is not None:
            is_open = position.quantity and paid.ts_opened == position.ts_opened
            own = paid.trade - position.trade_funding if is_open else 0.0
            position.funding += own
            closed += paid.total - own
    return closed


def _account(mode: Mode, venue: VenueSettings) -> str:
    if mode == "paper":
        return f"{venue.name} {venue.starting_balance}"
    return f"{venue.name} {venue.environment} {venue.base_url_http or ''} {venue.account}"
