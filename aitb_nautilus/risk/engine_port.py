"""The engine as a port: plain terms become its orders, and its own methods carry them out."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from decimal import Decimal
from typing import Any

from nautilus_trader.model import ClientOrderId, InstrumentId, Price, Quantity
from nautilus_trader.trading import Strategy

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import OrderSent, OrderUpdate
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.price_grid import on_grid
from aitb_nautilus.risk.silence import check_may_send
from aitb_nautilus.risk.translate import Tradable, build_order, price_of

__all__ = ["EnginePort"]


class EnginePort:
    """Send one strategy's orders with the engine's own methods.

    Parameters
    ----------
    strategy
        The strategy, as the engine knows it.
    instruments
        By id text, as the config has them; those of the engine's cache go first.
    guard
        Of the trader: where nothing may be sent, every command raises.
    tell
        Takes what the engine would not say of an order, since nothing changed.
    tagged
        As in `Context`.
    """

    def __init__(
        self,
        strategy: Strategy,
        instruments: Mapping[str, Any],
        guard: Guard,
        tell: Callable[[OrderUpdate], None],
        tagged: Container[str] = (),
    ) -> None:
        self._strategy = strategy
        self._instruments = instruments
        self._guard = guard
        self._tell = tell
        self._tagged = tagged
        self._known: dict[str, Tradable] = {}
        self._factory: Any = None

    def knows(self, client_order_id: str) -> bool:
        """Return whether the engine's cache holds an order of that id."""
        return self._strategy.cache.order_exists(ClientOrderId(client_order_id))

    def on_grid(self, instrument_id: str, price: float, *, up: bool) -> float:
        """Return a price on the instrument's grid, rounded up or down."""
        instrument = self._tradable(instrument_id).instrument
        return on_grid(price, instrument.price_increment.as_decimal(), up=up)

    def submit(self, terms: OrderTerms) -> None:
        """Build the engine's order and send it, past the guarded override."""
        check_may_send(self._guard, f"order {terms.client_order_id}")
        if self._factory is None:
            self._factory = self._strategy.order_factory
        tagged = venue_name(terms.instrument_id) in self._tagged
        order = build_order(
            self._factory, self._tradable(terms.instrument_id), terms, tagged=tagged
        )
        Strategy.submit_order(self._strategy, order)

    def modify(
        self,
        client_order_id: str,
        instrument_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> None:
        """Change a resting order, past the guarded override; none that the engine has not.

        The engine may know more than we were told, such as what the venue said of the order when
        the node started; it raises if nothing would change. Then nothing is sent, and what it knows
        is the answer.
        """
        check_may_send(self._guard, f"change of order {client_order_id}")
        known = self._strategy.cache.order(ClientOrderId(client_order_id))
        if known is None:
            return  # It ended before the engine connected, and is being asked for.
        tradable = self._tradable(instrument_id)
        instrument, precision = tradable.instrument, tradable.size_precision
        new_quantity = None if quantity is None else Quantity.from_decimal_dp(quantity, precision)
        new_price, new_trigger = _price(instrument, price), _price(instrument, trigger_price)
        if (
            new_quantity in (None, known.quantity)
            and new_price in (None, getattr(known, "price", None))
            and new_trigger in (None, getattr(known, "trigger_price", None))
        ):
            self._tell_as_it_is(known)
            return
        Strategy.modify_order(
            self._strategy,
            ClientOrderId(client_order_id),
            quantity=new_quantity,
            price=new_price,
            trigger_price=new_trigger,
        )

    def _tell_as_it_is(self, order: Any) -> None:
        """Answer a change by what the engine knows, or refuse it while another is on its way."""
        price, trigger = getattr(order, "price", None), getattr(order, "trigger_price", None)
        is_made = not order.is_pending_update
        self._tell(
            OrderUpdate(
                str(order.client_order_id),
                str(order.instrument_id),
                self.now(),
                None,
                order.quantity.as_decimal() if is_made else None,
                price_of(price) if is_made else None,
                price_of(trigger) if is_made else None,
                "the engine has it so already",
                True,
            )
        )

    def cancel(self, client_order_id: str) -> None:
        """Cancel an order; none that the engine has not, as in `modify`."""
        check_may_send(self._guard, f"cancel of order {client_order_id}")
        if not self.knows(client_order_id):
            return
        Strategy.cancel_order(self._strategy, ClientOrderId(client_order_id))

    def carry_out(self, call: Callable[[], None]) -> None:
        """Send by the engine's own method."""
        check_may_send(self._guard, "a command of the strategy's own")
        call()

    def _tradable(self, instrument_id: str) -> Tradable:
        """Return an instrument as the engine knows it, with the decimals that it wants.

        A venue that steps by 0.00001 may be written as ``0.000010`` in the config, for the sake of
        its data; the engine denies an order, exits among them, with one decimal too many.
        """
        tradable = self._known.get(instrument_id)
        if tradable is None:
            known = self._strategy.cache.instrument(InstrumentId.from_str(instrument_id))
            if known is None:
                return Tradable(self._instruments[instrument_id])
            tradable = self._known[instrument_id] = Tradable(known)
        return tradable

    def now(self) -> int:
        """Return the engine's time."""
        return self._strategy.clock.timestamp_ns()

    def alert_at(self, ts: int, name: str, callback: Callable[[], None]) -> None:
        """Call back at a time; an error in it stops the run."""

        def alert(_: object) -> None:
            callback()

        self._strategy.clock.set_time_alert_ns(name, ts, callback=alert)

    def publish(self, topic: str, message: OrderSent) -> None:
        """Tell a message on the engine's bus."""
        self._strategy.publish_message(topic, message)


def _price(instrument: Any, price: float | None) -> Price | None:
    made: Price | None = None if price is None else instrument.make_price(price)
    return made
