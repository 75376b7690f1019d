"""Where all that reaches the desk's decisions passes, so that it can be recorded and replayed.

What decides is told facts, reads clocks, and sends commands. Each of these tells the one `Tape` of
the node. Usually nobody listens. While a run is recorded, a `Recorder` writes down what passes, in
that order. In a replay a `Player` tells the same facts again, answers each question about the time
as it was answered then, and compares what the desk says with what it said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, Self

from aitb_nautilus.messages import OrderSent
from aitb_nautilus.risk.order_port import OrderPort, OrderTerms

__all__ = ["Entry", "Player", "Recorder", "Tape", "TapedPort"]


class Entry(NamedTuple):
    """One thing that passed.

    Attributes
    ----------
    kind
        What it is, such as ``bar``, ``fill``, ``reading`` of a clock, or ``command`` to the venue.
    depth
        How many commands were being carried out: the engine answers some of them at once.
    at
        When it came, ns UTC.
    who
        Id of the component that it came to or from; empty where it is for all.
    what
        Plain values, as the kind has them.
    """

    kind: str
    depth: int
    at: int
    who: str
    what: tuple[Any, ...]


class Recorder(Protocol):
    """Write down what passes."""

    def put(self, kind: str, depth: int, who: str, what: tuple[Any, ...]) -> None:
        """Take one entry; it must not wait for a disk."""
        ...


class Player(Protocol):
    """Tell what was recorded, and compare."""

    def reading(self, value: int) -> int:
        """Return what a clock, or another source of plain numbers, said at this point."""
        ...

    def said(self, kind: str, depth: int, who: str, what: tuple[Any, ...], names: Any) -> None:
        """Compare what the desk says with what it said."""
        ...

    def known(self) -> bool:
        """Return whether the engine said at this point that it knew an order's id."""
        ...

    def recalled(self, kind: str) -> Any:
        """Return what happened in another thread at this point; None: nothing."""
        ...

    def answers(self, depth: int) -> None:
        """Tell what came while a command was being carried out."""
        ...

    def injected(self) -> None:
        """Tell what the node itself did with a bar before the desk heard it."""
        ...


class Tape:
    """The one place by which facts come in and decisions go out.

    Attributes
    ----------
    recorder, player
        At most one of them; None: what passes is not looked at.
    desk
        Ids of the components that the config names. What the node's own actors do is not recorded:
        they bring facts, and take no part in decisions.
    is_past
        Whether it is the past that is told: what is said of it is not kept.
    withheld
        The guard's reasons why nothing may be opened for a while; a change is noted before the next
        fact.
    """

    __slots__ = ("_depth", "_withheld", "desk", "is_past", "player", "recorder", "withheld")

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self.player: Player | None = None
        self.desk: frozenset[str] = frozenset()
        self.is_past: Callable[[], bool] = lambda: False
        self.withheld: Mapping[str, str] = {}
        self._withheld: dict[str, str] = {}
        self._depth = 0

    @property
    def is_idle(self) -> bool:
        """Return whether nobody listens."""
        return self.recorder is None and self.player is None

    def heard(self, kind: str, who: str, *what: Any) -> None:
        """Note a fact that comes in."""
        if self.recorder is not None:
            if self.withheld != self._withheld:
                self._withheld = dict(self.withheld)
                self.recorder.put("withheld", self._depth, "", (self._withheld,))
            self.recorder.put(kind, self._depth, who, what)

    def heard_by(self, kind: str, who: str, *what: Any) -> None:
        """Note a fact that comes to one component, if the config names it."""
        if who in self.desk:
            self.heard(kind, who, *what)

    def said(self, kind: str, who: str, *what: Any, names: Any = None) -> None:
        """Note what the desk says, unless it is about the past.

        Parameters
        ----------
        names
            Of the values, for whoever must name one that differs.
        """
        if self.recorder is not None:
            if not self.is_past():
                self.recorder.put(kind, self._depth, who, what)
        elif self.player is not None and not self.is_past():
            self.player.said(kind, self._depth, who, what, names)

    def reading(self, value: int) -> int:
        """Return the value of a clock, or in a replay what it was."""
        if self.recorder is not None:
            self.recorder.put("reading", self._depth, "", (value,))
        elif self.player is not None:
            return self.player.reading(value)
        return value

    def known(self, is_known: bool) -> bool:
        """Return whether the engine knows an order, or in a replay whether it did."""
        if self.player is not None:
            return self.player.known()
        if is_known and self.recorder is not None:
            self.recorder.put("known", self._depth, "", ())
        return is_known

    def recalled(self, kind: str, value: Any) -> Any:
        """Return what happened in another thread, or in a replay what had; nothing is not noted."""
        if self.player is not None:
            return self.player.recalled(kind)
        if value and self.recorder is not None:
            self.recorder.put(kind, self._depth, "", (value,))
        return value

    def injected(self) -> None:
        """Let a replay tell what the node's own actors did at this point."""
        if self.player is not None:
            self.player.injected()

    def carrying_out(self) -> Self:
        """Carry out a command; what comes within the block answers it at once."""
        return self

    def __enter__(self) -> Self:
        """Begin a command."""
        self._depth += 1
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """End it, after what answered it."""
        try:
            if error is None and self.player is not None:
                self.player.answers(self._depth)
        finally:
            self._depth -= 1


