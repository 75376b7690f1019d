"""What an event of a node's stream says, in one line for people."""

from __future__ import annotations

from rich.text import Text

from aitb_nautilus.cli.audit_words import spell_record
from aitb_nautilus.market.times import iso
from aitb_nautilus.risk.journal_chain import decode_body
from aitb_nautilus.risk.journal_records import KINDS
from aitb_nautilus.run.stream_events import StreamEvent

__all__ = ["event_line", "spell_event"]

_COLOURS = {
    "opened": "blue",
    "closed": "blue",
    "halted": "bold red",
    "gap": "bold red",
    "lost": "bold red",
    "found": "bold red",
    "resumed": "green",
    "filled": "green",
    "prediction": "cyan",
    "late_prediction": "yellow",
    "position": "bold",
    "status": "dim",
}
_NAMES = {"late_prediction": "late", "acknowledged": "answered"}
_WIDTH = 10


def spell_event(event: StreamEvent) -> str:  # noqa: PLR0911 - one line a kind
    """Return what an event says.

    Examples
    --------
    >>> data = {"count": 3, "first": 7, "last": 9, "reason": "the queue was full"}
    >>> spell_event(StreamEvent("1-10", "1", "r", 10, "lost", 0, data))
    '3 events before this were not published: the queue was full'
    """
    data = event.data
    match event.kind:
        case "prediction":
            return _prediction(event)
        case "late_prediction":
            return (
                f"{data['model']}@{data['version']} had no answer within "
                f"{data['deadline_ns'] / 1e6:g} ms"
            )
        case "position":
            return _position(event)
        case "status":
            lost = f", {data['lost']:,} events lost" if data["lost"] else ""
            return (
                f"{data['mode']}, {data['state']}, equity {data['equity']:,.2f} "
                f"{data['currency']}, {_some(data['positions'], 'position')}, "
                f"{_some(data['open_orders'], 'open order')}{lost}"
            )
        case "lost":
            return (
                f"{_some(data['count'], 'event')} before this were not published: {data['reason']}"
            )
        case kind if kind in KINDS:
            return spell_record(decode_body(kind, event.raw_body()))
        case _:
            return "of a kind that this version does not know"


def event_line(event: StreamEvent) -> Text:
    """Return an event as one line: time of day (UTC), kind, whom it concerns, what it says."""
    style = _COLOURS.get(event.kind, "")
    name = _NAMES.get(event.kind, event.kind)
    data = event.data
    line = Text.assemble((f"{_clock(event.ts)} ", "dim"), (name.ljust(_WIDTH), style), " ")
    who = [data.get("strategy_id"), data.get("instrument_id")]
    named = " ".join(str(one) for one in who if one)
    if named:
        line.append(f"{named} ", style="dim")
    line.append(" ".join(spell_event(event).split()), style=style if event.kind == "status" else "")
    return line


def _prediction(event: StreamEvent) -> str:
    data = event.data
    side = "up" if data["probability"] >= 0.5 else "down"
    more = "" if data["expected_return"] is None else f", expects {data['expected_return']:+.3%}"
    if data["confidence"] is not None:
        more += f", confidence {data['confidence']:.2f}"
    return (
        f"{data['model']}@{data['version']} {data['probability']:.3f} {side}{more}, good until "
        f"{_clock(data['expires_ns'])[:8]}"
    )


def _position(event: StreamEvent) -> str:
    data = event.data
    made = data["realized"] - data["fees"] + data["funding"]
    earned = f"{made:+,.2f} realized with costs"
    if float(data["quantity"]) == 0:
        return f"flat, {earned}"
    return f"{data['quantity']} at {data['average_price']:.10g}, {earned}"


def _clock(ts_ns: int) -> str:
    """Return the time of day to the millisecond: ``12:30:00.125``."""
    return f"{iso(ts_ns)[11:19]}.{ts_ns // 1_000_000 % 1_000:03d}"


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
