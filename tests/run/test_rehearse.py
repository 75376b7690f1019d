"""From a desk to its rehearsal exchange."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.rehearsal import Rehearsal, SteppedClock
from aitb_nautilus.run.load import Desk, load_config
from aitb_nautilus.run.rehearse import plan_rehearsal
from tests.rehearsal_lab import START_NS

MINUTE_NS = 60_000_000_000


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "desk.toml"
    path.write_text(
        """
[risk]
max_order_notional = 5_000
max_position_notional = 5_000
[[venues]]
name = "BINANCE"
starting_balance = "10000 USDT"
maker_fee_bps = -0.5
taker_fee_bps = 4.5
leverage = 7.9
[[strategies]]
class = "strategies.ema_cross:EmaCross"
id = "ema"
[strategies.params]
instruments = ["BTCUSDT-PERP.BINANCE"]
interval = "5m"
fast = 4
slow = 8
sizing = { method = "fixed_notional", notional = 1_000 }
exits = { stop_frac = 0.03 }
"""
    )
    return load_config(path)


def recording(market_dir: Path, tmp_path: Path) -> Path:
    source = market_dir / "ws_raw" / "binance_usdm_btcusdt_20240808.jsonl.gz"
    return Path(shutil.copy(source, tmp_path / source.name))


def test_a_recording_is_played_with_the_desks_fees_leverage_and_bars(
    desk: Desk, market_dir: Path, tmp_path: Path
) -> None:
    plan = plan_rehearsal(desk, recordings=[recording(market_dir, tmp_path)])
    assert (plan.settings.maker_fee, plan.settings.taker_fee) == ("-0.00005", "0.00045")
    assert (plan.settings.leverage, plan.settings.balances) == (7, {"USDT": "10000"})
    (symbol,) = plan.symbols
    assert (symbol.first, symbol.bars) == ("2024-08-08T23:54:16.299000000Z", None)
    rehearsal = Rehearsal(plan.settings, plan.sources, SteppedClock(START_NS))
    rehearsal.advance(rehearsal.clock.now_ns() + 6 * MINUTE_NS)
    candles = rehearsal.exchange.venue.markets["BTCUSDT"].candles
    closed = candles.query("5m", None, None, 2)[0]
    assert closed.open_ms % 300_000 == 0
    assert closed.trades > 100


def test_a_recording_must_be_of_each_traded_instrument(
    desk: Desk, market_dir: Path, tmp_path: Path
) -> None:
    path = recording(market_dir, tmp_path)
    other = Path(shutil.copy(path, tmp_path / "solusdt.gz"))
    with pytest.raises(DataError, match="0 of the files have btcusdt"):
        plan_rehearsal(desk, recordings=[other])
    with pytest.raises(DataError, match="of no instrument that the desk trades"):
        plan_rehearsal(desk, recordings=[path, other])
    with pytest.raises(ConfigError, match="must be 1 for recordings"):
        plan_rehearsal(desk, recordings=[path], speed=2)


def test_a_cash_account_is_rehearsed_as_spot(desk: Desk, market_dir: Path, tmp_path: Path) -> None:
    text = desk.path.read_text().replace("-PERP", "").replace("leverage = 7.9", 'account = "cash"')
    (tmp_path / "spot.toml").write_text(text.replace("-0.5", "1"))
    source = market_dir / "ws_raw" / "binance_spot_btcusdt_20240808.jsonl.gz"
    spot = load_config(tmp_path / "spot.toml")
    plan = plan_rehearsal(spot, recordings=[source])
    assert (plan.settings.product, plan.settings.leverage) == ("spot", 1)
    rehearsal = Rehearsal(plan.settings, plan.sources, SteppedClock(START_NS))
    rehearsal.advance(rehearsal.clock.now_ns() + 6 * MINUTE_NS)
    market = rehearsal.exchange.venue.markets["BTCUSDT"]
    assert len(market.trades) == 1_000
    assert len(market.levels()[0]) > 500
    with_bnb = plan_rehearsal(spot, recordings=[source], bnb_price=600.0).settings
    assert (with_bnb.balances["BNB"], with_bnb.bnb_price) == ("100", "600.0")
    assert (plan.settings.balances.keys(), plan.settings.bnb_price) == ({"USDT"}, None)
    with pytest.raises(ConfigError, match="must trade on spot"):
        plan_rehearsal(desk, recordings=[source], bnb_price=600.0)
