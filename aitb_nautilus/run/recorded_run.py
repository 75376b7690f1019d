"""What the guard of a finished run knew, read back from its folder.

Bars come from ``bars.parquet`` where it has every one of them, as in paper and live; of a long
back-test it holds joined ones, and the bars are read from the catalog once more, if their hash is
still that of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame, Interval
from aitb_nautilus.market.instruments import known_instruments, venue_name
from aitb_nautilus.market.times import parse_time
from aitb_nautilus.messages import BarClosed, FundingRate, Prediction
from aitb_nautilus.observe.run_folder import Run, floats, texts, times
from aitb_nautilus.observe.run_record import DataRecord
from aitb_nautilus.observe.run_tables import MAX_BAR_ROWS
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.limits import Limit, RiskSettings, build_limits, without_quotes
from aitb_nautilus.run.arrival import bar_key, in_arrival_order, prediction_key
from aitb_nautilus.run.config import DeskConfig
from aitb_nautilus.run.load import read_toml, resolve
from aitb_nautilus.run.lots import lot_rules
from aitb_nautilus.settings import decode

__all__ = ["RecordedRun"]


class RecordedRun:
    """A run folder, opened to take its decisions again.

    Parameters
    ----------
    path
        The folder.
    may_run
        Whether the run may be going on, or have been killed.

    Attributes
    ----------
    run
        The folder's tables and run.json.
    config
        Of the desk, without its components.
    specs
        What was traded.
    lots
        Rounding rules by instrument id.

    Raises
    ------
    DataError, ConfigError
        If the folder cannot be read, or does not say which instruments it traded.
    """

    def __init__(self, path: Path, *, may_run: bool = False) -> None:
        self.run = Run(path, may_run=may_run)
        file = self.run.path / "config.toml"
        self.config = decode(read_toml(file), DeskConfig, str(file))
        folder = Path(self.config.catalog.path)
        learnt = resolve("catalog.instruments:catalog_instruments", "catalog")(folder)
        specs = known_instruments([*learnt, *self.config.instruments])
        for instrument_id in self.run.record.instruments:
            if instrument_id not in specs:
                raise DataError(
                    str(self.run.path),
                    f"traded {instrument_id}, whose lots are not known any more",
                    f"must stand in its config, or in the catalog {folder}",
                )
        self.specs = [specs[i] for i in self.run.record.instruments]
        self.lots: dict[str, LotRules] = lot_rules(specs.values(), self.config.venues)
        on_bars = self.config.backtest.fills == "bars"
        self._has_no_quotes = self.run.record.mode == "backtest" and on_bars

    def bars(self) -> Iterator[BarClosed]:
        """Yield all bars that the run heard, in that order, those of its past among them.

        The order is that of its recording; without one, as `bars_by_time`.

        Raises
        ------
        DataError
            If neither the folder nor the catalog has all of them.
        """
        by_time = self.bars_by_time()
        yield from in_arrival_order(
            by_time, lambda bar: (bar.instrument_id, bar.ts), self.run.path, bar_key
        )

    def bars_by_time(self) -> Iterator[BarClosed]:
        """Yield the same bars by their closes, the past first; of one close as the series stand.

        Raises
        ------
        DataError
            As `bars`.
        """
        yield from self._rows("past", self.run.past)
        record = self.run.record
        joined = record.mode == "backtest" and (
            any(data.rows > MAX_BAR_ROWS for data in self._traded)
            or not (self.run.path / "bars.parquet").exists()
        )
        yield from self._from_catalog() if joined else self._rows("bars", self.run.bars)

    def rates(self) -> list[FundingRate]:
        """Return the funding rates at which the run held something, in the order of settlement."""
        table = self.run.funding
        columns = texts(table, "instrument_id"), floats(table, "rate"), times(table, "ts")
        # Each strategy that held the instrument has a row of its own.
        known = {(i, t): r for i, r, t in zip(*(list(c) for c in columns), strict=True)}
        return [
            FundingRate(i, float(rate), int(t))
            for (i, t), rate in sorted(known.items(), key=lambda item: item[0][1])
        ]

    def predictions(self, listens: Mapping[str, Sequence[tuple[str, str]]]) -> list[Prediction]:
        """Return the predictions that strategies listened to, in the order in which they came.

        Parameters
        ----------
        listens
            Models, each with an instrument id, by strategy.
        """
        wanted = {source for sources in listens.values() for source in sources}
        if not wanted:
            return []
        table = self.run.predictions
        names = ("model", "instrument_id", "version")
        columns = [texts(table, name) for name in names]
        columns += [times(table, name).tolist() for name in ("ts", "ts_inference", "expires")]
        columns += [floats(table, name).tolist() for name in ("score", "probability")]
        told = [
            Prediction(id_, model, version, score, up, None, None, 0, event, event, there, expires)
            for model, id_, version, event, there, expires, score, up in zip(*columns, strict=True)
            if (model, id_) in wanted
        ]
        place = {id_: i for i, id_ in enumerate(self.run.record.instruments)}
        told.sort(
            key=lambda p: (max(p.ts_event, p.ts_inference), place.get(p.instrument_id, 0), p.model)
        )
        return list(
            in_arrival_order(
                told,
                lambda p: (p.model, p.instrument_id, p.ts_event),
                self.run.path,
                prediction_key,
            )
        )

    def askable(self, settings: RiskSettings) -> list[Limit]:
        """Return the limits of a ``[risk]`` section that can be asked with what the run knew."""
        limits = build_limits(settings)
        return without_quotes(limits)[0] if self._has_no_quotes else limits

    def not_askable(self, settings: RiskSettings) -> list[str]:
        """Return the keys of those that cannot, since they need quotes."""
        return without_quotes(build_limits(settings))[1] if self._has_no_quotes else []

    def close_cost(self, instrument_id: str) -> tuple[float, float]:
        """Return slippage and fee of an order at the market, as fractions of the price."""
        name = venue_name(instrument_id)
        venue = next(v for v in self.config.venues if v.name == name)
        return venue.slippage_bps / 1e4, venue.taker_fee_bps / 1e4

    @property
    def _traded(self) -> list[DataRecord]:
        """Return the series that were traded, in the order in which bars of one time are told."""
        record = self.run.record
        return [data for data in record.data if data.bar_type in record.bar_types]

    def _rows(self, name: str, table: pa.Table) -> Iterator[BarClosed]:
        if table.column("volume").null_count:
            raise DataError(
                str(self.run.path / f"{name}.parquet"),
                "has no volumes",
                "must have them, or limits of liquidity cannot be asked again",
                "Run it again to make a new folder",
            )
        columns = [floats(table, column).tolist() for column in VALUE_COLUMNS]
        ids, ts = texts(table, "instrument_id"), times(table, "ts").tolist()
        for id_, at, *values in zip(ids, ts, *columns, strict=True):
            yield BarClosed(id_, at, *values)

    def _from_catalog(self) -> Iterator[BarClosed]:
        record, folder = self.run.record, Path(self.config.catalog.path)
        source = resolve("catalog.store:BarStore", "catalog")(folder)
        sha256 = resolve("catalog.store:bars_sha256", "catalog")
        frames: list[tuple[str, BarFrame]] = []
        for data in self._traded:
            first, last = parse_time(data.first), parse_time(data.last)
            frame = source.read(data.bar_type, first, last)
            if sha256(data.bar_type, frame) != data.sha256:
                raise DataError(
                    f"catalog {folder}: {data.bar_type}",
                    "has other bars than the run read",
                    f"must have those of {data.first} to {data.last} with sha256 "
                    f"{data.sha256[:12]}",
                    "Run it again on the bars of today",
                )
            frames.append((Interval.instrument_of_bar_type(data.bar_type), frame))
        closes = np.concatenate([frame.ts_close for _, frame in frames])
        # Bars of one time come in the order of the series.
        order = np.argsort(closes, kind="stable")[: record.bars]
        owner = np.repeat(np.arange(len(frames)), [len(frame) for _, frame in frames])
        columns = [
            np.concatenate([getattr(frame, name) for _, frame in frames])[order].tolist()
            for name in VALUE_COLUMNS
        ]
        ids = [id_ for id_, _ in frames]
        stamps = closes[order].tolist()
        for who, at, *values in zip(owner[order].tolist(), stamps, *columns, strict=True):
            yield BarClosed(ids[who], at, *values)
