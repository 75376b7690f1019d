"""What a record of the journal says, in one line for people."""

from __future__ import annotations

from decimal import Decimal

from aitb_nautilus.risk.journal_carried import Account, Carried
from aitb_nautilus.risk.journal_records import (
    Acknowledged,
    Body,
    Closed,
    Decided,
    Dusted,
    Filled,
    Found,
    Gap,
    Halted,
    Intended,
    Opened,
    Resumed,
    Sent,
    Settled,
)

__all__ = ["spell_record"]


def spell_record(body: Body) -> str:  # noqa: PLR0911, PLR0912 - one line a kind
    """Return what a record says.

    Examples
    --------
    >>> spell_record(Acknowledged(answer="rejected", reason="no margin"))
    'rejected: no margin'
    """
    match body:
        case Opened():
            after = f", goes on from {body.resumed_from[:12]}" if body.resumed_from else ""
            return f"run {body.run_id}, config {body.config_sha256[:12]}{after}"
        case Intended():
            because = f" because {body.because}" if body.because else ""
            return f"{body.action}{_terms(body)}{because}"
        case Decided():
            return _decision(body)
        case Sent():
            return f"{body.action}{_terms(body)}"
        case Acknowledged():
            terms = _joined(
                _at("quantity", body.quantity),
                _at("at", body.price),
                _at("trigger", body.trigger_price),
            )
            return f"{body.answer}{terms}{_tail(body.reason)}"
        case Filled():
            leaves = "" if body.leaves is None else f", {body.leaves} left"
            return (
                f"{body.side} {body.quantity} at {_number(body.price)}, fee {_number(body.fee)}"
                f"{leaves}"
            )
        case Dusted():
            return f"{body.quantity} given up as dust{_tail(body.why)}"
        case Halted():
            flat = ", to be flat" if body.flatten else ""
            return f"{_of(body)}{body.state}{flat} by {body.who}{_tail(body.reason)}"
        case Resumed():
            return f"{_of(body)}{body.state} again by {body.who}{_tail(body.reason)}"
        case Found():
            return f"{body.what}: {body.line}; choose {', '.join(body.choices) or 'nothing'}"
        case Settled():
            to = f" to {body.strategy}" if body.strategy else ""
            failed = f"; not done: {body.failed}" if body.failed else ""
            return f"{body.choice}{to} {body.key} by {body.who}{_tail(body.reason)}{failed}"
        case Carried() | Account():
            return _begun(body)
        case Gap():
            return f"{body.lost} records could not be written{_tail(body.why)}"
        case Closed():
            return body.why or "the run came to its end"
    raise TypeError(f"{body!r} is no record of a journal")


def _begun(body: Carried | Account) -> str:
    """Return with what a run began."""
    if isinstance(body, Account):
        return f"began with {body.began_with:,.2f}{_tail(body.reason)}"
    held = ", ".join(f"{p.quantity} {p.instrument_id}" for p in body.positions) or "nothing held"
    after = f"after {body.from_run}: " if body.from_run else ""
    return f"{after}{held}, {len(body.orders)} open orders"


def _of(body: Halted | Resumed) -> str:
    """Return of what, where it is not of all."""
    return "" if body.scope == "trader" else f"{body.scope} "


def _decision(body: Decided) -> str:
    asked = "" if body.wanted in (None, body.quantity) else f" of {body.wanted}"
    amount = "" if body.outcome == "refused" else f" {body.quantity}{asked}"
    exit_ = ", only reduces" if body.reducing else ""
    change = " change" if body.action == "modify" else ""
    if body.idle:
        change += " to what it is already"
    limit = f" by {body.limit}" if body.limit else ""
    saw = _joined(
        _at("equity", body.equity),
        _at("mark", body.mark),
        _at("position", body.position),
        _at("open orders", body.open_orders),
    )
    return f"{body.outcome}{change}{amount}{exit_}{limit}{_tail(body.line)} (saw{saw})"


def _terms(body: Intended | Sent) -> str:
    """Return what an order is, or is changed to."""
    words = [body.side, body.quantity, body.order_kind]
    flags = ["reduce-only" if body.reduce_only else None, body.purpose or None]
    return _joined(
        *(None if word is None else f" {word}" for word in words),
        _at("at", body.price),
        _at("trigger", body.trigger_price),
        *(None if flag is None else f", {flag}" for flag in flags),
    )


def _at(name: str, value: float | Decimal | None) -> str | None:
    return None if value is None else f" {name} {_number(value)}"


def _number(value: float | Decimal | None) -> str:
    """Return a number as it was written; floats to ten digits."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _joined(*parts: str | None) -> str:
    return "".join(part for part in parts if part is not None)


def _tail(reason: str) -> str:
    return f": {' '.join(reason.split())}" if reason else ""
