"""Faults to plant into the replay of a recorded run, each at a place of its own, one a layer.

Some are planted into the code that decides again, as a machine or a version might bring them, and
some into a copy of what was recorded. Where one is planted is known from a replay without any
(`replay_calls`), and so is what a replay must say of it.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.messages import (
    CancelIntent,
    CloseIntent,
    ModifyIntent,
    OrderIntent,
    Prediction,
    opposite,
)
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.risk import sender
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.departures import Departures
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.journal_chain import Record
from aitb_nautilus.risk.replay_compare import Divergence
from aitb_nautilus.risk.tape import Entry
from tests.run.replay_calls import Calls
from tests.run.replay_lab import rewrite

__all__ = ["KINDS", "LAYERS", "Fault", "Must", "random_faults"]


class Must(NamedTuple):
    """What a replay must say; None: that is not known beforehand."""

    ts: int
    recorded: str | None
    replayed: str | None

    def objection(self, layer: str, found: Divergence | None) -> str:
        """Return in what a replay said something else, or nothing."""
        if found is None:
            return "nothing was found"
        if found.layer != layer or found.ts != self.ts or found.recorded == found.replayed:
            return f"at {self.ts} {layer} differ, and it says {found}"
        for wanted, said in zip(self[1:], (found.recorded, found.replayed), strict=True):
            if wanted is not None and wanted != said:
                return f"it says {said!r} for {wanted!r}: {found}"
        return ""


class Fault(NamedTuple):
    """One fault.

    Attributes
    ----------
    kind
        Of `KINDS`: what is done, and the layer that it is done to.
    seed
        Says where.
    """

    kind: str
    seed: int

    @property
    def layer(self) -> str:
        """Return the layer that must be named."""
        return self.kind.partition(".")[0]

    def plant(self, calls: Calls, folder: Path, patch: pytest.MonkeyPatch) -> Must:
        """Plant it into the code, or into a copy of the run; return what a replay must say."""
        return KINDS[self.kind](Planting(calls, folder, patch, random.Random(self.seed)))


class Planting(NamedTuple):
    """What a fault is planted into."""

    calls: Calls
    folder: Path
    patch: pytest.MonkeyPatch
    random: random.Random

    def one_of(self, found: list[Any], where: Callable[[Any], bool] = bool) -> tuple[int, Any]:
        """Return a place and what is there."""
        place = self.random.choice([i for i, one in enumerate(found) if where(one)])
        return place, found[place]

    def entry(self, kind: str) -> tuple[int, Entry]:
        """Return an entry of the recording, and its place."""
        return self.one_of(self.calls.entries, lambda entry: entry.kind == kind)

    def rewrite(self, place: int, *entries: Entry) -> None:
        """Put entries in the place of one."""
        rewrite(self.folder, lambda all_: [*all_[:place], *entries, *all_[place + 1 :]])

    def at_call(self, of: Any, name: str, place: int, fault: Callable[..., Any]) -> None:
        """Let a fault stand for one call; it is given the right function and what was given."""
        right, numbers = getattr(of, name), count()

        def called(*args: Any) -> Any:
            return fault(right, *args) if next(numbers) == place else right(*args)

        self.patch.setattr(of, name, called)

    def at_answer(self, of: Any, name: str, place: int, change: Callable[[Any], Any]) -> None:
        """Let another answer come of one call; those without any do not count."""
        right, numbers = getattr(of, name), count()

        def called(*args: Any) -> Any:
            answer = right(*args)
            return change(answer) if answer is not None and next(numbers) == place else answer

        self.patch.setattr(of, name, called)

    def rewrite_record(self, record: Record, change: Callable[[dict[str, Any]], None]) -> None:
        """Change what the journal says, behind its back."""
        path = self.folder / "journal.sqlite"
        with closing(sqlite3.connect(path)) as database:
            database.execute("DROP TRIGGER no_update")
            where = "WHERE seq = ?"
            query = f"SELECT body FROM records {where}"
            (text,) = database.execute(query, (record.seq,)).fetchone()
            body = msgspec.json.decode(text)
            change(body)
            text = msgspec.json.encode(body, order="deterministic").decode()
            database.execute(f"UPDATE records SET body = ? {where}", (text, record.seq))
            database.commit()


def _text(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


# Data


def _bar_value(to: Planting) -> Must:
    place, entry = to.entry("bar")
    column = to.random.randrange(2, 7)
    values = list(entry.what)
    values[column] = float(np.nextafter(values[column], np.inf))
    to.rewrite(place, entry._replace(what=tuple(values)))
    return Must(entry.what[1], repr(entry.what[column]), repr(values[column]))


def _bar_in_the_table(to: Planting) -> Must:
    path = to.folder / "bars.parquet"
    table = pq.read_table(path)
    row = to.random.randrange(table.num_rows)
    name = to.random.choice(["open", "high", "low", "close", "volume"])
    values = table.column(name).to_numpy().copy()
    was = float(values[row])
    values[row] = np.nextafter(was, np.inf)
    place = table.schema.get_field_index(name)
    changed = table.set_column(place, table.schema.field(place), [values])
    pq.write_table(changed, path)
    ts = table.column("ts")[row].value
    return Must(ts, repr(float(values[row])), repr(was))


def _bar_gone(to: Planting) -> Must:
    place, entry = to.entry("bar")
    to.rewrite(place)
    return Must(entry.what[1], None, "")


def _bar_twice(to: Planting) -> Must:
    place, entry = to.entry("bar")
    to.rewrite(place, entry, entry)
    return Must(entry.what[1], None, None)


# Features


def _feature_bit(to: Planting) -> Must:
    place, entry = to.one_of(to.calls.rows)
    was = np.frombuffer(entry.what[3], np.float32)
    column = to.random.randrange(len(was))

    def change(row: Any) -> Any:
        row = row.copy()
        row[column] = np.nextafter(row[column], np.float32(np.inf))
        return row

    to.at_answer(FeatureEngine, "update", place, change)
    now = change(was)
    return Must(entry.what[2], *(np.format_float_positional(r[column]) for r in (was, now)))


def _feature_in_the_recording(to: Planting) -> Must:
    place, entry = to.entry("features")
    row = np.frombuffer(entry.what[3], np.float32)
    column = to.random.randrange(len(row))
    changed = row.copy()
    changed[column] = np.nextafter(changed[column], np.float32(-np.inf))
    to.rewrite(place, entry._replace(what=(*entry.what[:3], changed.tobytes())))
    return Must(entry.what[2], *(np.format_float_positional(r[column]) for r in (changed, row)))


def _feature_row_gone(to: Planting) -> Must:
    place, entry = to.one_of(to.calls.rows)
    to.at_answer(FeatureEngine, "update", place, lambda _: None)
    return Must(entry.at, None, "")


# Predictions


def _probability_bit(to: Planting) -> Must:
    place, entry = to.one_of(to.calls.answers)
    score, probability = entry.what[3:5]
    now = float(np.nextafter(np.float32(probability), np.float32(1)))
    to.at_answer(ModelSession, "predict_row", place, lambda a: a._replace(probability=now))
    return Must(entry.at, repr(score), repr(2.0 * now - 1.0))


def _prediction_in_the_recording(to: Planting) -> Must:
    place, entry = to.entry("prediction")
    field = to.random.choice(["version", "probability", "horizon_ns", "ts_event", "expires_ns"])
    column = Prediction.__struct_fields__.index(field)
    values = list(entry.what)
    values[column] = "0" if field == "version" else values[column] * 1.5
    to.rewrite(place, entry._replace(what=tuple(values)))
    return Must(entry.at, _text(values[column]), _text(entry.what[column]))


def _prediction_gone(to: Planting) -> Must:
    place, entry = to.one_of(to.calls.told)
    to.at_call(GuardedActor, "publish_prediction", place, lambda *_: None)
    return Must(entry.at, f"prediction {' '.join(map(str, entry.what))}", "")


# Intents


def _another_wish(to: Planting) -> Must:
    place, (intent, record) = to.one_of(
        to.calls.wishes, lambda w: w[1] is not None and not isinstance(w[0], CancelIntent)
    )
    match intent:
        case OrderIntent():
            changed: Any = replace(intent, side=opposite(intent.side))
            told: tuple[str | None, str | None] = (intent.side, changed.side)
        case ModifyIntent():
            changed, told = replace(intent, purpose="planted"), (None, "planted")
        case CloseIntent():
            changed = replace(intent, purpose="planted")
            told = (intent.purpose, changed.purpose)
    to.at_call(Answers, "_carry_out", place, lambda right, self, _: right(self, changed))
    return Must(record.ts, *told)


def _wish_gone(to: Planting) -> Must:
    place, (_, record) = to.one_of(to.calls.wishes, lambda w: w[1] is not None)
    to.at_call(Answers, "_carry_out", place, lambda *_: None)
    return Must(record.ts, None, None)


def _wish_twice(to: Planting) -> Must:
    place, (_, record) = to.one_of(
        to.calls.wishes, lambda w: w[1] is not None and isinstance(w[0], OrderIntent)
    )

    def fault(right: Any, self: Any, intent: Any) -> Any:
        right(self, replace(intent, purpose="planted"))
        return right(self, intent)

    to.at_call(Answers, "_carry_out", place, fault)
    return Must(record.ts, None, "planted")


def _wish_in_the_journal(to: Planting) -> Must:
    _, record = to.one_of(to.calls.of_kind("intent"))
    to.rewrite_record(record, lambda body: body.update(because="planted"))
    return Must(record.ts, "planted", "")


# Decisions


def _refused(to: Planting) -> Must:
    place, record = to.one_of(
        to.calls.judged, lambda r: r is not None and r.body.outcome != "refused"
    )

    def refuse(decision: Any) -> Any:
        return replace(decision, quantity=decision.quantity * 0, limit="planted", line="planted")

    to.at_answer(Guard, "judge", place, refuse)
    return Must(record.ts, record.body.outcome, "refused")


def _smaller(to: Planting) -> Must:
    place, record = to.one_of(
        to.calls.judged, lambda r: r is not None and r.body.outcome != "refused"
    )
    to.at_answer(Guard, "judge", place, lambda d: replace(d, quantity=d.quantity / 2))
    return Must(record.ts, str(record.body.quantity), str(record.body.quantity / 2))


def _limit_of_the_config(to: Planting) -> Must:
    path, was = to.folder / "config.toml", "max_order_notional = 4000.0"
    text = path.read_text()
    assert text.count(was) == 1
    path.write_text(text.replace(was, "max_order_notional = 3900.0"))
    record = next(r for r in to.calls.of_kind("decision") if r.body.limit == "max_order_notional")
    return Must(record.ts, None, None)


def _decision_in_the_journal(to: Planting) -> Must:
    _, record = to.one_of(to.calls.of_kind("decision"))
    now = float(np.nextafter(record.body.equity, np.inf))
    to.rewrite_record(record, lambda body: body.update(equity=now))
    return Must(record.ts, repr(now), repr(record.body.equity))


# Orders


def _twice_as_large(to: Planting) -> Must:
    place, record = to.one_of(to.calls.planned)
    quantity = record.body.quantity
    to.at_answer(sender, "plan", place, lambda terms: replace(terms, quantity=quantity * 2))
    return Must(record.ts, str(quantity), str(quantity * 2))


def _other_purpose(to: Planting) -> Must:
    place, record = to.one_of(to.calls.planned)
    to.at_answer(sender, "plan", place, lambda terms: replace(terms, purpose="planted"))
    return Must(record.ts, record.body.purpose, "planted")


def _does_not_leave(to: Planting) -> Must:
    place, entry = to.one_of(to.calls.left)
    to.at_call(Departures, "send", place, lambda *_: None)
    return Must(entry.at, None, None)


def _command_in_the_recording(to: Planting) -> Must:
    place, entry = to.entry("command")
    column = to.random.randrange(1, len(entry.what))
    values = list(entry.what)
    values[column] = "planted"
    to.rewrite(place, entry._replace(what=tuple(values)))
    return Must(entry.at, "planted", _text(entry.what[column]))


def _order_in_the_journal(to: Planting) -> Must:
    _, record = to.one_of(to.calls.of_kind("sent"))
    to.rewrite_record(record, lambda body: body.update(purpose="planted"))
    return Must(record.ts, "planted", record.body.purpose)


KINDS: dict[str, Callable[[Planting], Must]] = {
    "data.value": _bar_value,
    "data.table": _bar_in_the_table,
    "data.gone": _bar_gone,
    "data.twice": _bar_twice,
    "features.bit": _feature_bit,
    "features.recording": _feature_in_the_recording,
    "features.gone": _feature_row_gone,
    "predictions.bit": _probability_bit,
    "predictions.recording": _prediction_in_the_recording,
    "predictions.gone": _prediction_gone,
    "intents.other": _another_wish,
    "intents.gone": _wish_gone,
    "intents.twice": _wish_twice,
    "intents.journal": _wish_in_the_journal,
    "decisions.refused": _refused,
    "decisions.smaller": _smaller,
    "decisions.limit": _limit_of_the_config,
    "decisions.journal": _decision_in_the_journal,
    "orders.larger": _twice_as_large,
    "orders.purpose": _other_purpose,
    "orders.gone": _does_not_leave,
    "orders.recording": _command_in_the_recording,
    "orders.journal": _order_in_the_journal,
}
LAYERS = tuple(dict.fromkeys(kind.partition(".")[0] for kind in KINDS))


def random_faults(number: int, seed: int) -> Iterator[Fault]:
    """Yield faults of all layers in turn, each of a random kind at a random place."""
    rng = random.Random(seed)
    for i in range(number):
        layer = LAYERS[i % len(LAYERS)]
        kinds = [kind for kind in KINDS if kind.startswith(f"{layer}.")]
        yield Fault(rng.choice(kinds), rng.randrange(2**32))
