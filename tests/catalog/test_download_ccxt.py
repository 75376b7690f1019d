import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.market.instruments import InstrumentSettings
from catalog.download_ccxt import CcxtDownload, download_ccxt
from catalog.downloads import RetrySettings, Watcher
from catalog.instruments import catalog_instruments
from catalog.places import Gap
from catalog.store import BarStore
from tests.exchange_servers import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    BinanceServer,
    Fault,
    KrakenServer,
    bar,
    running,
)

START_MS = 1_704_067_200_000  # 2024-01-01
BTC_1M = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"
KLINES = "/api/v3/klines"
QUICK = RetrySettings(first_wait_s=0.02, timeout_s=5)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def store(tmp_path):
    return BarStore(tmp_path / "catalog")


@pytest.fixture
def binance():
    """A Binance at 2024-01-02 06:00:30: the bar of 06:00 is still open."""
    return BinanceServer(START_MS + DAY_MS + 6 * HOUR_MS + 30_000)


def ask(url, **changes):
    settings = {
        "exchange": "binance",
        "symbols": ("BTC/USDT",),
        "interval": "1m",
        "start": "2024-01-01",
        "url": url,
        "retry": QUICK,
        "rate_limit_ms": 1,
    }
    return CcxtDownload(**(settings | changes))


class Listener(Watcher):
    def __init__(self):
        self.notices, self.steps = [], []

    def progress(self, name, fraction, bars):
        self.steps.append((name, fraction, bars))

    def notice(self, text):
        self.notices.append(text)


def test_bars_arrive_exactly_with_their_close_time_and_without_the_open_bar(store, binance):
    with running(binance) as url:
        result = download_ccxt(ask(url), store)
    bars = store.read(BTC_1M)
    opens_ms = range(START_MS, START_MS + DAY_MS + 6 * HOUR_MS, MINUTE_MS)
    assert bars.ts_close.tolist() == [(ms + MINUTE_MS) * 1_000_000 for ms in opens_ms]
    for name in ("open", "high", "low", "close", "volume"):
        assert getattr(bars, name).tolist() == [float(getattr(bar(ms), name)) for ms in opens_ms]
    (report,) = result.reports
    assert report.bars_added == report.bars_held == len(opens_ms)
    assert report.gaps == ()
    assert [q["limit"] for q in binance.asked(KLINES)] == ["1000", "1000"]
    series = store.series(BTC_1M)
    assert not series.simulated
    assert series.sources[0].name == f"ccxt binance at {url} BTC/USDT"


def test_bar_that_closed_a_second_ago_is_left_for_later_because_it_may_still_change(store, binance):
    binance.now_ms = START_MS + HOUR_MS + 1_000
    with running(binance) as url:
        download_ccxt(ask(url), store)
        assert len(store.read(BTC_1M)) == 59
        binance.now_ms += 5_000
        download_ccxt(ask(url), store)
    assert len(store.read(BTC_1M)) == 60


def test_second_download_asks_only_for_what_is_new(store, binance):
    with running(binance) as url:
        download_ccxt(ask(url, end="2024-01-01T20:00"), store)
        before = len(binance.asked(KLINES))
        result = download_ccxt(ask(url, end="2024-01-01T22:00"), store)
        assert len(binance.asked(KLINES)) == before + 1
        assert binance.asked(KLINES)[-1]["startTime"] == str(START_MS + 20 * HOUR_MS)
        assert result.reports[0].bars_added == 120
        again = download_ccxt(ask(url, end="2024-01-01T22:00"), store)
        assert len(binance.asked(KLINES)) == before + 1
    assert again.reports[0].bars_added == 0
    assert again.reports[0].bars_held == 22 * 60


def test_earlier_start_fills_the_front_and_leaves_the_rest(store, binance):
    with running(binance) as url:
        download_ccxt(ask(url, start="2024-01-01T12:00", end="2024-01-01T13:00"), store)
        result = download_ccxt(ask(url, start="2024-01-01T11:00", end="2024-01-01T14:00"), store)
    assert result.reports[0].bars_added == 120
    assert len(store.read(BTC_1M)) == 180


