"""The account of a trader from one start of its node to the next.

A venue keeps its account by itself. The sandbox of a paper run is born anew with every process, so
its balance is brought back from what the trader's file says: what was held when the last node ended
counts as closed at the last price. Else a restart would forgive every loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal

import msgspec
from nautilus_trader.model import Currency

from aitb_nautilus.errors import RunError
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.observe.run_record import Mode
from aitb_nautilus.risk.journal_carried import CarriedPosition
from aitb_nautilus.risk.limit_memory import AccountMemory
from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.load import Desk
from aitb_nautilus.run.state_place import StatePlace

__all__ = ["account_name", "room_to_reopen", "with_kept_balances"]

_DEARER = 10
"""So many times its price may be what a position is opened again at."""


def account_name(venues: Mapping[str, VenueSettings], mode: Mode) -> str:
    """Return by what an account is told from others: where it is, or with what it began."""
    if mode != "live":
        began = sorted(f"{v.name} {v.starting_balance}" for v in venues.values())
        return f"simulated from {', '.join(began)}"
    places = (
        " ".join(filter(None, (v.name, v.environment, v.base_url_http))) for v in venues.values()
    )
    return f"at {', '.join(sorted(places))}"


def with_kept_balances(
    desk: Desk, venues: Mapping[str, VenueSettings], journalled: float | None
) -> dict[str, VenueSettings]:
    """Return the venues of a paper run with what their simulated accounts are worth by now.

    Several accounts share what all of them were worth in the proportion of the config. One that
    began with another balance than the config says now begins anew. If another account was traded
    since, the trader's file tells of that one, and the journal's balance counts.

    Parameters
    ----------
    journalled
        What the journal of the last run on paper comes to, quote currency; None: there is none.

    Raises
    ------
    RunError
        If nothing is left of it.
    StateError, DataError
        As `StateFile`.
    """
    place = StatePlace.of(desk.path, desk.config.trader)
    kept = _kept(place) if place.file.exists() else None
    is_ours = kept is not None and kept.account == account_name(venues, "paper")
    equity = kept.equity if kept is not None and is_ours else journalled
    if equity is None:
        return dict(venues)
    began = sum(float(v.balance()[0]) for v in venues.values())
    if equity <= 0:
        raise RunError(
            str(place.file),
            f"says that the simulated account is worth {equity:,.2f}",
            "must be worth something to trade",
            "To begin anew, give venues.starting_balance or trader.id another value",
        )
    found: dict[str, VenueSettings] = {}
    for name, venue in venues.items():
        amount, currency = venue.balance()
        smallest = Decimal(1).scaleb(-Currency.from_str(currency).precision)
        own = Decimal(repr(float(amount) * equity / began))
        own = max(own.quantize(smallest, ROUND_DOWN), smallest)
        found[name] = msgspec.structs.replace(venue, starting_balance=f"{own:f} {currency}")
    return found


def room_to_reopen(
    positions: Iterable[CarriedPosition],
    instruments: Mapping[str, InstrumentSettings],
    venues: Mapping[str, VenueSettings],
) -> dict[str, Decimal]:
    """Return what each sandbox needs beyond its balance, by venue name, in whole quote units.

    What an account is worth may not buy what it holds: the price may have risen since, and on
    margin a loss leaves less than the position needs.

    Parameters
    ----------
    positions
        What was held when the last run ended.
    instruments, venues
        Of the run, by id and by name; a position elsewhere needs nothing.
    """
    found: dict[str, Decimal] = {}
    for position in positions:
        spec = instruments.get(position.instrument_id)
        if spec is not None:
            cost = abs(position.quantity) * Decimal(repr(position.average_price))
            own = cost / Decimal(repr(venues[spec.venue].leverage))
            found[spec.venue] = found.get(spec.venue, Decimal()) + _DEARER * own
    return {name: room.to_integral_value(ROUND_CEILING) for name, room in found.items()}


def _kept(place: StatePlace) -> AccountMemory | None:
    """Return what is known of the account; what cannot be read halts the node when it starts."""
    with StateFile(place.file) as file:
        rows = [row for row in file.memories() if row.limit == "account"]
    try:
        return msgspec.json.decode(rows[0].memory, type=AccountMemory) if rows else None
    except (msgspec.MsgspecError, UnicodeError):
        return None
