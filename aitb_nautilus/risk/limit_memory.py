"""What limits remember, kept in the file of the trader: a restart changes nothing of it.

A live node gives the guard's memory a `MemoryKeeper`. Whatever an order, a fill or a close changed
is then on the disk before anything that rests on it happens, one commit an event: a count before
its order is journalled, a fill before it is journalled. A back-test has no keeper.

Of each limit there is one row, named by the limit and by what it is for, not by its place in the
config. A row that no limit of the config asks for stays, should the limit come back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import MutableMapping, Sequence
from typing import Any, Protocol

import msgspec

from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.holdings import EVERYTHING, Looks, Scope
from aitb_nautilus.risk.limit_rule import Limit, Memory
from aitb_nautilus.risk.trading_states import StateError

__all__ = [
    "MEMORY",
    "AccountMemory",
    "FillsMemory",
    "HeardFills",
    "LimitMemory",
    "MemoryKeeper",
    "MemoryRow",
]

MEMORY = "memory"
"""Name of the refusal that every opening order gets while a memory cannot be written."""
_FILLS_KEPT = 32
"""A fill is journalled right after it is remembered: only the very last ones can be told again."""
_SAME = 1e-9
_RETRY_NS = 5_000_000_000


class MemoryRow(msgspec.Struct, frozen=True):
    """What one limit remembers, as it is written.

    Attributes
    ----------
    limit, scope
        Whose it is: the limit's name, and what it is for.
    terms
        Its settings when this was written, JSON.
    memory
        JSON.
    ts
        At which event it was written, ns UTC.
    """

    limit: str
    scope: str
    terms: str
    memory: str
    ts: int


class MemoryKeeper(Protocol):
    """Where memories are kept."""

    def remember(self, rows: Sequence[MemoryRow]) -> None:
        """Write rows over those of the same limits, all or none; on the disk once it returns.

        Raises `StateError` if they cannot be written.
        """


class AccountMemory(Memory, frozen=True):
    """What a trader's account was worth.

    Attributes
    ----------
    account
        Which one: a simulated account is another one than that of a venue.
    equity
        At the last prices, in the trader's currency.
    is_held
        Whether something was held.
    """

    account: str
    equity: float
    is_held: bool


class FillsMemory(Memory, frozen=True):
    """Order and trade ids of the last fills that limits took note of, the oldest first."""

    trades: tuple[tuple[str, str], ...]


class _Account:
    """The worth of the account, remembered as if it were a limit."""

    name, scope, memory = "account", EVERYTHING, AccountMemory

    def __init__(self) -> None:
        self.account = ""
        self.kept: AccountMemory | None = None

    def save(self, looks: Looks) -> AccountMemory:
        # What was not yet begun with is not worth what the config says.
        if self.kept is not None:
            return self.kept
        whole = looks.at(EVERYTHING, None)
        held = bool(whole.held["BUY"] or whole.held["SELL"])
        return AccountMemory(self.account, whole.equity, held)

    def restore(self, memory: Any, looks: Looks) -> None:  # noqa: ARG002
        self.kept = memory

    def terms(self) -> dict[str, Any]:
        return {}


class HeardFills:
    """The last fills that limits took note of: what is told again after a crash counts once."""

    name, scope, memory = "fills", EVERYTHING, FillsMemory

    def __init__(self) -> None:
        self._trades: deque[tuple[str, str]] = deque(maxlen=_FILLS_KEPT)

    def add(self, fill: Fill) -> bool:
        """Keep a fill; return False if it is known already."""
        if fill.key in self._trades:
            return False
        self._trades.append(fill.key)
        return True

    def save(self, looks: Looks) -> FillsMemory:  # noqa: ARG002
        """Return which fills they are."""
        return FillsMemory(tuple(self._trades))

    def restore(self, memory: Any, looks: Looks) -> None:  # noqa: ARG002
        """Know them again."""
        self._trades.extend(memory.trades)

    def terms(self) -> dict[str, Any]:
        """Return nothing: there are no settings."""
        return {}


type _Remembers = Limit | _Account | HeardFills


class LimitMemory:
    """Bring back what the limits of a guard remembered, and write what changes.

    Parameters
    ----------
    limits
        All of the guard's.
    looks
        What is held and pending.
    withheld
        Where it says why nothing may open while something cannot be written.

    Attributes
    ----------
    keeper
        Writes; None in a back-test.
    at_order, at_fill, at_close, everything
        Whose memory each kind of event may change.
    fills
        The last fills.
    brought_back
        What was written when the node began.
    """

    def __init__(
        self, limits: Sequence[Limit], looks: Looks, withheld: MutableMapping[str, str]
    ) -> None:
        self.keeper: MemoryKeeper | None = None
        self._withheld = withheld
        self._tried = 0
        self.fills = HeardFills()
        self.brought_back: Sequence[MemoryRow] = ()
        self._account = _Account()
        self._limits = limits
        self._looks = looks
        self._written: dict[tuple[str, str], Memory] = {}
        self._terms: dict[tuple[str, str], str] = {}
        own = [one for one in limits if one.memory is not None]
        self.at_order: list[_Remembers] = [one for one in own if one.counts]
        closing = [one for one in own if _hears(one, "hear_close")]
        filling = [one for one in own if _hears(one, "hear_fill") or _hears(one, "hear_exit")]
        self.at_close: list[_Remembers] = [*closing, self._account]
        # What a day has lost is measured from a worth, and fills change that.
        self.at_fill: list[_Remembers] = [*filling, *closing, self._account, self.fills]
        self.everything: list[_Remembers] = [*own, self._account, self.fills]
        self._keys = {one: _key(one) for one in self.everything}

    def bring_back(self, rows: Sequence[MemoryRow]) -> tuple[list[str], list[str]]:
        """Let limits go on from what was written, before they hear anything.

        Returns
        -------
        tuple[list[str], list[str]]
            A line for each that a person should know of, and one for each that cannot be read.
        """
        lines: list[str] = []
        broken: list[str] = []
        self.brought_back = rows
        owners = {_key(one): one for one in self.everything}
        for row in rows:
            owner = owners.get((row.limit, row.scope))
            if owner is None or owner.memory is None:
                lines.append(
                    f"{row.limit} of {row.scope} is not in the config any more: what it remembers "
                    f"is kept, and not looked at"
                )
                continue
            try:
                memory = msgspec.json.decode(row.memory, type=owner.memory)
                owner.restore(memory, self._looks)
                self._written[_key(owner)] = memory
            except (msgspec.MsgspecError, UnicodeError) as e:
                broken.append(f"what {row.limit} of {row.scope} remembers cannot be read ({e})")
                continue
            terms = _terms(owner)
            if terms != row.terms:
                lines.append(
                    f"{row.limit} of {row.scope} was {row.terms} and is {terms}: what it remembers "
                    f"is judged anew"
                )
        return lines, broken

    @property
    def account(self) -> str:
        """Return by what name the trader's account is told from others."""
        return self._account.account

    @account.setter
    def account(self, name: str) -> None:
        self._account.account = name

    def begin(self) -> str:
        """Compare the account with what it was, once the ledger's equity is that of the account.

        Another account than before, and money that came in while nothing was held, move every
        remembered equity in proportion, so that no drawdown becomes smaller. What went out counts
        as lost.

        Returns
        -------
        str
            A line if it is worth something else than before.
        """
        account, kept = self.account, self._account.kept
        self._account.kept = None
        if kept is None:
            return ""
        now = self._looks.at(EVERYTHING, None).equity
        other = kept.account != account
        off = abs(now - kept.equity) > _SAME * abs(kept.equity)
        if not (off or other):
            return ""
        came_in = now > kept.equity and not kept.is_held
        seen = f"equity is {now:,.2f}, and was {kept.equity:,.2f} when the last node ended"
        if other:
            seen += f" on another account ({kept.account}, now {account})"
        if not (other or came_in) or kept.equity <= 0 or now <= 0:
            return f"{seen}; drawdown and the day's loss are measured from what it was"
        for limit in self._limits:
            limit.move(now / kept.equity)
        return f"{seen}; drawdown and the day's loss stay the part that they were"

    def begin_day(self, ts: int) -> None:
        """Let limits that remember nothing begin with this moment, ns UTC."""
        for limit in self._limits:
            limit.hear_start(ts, self._looks)
        self.write(ts, self.at_close)

    def write(self, ts: int, which: Sequence[_Remembers]) -> str:
        """Write what changed; return why nothing may open, if that failed.

        Once something could not be written, everything is tried again, but not at every event: a
        file that is locked holds the node up.
        """
        if self.keeper is None:
            return ""
        why = self._withheld.get(MEMORY, "")
        if why:
            if 0 <= ts - self._tried < _RETRY_NS:
                return why
            which = self.everything
        rows: list[MemoryRow] = []
        changed: dict[tuple[str, str], Memory] = {}
        for one in which:
            memory, key = one.save(self._looks), self._keys[one]
            if self._written.get(key) != memory:
                changed[key] = memory
                text = msgspec.json.encode(memory).decode()
                terms = self._terms.get(key) or self._terms.setdefault(key, _terms(one))
                rows.append(MemoryRow(*key, terms, text, ts))
        if rows:
            try:
                self.keeper.remember(rows)
            except StateError as e:
                self._tried = ts
                why = self._withheld[MEMORY] = (
                    f"what the limits remember cannot be written ({e.found}): nothing opens until "
                    f"it can; make room on the disk"
                )
                return why
            self._written.update(changed)
        self._withheld.pop(MEMORY, None)
        return ""


def _hears(limit: Limit, method: str) -> bool:
    return getattr(type(limit), method) is not getattr(Limit, method)


def _key(one: _Remembers) -> tuple[str, str]:
    return one.name, _spell(one.scope)


def _spell(scope: Scope) -> str:
    parts = {"venue": scope.venue, "strategy": scope.strategy, "instrument": scope.instrument_id}
    return " ".join(f"{kind} {name}" for kind, name in parts.items() if name) or "the trader"


def _terms(one: _Remembers) -> str:
    return msgspec.json.encode(one.terms()).decode()
