import hashlib

import pytest

from aitb_nautilus.errors import ConfigError, DataError, UsageError
from catalog.download_binance import BinanceArchiveDownload, download_binance
from catalog.downloads import RetrySettings, Watcher
from catalog.store import BarStore
from tests.exchange_servers import DAY_MS, HOUR_MS, MINUTE_MS, ArchiveServer, Fault, bar, running

JANUARY_MS, FEBRUARY_MS, MARCH_MS = 1_672_531_200_000, 1_675_209_600_000, 1_677_628_800_000
BTC_1H = "BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def store(tmp_path):
    return BarStore(tmp_path / "catalog")


@pytest.fixture
def archive():
    """An archive with January and February 2023 of BTCUSDT in hours."""
    server = ArchiveServer()
    server.add_month("BTCUSDT", "1h", "2023-01", range(JANUARY_MS, FEBRUARY_MS, HOUR_MS))
    server.add_month("BTCUSDT", "1h", "2023-02", range(FEBRUARY_MS, MARCH_MS, HOUR_MS))
    return server


def ask(url, **changes):
    settings = {
        "symbols": ("BTCUSDT",),
        "interval": "1h",
        "start": "2023-01",
        "end": "2023-02",
        "url": url,
        "retry": RetrySettings(first_wait_s=0.02, timeout_s=5),
    }
    return BinanceArchiveDownload(**(settings | changes))


def paths(server):
    return [path for _, path, _ in server.requests]


def kept(store):
    folder = store.path / "downloads" / "binance-archive"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_months_are_verified_kept_and_imported_with_their_sha256(store, archive):
    with running(archive) as url:
        result = download_binance(ask(url), store)
    bars = store.read(BTC_1H)
    assert len(bars) == 59 * 24
    assert bars.ts_close[0] == (JANUARY_MS + HOUR_MS) * 1_000_000
    assert bars.close[7] == float(bar(JANUARY_MS + 7 * HOUR_MS).close)
    (report,) = result.reports
    assert (report.bars_added, report.bars_held, report.gaps) == (59 * 24, 59 * 24, ())
    assert (report.start_ns, report.end_ns) == (bars.ts_close[0], bars.ts_close[-1])
    zips = {path: data for path, data in archive.files.items() if path.endswith(".zip")}
    sha256s = {hashlib.sha256(data).hexdigest() for data in zips.values()}
    assert {s.sha256 for s in store.series(BTC_1H).sources} == sha256s
    assert kept(store) == sorted(path.removeprefix("/") for path in archive.files)


def test_second_download_asks_for_nothing_and_changes_nothing(store, archive):
    with running(archive) as url:
        download_binance(ask(url), store)
        asked = len(archive.requests)
        again = download_binance(ask(url), store)
    assert len(archive.requests) == asked
    assert again.reports[0].bars_added == 0
    assert again.reports[0].bars_held == 59 * 24


def test_kept_zip_that_was_damaged_is_downloaded_again(store, archive):
    with running(archive) as url:
        download_binance(ask(url), store)
        (zip_path,) = store.path.rglob("BTCUSDT-1h-2023-01.zip")
        zip_path.write_bytes(zip_path.read_bytes()[:-100])
        download_binance(ask(url), store)
    data = archive.files["/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2023-01.zip"]
    assert zip_path.read_bytes() == data


def test_wrong_checksum_is_an_error_and_nothing_is_imported(store, archive):
    path = "/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2023-02.zip"
    archive.files[path] = archive.files[path][:-1] + b"x"
    with running(archive) as url, pytest.raises(DataError) as e:
        download_binance(ask(url), store)
    assert "BTCUSDT-1h-2023-02.zip: has the sha256" in str(e.value)
    assert "its CHECKSUM file says" in str(e.value)
    assert "Nothing was imported" in str(e.value)
    assert store.list() == []
    # January was right and stays; of February nothing stays, under no name.
    assert [name.rpartition("/")[2] for name in kept(store)] == [
        "BTCUSDT-1h-2023-01.zip",
        "BTCUSDT-1h-2023-01.zip.CHECKSUM",
    ]


@pytest.mark.parametrize("text", [b"<html>Not now</html>", b"0" * 64 + b"  OTHER-1h-2023-01.zip\n"])
def test_checksum_file_that_is_none_is_an_error(store, archive, text):
    archive.files["/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2023-01.zip.CHECKSUM"] = text
    with running(archive) as url, pytest.raises(DataError, match="is no checksum of BTCUSDT-1h"):
        download_binance(ask(url), store)
    assert store.list() == []


