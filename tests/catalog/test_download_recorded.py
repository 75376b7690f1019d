"""Downloads from a server that gives what the real exchanges gave."""

import asyncio
import datetime as dt
import gzip

import numpy as np
import pyarrow.parquet as pq
import pytest

from catalog.ccxt_exchange import CcxtExchange
from catalog.download_ccxt import CcxtDownload, download_ccxt
from catalog.downloads import Patience, RetrySettings, Watcher
from catalog.store import BarStore
from tests.exchange_servers import DAY_MS, MINUTE_MS, Bar, BinanceServer, running

OUTAGE_DAY = dt.datetime(2023, 3, 24, tzinfo=dt.UTC)
DAY_START_MS = int(OUTAGE_DAY.timestamp()) * 1000


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def recorded_answers(market_dir, name):
    """Return path to answer of a recording with lines ``URL -> time: JSON``."""
    answers = {}
    with gzip.open(market_dir / "ws_raw" / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("https://"):
                url, _, rest = line.partition(" -> ")
                path = "/" + url.split("/", 3)[3]
                answers[path] = rest.partition(": ")[2]
    return answers


class RecordedBinance(BinanceServer):
    """Binance with its real markets of 2021, and the real bars of one day."""

    def __init__(self, market_dir):
        super().__init__(DAY_START_MS + DAY_MS + 60_000)
        for name in ("cryptofeed_BINANCE.0.gz", "cryptofeed_BINANCE_FUTURES.0.gz"):
            self.recorded |= recorded_answers(market_dir, name)
        path = market_dir / "bars_1m" / "binance_spot_BTCUSDT_1m_2022-01_2023-12.parquet"
        columns = ["open_time", "open", "high", "low", "close", "volume"]
        start, stop = OUTAGE_DAY, OUTAGE_DAY + dt.timedelta(days=1)
        filters = [("open_time", ">=", start), ("open_time", "<", stop)]
        self.table = pq.read_table(path, columns=columns, filters=filters)
        opens = self.table["open_time"].cast("int64").to_numpy() // 1_000
        values = [self.table[name].to_pylist() for name in columns[1:]]
        self.bars = {
            int(ms): Bar(int(ms), *(f"{value:.8f}" for value in row))
            for ms, row in zip(opens, zip(*values, strict=True), strict=True)
        }

    def bar_at(self, open_ms, step):
        return self.bars.get(open_ms)


@pytest.fixture(scope="module")
def binance(market_dir):
    return RecordedBinance(market_dir)


def test_recorded_day_with_the_outage_arrives_bit_for_bit_and_the_outage_is_reported(
    binance, tmp_path
):
    store = BarStore(tmp_path / "catalog")
    with running(binance) as url:
        settings = CcxtDownload(
            exchange="binance",
            symbols=("BTC/USDT",),
            interval="1m",
            start="2023-03-24",
            end="2023-03-25",
            url=url,
            rate_limit_ms=1,
        )
        (report,) = download_ccxt(settings, store).reports
    bars = store.read(report.bar_type)
    assert len(bars) == binance.table.num_rows == 1360
    for name in ("open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(bars, name), binance.table[name].to_numpy()), name
    (gap,) = report.gaps
    first_ms = DAY_START_MS + (12 * 60 + 40) * MINUTE_MS
    assert gap.first_ns == (first_ms + MINUTE_MS) * 1_000_000
    assert gap.bars == 80


def test_every_real_market_of_binance_becomes_an_instrument(binance):
    async def instruments(url):
        patience = Patience(RetrySettings(), "binance", Watcher())
        async with CcxtExchange("binance", url, 1, patience) as exchange:
            markets = [
                market
                for market in exchange._api.markets.values()
                if market["spot"] or (market["swap"] and market["linear"])
            ]
            return [(market, exchange.instrument(market, {})) for market in markets]

    with running(binance) as url:
        found = asyncio.run(instruments(url))
    assert all(spec.venue == "BINANCE" for _, spec in found)
    assert all(spec.raw_symbol == market["id"] for market, spec in found)
    ids = {spec.id for _, spec in found}
    assert len(ids) == len(found) > 1500
    assert {"BTCUSDT.BINANCE", "BTCUSDT-PERP.BINANCE", "1000SHIBUSDT-PERP.BINANCE"} <= ids
