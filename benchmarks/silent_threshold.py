"""`strategies.threshold` without a model: the same orders at the same bars, from a list.

What predictions cost in a back-test is measured against this strategy. It hears the same bars and
has the same sizing, filters, exits and levels; only what the model said was written down before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from aitb_nautilus.messages import BarClosed, Intent, Prediction
from aitb_nautilus.risk.context import Context
from strategies.threshold import Threshold, ThresholdSettings


class SilentThresholdSettings(ThresholdSettings, frozen=True, kw_only=True):
    """Settings of `SilentThreshold`; `said` is the ``predictions.parquet`` of another run."""

    said: str


class SilentThreshold(Threshold):
    """Decide at each bar on what the list has for it."""

    settings_type = SilentThresholdSettings

    def __init__(
        self, settings: SilentThresholdSettings, context: Context, component_id: str
    ) -> None:
        super().__init__(settings, context, component_id)
        self._said = iter(list(_read(settings)))
        self._next = next(self._said, None)

    def predictions(self) -> Sequence[tuple[str, str]]:
        """Listen to nobody."""
        return ()

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        """Decide on the bar, and then on what was said of it."""
        intents = super().decide_on_bar(bar)
        said = self._next
        if said is None or said.ts_event != bar.ts:
            return intents
        self._next = next(self._said, None)
        if intents:
            self.act(intents)
        return self.decide_on_prediction(said)


def _read(settings: SilentThresholdSettings) -> Iterator[Prediction]:
    """Yield the rows of a table of one instrument as they were said."""
    table = pq.read_table(settings.said, columns=["ts", "probability", "expires"])
    (instrument_id,) = settings.instruments
    times = (table[name].cast(pa.int64()).to_pylist() for name in ("ts", "expires"))
    for ts, expires_ns, p in zip(*times, table["probability"].to_pylist(), strict=True):
        yield Prediction(instrument_id, "", "", 2 * p - 1, p, None, None, 0, ts, ts, ts, expires_ns)
