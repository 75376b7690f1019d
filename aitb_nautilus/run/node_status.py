"""How a node stands, told from the ledger and the guard alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.trading_states import TRADER, StateScope, TradingStates
from aitb_nautilus.run.command_messages import HeldPosition, NodeStatus, OpenOrder, ScopeState
from aitb_nautilus.run.config import TraderSettings

__all__ = ["StatusTeller", "scope_states"]


class StatusTeller:
    """Tell how a node stands.

    Parameters
    ----------
    trader, context, strategies, about
        As of `NodeCommands`.

    Attributes
    ----------
    started
        When the node began, ns UTC.
    bars
        Close of the last bar by instrument id, ns UTC.
    """

    def __init__(
        self,
        trader: TraderSettings,
        context: Context,
        strategies: Sequence[GuardedStrategy],
        about: Mapping[str, str],
    ) -> None:
        self._trader = trader
        self._context = context
        self._strategies = strategies
        self._about = about
        self.started = 0
        self.bars: dict[str, int] = {}

    def tell(self, ts: int) -> NodeStatus:
        """Return how the node stands now, ns UTC."""
        context = self._context
        ledger, states = context.ledger, context.guard.states
        scopes = [StateScope.strategy(s.component_id) for s in self._strategies]
        scopes += [StateScope.instrument(i) for i in self.bars]
        journal = context.chronicle.journal
        return NodeStatus(
            trader_id=self._trader.id,
            pid=os.getpid(),
            about=self._about,
            started=self.started,
            now=ts,
            currency=self._trader.currency,
            equity=ledger.equity(),
            scopes=scope_states(states, scopes),
            positions=self._positions(),
            orders=self._orders(),
            bars=dict(self.bars),
            journal=journal.state if isinstance(journal, Journal) else None,
            unwritten=states.unwritten,
            stopping=context.run_state.stop_reason,
        )

    def _positions(self) -> list[HeldPosition]:
        ledger, held = self._context.ledger, []
        for (strategy_id, instrument_id), position in ledger.positions.items():
            if position.held:
                mark = ledger.marks.get(instrument_id)
                held.append(
                    HeldPosition(
                        strategy_id=strategy_id,
                        instrument_id=instrument_id,
                        quantity=position.quantity,
                        price=position.average_price,
                        mark=mark,
                        pnl=None if mark is None else position.unrealized(mark),
                        dust=position.dust,
                    )
                )
        return held

    def _orders(self) -> list[OpenOrder]:
        return [
            OpenOrder(
                client_order_id=order.client_order_id,
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                side=order.side,
                kind=order.kind,
                leaves=order.leaves,
                price=order.price,
                trigger_price=order.trigger_price,
                is_exit=order.is_exit,
                purpose=order.purpose,
                status=order.status,
            )
            for order in self._context.ledger.every_open_order()
        ]


def scope_states(states: TradingStates, scopes: Sequence[StateScope]) -> list[ScopeState]:
    """Return the state of the trader, of some scopes, and of all others that are not active."""
    held = [halt.scope for halt in states.in_force]
    return [
        ScopeState(scope, states.of_scope(scope), states.held(scope))
        for scope in dict.fromkeys([TRADER, *scopes, *held])
    ]
