"""Death and restart of the machine's node: what it remembers, what it asks for, what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aitb_nautilus.messages import BarClosed, Fill, OrderUpdate, Side
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.firewall import Explained
from aitb_nautilus.risk.firewall_check import Firewall
from aitb_nautilus.risk.firewall_file import FirewallFile
from aitb_nautilus.risk.journal_ahead import path_of
from aitb_nautilus.risk.journal_file import open_for_writing, opened_for_reading
from aitb_nautilus.risk.journal_recovery import Unresolved, sent_ids
from aitb_nautilus.risk.recovery import Recovery, follow
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueFill, VenueOrder as KnownOrder
from tests.risk.machine.desks import INSTRUMENTS
from tests.risk.machine.node import LOTS, Crash, Node
from tests.risk.machine.outcomes import Ended, Found
from tests.risk.machine.venue import Trade, VenueOrder

if TYPE_CHECKING:
    from tests.risk.machine.world import World

__all__ = ["die", "order_of", "start"]

ZERO = Decimal(0)
SECOND = 10**9
MODEL = "direction"


class _NoHands:
    """Nothing is cancelled or closed at the venue without an answer."""

    def knows(self, order: KnownOrder) -> bool:
        raise Found("nobody has answered")

    def cancel(self, order: KnownOrder) -> None:
        raise Found("nobody has answered")

    def close(self, instrument_id: str, side: Side, quantity: Decimal) -> None:
        raise Found("nobody has answered")

    def answering(self) -> Mapping[str, Answers]:
        raise Found("nobody has answered")


def start(world: World) -> None:
    """Start a node; one that is killed while it starts is started again."""
    while True:
        try:
            start_once(world)
        except Crash:
            die(world)
        else:
            return


def start_once(world: World) -> None:
    world.lives += 1
    world.prediction.clear()
    world.node = Node(
        world,
        world.folder,
        world.lives,
        world.risk,
        world.threshold,
        [(MODEL, instrument_id) for instrument_id in world.listens],
        world.change,
        ("before", "soon")[world.pick(2)],  # type: ignore[arg-type]
    )
    unknown = world.node.begin(past(world))
    ledger = world.node.context.ledger
    world.history = world.history.after_a_restart(
        (world.trades[fill.trade_id], fill.client_order_id in ledger.orders)
        for fill in ledger.fills
    )
    for order in world.venue.orders.values():
        remember(world, order)
    if world.lives > 1:
        world.tally["restarts"] += 1
        # What left while the journal could not be written is not known before the firewall
        # has looked: until then nothing may open.
        withheld = world.node.context.guard.withheld
        withheld["starting"] = "the venue is being asked what it has"
        recover(world, unknown)
        look_through_the_firewall(world)
        del withheld["starting"]


def past(world: World) -> Iterator[BarClosed]:
    """Yield all bars that were told, in the order of time."""
    bars = [(bar.ts, i, bar) for i, some in world.history.bars.items() for bar in some]
    for ts, name, bar in sorted(bars, key=lambda one: (one[0], INSTRUMENTS.index(one[1]))):
        yield BarClosed(name, ts, bar.close, bar.close, bar.close, bar.close, bar.volume)


def remember(world: World, order: VenueOrder) -> None:
    """Take what a node knows of an order from its ledger."""
    known = world.node.context.ledger.orders.get(order.client_order_id)
    order.end_told = known is None or not known.is_open
    if known is None:
        return
    order.heard = known.filled
    order.known_quantity, order.known_ts = known.quantity, known.ts_terms
    order.known_prices = (known.price, known.trigger_price)
    order.asks, order.most_asked = known.changes, known.asked
    order.asked_prices = list(known.asked_prices)


def order_of(world: World, client_order_id: str) -> VenueOrder:
    """Return an order; one that was journalled as sent and never left was lost on the way."""
    order = world.venue.orders.get(client_order_id)
    if order is None:
        known = world.node.context.ledger.orders[client_order_id]
        order = VenueOrder(
            client_order_id, known.strategy_id, known.instrument_id, known.side, known.kind,
            known.quantity, known.price, known.trigger_price, known.reduce_only, known.purpose,
        )  # fmt: skip
        order.state = "lost"
        world.venue.orders[client_order_id] = order
    return order


def recover(world: World, unknown: list[Unresolved]) -> None:
    """Let the node ask for what it does not know, and hear it."""
    node, ledger = world.node, world.node.context.ledger
    recovery = Recovery(unknown, ledger, world.clock, 5 * SECOND)
    answering = {id_: one.answering for id_, one in node.strategies.items()}
    take_fill, take_update = ledger.apply_fill, ledger.apply_update

    def fill(fact: Fill) -> bool:
        news = take_fill(fact)
        if news:
            recovered(world, fact)
        return news

    def update(fact: OrderUpdate) -> None:
        take_update(fact)
        remember(world, order_of(world, fact.client_order_id))

    ledger.apply_fill, ledger.apply_update = fill, update  # type: ignore[method-assign]
    for question in recovery.questions:
        world.tally["orders asked for"] += 1
        found = ask(world, question.client_order_id)
        order, fills = found if found is not None else (None, [])
        finding = recovery.answer(question.client_order_id, order, fills, world.clock)
        world.note(f"  asks for {question.client_order_id}: {finding}")
        expect_halt(world, finding.halt, order is None and question.may_be_there)
        follow(finding, node.context, answering, world.clock)
        node.check_alive()
    world.clock += 6 * SECOND
    finding = recovery.wait(world.clock)
    expect_halt(world, finding.halt, bool(finding.halt))
    follow(finding, node.context, answering, world.clock)
    node.check_alive()
    if not recovery.done:
        raise Found(f"recovery never ends: {recovery.questions}")
    del ledger.apply_fill, ledger.apply_update


def expect_halt(world: World, why: str, is_due: bool) -> None:
    if why and not is_due:
        raise Found(f"recovery halts without a reason: {why}")
    world.due_halts |= {why} - {""}


def ask(world: World, client_order_id: str) -> tuple[KnownOrder, list[VenueFill]] | None:
    """Return what the venue says of an order; now and then it lists no fills."""
    order = world.venue.orders.get(client_order_id)
    if order is None or order.state == "lost":
        return None
    trades = [t for t in world.venue.trades if t.order is order]
    worth = sum(float(t.quantity) * t.price for t in trades)
    known = KnownOrder(
        client_order_id=client_order_id,
        venue_order_id=f"V-{client_order_id}",
        instrument_id=order.instrument_id,
        side=order.side,
        kind=order.kind,
        quantity=order.quantity,
        status="ACCEPTED" if order.state == "open" else order.ending,  # type: ignore[arg-type]
        filled=order.filled,
        price=order.price,
        trigger_price=order.trigger_price,
        average_price=worth / float(order.filled) if trades else None,
        reduce_only=order.reduce_only,
        ts=world.clock,
    )
    fills = [
        VenueFill(trade_id=t.trade_id, price=t.price, quantity=t.quantity, ts=t.ts, fee=t.fee)
        for t in trades
    ]
    return known, fills if world.pick(4) else []


def recovered(world: World, fact: Fill) -> None:
    """Note that the node has learned of a fill that it had missed."""
    world.tally["fills recovered"] += 1
    order = world.venue.orders[fact.client_order_id]
    trade = world.trades.get(fact.trade_id)
    if trade is None:  # told as a sum, without its parts
        trade = Trade(order, fact.trade_id, fact.ts, fact.side, fact.quantity, fact.price, fact.fee)
        world.sums[fact.trade_id] = trade
    world.history.hear(trade)
    remember(world, order)


def look_through_the_firewall(world: World) -> None:
    """Let the node compare the venue with its journal, and look what it makes of it."""
    orders = [
        found[0]
        for order in world.venue.orders.values()
        if order.state == "open" and (found := ask(world, order.client_order_id))
    ]
    positions: dict[str, Decimal] = {}
    for (_, instrument_id), held in world.venue.positions.items():
        positions[instrument_id] = positions.get(instrument_id, ZERO) + held
    facts = VenueFacts(venues=("BINANCE",), orders=tuple(orders), positions=positions)
    explained = Explained(sent=sent_ids(world.folder / "journal.sqlite"), lots=LOTS)
    # What recovery has just sent is on its way, and not at the venue yet.
    flying = {c.order.client_order_id for c in world.venue.flying}
    explained = replace(explained, pending=flying)
    file = FirewallFile(world.folder, "MACHINE-001")
    firewall = Firewall(world.node.context, list(world.node.strategies), file, _NoHands())
    rows = firewall.check(facts, explained, world.clock)
    if not rows:
        return
    world.tally["firewalls that found something"] += 1
    if not world.torn:
        raise Found(f"the firewall found {rows}, and the journal is whole")
    if world.node.context.guard.state == "active":
        raise Found(f"the firewall found {rows}, and trading goes on")
    raise Ended


def count_what_is_ahead(world: World) -> None:
    """Count what only the log holds, and now and then kill a node that has just taken it in."""
    path = world.folder / "journal.sqlite"
    log = path_of(path)
    if not log.exists():
        return
    with opened_for_reading(path) as database:
        ahead = database.execute("SELECT count(*) FROM main.records").fetchone()
        whole = database.execute("SELECT count(*) FROM records").fetchone()
    world.tally["killed with records ahead of SQLite"] += whole != ahead
    if world.pick(3):
        return
    held = log.read_bytes()
    open_for_writing(path, durable=True, on_disk="soon").close()
    log.write_bytes(held)
    world.tally["killed once SQLite had the log"] += 1


def die(world: World) -> None:
    """Kill the node, and let some time pass in which the market moves."""
    world.node.kill()
    # The end of an order was told before its last fill, and the fill never was: nobody asks for
    # an order that has ended, so the firewall must find it.
    world.torn |= any(o.end_told and o.filled > o.heard for o in world.venue.orders.values())
    world.crash_at = ""
    world.wild = False
    if world.is_journal_broken:
        world.mend_journal()
    count_what_is_ahead(world)
    world.venue.crash(world.pick)
    world.clock += world.pick(600) * SECOND
    world.venue.now = world.clock
    if world.pick(2):
        world.move(INSTRUMENTS[world.pick(3)])
    world.venue.outbox.clear()
