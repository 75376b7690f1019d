"""What a run left, in sentences: who must look after what now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aitb_nautilus.observe.left_record import HeldLeft, LeftRecord, OrderLeft
from aitb_nautilus.observe.run_record import Mode

__all__ = ["left_sentences", "left_title"]


def left_sentences(left: LeftRecord, mode: Mode) -> list[str]:
    """Return what a person must know of what a node left; empty if nothing is left.

    Parameters
    ----------
    mode
        Of the run: what is left on paper is on this machine alone.

    Examples
    --------
    >>> left_sentences(LeftRecord(ts="2024-03-01T10:00:00Z", halts=[], held=[], orders=[]), "live")
    []
    """
    return [*_halted(left), *_held(left), *_looked_after(left, mode)]


def left_title(left: LeftRecord) -> str:
    """Return how the run ended, and as of when the sentences are true."""
    level = "Ended halted" if any(one.state == "halted" for one in left.halts) else "What is left"
    return f"{level}, as of {left.ts}"


def _halted(left: LeftRecord) -> Iterator[str]:
    for one in left.halts:
        may = "only what reduces is sent" if one.state == "reducing" else "nothing opens"
        yield (
            f"{one.scope[0].upper()}{one.scope[1:]} is {one.state} since {one.ts} by {one.who}: "
            f"{one.reason}. That lasts: after the next start {may} until somebody resumes it (aitb "
            f"resume)."
        )


def _held(left: LeftRecord) -> Iterator[str]:
    resting = list(left.orders)
    for one in left.held:
        own = [order for order in resting if _closes(order, one)]
        resting = [order for order in resting if order not in own]
        unit = "coins" if one.is_coin else "contracts"
        if not float(one.quantity):
            yield (
                f"{one.strategy_id} still holds {one.dust} {unit} of {one.instrument_id}, too "
                f"little to be sold."
            )
            continue
        dust = f" and {one.dust} that are too little to be sold" if float(one.dust) else ""
        yield (
            f"{one.strategy_id} still holds {one.quantity} {unit} of {one.instrument_id}{dust}, "
            f"entered at {one.price:,.10g}; {_exits(own)}."
        )
    if resting:
        rest = "1 order rests" if len(resting) == 1 else f"{len(resting)} orders rest"
        yield f"{rest} beside that: {', '.join(map(_terms, resting[:5]))}{_more(resting)}."


def _looked_after(left: LeftRecord, mode: Mode) -> Iterator[str]:
    """Yield who looks after it from now on."""
    if not (left.held or left.orders):
        return
    if mode == "paper":
        yield (
            "All of it is on paper: nothing of it fills or closes while no node runs, and the next "
            "start takes it over."
        )
        return
    rests = "what rests at the venue may still fill, and no other" if left.orders else "no"
    yield (
        f"From then on no node looks after it: {rests} exit is sent until the desk is started "
        f"again. Its next start takes all of it over."
    )


def _closes(order: OrderLeft, held: HeldLeft) -> bool:
    whose = order.strategy_id, order.instrument_id
    return whose == (held.strategy_id, held.instrument_id) and (order.is_exit or order.is_stop)


def _exits(orders: Sequence[OrderLeft]) -> str:
    stops = [order for order in orders if order.is_stop]
    targets = [order for order in orders if not order.is_stop and order.kind != "MARKET"]
    said = f"its stop rests at {_prices(stops)}" if stops else "no stop rests for it"
    if targets:
        said += f", and what closes it at {_prices(targets)}"
    if len(stops) + len(targets) < len(orders):
        said += ", and an order at the market that closes it was on its way"
    return said


def _prices(orders: Sequence[OrderLeft]) -> str:
    prices = [
        order.price if order.trigger_price is None else order.trigger_price for order in orders
    ]
    return ", ".join("the market" if price is None else f"{price:,.10g}" for price in prices)


def _terms(order: OrderLeft) -> str:
    kind = order.kind.lower().replace("_", " ")
    return f"{order.side} {order.quantity} {order.instrument_id} {kind} at {_prices([order])}"


def _more(orders: Sequence[OrderLeft]) -> str:
    return f" and {len(orders) - 5} more" if len(orders) > 5 else ""