def test_gap_of_the_exchange_is_reported_remembered_and_asked_again_on_wish(store, binance):
    outage = range(START_MS + 500 * MINUTE_MS, START_MS + 580 * MINUTE_MS, MINUTE_MS)
    binance.missing = set(outage)
    first_ns, last_ns = ((ms + MINUTE_MS) * 1_000_000 for ms in (outage[0], outage[-1]))
    # Only gaps older than a day are final.
    binance.now_ms = START_MS + 3 * DAY_MS
    period = {"end": "2024-01-01T12:00"}
    with running(binance) as url:
        result = download_ccxt(ask(url, **period), store)
        assert result.reports[0].gaps == (Gap(first_ns, last_ns, 80),)
        asked = len(binance.asked(KLINES))
        again = download_ccxt(ask(url, **period), store)
        assert again.reports[0].gaps == (Gap(first_ns, last_ns, 80),)
        assert len(binance.asked(KLINES)) == asked

        binance.missing = set()
        filled = download_ccxt(ask(url, **period, ask_gaps_again=True), store)
    assert filled.reports[0].bars_added == 80
    assert filled.reports[0].gaps == ()
    assert len(store.read(BTC_1M)) == 720


def test_young_gap_is_not_remembered_since_late_bars_may_come(store, binance):
    binance.missing = {START_MS + DAY_MS + 10 * MINUTE_MS}
    period = {"start": "2024-01-02", "end": "2024-01-02T01:00"}
    with running(binance) as url:
        assert download_ccxt(ask(url, **period), store).reports[0].bars_missing == 1
        binance.missing = set()
        assert download_ccxt(ask(url, **period), store).reports[0].bars_missing == 0


def test_several_symbols_spot_and_perpetual_at_once(store, binance):
    symbols = ("BTC/USDT", "ETH/USDT", "ETH/USDT:USDT")
    with running(binance) as url:
        result = download_ccxt(ask(url, symbols=symbols, end="2024-01-01T06:00"), store)
    assert [r.name for r in result.reports] == list(symbols)
    ids = ["BTCUSDT.BINANCE", "ETHUSDT.BINANCE", "ETHUSDT-PERP.BINANCE"]
    assert [r.instrument_id for r in result.reports] == ids
    assert sorted(s.instrument_id for s in store.list()) == sorted(ids)
    assert all(s.rows == 360 for s in store.list())


def test_one_symbol_under_two_names_is_downloaded_once(store, binance):
    with running(binance) as url:
        result = download_ccxt(
            ask(url, symbols=("BTC/USDT", "BTCUSDT"), end="2024-01-01T01:00"), store
        )
    assert len(result.reports) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=500), "HTTP 500"),
        (Fault(status=503), "HTTP 503"),
        (Fault(status=429), "HTTP 429"),
        (Fault(status=418), "HTTP 418"),
        (Fault(cut_body=True), "cut off"),
        (Fault(cut_connection=True), "connection broke"),
    ],
)
def test_passing_fault_is_asked_again_and_told(store, binance, fault, words):
    binance.faults.extend([fault, fault])
    listener = Listener()
    with running(binance) as url:
        result = download_ccxt(ask(url, end="2024-01-01T01:00"), store, watcher=listener)
    assert result.retries == 2
    assert result.reports[0].bars_added == 60
    assert all(words in text for text in listener.notices)
    assert [t.rpartition(" waiting ")[2] for t in listener.notices] == ["0.02 s", "0.04 s"]


def test_answer_that_takes_too_long_is_asked_for_again(store, binance):
    binance.faults.append(Fault(delay_s=1.5))
    listener = Listener()
    retry = RetrySettings(first_wait_s=0.02, timeout_s=1)
    with running(binance) as url:
        download_ccxt(ask(url, end="2024-01-01T01:00", retry=retry), store, watcher=listener)
    assert "binance: BTC/USDT 1m: no answer in 1 s; waiting 0.02 s" in listener.notices
    assert len(store.read(BTC_1M)) == 60


def test_retry_after_is_obeyed_by_every_symbol(store, binance):
    binance.faults.append(Fault(status=429, headers={"Retry-After": "1"}))
    with running(binance) as url:
        download_ccxt(
            ask(url, symbols=("BTC/USDT", "ETH/USDT"), end="2024-01-01T20:00", start="2024-01-01"),
            store,
        )
    times = [moment for moment, path, _ in binance.requests if path == KLINES]
    # The second symbol's first page was on its way; after that nobody asks for a second.
    assert max(np.diff(times)) > 0.9
    assert [s.rows for s in store.list()] == [1200, 1200]


def test_server_that_asks_to_wait_for_an_hour_is_given_up_with_a_paragraph(store, binance):
    binance.faults.append(Fault(status=418, headers={"Retry-After": "3600"}))
    with running(binance) as url, pytest.raises(DataError) as e:
        download_ccxt(ask(url), store)
    assert e.value.exit_code == 4
    assert "HTTP 418; the server asks to wait 3,600 s" in str(e.value)
    assert "Run the same command again later" in str(e.value)


