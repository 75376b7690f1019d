"""The exchange of perpetuals with what only it has: conditional orders and countdowns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.futures_venue import FuturesVenue
from aitb_nautilus.rehearsal.triggers import Triggers

__all__ = ["FuturesExchange"]


@dataclass
class FuturesExchange(Exchange[FuturesVenue]):
    """The exchange of perpetuals.

    Parameters
    ----------
    countdown_cancels_stops
        Whether the end of a countdown cancels conditional orders too. Binance does not say.
    """

    countdown_cancels_stops: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.triggers = Triggers(self.venue)
        self.countdowns: dict[str, int] = {}

    def set_countdown(self, symbol: str, countdown_ms: int) -> dict[str, Any]:
        """Cancel a symbol's orders unless asked again in time; 0 ends the countdown.

        References
        ----------
        Binance, USDⓈ-M futures, Auto-Cancel All Open Orders.
        """
        if countdown_ms > 0:
            self.countdowns[symbol] = self.now_ms() + countdown_ms
        else:
            self.countdowns.pop(symbol, None)
        return {"symbol": symbol, "countdownTime": str(countdown_ms)}

    def tick(self) -> None:
        """Let happen what only the time brings, countdowns as well."""
        now = self.now_ms()
        for symbol, due in list(self.countdowns.items()):
            if due <= now:
                del self.countdowns[symbol]
                self.venue.cancel_all(symbol)
                if self.countdown_cancels_stops:
                    self.triggers.cancel_all(symbol)
        super().tick()

    def waiting(self) -> int:
        """Return how many conditional orders have not woken."""
        return len(self.triggers.waiting())
