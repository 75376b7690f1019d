"""The quotes of one instrument, as a back-test asks for them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from nautilus_trader.model import QuoteTick
from nautilus_trader.persistence import ParquetDataCatalog

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.times import iso
from catalog.quotes import list_quotes, read_quotes

__all__ = ["QuoteSource", "QuoteSpan"]


class QuoteSpan(msgspec.Struct, frozen=True):
    """What there is of an instrument's quotes in a range of time; times are ns UTC.

    Attributes
    ----------
    silent_ns
        The longest time without a quote.
    sha256
        Of the quotes alone, however they lie in files.
    """

    rows: int
    first_ns: int
    last_ns: int
    silent_ns: int
    sha256: str
    sources: tuple[str, ...]
    simulated: bool


class QuoteSource:
    """The quotes of one instrument in a catalog.

    Parameters
    ----------
    catalog
        The folder.
    instrument_id
        Of the instrument.
    precisions
        Decimals of its prices and sizes.

    Raises
    ------
    DataError
        If there are none, or they have other decimals.
    """

    def __init__(self, catalog: Path, instrument_id: str, precisions: tuple[int, int]) -> None:
        self._catalog = catalog
        self._id = instrument_id
        known = {series.instrument_id: series for series in list_quotes(catalog)}
        if instrument_id not in known:
            raise DataError(
                f"catalog {catalog}",
                f"has no quotes of {instrument_id}",
                f"it has those of {', '.join(known)}" if known else "it has none at all",
                f"Import them: aitb data import FILES --kind quotes --instrument {instrument_id} "
                f"--catalog {catalog}",
            )
        self._series = known[instrument_id]
        stored = self._series.price_precision, self._series.size_precision
        if stored != precisions:
            raise DataError(
                f"catalog {catalog}: quotes of {instrument_id}",
                f"were imported with {stored[0]} decimals of price and {stored[1]} of quantity",
                f"must have {precisions[0]} and {precisions[1]}, as the instrument has",
                "Import the files again into a new catalog, or mend the [[instruments]] block",
            )

    def span(self, start_ns: int, end_ns: int) -> QuoteSpan:
        """Return what there is from `start_ns` to `end_ns`, both included.

        Raises
        ------
        DataError
            If nothing is.
        """
        quotes = read_quotes(self._catalog, self._id, start_ns, end_ns)
        if not len(quotes):
            raise DataError(
                f"catalog {self._catalog}: quotes of {self._id}",
                f"has none from {iso(start_ns)} to {iso(end_ns)}",
                f"it has them from {iso(self._series.first_ns)} to {iso(self._series.last_ns)}",
                "Import the quotes of that time, or set backtest.start and backtest.end to theirs",
            )
        return QuoteSpan(
            rows=len(quotes),
            first_ns=int(quotes.ts[0]),
            last_ns=int(quotes.ts[-1]),
            silent_ns=int(np.diff(quotes.ts, prepend=start_ns, append=end_ns).max()),
            sha256=quotes.sha256(self._id),
            sources=tuple(s.name for s in self._series.sources if s.touches(start_ns, end_ns)),
            simulated=self._series.simulated,
        )

    def ticks(self, start_ns: int, end_ns: int) -> list[QuoteTick]:
        """Return the engine's own objects from `start_ns` to `end_ns`, both included."""
        found: list[QuoteTick] = ParquetDataCatalog(str(self._catalog)).query_quote_ticks(
            [self._id], start=start_ns, end=end_ns
        )
        return found