def test_server_that_never_recovers_is_given_up_and_what_came_is_kept(store, binance):
    binance.faults.extend([Fault(), *[Fault(status=500)] * 3])
    retry = RetrySettings(attempts=3, first_wait_s=0.01)
    with running(binance) as url:
        with pytest.raises(DataError, match="no usable answer in 3 attempts"):
            download_ccxt(ask(url, retry=retry), store)
        assert len(store.read(BTC_1M)) == 1000
        download_ccxt(ask(url, retry=retry), store)
    assert len(store.read(BTC_1M)) == 30 * 60


def test_refusal_is_not_asked_again_and_names_the_reason(store, binance):
    binance.faults.append(Fault(status=451))
    with running(binance) as url, pytest.raises(DataError) as e:
        download_ccxt(ask(url), store)
    assert "refused" in str(e.value)
    assert "451" in str(e.value)
    assert "do not serve every country" in str(e.value)
    assert len(binance.asked(KLINES)) == 1


def test_one_symbol_refused_does_not_stop_the_other(store, binance):
    # The first page of the first symbol is refused, everything else is well.
    binance.faults.append(Fault(status=403))
    with running(binance) as url, pytest.raises(DataError, match="refused"):
        download_ccxt(ask(url, symbols=("BTC/USDT", "ETH/USDT"), end="2024-01-01T10:00"), store)
    assert [s.rows for s in store.list()] == [600]


def test_duplicated_and_overlapping_pages_give_each_bar_once(store, binance):
    def overlapping(rows):
        return rows[:400] + rows[300:700] + rows[500:]

    binance.faults.extend([Fault(change=overlapping), Fault(change=overlapping)])
    with running(binance) as url:
        result = download_ccxt(ask(url, end="2024-01-01T20:00"), store)
    assert result.reports[0].gaps == ()
    assert len(store.read(BTC_1M)) == 1200


def test_bars_out_of_order_are_put_into_order(store, binance):
    binance.faults.append(Fault(change=lambda rows: rows[::-1]))
    with running(binance) as url:
        download_ccxt(ask(url, end="2024-01-01T10:00"), store)
    assert len(store.read(BTC_1M)) == 600


def test_two_different_bars_of_one_time_are_an_error(store, binance):
    def contradict(rows):
        other = list(rows[5])
        other[4] = "40001.01"
        return [*rows, other]

    binance.faults.append(Fault(change=contradict))
    with running(binance) as url, pytest.raises(DataError, match="two different bars"):
        download_ccxt(ask(url, end="2024-01-01T10:00"), store)
    assert store.list() == []


def test_bar_with_a_hole_is_an_error(store, binance):
    def punch(rows):
        rows[3][5] = None
        return rows

    binance.faults.append(Fault(change=punch))
    with running(binance) as url, pytest.raises(DataError, match="must have time, open"):
        download_ccxt(ask(url, end="2024-01-01T10:00"), store)
    assert store.list() == []


def test_empty_page_is_asked_for_twice_before_it_is_believed(store, binance):
    binance.faults.append(Fault(change=lambda rows: []))
    with running(binance) as url:
        result = download_ccxt(ask(url, end="2024-01-01T10:00"), store)
    assert result.reports[0].gaps == ()
    assert len(store.read(BTC_1M)) == 600


@pytest.mark.parametrize("window", [False, True])
def test_years_before_the_listing_cost_a_handful_of_requests(store, window):
    listed = START_MS - 3 * DAY_MS + 7 * HOUR_MS
    binance = BinanceServer(START_MS + 30_000, listed_ms=listed, window=window)
    with running(binance) as url:
        result = download_ccxt(ask(url, start="2019-01-01"), store)
    bars = store.read(BTC_1M)
    assert bars.ts_close[0] == (listed + MINUTE_MS) * 1_000_000
    assert len(bars) == 65 * 60
    assert len(binance.asked(KLINES)) <= 18
    (report,) = result.reports
    assert len(report.gaps) == 1
    assert "before 2023-12-29T07:00:00Z" in report.notes[0]


def test_unknown_instrument_is_learnt_from_the_exchange_with_the_decimals_of_its_bars(
    store, binance
):
    with running(binance) as url:
        result = download_ccxt(
            ask(url, symbols=("FOO/USDT",), end="2024-01-01T01:00", chunk_bars=10), store
        )
        (learnt,) = catalog_instruments(store.path)
        assert learnt == InstrumentSettings(
            id="FOOUSDT.BINANCE",
            kind="spot",
            base="FOO",
            quote="USDT",
            symbol="FOOUSDT",
            tick_size="0.10",  # the exchange says 0.1, the bars have two decimals
            lot_size="0.001",
        )
        assert "not in the package's table" in result.reports[0].notes[0]
        download_ccxt(ask(url, symbols=("FOO/USDT",), end="2024-01-01T02:00"), store)
    assert store.series("FOOUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL").price_precision == 2
    assert len(store.read("FOOUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")) == 120


