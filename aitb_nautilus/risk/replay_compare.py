"""Compare what is decided again with what was recorded, and name the first difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Literal

import msgspec
import numpy as np

from aitb_nautilus.messages import LatePrediction, Prediction
from aitb_nautilus.risk.journal_carried import Account, Carried
from aitb_nautilus.risk.journal_chain import Record, encode_body
from aitb_nautilus.risk.journal_records import (
    Body,
    Closed,
    Decided,
    Intended,
    Opened,
    Sent,
)
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.tape import Entry

__all__ = ["LAYERS", "Divergence", "Findings", "JournalAgain", "Layer", "layer_of_kind"]

_BY_NODE = (Opened, Carried, Account, Closed)
"""What the node writes of itself, and no desk decides."""

Layer = Literal["data", "features", "predictions", "intents", "decisions", "orders", "events"]
LAYERS: tuple[Layer, ...] = (
    "data", "features", "predictions", "intents", "decisions", "orders", "events",
)  # fmt: skip


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing that did not come out as it was.

    Attributes
    ----------
    layer
        Where: bars, features, predictions, intents, the guard's decisions, orders, or what became
        of orders.
    ts
        Of the fact or of the decision, ns UTC.
    who, about
        Component, and instrument or order.
    what
        Which value differs.
    recorded, replayed
        Both values; empty where there is none.
    """

    layer: Layer
    ts: int
    who: str
    about: str
    what: str
    recorded: str
    replayed: str


class Findings:
    """What was compared so far, and what was found.

    Attributes
    ----------
    counts
        Things that were equal, by layer.
    divergence
        The first difference; nothing is compared after it.
    is_over
        Whether the recording has ended, so that nothing more can be compared.
    """

    def __init__(self) -> None:
        self.is_over = False
        self.counts: Counter[Layer] = Counter()
        self.divergence: Divergence | None = None

    @property
    def is_done(self) -> bool:
        """Return whether nothing more is compared."""
        return self.is_over or self.divergence is not None

    def differ(
        self,
        layer: Layer,
        ts: int,
        what: str,
        *,
        who: str = "",
        about: str = "",
        recorded: str = "",
        replayed: str = "",
    ) -> None:
        """Note a difference, if it is the first."""
        if not self.is_done:
            self.divergence = Divergence(
                layer=layer,
                ts=ts,
                who=who,
                about=about,
                what=what,
                recorded=recorded,
                replayed=replayed,
            )

    def differ_before(self, layer: Layer, ts: int, what: str, **more: str) -> None:
        """Note a difference from which the one that was noted follows; parameters as `differ`."""
        self.divergence = None
        self.differ(layer, ts, what, **more)

    def compare_said(
        self,
        recorded: Entry,
        replayed: Sequence[Any],
        names: Sequence[str] | None,
    ) -> None:
        """Compare features, a prediction, a late answer, or a command with what was recorded."""
        if self.is_done:
            return
        kind, who, was = recorded.kind, recorded.who, recorded.what
        layer = layer_of_kind(kind)
        if kind == "features":
            self._compare_row(who, was, replayed, names or ())
            return
        fields = ("action", *_TERMS) if kind == "command" else _FIELDS[kind]
        about = str(replayed[1 if kind == "command" else 0])
        for i, (old, new) in enumerate(zip_longest(was, replayed)):
            if not _same(old, new):
                values = {"recorded": _text(old), "replayed": _text(new)}
                self.differ(layer, recorded.at, fields[i], who=who, about=about, **values)
                return
        self.counts[layer] += 1

    def _compare_row(
        self, who: str, recorded: Sequence[Any], replayed: Sequence[Any], names: Sequence[str]
    ) -> None:
        about, _, at, row = replayed
        if recorded[:3] != replayed[:3] or len(recorded[3]) != len(row):
            was, now = (
                f"a row of {one[0]} at {np.datetime64(one[2], 'ns')}Z"
                for one in (recorded, replayed)
            )
            self.differ("features", at, "row", who=who, recorded=was, replayed=now)
            return
        if recorded[3] != row:
            old, new = (np.frombuffer(one, np.float32) for one in (recorded[3], row))
            place = int(np.flatnonzero(old.view(np.uint32) != new.view(np.uint32))[0])
            was, now = (np.format_float_positional(one[place]) for one in (old, new))
            name = names[place] if place < len(names) else f"feature {place}"
            self.differ("features", at, name, who=who, about=about, recorded=was, replayed=now)
            return
        self.counts["features"] += 1


