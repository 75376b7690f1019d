"""In which order a run heard what its tables hold by time: as its recording says.

Bars of one close are told as they come, and some come a page of history late. Tables are sorted;
who takes decisions again must hear bars and predictions in the order in which they were heard.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_file import INPUTS_NAME, read_entries
from aitb_nautilus.risk.tape_recorder import GAP

__all__ = ["bar_key", "in_arrival_order", "prediction_key"]

type Key = tuple[Any, ...]


def bar_key(entry: Entry) -> Key | None:
    """Return instrument and close of a bar in a recording; None: the entry is none."""
    return entry.what[:2] if entry.kind in ("past", "bar") else None


def prediction_key(entry: Entry) -> Key | None:
    """Return model, instrument and bar of a prediction in a recording; None: it is none."""
    if entry.kind != "prediction":
        return None
    instrument_id, model, _, _, _, _, _, _, ts_event, *_ = entry.what
    return model, instrument_id, ts_event


def in_arrival_order[T](
    facts: Iterable[T],
    key: Callable[[T], Key],
    folder: Path,
    recorded_key: Callable[[Entry], Key | None],
) -> Iterator[T]:
    """Yield facts in the order in which a recording has them.

    What the recording has not comes after that, as it stands; without a recording, everything does.

    Parameters
    ----------
    facts
        In another order.
    key
        By what a fact is known.
    folder
        Of the run.
    recorded_key
        The same of an entry; None: it is no such fact.

    Raises
    ------
    DataError
        If the recording is damaged.
    """
    rest = iter(facts)
    if not (folder / INPUTS_NAME).exists():
        yield from rest
        return
    ahead: dict[Key, deque[T]] = defaultdict(deque)
    for entry in read_entries(folder / INPUTS_NAME):
        if entry.kind == GAP:
            break
        wanted = recorded_key(entry)
        if wanted is None:
            continue
        while not ahead.get(wanted):
            fact = next(rest, None)
            if fact is None:
                break
            ahead[key(fact)].append(fact)
        else:
            yield ahead[wanted].popleft()
            if not ahead[wanted]:
                del ahead[wanted]
    for left in ahead.values():
        yield from left
    yield from rest
