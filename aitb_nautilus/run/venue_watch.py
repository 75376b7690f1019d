"""All that asks the venues while a live node runs.

From the moment on at which the node is connected, whether they hold what they refuse to close, what
is free of the coins of a sale, and whether orders rest that should not; once it has recovered, also
what became of orders that they owe an answer, and what they hold otherwise than we know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from aitb_nautilus.risk.firewall import Explained, Unexplained
from aitb_nautilus.risk.venue_facts import VenueFacts
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.coin_prices import CoinPrices
from aitb_nautilus.run.denied_sales import DeniedSales
from aitb_nautilus.run.engine_log import EngineLog
from aitb_nautilus.run.leftovers import Leftovers
from aitb_nautilus.run.node_settings import LiveSettings
from aitb_nautilus.run.reconnects import Reconnects
from aitb_nautilus.run.refused_closes import RefusedCloses
from aitb_nautilus.run.unanswered import Unanswered
from aitb_nautilus.run.venue_check import VenueCheck
from aitb_nautilus.run.venue_look import VenueLook

__all__ = ["VenueWatch"]


class VenueWatch:
    """Ask the venues of a live node.

    Parameters
    ----------
    asking
        Whom to ask about orders, and whom to tell.
    live
        How often the venues are asked, and how long they may take.
    look
        Asks what the venues hold.
    explained
        Returns what else than the ledger explains it.
    firewall
        Called with facts and the time once nothing but a person can explain what differs.
    folder
        Of the run, in which the engine's log is.

    Attributes
    ----------
    leftovers
        Goes on by its own `go_on`, once the past is told.
    """

    def __init__(
        self,
        asking: Asking,
        live: LiveSettings,
        *,
        look: VenueLook,
        explained: Callable[[], Explained],
        firewall: Callable[[VenueFacts, int], None],
        folder: Path,
    ) -> None:
        self._context = context = asking.context
        self._log = EngineLog(folder)
        self._refused = RefusedCloses(asking, look)
        self.leftovers = Leftovers(asking)
        self._denied = DeniedSales(asking)
        self._prices = CoinPrices(asking)
        self._unanswered = Unanswered(asking, self._log)
        self._check = VenueCheck(
            asking,
            look=look,
            explained=explained,
            leftovers=self.leftovers,
            firewall=firewall,
            reconnects=Reconnects(self._log),
            every_ns=round(live.check_secs * 1e9),
            timeout_ns=round(live.recovery_secs * 1e9),
        )
        self._has_begun = False
        msgspec.structs.force_setattr(context, "ask_held", self._refused.ask)
        msgspec.structs.force_setattr(context, "hold_denial", self._denied.take)
        msgspec.structs.force_setattr(context, "doubt_end", self.leftovers.doubt)

    def begin(self, rows: Sequence[Unexplained], now: int) -> None:
        """Begin with all of it, and with the rows that the firewall has found by now."""
        self._check.begin(rows, now)
        msgspec.structs.force_setattr(self._context, "ask_venue", self._check.ask)
        self._has_begun = True

    def go_on(self, now: int) -> None:
        """Go on; called ten times a second.

        Parameters
        ----------
        now
            ns UTC.
        """
        self._denied.go_on(now)
        self._prices.go_on(now)
        self._refused.go_on(now)
        if self._has_begun:
            self._log.read()
            self._unanswered.go_on(now)
            self._check.go_on(now)