def test_instrument_of_the_config_comes_before_what_the_exchange_says(store, binance):
    mine = InstrumentSettings(
        id="FOO-OWN.BINANCE",
        kind="spot",
        base="FOO",
        quote="USDT",
        symbol="FOOUSDT",
        tick_size="0.0001",
        lot_size="0.0001",
    )
    with running(binance) as url:
        result = download_ccxt(
            ask(url, symbols=("FOO/USDT",), end="2024-01-01T01:00"), store, [mine]
        )
    assert result.reports[0].instrument_id == "FOO-OWN.BINANCE"
    assert catalog_instruments(store.path) == []


def test_kraken_gives_its_newest_720_bars_and_says_that_older_ones_are_not_to_be_had(store):
    kraken = KrakenServer(START_MS + DAY_MS + 30_000)
    with running(kraken) as url:
        result = download_ccxt(
            ask(url, exchange="kraken", symbols=("BTC/USDT",), start="2024-01-01"), store
        )
    (report,) = result.reports
    assert report.instrument_id == "BTC/USDT.KRAKEN"
    bars = store.read(report.bar_type)
    assert len(bars) == 719  # the newest is still open
    assert bars.ts_close[-1] == (START_MS + DAY_MS) * 1_000_000
    assert bars.close[-1] == round(float(bar(START_MS + DAY_MS - MINUTE_MS).close), 1)
    assert report.bars_missing == 1440 - 719
    assert "keeps only its newest bars" in report.notes[0]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"exchange": "binnance"}, UsageError, ["binnance", "did you mean 'binance'"]),
        ({"exchange": "bitflyer"}, DataError, ["bitflyer", "does not give bars"]),
        ({"symbols": ("BTC/USTD",)}, DataError, ["BTC/USTD", "did you mean", "BTC/USDT"]),
        ({"interval": "10s"}, DataError, ["no bars of 10s", "1m"]),
        ({"interval": "7m"}, UsageError, ["7m"]),
        ({"start": "yesterday"}, UsageError, ["yesterday", "not a time"]),
        ({"end": "2023-01-01"}, UsageError, ["2023-01-01", "not after"]),
        ({"start": "2024-02-01"}, UsageError, ["no bar of 1m is finished"]),
    ],
)
def test_what_cannot_be_had_is_said_in_one_paragraph(store, binance, change, kind, words):
    with running(binance) as url, pytest.raises(kind) as e:
        download_ccxt(ask(url, **change), store)
    assert all(word in str(e.value) for word in words), str(e.value)
    assert binance.asked(KLINES) == []


def test_address_where_nobody_answers_is_given_up_with_a_paragraph(store):
    retry = RetrySettings(attempts=2, first_wait_s=0.01)
    with pytest.raises(DataError, match="binance: markets: no usable answer in 2 attempts"):
        download_ccxt(ask("http://127.0.0.1:9", retry=retry), store)


def test_progress_ends_at_one_with_all_bars(store, binance):
    listener = Listener()
    with running(binance) as url:
        download_ccxt(ask(url), store, watcher=listener)
    fractions = [fraction for _, fraction, _ in listener.steps]
    assert fractions == sorted(fractions)
    assert listener.steps[-1] == ("BTC/USDT", 1.0, 1800)


def test_killed_download_keeps_finished_chunks_and_goes_on_from_there(store, binance):
    # Each page is a chunk; the third answer does not come before the end.
    binance.faults.extend([Fault(), Fault(), Fault(delay_s=30)])
    binance.now_ms = START_MS + 3 * DAY_MS + 30_000
    root = Path(__file__).parents[2]
    with running(binance) as url:
        code = (
            "from pathlib import Path;"
            "from catalog.download_ccxt import *; from catalog.store import BarStore;"
            "download_ccxt(CcxtDownload(exchange='binance', symbols=('BTC/USDT',), interval='1m',"
            f"start='2024-01-01', url={url!r}, chunk_bars=1, rate_limit_ms=1),"
            f"BarStore(Path({str(store.path)!r})))"
        )
        process = subprocess.Popen([sys.executable, "-c", code], cwd=root)
        deadline = time.monotonic() + 30
        while len(binance.asked(KLINES)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.wait(20)
        assert len(store.read(BTC_1M)) == 2000

        binance.faults.clear()
        asked = len(binance.asked(KLINES))
        download_ccxt(ask(url), store)
    assert binance.asked(KLINES)[asked]["startTime"] == str(START_MS + 2000 * MINUTE_MS)
    bars = store.read(BTC_1M)
    assert len(bars) == 3 * 1440
    assert (np.diff(bars.ts_close) == MINUTE_MS * 1_000_000).all()
