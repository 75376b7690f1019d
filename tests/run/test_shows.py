"""What the issue shows, on recorded markets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.market.bars import BarFrame, Interval, TimeArray, close_of_open_ns
from aitb_nautilus.market.instruments import find_instrument
from catalog.store import BarStore
from tests.run.desk_lab import Lab, Outcome

BTC = "BTCUSDT.BINANCE"
BTC_1M = "bars_1m/binance_spot_BTCUSDT_1m_2022-01_2023-12.parquet"
PERPETUALS = "bars_1h/binance_um_perp_20pairs_1h_2023.parquet"
RUN = {"taker_fee_bps": 5.0, "maker_fee_bps": 2.0, "starting_balance": "100000 USDT"}


def frame(table, interval: Interval) -> BarFrame:
    """Return rows of a market file, which are stamped with their open."""
    opens: TimeArray = table["open_time"].cast(pa.timestamp("ns", "UTC")).cast("int64").to_numpy()
    columns = [table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    return BarFrame(close_of_open_ns(opens, interval.ns), *columns)


def ema(instruments: list[str], interval: str, **params) -> dict[str, object]:
    return {
        "class": "strategies.ema_cross:EmaCross",
        "id": "ema",
        "params": {
            "instruments": instruments,
            "interval": interval,
            "sizing": {"method": "equity_fraction", "fraction": 0.04},
            "exits": {
                "stop_frac": 0.02,
                "target_frac": 0.04,
                "trailing_frac": 0.03,
                "max_bars": 48,
            },
            **params,
        },
    }


def check(outcome: Outcome, bars: int) -> None:
    """Check what holds in every run: each bar was handled, and all accounts agree."""
    record, equity = outcome.record, outcome.table("equity")
    assert record.status == "complete"
    assert record.bars == bars
    assert record.data_sha256
    times = np.array([row["ts"] for row in equity])
    assert (np.diff(times) > 0).all()
    net = record.final_equity - record.starting_equity
    assert equity[-1]["equity"] == record.final_equity
    assert sum(t["pnl"] for t in outcome.trips) == pytest.approx(net, abs=1e-4)
    costs = record.costs
    assert sum(f["fee"] for f in outcome.fills) == pytest.approx(costs.fees)
    assert sum(f["slippage"] for f in outcome.fills) == pytest.approx(costs.slippage)
    assert costs.gross_pnl - costs.fees - costs.slippage - costs.funding == pytest.approx(net)
    assert all(f["slippage"] >= 0 for f in outcome.fills)
    # Beside a stop no target rests on a spot market.
    made = {"TAKER"} if record.venues[0].account == "cash" else {"MAKER", "TAKER"}
    assert {f["liquidity"] for f in outcome.fills} == made
    assert record.stats.trades + record.stats.open_trades == len(outcome.trips) > 20


@pytest.mark.realdata
def test_two_weeks_of_btcusdt_by_the_minute_are_one_run_in_two_processes(
    lab: Lab, market_dir: Path
) -> None:
    # The weeks of the outage: 80 minutes are missing on 24 March.
    begin, end = (datetime(2023, 3, day, tzinfo=UTC) for day in (13, 27))
    weeks = (pc.field("open_time") >= begin) & (pc.field("open_time") < end)
    bars = frame(pq.read_table(market_dir / BTC_1M, filters=weeks), Interval.parse("1m"))
    assert len(bars) == 14 * 1440 - 80
    BarStore(lab.folder / "data").write(
        find_instrument(BTC), Interval.parse("1m"), bars, source="BTCUSDT 1m"
    )
    path = lab.config(
        ema([BTC], "1m", fast=20, slow=60, direction="long"),
        venues=[{"name": "BINANCE", "account": "cash", **RUN}],
    )
    outcomes = []
    for seed in ("1", "2"):
        done = lab.process(path, env={"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        outcomes.append(lab.read(Path(done.stdout.strip())))
    first, second = outcomes
    check(first, len(bars))
    assert first.record.fingerprint == second.record.fingerprint
    assert first.table("equity") == second.table("equity")
    (data,) = first.record.data
    assert (data.gaps, data.missing) == (1, 80)
    # No fill while nobody traded.
    silent = [np.datetime64(t, "ns").astype(int) for t in ("2023-03-24T12:40", "2023-03-24T14:00")]
    assert not [f for f in first.fills if silent[0] < f["ts"] < silent[1]]


@pytest.mark.realdata
def test_twenty_perpetuals_of_early_2023_run_in_one_back_test(lab: Lab, market_dir: Path) -> None:
    # The first quarter: it has the listing of STX, and the whole year takes four times as long.
    quarter = pc.field("open_time") < datetime(2023, 4, 1, tzinfo=UTC)
    table = pq.read_table(market_dir / PERPETUALS, filters=quarter)
    interval = Interval.parse("1h")
    store, total, ids = BarStore(lab.folder / "data"), 0, []
    with store.batch() as batch:
        for symbol in sorted(set(table["symbol"].to_pylist())):
            part = table.filter(pc.field("symbol") == symbol).sort_by("open_time")
            ids.append(f"{symbol}-PERP.BINANCE")
            bars = frame(part, interval)
            total += len(bars)
            batch.write(find_instrument(ids[-1]), interval, bars, source="perpetuals")
    assert len(ids) == 20
    outcome = lab.run(
        ema(ids, "1h"), venues=[{"name": "BINANCE", "account": "margin", "leverage": 3.0, **RUN}]
    )
    check(outcome, total)
    assert 19 * 2160 < total < 20 * 2160
    assert len(outcome.table("equity")) == 2160
    assert {t["instrument_id"] for t in outcome.trips} == set(ids)
    # STX was listed on 21 February; nothing of it is older.
    stx = [t["ts_open"] for t in outcome.trips if t["instrument_id"].startswith("STX")]
    assert min(stx) > np.datetime64("2023-02-21", "ns").astype(int)
    assert outcome.record.ambiguous.count > 0
    assert "Funding is missing" in "\n".join(outcome.record.honesty)
