"""From closed bars to answers: one set of features on one instrument, for one model or several.

Where the bars of a run are known beforehand, `Predictor.foresee` computes all answers at once, and
the run looks them up; else each bar is computed when it comes. Both ways give the same bits at the
same bars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from time import perf_counter
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError, RunError
from aitb_nautilus.features.engine import FeatureEngine, Row
from aitb_nautilus.features.feature_set import FeatureSet
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import TimeArray
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.models.runtime import Answers, ModelSession

__all__ = ["Predictor", "Taken"]

SLICE: Final = 65_536
"""Bars whose rows are held at once while answers are computed beforehand."""
_CHUNK: Final = 4096
"""Answers turned into Python objects at once while they are looked up."""
_ALONE: Final = b"\x01"

type Pair = tuple[float | None, float | None]
"""Probability and expected return, as in `Answer`; plain, since it is made for every bar."""


class Taken(msgspec.Struct, frozen=True, gc=False):
    """What a bar of the own instrument led to.

    Attributes
    ----------
    ts
        Its close, ns UTC.
    answers
        One a model; None where a worker is to answer.
    row
        (n_features,) float32 for the worker; None where the answers are there.
    """

    ts: int
    answers: tuple[Pair, ...] | None
    row: Row | None


type _Known = tuple[int, bytes, tuple[Pair, ...] | None]
"""Close time, which instruments have a bar then, and the answers, if the features are warm."""


class Predictor:
    """Answer each closed bar of one instrument.

    For one thread at a time, as its engine and its sessions are.

    Parameters
    ----------
    features
        That all the models were trained on.
    instrument
        Id of the own instrument.
    sessions
        One a model. Predictors of other instruments may share them.
    answering
        Whether to ask the sessions at each bar; if not, rows are handed back for a worker, except
        where the answers were foreseen.
    seconds
        Wall seconds are added to its ``features`` and ``inference``.
    tell_row
        Told of each row that is computed at its bar: close of the bar, and the features, (n,)
        float32.
    tell_spent
        Told of the nanoseconds that ``feature`` and ``inference`` took at a bar.

    Notes
    -----
    A set that sees several instruments has a row once the bars of all of them are there. If a later
    bar comes first, the earlier time is closed with those that are there. This takes no knowledge
    of the future, so it is the same at every pace.
    """

    def __init__(
        self,
        features: FeatureSet,
        instrument: str,
        sessions: Sequence[ModelSession],
        *,
        answering: bool = True,
        seconds: dict[str, float] | None = None,
        tell_row: Callable[[int, Row], None] | None = None,
        tell_spent: Callable[[str, int], None] | None = None,
    ) -> None:
        self.instrument = instrument
        self.belated = 0
        """Own bars whose row had to wait for a bar of a later time."""
        self._engine = FeatureEngine(features, instrument)
        self.instruments = self._engine.instruments
        """Ids whose bars it needs, the own one first."""
        self._sessions = tuple(sessions)
        self._answering = answering
        self._tell_row = tell_row
        self._tell_spent = tell_spent
        self._seconds = {} if seconds is None else seconds
        for name in ("features", "inference"):
            self._seconds.setdefault(name, 0.0)
        self._alone = len(self.instruments) == 1
        self._places = {name: i for i, name in enumerate(self.instruments)}
        self._table: Iterator[_Known] | None = None
        self._ts = 0
        self._bars: dict[str, BarClosed] = {}
        self._present = bytearray(len(self.instruments))

    def take(self, bar: BarClosed) -> Taken | None:
        """Take the next closed bar of one of `instruments`.

        Returns
        -------
        Taken or None
            None if the bar completes no row of the own instrument, or the features are not warm.

        Raises
        ------
        DataError
            If the bar is not sound, or comes after its time was closed.
        RunError
            If answers were foreseen for other bars than those that come.
        ModelError
            If a model gives an impossible answer.
        """
        if self._alone:
            if self._table is not None:
                known = next(self._table, None)
                if known is not None:
                    ts, _, answers = known
                    if ts != bar.ts:
                        raise self._not_foreseen(bar.ts, _ALONE, known)
                    return None if answers is None else Taken(ts, answers, None)
                self._table = None
            start = perf_counter()
            row = self._engine.update(bar.ts, bar.open, bar.high, bar.low, bar.close, bar.volume)
            return self._answered(bar.ts, row, start)
        return self._collect(bar)

    def rehearse(self) -> None:
        """Do once more what a bar asks for, without any effect; nothing where all is foreseen."""
        if self._table is not None or not self._answering:
            return
        row = self._engine.rehearse()
        if row is not None:
            for session in self._sessions:
                session.rehearse(row)

    def foresee(self, frames: Mapping[str, BarFrame]) -> None:
        """Compute the answers to all bars of a run before it begins.

        Parameters
        ----------
        frames
            All bars that the run will bring, in order of time, by instrument id. After the last of
            them each bar is computed when it comes.

        Raises
        ------
        DataError
            If a bar is not sound.
        ModelError
            If a model gives an impossible answer.
        """
        series = {name: frames.get(name, BarFrame.empty()) for name in self.instruments}
        times = [frame.ts_close for frame in series.values()]
        line = times[0] if self._alone else np.unique(np.concatenate(times))
        present = np.stack([np.isin(line, own, assume_unique=True) for own in times], axis=1)
        warm = np.zeros(len(line), np.bool_)
        columns = [_columns_of(session, len(line)) for session in self._sessions]
        for first in range(0, len(line), SLICE):
            part = line[first : first + SLICE]
            start = perf_counter()
            rows = self._engine.batch(
                {name: f.between(int(part[0]), int(part[-1])) for name, f in series.items()}
            )
            places = first + np.flatnonzero(present[first : first + SLICE, 0])[rows.valid]
            values = rows.values[rows.valid]
            warm[places] = True
            done = perf_counter()
            for session, model in zip(self._sessions, columns, strict=True):
                for column, found in zip(model, session.rows_exact(values), strict=True):
                    if column is not None and found is not None:
                        column[places] = found
            self._seconds["features"] += done - start
            self._seconds["inference"] += perf_counter() - done
        self._table = chain.from_iterable(_chunks(line, present, warm, columns))

    def _collect(self, bar: BarClosed) -> Taken | None:
        """Put a bar beside those of the other instruments; return what a time closed by it gave."""
        taken, name = None, bar.instrument_id
        if bar.ts > self._ts:
            if self._bars:
                self.belated += self.instrument in self._bars
                taken = self._close()
            self._ts = bar.ts
        elif bar.ts < self._ts or not self._bars or name in self._bars:
            raise DataError(
                f"bar {np.datetime64(bar.ts, 'ns')}Z of {name}",
                "came after the features of its time were computed",
                f"must come once, and before any bar later than {np.datetime64(self._ts, 'ns')}Z",
                "Look for delayed or doubled bars in the feed",
            )
        self._bars[name] = bar
        self._present[self._places[name]] = 1
        # At least two instruments: a time that this bar has opened is not complete yet.
        return self._close() if len(self._bars) == len(self.instruments) else taken

    def _close(self) -> Taken | None:
        """Let the bars of a time become a row."""
        ts, bars, present = next(iter(self._bars.values())).ts, self._bars, bytes(self._present)
        self._bars, self._present = {}, bytearray(len(self.instruments))
        if self._table is not None:
            known = next(self._table, None)
            if known is not None:
                if known[:2] != (ts, present):
                    raise self._not_foreseen(ts, present, known)
                return None if known[2] is None else Taken(ts, known[2], None)
            self._table = None
        start = perf_counter()
        row = self._engine.update_all(
            ts, {name: (b.open, b.high, b.low, b.close, b.volume) for name, b in bars.items()}
        )
        return self._answered(ts, row, start)

    def _answered(self, ts: int, row: Row | None, start: float) -> Taken | None:
        """Return what a row led to, and note the seconds since the computing of it began."""
        seconds, done = self._seconds, perf_counter()
        seconds["features"] += done - start
        if row is None:
            return None
        if self._tell_spent is not None:
            self._tell_spent("feature", round((done - start) * 1e9))
        if self._tell_row is not None:
            self._tell_row(ts, row)
        if not self._answering:
            return Taken(ts, None, row)
        asked = perf_counter()
        answers = tuple([session.predict_row(row) for session in self._sessions])
        spent = perf_counter() - asked
        seconds["inference"] += spent
        if self._tell_spent is not None:
            self._tell_spent("inference", round(spent * 1e9))
        return Taken(ts, answers, None)

    def _not_foreseen(self, ts: int, present: bytes, known: _Known) -> RunError:
        return RunError(
            f"predictions for {self.instrument}",
            f"the run brought {self._spell(ts, present)}",
            f"was said to bring {self._spell(*known[:2])} there",
            "The bars changed after the run was prepared: start it again",
        )

    def _spell(self, ts: int, present: bytes) -> str:
        names = [name for name, there in zip(self.instruments, present, strict=True) if there]
        return f"a bar of {' and '.join(names)} at {np.datetime64(ts, 'ns')}Z"


def _columns_of(session: ModelSession, count: int) -> Answers:
    """Return room for the answers to so many rows, and None for what the model does not give."""
    none = session.rows_exact(np.empty((0, session.columns), np.float32))
    return Answers(*(None if column is None else np.zeros(count, np.float32) for column in none))


def _chunks(
    line: TimeArray,
    present: NDArray[np.bool_],
    warm: NDArray[np.bool_],
    columns: Sequence[Answers],
) -> Iterator[Iterator[_Known]]:
    """Yield a table as Python objects, a chunk at a time to save memory.

    Parameters
    ----------
    line
        (n,) int64, ns UTC.
    present
        (n, instruments) bool.
    warm
        (n,) bool: where there are answers.
    columns
        Of each model, (n,) float32.
    """
    width = present.shape[1]
    for first in range(0, len(line), _CHUNK):
        part = slice(first, first + _CHUNK)
        models = [
            zip(*(repeat(None) if c is None else c[part].tolist() for c in model), strict=False)
            for model in columns
        ]
        rows: list[tuple[Pair, ...] | None] = list(zip(*models, strict=True))
        for i in np.flatnonzero(~warm[part]):
            rows[i] = None
        spans: Iterable[bytes] = repeat(_ALONE, len(rows))
        if width > 1:
            there = present[part].tobytes()
            spans = [there[i : i + width] for i in range(0, len(there), width)]
        yield zip(line[part].tolist(), spans, rows, strict=True)