class JournalAgain:
    """Stand in for a journal, and compare each record with the one that was written.

    Parameters
    ----------
    records
        Of the run, oldest first.
    findings
        Is told of what is equal and what differs.
    """

    def __init__(self, records: Iterator[Record], findings: Findings) -> None:
        self._records = (r for r in records if not isinstance(r.body, _BY_NODE))
        self._findings = findings
        self._ahead: Record | None = None
        self._leaving: Counter[tuple[str, str]] = Counter()

    def append(
        self,
        body: Body,
        ts: int,
        strategy_id: str,
        instrument_id: str,
        client_order_id: str,
        /,
        *,
        before: Body | None = None,
        ahead: bool = False,  # noqa: ARG002 - a matter of when it is written
    ) -> None:
        """Compare a record with the next one that was written."""
        if before is not None:
            self.append(before, ts, strategy_id, instrument_id, client_order_id)
        findings = self._findings
        if findings.is_done:
            return
        layer = _layer_of(body)
        was, about = self.rest(), client_order_id or instrument_id
        if was is None:
            text = _record_text(body)
            findings.differ(layer, ts, body.kind, who=strategy_id, about=about, replayed=text)
            return
        whom = (strategy_id, instrument_id, client_order_id)
        found = _first_difference(was, body, ts, whom)
        if found is None:
            if isinstance(body, Sent):  # the command itself is counted
                self._leaving[body.action, client_order_id] += 1
            else:
                findings.counts[layer] += 1
            return
        recorded_layer = _layer_of(was.body)
        what, old, new = found
        who = strategy_id or was.strategy_id
        # Of two different records the one of the earlier layer is missing on the other side, and of
        # one layer the earlier one.
        if recorded_layer == layer:
            ts = min(ts, was.ts)
        elif _order(recorded_layer) < _order(layer):
            layer, ts = recorded_layer, was.ts
        findings.differ(layer, ts, what, who=who, about=about, recorded=old, replayed=new)

    note = append

    def settle(self) -> None:
        """Do nothing: all was compared at once."""

    def rest(self) -> Record | None:
        """Return the first record that was not compared; it is not looked at again."""
        record, self._ahead = self._ahead, None
        return record or next(self._records, None)

    def owed(self, action: str, client_order_id: str) -> Record | None:
        """Return what should have been written before a command that did not leave.

        None: all of it was, so that it is the command itself that is missing.
        """
        if self._leaving[action, client_order_id]:
            return None
        self._ahead = self.rest()
        return self._ahead

    def left(self, action: str, client_order_id: str) -> None:
        """Take a command that left."""
        self._leaving[action, client_order_id] -= 1

    def miss(self, record: Record) -> None:
        """Note that a record that was written did not come again."""
        self._findings.differ(
            _layer_of(record.body),
            record.ts,
            record.kind,
            who=record.strategy_id,
            about=record.client_order_id or record.instrument_id,
            recorded=_record_text(record.body),
        )


_TERMS = OrderTerms.__struct_fields__
_FIELDS = {
    "prediction": Prediction.__struct_fields__,
    "late": LatePrediction.__struct_fields__,
}
_LAYER_OF: dict[str, Layer] = {
    "features": "features",
    "prediction": "predictions",
    "late": "predictions",
    "command": "orders",
}


def layer_of_kind(kind: str) -> Layer:
    """Return the layer of an entry of the tape."""
    return _LAYER_OF.get(kind, "events")


def _order(layer: Layer) -> int:
    return LAYERS.index(layer)


def _layer_of(body: Body) -> Layer:
    match body:
        case Intended():
            return "intents"
        case Decided():
            return "decisions"
        case Sent():
            return "orders"
    return "events"


def _first_difference(
    was: Record, body: Body, ts: int, whom: tuple[str, str, str]
) -> tuple[str, str, str] | None:
    """Return what differs between a record and what came now, with both values."""
    if was.kind != body.kind:
        return "record", _record_text(was.body), _record_text(body)
    pairs = [
        ("time", str(was.ts), str(ts)),
        ("strategy", was.strategy_id, whom[0]),
        ("instrument", was.instrument_id, whom[1]),
    ]
    if not (isinstance(body, Intended) and body.action in ("submit", "close")):
        # What the guard makes of an intent, and with it whether an order has an id, comes after;
        # a change or a cancel is of an order that is there.
        pairs.append(("order", was.client_order_id, whom[2]))
    fields = _fields_of(was.body), _fields_of(body)
    inner = [(key, _text(fields[0].get(key)), _text(value)) for key, value in fields[1].items()]
    if isinstance(body, Decided):
        pairs = [*pairs[:3], *inner, *pairs[3:]]
    else:
        pairs += inner
    return next(((what, a, b) for what, a, b in pairs if a != b), None)


def _fields_of(body: Body) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(encode_body(body))
    defaults: dict[str, Any] = dict.fromkeys(body.__struct_fields__)
    return defaults | fields


def _record_text(body: Body) -> str:
    return f"{body.kind} {encode_body(body)}"


def _same(was: Any, now: Any) -> bool:
    return bool(was == now) or (was != was and now != now)  # noqa: PLR0124 - both are no number


def _text(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
