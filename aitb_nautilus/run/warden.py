"""Who watches a live node: signals, errors, the orderly end, and what is worth a line in the log.

The engine takes SIGINT and SIGTERM for itself and stops at once, leaving orders as they are. The
warden takes them back once the engine's loop runs, treats orders and positions as the config says,
waits until that is done, and only then lets the engine stop. An error in a component, or a halt for
one, ends the run in the same way.
"""

from __future__ import annotations

import datetime as dt
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from nautilus_trader.common import DataActor

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import CancelIntent, CloseIntent, Intent
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.capture import record_failure
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.silence import silence
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.node_settings import LiveSettings, OnStop
from aitb_nautilus.settings import Settings

__all__ = ["Warden"]

_TICK = dt.timedelta(milliseconds=100)
_EARLY_TICK = dt.timedelta(milliseconds=15)
"""Until the node has recovered: each step of that waits for a tick."""
_STOPPING = "stopping"
_AGAIN_NS = 1_000_000_000


class Warden(GuardedActor):
    """Watch a node, and end it.

    Parameters
    ----------
    settings, context, component_id
        As of every actor.
    strategies
        Of the node.
    live
        How it ends.
    on_tick
        Called ten times a second on the node's thread, and more often until `is_settled`.

    Attributes
    ----------
    asked
        Why a person or the system wants the run to end; empty: it goes on.
    policy
        What becomes of orders and positions; None until the run is being ended.
    refusal
        What in the config does not fit what the venues say; it has ended the engine.
    is_settled
        Whether what the run before left is known.
    is_over
        Whether the engine was told to stop, since nothing is left to be done.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        component_id: str,
        *,
        strategies: Sequence[GuardedStrategy],
        live: LiveSettings,
        on_tick: Callable[[], None],
    ) -> None:
        super().__init__(settings, context, component_id)
        self._strategies = strategies
        self._live = live
        self._on_tick = on_tick
        self._signals_are_ours = False
        self.policy: OnStop | None = None
        self._deadline = 0
        self._wished_at = 0
        self.is_over = False
        self.is_settled = False
        self.asked = ""
        self.refusal: ConfigError | None = None
        context.run_state.is_ended_by_node = True

    def on_start(self) -> None:
        """Begin to watch; by a clock of the engine that goes on after an error."""
        clock = DataActor.clock.__get__(self)  # the unguarded one
        clock.set_timer("warden", _TICK, callback=self._tick)
        clock.set_timer("early", _EARLY_TICK, callback=self._early)

    def ask(self, why: str) -> None:
        """Ask the run to end; asked twice, it ends without waiting."""
        if self.asked:
            self._deadline = 1
        self.asked = self.asked or why

    def _early(self, event: object) -> None:
        if self.is_settled or self.is_over:
            DataActor.clock.__get__(self).cancel_timer("early")
        else:
            self._tick(event)

    def _tick(self, _: object) -> None:
        if self.refusal is not None:
            return
        try:
            self._take_signals()
            self._on_tick()
            if not self.is_over and (self.asked or self.run_state.stop_reason):
                self._end()
        except ConfigError as e:
            self.refusal = e
            self._stop_engine()
        except BaseException as e:
            record_failure(self, "tick", e)
            self._stop_engine()

    def _take_signals(self) -> None:
        """Install our handlers over the engine's, which it sets when its loop begins."""
        if self._signals_are_ours or threading.current_thread() is not threading.main_thread():
            return
        self._signals_are_ours = True

        def handler(number: int, _: FrameType | None) -> None:
            self.ask(signal.Signals(number).name)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handler)

    def _end(self) -> None:
        """Bring orders and positions to where they should be, then stop the engine."""
        now = self.now()
        if self.policy is None:
            self.policy = self._live.on_error if self.run_state.stop_reason else self._live.on_stop
            if silence(self.context.guard):
                self.policy = "hold"  # Nothing is sent, so that there is nothing to wait for.
            self.context.guard.withheld[_STOPPING] = "the run is being stopped"
            self._deadline = self._deadline or now + round(self._live.stop_secs * 1e9)
        left = sum(map(len, (self._unwanted(s.component_id) for s in self._strategies)))
        if not (left or self._is_answer_due()) or now >= self._deadline:
            self._stop_engine()
        elif now - self._wished_at >= _AGAIN_NS:
            self._wished_at = now
            for strategy in self._strategies:
                wished = [i for i in self._unwanted(strategy.component_id) if i is not None]
                strategy.answering.act_on(wished, _STOPPING)

    def _is_answer_due(self) -> bool:
        """Return whether an order, or a cancel, is on its way.

        What an order opens must still get its stop, and what was to be gone may rest.
        """
        if silence(self.context.guard):
            return False
        open_orders = self.context.ledger.every_open_order()
        return any(o.status == "SENT" or o.kind == "MARKET" or o.is_ending for o in open_orders)

    def _unwanted(self, strategy_id: str) -> list[Intent | None]:
        """Return what a strategy must not leave behind: what ends it, or None if it is ending."""
        if self.policy == "hold":
            return []
        ledger, flatten = self.context.ledger, self.policy == "flatten"
        orders = [o for o in ledger.every_open_order() if o.strategy_id == strategy_id]
        found: list[Intent | None] = [
            CancelIntent(client_order_id=o.client_order_id) for o in orders if not _protects(o)
        ]
        if not flatten:
            return found
        for (owner, instrument_id), position in ledger.positions.items():
            if owner == strategy_id and position.quantity:
                leaving = any(
                    _protects(o) and o.kind == "MARKET" and o.instrument_id == instrument_id
                    for o in orders
                )
                close = CloseIntent(instrument_id=instrument_id, purpose="exit:flatten")
                found.append(None if leaving else close)
        if not found:  # only now: until the position is gone its stop must rest
            found = [CancelIntent(client_order_id=o.client_order_id) for o in orders]
        return found

    def _stop_engine(self) -> None:
        self.is_over = True
        self.run_state.stop(self.asked or "the warden failed")
        self.shutdown_system(self.run_state.stop_reason)


def _protects(order: Order) -> bool:
    return order.is_exit or order.reduce_only