def test_month_that_is_not_published_is_named_and_nothing_is_imported(store, archive):
    with running(archive) as url, pytest.raises(DataError) as e:
        download_binance(ask(url, end="2023-04"), store)
    words = str(e.value)
    assert "BTCUSDT-1h-2023-03.zip: is not in the archive, nor are 1 more of the 4 files" in words
    assert "--source ccxt" in words
    assert e.value.exit_code == 4
    assert store.list() == []
    assert len(kept(store)) == 4


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=503), "HTTP 503"),
        (Fault(status=429, headers={"Retry-After": "0.1"}), "HTTP 429; waiting 0.1 s"),
        (Fault(cut_connection=True), "connection broke"),
    ],
)
def test_passing_fault_is_asked_again(store, archive, fault, words):
    notices = []

    class Listener(Watcher):
        def notice(self, text):
            notices.append(text)

    archive.faults.append(fault)
    with running(archive) as url:
        result = download_binance(ask(url), store, watcher=Listener())
    assert result.retries == 1
    assert words in notices[0]
    assert len(store.read(BTC_1H)) == 59 * 24


def test_refusal_is_said_at_once(store, archive):
    archive.faults.append(Fault(status=403))
    with running(archive) as url, pytest.raises(DataError, match="refused: HTTP 403"):
        download_binance(ask(url), store)
    assert store.list() == []


def test_what_a_killed_download_left_is_removed(store, archive):
    folder = store.path / "downloads/binance-archive/data/spot/monthly/klines/BTCUSDT/1h"
    folder.mkdir(parents=True)
    (folder / ".BTCUSDT-1h-2023-01.zip.abc.part").write_bytes(b"half")
    with running(archive) as url:
        download_binance(ask(url), store)
    assert not [name for name in kept(store) if name.endswith(".part")]


def test_perpetual_with_funding_rates(store):
    archive = ArchiveServer()
    hours = range(JANUARY_MS, FEBRUARY_MS, HOUR_MS)
    archive.add_month("ETHUSDT", "1h", "2023-01", hours, "futures/um")
    settlements = range(JANUARY_MS, FEBRUARY_MS, 8 * HOUR_MS)
    lines = ["calc_time,funding_interval_hours,last_funding_rate"]
    lines += [f"{ms + 3},8,0.0001{i % 10}" for i, ms in enumerate(settlements)]
    stem = "/data/futures/um/monthly/fundingRate/ETHUSDT/ETHUSDT-fundingRate-2023-01"
    archive.publish(stem, lines)
    with running(archive) as url:
        result = download_binance(
            ask(url, symbols=("ETH/USDT",), end="2023-01", market="perpetual", funding=True), store
        )
    assert result.reports[0].instrument_id == "ETHUSDT-PERP.BINANCE"
    assert len(store.read(result.reports[0].bar_type)) == 31 * 24
    ts, rate = store.read_funding("ETHUSDT-PERP.BINANCE")
    assert ts.tolist() == [ms * 1_000_000 for ms in settlements]
    assert rate[3] == 0.00013


def test_gap_in_the_archive_is_reported(store):
    archive = ArchiveServer()
    minutes = range(JANUARY_MS, JANUARY_MS + DAY_MS, MINUTE_MS)
    archive.add_month("BTCUSDT", "1m", "2023-01", minutes)
    with running(archive) as url:
        result = download_binance(ask(url, interval="1m", end="2023-01"), store)
    (report,) = result.reports
    assert report.bars_held == 1440
    assert report.bars_missing == 30 * 1440


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"start": "2023-01-15"}, UsageError, "whole months"),
        ({"start": "2023-13"}, UsageError, "not a month"),
        ({"start": "2023-05"}, UsageError, "before the first"),
        ({"interval": "7m"}, UsageError, "7m"),
        ({"funding": True}, UsageError, "spot has no funding"),
        ({"repairs": ("drop-dupes",)}, UsageError, "drop-duplicates"),
        ({"symbols": ("NEWUSDT",)}, ConfigError, "NEWUSDT.BINANCE"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_paragraph(store, archive, change, kind, words):
    archive.add_month("NEWUSDT", "1h", "2023-01", range(JANUARY_MS, FEBRUARY_MS, HOUR_MS))
    archive.add_month("NEWUSDT", "1h", "2023-02", range(FEBRUARY_MS, MARCH_MS, HOUR_MS))
    with running(archive) as url, pytest.raises(kind) as e:
        download_binance(ask(url, **change), store)
    assert words in str(e.value)
    assert store.list() == []


def test_without_an_end_the_last_month_that_is_over_is_the_last_asked_for(store, archive):
    with running(archive) as url, pytest.raises(DataError, match="is not in the archive"):
        download_binance(ask(url, end=None), store)
    assert any("2023-03" in path for path in paths(archive))
