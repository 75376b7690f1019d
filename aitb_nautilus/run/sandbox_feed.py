"""What the sandbox fills on: quotes and trades, which nobody else in the node may want."""

from __future__ import annotations

from collections.abc import Sequence

from nautilus_trader.model import InstrumentId

from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import Settings

__all__ = ["SandboxFeed"]


class SandboxFeed(GuardedActor):
    """Subscribe to quotes and trades: the engine's sandbox sees what passes on its bus.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    instrument_ids
        Of what is traded.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        instrument_ids: Sequence[str],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._instrument_ids = [InstrumentId.from_str(text) for text in instrument_ids]

    def starting(self) -> None:
        """Subscribe."""
        for instrument_id in self._instrument_ids:
            self.subscribe_quotes(instrument_id)
            self.subscribe_trades(instrument_id)
