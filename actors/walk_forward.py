"""The out-of-sample stream of a walk-forward, published bar by bar.

So a whole schedule of retrainings is traded in one run: every answer comes from the model that
would have been there at the time. The file is checked when it is read (see
`aitb_nautilus.models.stream`); that its rows lie after what their models saw is part of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.messages import BarClosed, Prediction
from aitb_nautilus.models.stream import PredictionStream, StreamRows, read_stream
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.settings import Settings, nearest

__all__ = ["WalkForwardActor", "WalkForwardSettings"]


class WalkForwardSettings(Settings, frozen=True):
    """Settings of `WalkForwardActor`.

    Attributes
    ----------
    path
        The Parquet file that ``aitb train CONFIG --walk-forward`` wrote.
    instruments
        Instrument ids; absent: all of the stream.
    valid_bars
        An answer expires when so many more bars have closed.
    """

    path: str
    instruments: tuple[str, ...] = ()
    valid_bars: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if len(set(self.instruments)) != len(self.instruments):
            raise ValueError("instruments names one of them twice")


class WalkForwardActor(GuardedActor):
    """Publish what a walk-forward's models answered, each answer at its bar.

    Only times and instruments are compared with the run: that its bars are those that the stream
    was made on, from the same source and at the same prices, is for the config to see to. A row
    whose bar does not come is left out, and a bar without a row says nothing.
    """

    settings_type = WalkForwardSettings
    settings: WalkForwardSettings

    def __init__(self, settings: WalkForwardSettings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        stream = read_stream(Path(settings.path))
        about = stream.about
        instruments = settings.instruments or about.instruments
        for instrument_id in instruments:
            self._refuse_unknown(instrument_id, stream)
        self.source = PredictionSource(
            model=about.id,
            version="walk-forward",
            sha256=stream.sha256,
            instruments=instruments,
            interval=about.interval,
            label=about.label,
            longest_gap_bars=about.longest_gap_bars,
            simulated=about.simulated,
            trials=about.trials,
            algorithm=about.algorithm,
            features=about.features,
        )
        context.add_source(self.source)
        self._interval = Interval.parse(about.interval)
        self._valid_ns = settings.valid_bars * self._interval.ns
        versions = [window.model_version for window in about.windows]
        self._rows = {i: _Rows(stream.rows[i], versions) for i in instruments}

    def bar_types(self) -> Sequence[str]:
        """Listen to the bars that the stream answers."""
        return [self._interval.bar_type(instrument_id) for instrument_id in self._rows]

    def hear_bar(self, bar: BarClosed) -> None:
        """Publish the row of the bar's time, if there is one."""
        rows = self._rows[bar.instrument_id]
        row = rows.find(bar.ts)
        if row is None:
            return
        probability = rows.probability[row]
        self.publish_prediction(
            Prediction(
                instrument_id=bar.instrument_id,
                model=self.source.model,
                version=rows.version[row],
                score=2.0 * probability - 1.0,
                probability=probability,
                expected_return=None if rows.expected is None else rows.expected[row],
                confidence=None,
                horizon_ns=self.source.label.horizon_ns,
                ts_event=bar.ts,
                ts_features=bar.ts,
                ts_inference=self.now(),
                expires_ns=bar.ts + self._valid_ns,
            )
        )

    def _refuse_unknown(self, instrument_id: str, stream: PredictionStream) -> None:
        if instrument_id not in stream.rows:
            close = nearest(instrument_id, list(stream.rows))
            raise ConfigError(
                f"{self.component_id}: instruments: {instrument_id}",
                f"is not in {self.settings.path}",
                f"did you mean {close}?" if close else f"that holds {', '.join(stream.rows)}",
            )


class _Rows:
    """One instrument's rows as plain lists, and how far the run has come in them."""

    __slots__ = ("_next", "expected", "probability", "ts", "version")

    def __init__(self, rows: StreamRows, versions: Sequence[str]) -> None:
        self.ts: list[int] = rows.ts.tolist()
        self.probability: list[float] = rows.probability.tolist()
        expected = rows.expected_return
        self.expected: list[float] | None = None if expected is None else expected.tolist()
        self.version = [versions[place] for place in rows.window.tolist()]
        self._next = 0

    def find(self, ts: int) -> int | None:
        """Return the row of a time, or None; times must not go back."""
        while self._next < len(self.ts) and self.ts[self._next] < ts:
            self._next += 1
        found = self._next < len(self.ts) and self.ts[self._next] == ts
        return self._next if found else None
