"""Ask a venue what the coin is worth with which it lets fees be paid.

The first such fee may come before anybody has asked. Its fill waits until the venue has answered,
for some seconds at most: then it is taken all the same, and the fee is one that nobody can value.
From then on the price is asked for now and then.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Final

import msgspec

from aitb_nautilus.risk.unpriced import Pair
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.venue_look import Asker

__all__ = ["CoinPrices"]

_PATIENCE_NS: Final = 5_000_000_000
_AGAIN_NS: Final = 500_000_000
_EVERY_NS: Final = 30_000_000_000


class _Wanted(msgspec.Struct):
    """One pair; times in ns UTC.

    Attributes
    ----------
    until
        So long fills wait for it; 0: from the next moment on.
    """

    asker: Asker
    ask_at: int = 0
    until: int = 0
    waits: bool = True
    asking: Future[float | None] | None = None


class CoinPrices:
    """Ask for prices, and let go on what has waited for them.

    Parameters
    ----------
    asking
        Whom to ask.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._context = asking.context
        self._wanted: dict[Pair, _Wanted] = {}
        self._context.unpriced.ask = self._ask

    def _ask(self, instrument_id: str, pair: Pair) -> bool:
        if not self._asking.may_ask(instrument_id):
            return False
        if pair not in self._wanted:
            self._wanted[pair] = _Wanted(self._asking.asker(instrument_id))
            self._asking.note(
                "INFO", f"a fee was paid in {pair[0]}: asking what it is worth in {pair[1]}"
            )
        return True

    def go_on(self, now: int) -> None:
        """Go on; called ten times a second.

        Parameters
        ----------
        now
            ns UTC.
        """
        for pair, wanted in list(self._wanted.items()):
            wanted.until = wanted.until or now + _PATIENCE_NS
            if wanted.asking is None and now >= wanted.ask_at:
                wanted.asking = self._asking.pool.submit(wanted.asker.price, *pair)
            elif wanted.asking is not None and wanted.asking.done():
                self._take(pair, wanted, wanted.asking, now)
            if wanted.waits and now >= wanted.until:
                self._tell(pair, wanted)

    def _take(self, pair: Pair, wanted: _Wanted, asking: Future[float | None], now: int) -> None:
        wanted.asking, wanted.ask_at = None, now + _EVERY_NS
        try:
            price = asking.result()
        except AskError as e:
            if wanted.waits:
                wanted.ask_at = now + _AGAIN_NS
                self._asking.note("WARNING", f"asked the price of {pair[0]}: {e}; asking again")
            return
        if price is not None:
            self._context.coin_prices[pair] = price
        if wanted.waits:
            self._tell(pair, wanted)

    def _tell(self, pair: Pair, wanted: _Wanted) -> None:
        wanted.waits = False
        self._context.unpriced.told(pair)
