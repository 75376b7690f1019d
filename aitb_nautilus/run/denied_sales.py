"""Sales that the engine denies since it takes their coins for locked: sent again once they are not.

After a restart the engine knows no position on a spot market, and lets leave what is free by the
venue's last word. That word comes in a message of its own, after the one that says that the stop is
gone which had locked the coins: a sale that leaves in between is denied, and so would be the next
one, until the strategy is halted. Nothing of that is the venue's doing. So nobody is told of such a
denial at first. The engine is made to ask the venue for the account, and the sale leaves again, as
another order, once the engine takes its coins for free. Where that does not come about in time, the
denial is told, and everything goes its way.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec
from nautilus_trader.model import Venue
from nautilus_trader.trading import Strategy

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import OrderUpdate
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.run.asking import Asking

__all__ = ["DeniedSales"]

_FOR_WANT_OF_COINS: Final = "EXCEEDS_FREE_BALANCE"
"""In the engine's words of such a denial."""
_PATIENCE_NS: Final = 5_000_000_000
_ASK_NS: Final = 1_000_000_000
_AGAIN_NS: Final = 500_000_000
"""Between two sales, where the engine has denied the second one as well."""
_GIVEN_UP_NS: Final = 60_000_000_000
"""So long nothing is held back where that has been of no use."""

type _Key = tuple[str, str]


class _Case(msgspec.Struct):
    """One denial that is held back; times in ns UTC."""

    order: Order
    update: OrderUpdate
    due: int
    until: int
    ask_at: int = 0


class DeniedSales:
    """Hold denials back for a while, and send the sales again.

    Parameters
    ----------
    asking
        Whom to ask, and whom to tell.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._context = asking.context
        self._cases: dict[str, _Case] = {}
        self._first: dict[_Key, int] = {}
        self._given_up: dict[_Key, int] = {}

    def take(self, update: OrderUpdate) -> bool:
        """Hold back that the engine has denied an order, if it only sells what is held.

        Returns
        -------
        bool
            False if it is to be told as usual.
        """
        order = self._context.ledger.orders.get(update.client_order_id)
        if order is None or not order.is_open or _FOR_WANT_OF_COINS not in update.reason:
            return False
        if not (order.is_exit and order.side == "SELL" and self._can_be_asked(order)):
            return False
        key, ts = _key(order), update.ts
        if ts < self._given_up.get(key, 0) + _GIVEN_UP_NS:
            return False
        first = self._first.setdefault(key, ts)
        due = ts if first == ts else ts + _AGAIN_NS
        self._cases[order.client_order_id] = _Case(order, update, due, first + _PATIENCE_NS)
        self._asking.note(
            "WARNING",
            f"{order.side} {order.quantity} {order.instrument_id} ({order.purpose}) waits for the "
            f"venue's word on its coins: {update.reason}",
        )
        return True

    def go_on(self, now: int) -> None:
        """Go on; called ten times a second.

        Parameters
        ----------
        now
            ns UTC.
        """
        for name, case in list(self._cases.items()):
            is_wanted = case.order.is_open and not case.order.is_ending
            if is_wanted and now < case.until and not self._is_free(case, now):
                continue
            del self._cases[name]
            if not case.order.is_open:
                continue  # Its end was told meanwhile.
            answers = self._asking.answering()[case.order.strategy_id]
            answers.move_on(now)
            if case.order.is_ending:
                # Cancelled while it waited: it ends as that, and its stop is no refused one.
                answers.update(msgspec.structs.replace(case.update, status="CANCELED"))
            elif now >= case.until:
                self._given_up[_key(case.order)] = now
                answers.update(case.update)
            else:
                answers.again(case.update)
        waiting = {_key(case.order) for case in self._cases.values()}
        for key, first in list(self._first.items()):
            if key not in waiting and now >= first + _PATIENCE_NS:
                del self._first[key]

    def _is_free(self, case: _Case, now: int) -> bool:
        """Return whether the engine takes the coins for free; let it ask for them if not."""
        order = case.order
        account = self._account(order.instrument_id)
        coin = self._context.instruments[order.instrument_id].base_currency
        free = None if account is None else account.balance_free(coin)
        if now >= case.due and (ZERO if free is None else _amount(free)) >= order.leaves:
            return True
        if account is not None and now >= case.ask_at:
            case.ask_at = now + _ASK_NS
            owner = self._asking.strategy(order.strategy_id)
            assert owner is not None  # noqa: S101 - it can be asked
            Strategy.query_account(owner, account.id)
        return False

    def _can_be_asked(self, order: Order) -> bool:
        return (
            self._context.ledger.is_spot(order.instrument_id)
            and self._asking.may_ask(order.instrument_id)
            and self._asking.strategy(order.strategy_id) is not None
        )

    def _account(self, instrument_id: str) -> Any:
        return self._asking.cache.account_for_venue(Venue(venue_name(instrument_id)))


def _amount(money: Any) -> Decimal:
    amount: Decimal = money.as_decimal()
    return amount


def _key(order: Order) -> _Key:
    return order.strategy_id, order.instrument_id
