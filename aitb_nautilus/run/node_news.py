"""What happened in a node since the last look, for the log of its run."""

from __future__ import annotations

import re
from typing import NamedTuple

from aitb_nautilus.observe.left_record import LeftRecord
from aitb_nautilus.observe.left_words import left_sentences
from aitb_nautilus.observe.run_record import Mode
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import Decision
from aitb_nautilus.run.run_log import RunLog
from aitb_nautilus.run.still_held import left_by

__all__ = ["NodeNews"]

_AGAIN_NS = 3_600_000_000_000
_NUMBER = re.compile(r"\d[\d.,:]*")

type _Kind = tuple[str, str]


class _Said(NamedTuple):
    ts: int
    since: int


class NodeNews:
    """Tell fills, refusals, halts and errors once each.

    Parameters
    ----------
    context
        What the node's components share.
    log
        Of the run.
    """

    def __init__(self, context: Context, log: RunLog) -> None:
        self._context = context
        self._log = log
        self._refusals: dict[_Kind, _Said] = {}
        self._said = {
            "fills": 0,
            "refusals": 0,
            "rejected": 0,
            "halts": 0,
            "failures": 0,
            "given up": 0,
        }

    def say_left(self, mode: Mode, ts: int) -> LeftRecord:
        """Write into the log what the run leaves, and return it.

        Parameters
        ----------
        ts
            As of when, ns UTC.
        """
        left = left_by(self._context.ledger, self._context.guard.states.in_force, ts)
        for sentence in left_sentences(left, mode):
            self._log.note("WARNING", sentence)
        return left

    def say(self) -> None:
        """Write into the log what happened since the last time."""
        ledger, guard, said = self._context.ledger, self._context.guard, self._said
        failures = self._context.run_state.failures
        for fill in ledger.fills[said["fills"] :]:
            order = ledger.orders.get(fill.client_order_id)
            purpose = order.purpose if order is not None else "unknown"
            text = f"{fill.side} {fill.quantity} {fill.instrument_id} at {fill.price:g} ({purpose})"
            self._log.note("INFO", text, fill.strategy_id, fill.ts)
        for rest in ledger.dust.given_up[said["given up"] :]:
            text = f"{rest.quantity} {rest.instrument_id} is dust from now on: {rest.why}"
            self._log.note("WARNING", text, rest.strategy_id, rest.ts)
        for one in guard.refusals[said["refusals"] :]:
            self._say_refusal(one)
        for lost in ledger.rejected[said["rejected"] :]:
            by = "rejected by the venue" if lost.status == "REJECTED" else "denied by the engine"
            text = f"{lost.side} {lost.quantity} {lost.instrument_id} ({lost.purpose}) {by}"
            text += f": {lost.reason or 'no reason was given'}"
            self._log.note("WARNING", text, lost.strategy_id, lost.ts_sent)
        for halt in guard.halts[said["halts"] :]:
            self._log.note("ERROR", f"halted: {halt.reason}", halt.strategy_id or "guard", halt.ts)
        for failure in failures[said["failures"] :]:
            self._log.note("ERROR", failure.trace, failure.component, failure.ts)
        self._said = {
            "fills": len(ledger.fills),
            "refusals": len(guard.refusals),
            "rejected": len(ledger.rejected),
            "halts": len(guard.halts),
            "failures": len(failures),
            "given up": len(ledger.dust.given_up),
        }

    def _say_refusal(self, one: Decision) -> None:
        """Say why a wish was refused or shrunk; of those that differ in numbers one an hour."""
        verb = "shrunk" if one.allowed else "refused"
        text = f"{one.instrument_id or 'an'} order {verb} by {one.limit}: {one.line}"
        kind = one.strategy_id, _NUMBER.sub("#", text)
        said = self._refusals.get(kind)
        if said is not None and one.ts - said.ts < _AGAIN_NS:
            self._refusals[kind] = said._replace(since=said.since + 1)
            return
        if said is not None and said.since:
            text += f" ({said.since} more like this were, since it was said last)"
        self._refusals = {k: v for k, v in self._refusals.items() if one.ts - v.ts < _AGAIN_NS}
        self._refusals[kind] = _Said(one.ts, 0)
        self._log.note("WARNING", text, one.strategy_id, one.ts)