class TapedPort:
    """A port whose commands pass the tape.

    Parameters
    ----------
    port
        Carries them out.
    tape
        Of the node.
    strategy_id
        Whose orders leave by it.
    """

    def __init__(self, port: OrderPort, tape: Tape, strategy_id: str) -> None:
        self._port = port
        self._tape = tape
        self._id = strategy_id

    def knows(self, client_order_id: str) -> bool:
        """Return whether there is an order of that id."""
        return self._tape.known(self._port.knows(client_order_id))

    def on_grid(self, instrument_id: str, price: float, *, up: bool) -> float:
        """Return a price on the instrument's grid, rounded up or down."""
        return self._port.on_grid(instrument_id, price, up=up)

    def submit(self, terms: OrderTerms) -> None:
        """Send an order."""
        if self._tape.is_idle:
            self._port.submit(terms)
            return
        self.note_submit(terms)
        with self._tape.carrying_out():
            self._port.submit(terms)

    def note_submit(self, terms: OrderTerms) -> None:
        """Note an order that leaves by another way."""
        self._tape.said("command", self._id, "submit", *_plain(terms))

    def modify(
        self,
        client_order_id: str,
        instrument_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> None:
        """Change a resting order."""
        wanted = None if quantity is None else str(quantity)
        self._tape.said(
            "command", self._id, "modify", client_order_id, instrument_id, wanted, price,
            trigger_price,
        )  # fmt: skip
        with self._tape.carrying_out():
            self._port.modify(client_order_id, instrument_id, quantity, price, trigger_price)

    def cancel(self, client_order_id: str) -> None:
        """Cancel an order."""
        self._tape.said("command", self._id, "cancel", client_order_id)
        with self._tape.carrying_out():
            self._port.cancel(client_order_id)

    def carry_out(self, call: Callable[[], None]) -> None:
        """Send what a strategy built; `note_submit` notes orders."""
        with self._tape.carrying_out():
            self._port.carry_out(call)

    def now(self) -> int:
        """Return the time of the clock that alerts follow."""
        return self._tape.reading(self._port.now())

    def alert_at(self, ts: int, name: str, callback: Callable[[], None]) -> None:
        """Call back at a time."""

        def alert() -> None:
            self._tape.heard("alert", self._id, name)
            callback()

        self._port.alert_at(ts, name, alert)

    def publish(self, topic: str, message: OrderSent) -> None:
        """Tell a message to all who listen to the topic."""
        self._port.publish(topic, message)


def _plain(terms: OrderTerms) -> tuple[Any, ...]:
    return (
        terms.client_order_id,
        terms.instrument_id,
        terms.side,
        terms.kind,
        str(terms.quantity),
        terms.price,
        terms.trigger_price,
        terms.reduce_only,
        terms.post_only,
        terms.purpose,
    )
