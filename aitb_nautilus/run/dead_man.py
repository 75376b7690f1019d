"""A dead man's switch: if the node dies, the venue cancels what it left to open positions.

Binance does not say whether the end of its countdown takes conditional orders, stops among them.
So a countdown runs only while no position of its instrument is open: whatever it takes then, it
takes no stop that protects something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.run.binance_rest import BinanceRest
from aitb_nautilus.run.countdowns import Countdowns
from aitb_nautilus.run.preparation import Preparation

__all__ = ["DEAD_MAN", "DeadMan", "dead_man_remarks", "refuse_dead_man"]

DEAD_MAN: Final = "dead-man"
"""Name of the refusal that an opening order gets while the switch cannot be relied on."""

_SECS_EACH: Final = 5.0
"""A request weighs 10 at Binance, three in a countdown: with 5 s an instrument that is 360 a
minute, of 2,400."""


def refuse_dead_man(run: Preparation) -> None:
    """Refuse a countdown that is too short for so many instruments.

    Raises
    ------
    ConfigError
        If renewing it would take too much of what the venue allows.
    """
    secs, many = run.desk.config.live.dead_man_secs, len(run.instruments)
    if 0 < secs < _SECS_EACH * many:
        raise ConfigError(
            f"{run.desk.path}: live.dead_man_secs",
            f"was {secs:g}, with {many} instruments",
            f"must be at least {_SECS_EACH * many:g}, {_SECS_EACH:g} an instrument: each is "
            "renewed by a request that weighs 10 of the 2,400 a minute that Binance allows",
        )


def dead_man_remarks(run: Preparation) -> list[str]:
    """Return what has to be known of the switch before it is relied on."""
    secs = run.desk.config.live.dead_man_secs
    if not secs or run.mode != "live":
        return []
    return [
        f"dead man's switch: {secs:g} s after the node dies the venue cancels ALL orders, yours "
        "too, of instruments without a position; where a position is open it cancels nothing, so "
        "that the stop stays, and entries that rest beside it stay as well"
    ]


class DeadMan:
    """Keep the countdowns of a live node as its positions want them; on the node's thread.

    Parameters
    ----------
    run
        The node's preparation.
    is_on
        Whether orders leave at all.
    note
        For the log of the run.
    """

    def __init__(self, run: Preparation, note: Callable[[str, str], None], *, is_on: bool) -> None:
        self._ledger: Ledger = run.context.ledger
        self._withheld = run.context.guard.withheld
        self._secs = run.desk.config.live.dead_man_secs
        self._note = note
        self._instruments = list(run.instruments)
        self._has_failed = False
        self._countdowns: Countdowns | None = None
        if is_on and self._secs:
            rests = {name: BinanceRest(venue) for name, venue in run.venues.items()}
            self._countdowns = Countdowns(
                {name: rests[spec.venue] for name, spec in run.instruments.items()}, self._secs
            )
            self._withheld[DEAD_MAN] = "the dead man's switch is not armed yet"

    def tick(self) -> None:
        """Go on, once what the run before left is known; called ten times a second."""
        countdowns = self._countdowns
        if countdowns is None:
            return
        held = {name for (_, name), p in self._ledger.positions.items() if p.quantity}
        for name in self._instruments:
            countdowns.want(name, name not in held)
        self._tell(countdowns)
        missing = countdowns.missing()
        if missing and DEAD_MAN not in self._withheld:
            why = self._withheld[DEAD_MAN] = (
                f"the dead man's switch of {', '.join(missing)} has run out, and is not armed"
            )
            self._note("WARNING", f"{why}: nothing opens until it is")
        elif not missing and self._withheld.pop(DEAD_MAN, None) is not None:
            self._note("INFO", f"the dead man's switch watches: {self._secs:g} s")

    def close(self, *, keep_orders: bool) -> None:
        """Renew nothing any more.

        Parameters
        ----------
        keep_orders
            Whether what rests shall stay: the countdowns are ended. Else they run out, and take
            what an orderly end may have left.
        """
        countdowns, self._countdowns = self._countdowns, None
        if countdowns is None:
            return
        left = countdowns.close(end=keep_orders)
        if left:
            self._note(
                "ERROR",
                f"the dead man's switch of {', '.join(left)} could not be disarmed: their orders "
                f"are cancelled within {self._secs:g} s",
            )

    def _tell(self, countdowns: Countdowns) -> None:
        """Say once that the venue does not take it, and once that it does again."""
        failures = countdowns.failures()
        if failures and not self._has_failed:
            name, why = next(iter(failures.items()))
            self._note("WARNING", f"the dead man's switch of {name} was not renewed: {why}")
        elif self._has_failed and not failures:
            self._note("INFO", "the dead man's switch is renewed again")
        self._has_failed = bool(failures)
