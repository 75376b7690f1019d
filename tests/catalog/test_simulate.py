import hashlib
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.instruments import InstrumentSettings, find_instrument
from aitb_nautilus.settings import decode
from catalog.simulate import (
    SimulationSettings,
    simulate,
    simulate_into,
    simulate_market,
)
from catalog.simulation_model import Alpha, ar1
from catalog.store import BarStore

BTC, ETH, PERP = "BTCUSDT.BINANCE", "ETHUSDT.BINANCE", "BTCUSDT-PERP.BINANCE"
HOUR_NS = 3_600_000_000_000
VALUES = ("open", "high", "low", "close", "volume")


def log_returns(bars):
    return np.diff(np.log(bars.close))


def autocorrelation(x, lag):
    return np.corrcoef(x[:-lag], x[lag:])[0, 1]


def ewma(x, halflife):
    phi = 2 ** (-1 / halflife)
    return ar1((1 - phi) * x, phi)


def digest(bars):
    columns = [bars.ts_close, *(getattr(bars, name) for name in VALUES)]
    return hashlib.sha256(b"".join(c.tobytes() for c in columns)).hexdigest()


def observed_signal_and_next_return(bars, halflife):
    """Return what anybody can compute from the bars: the signal, and the return after it."""
    r = log_returns(bars)
    volatility = np.sqrt(ewma(r**2, 120))
    z = np.clip(r[1:] / volatility[:-1], -8, 8)
    signal = ewma(z, halflife)
    return signal[1000:-1], z[1001:]


@pytest.fixture(scope="module")
def market():
    spec = SimulationSettings(instruments=(BTC, ETH, PERP), days=120)
    return simulate_market(spec)


def test_settings_count_bars_and_stamp_their_close(market):
    bars = market[BTC].bars
    assert len(bars) == 120 * 1440
    assert bars.ts_close[0] == 1_704_067_260_000_000_000  # 2024-01-01 00:01 UTC
    assert (np.diff(bars.ts_close) == 60_000_000_000).all()


def test_bars_are_valid_and_stand_on_the_grid_of_the_instrument(market):
    for id_, series in market.items():
        spec, bars = find_instrument(id_), series.bars
        assert (bars.low > 0).all()
        assert (bars.low <= np.minimum(bars.open, bars.close)).all()
        assert (bars.high >= np.maximum(bars.open, bars.close)).all()
        assert (bars.open[1:] == bars.close[:-1]).all()
        for name in VALUES:
            step = Decimal(spec.lot_size if name == "volume" else spec.tick_size)
            some = getattr(bars, name)[::997]
            assert all(Decimal(repr(float(v))) % step == 0 for v in some), (id_, name)
        assert (bars.volume >= float(spec.lot_size)).all()


def test_returns_have_fat_tails_and_the_volatility_that_was_asked_for(market):
    r = log_returns(market[BTC].bars)
    kurtosis = ((r - r.mean()) ** 4).mean() / r.var() ** 2
    assert kurtosis > 6  # a normal has 3
    annual = r.std() * np.sqrt(365 * 1440)
    assert annual == pytest.approx(0.6, rel=0.2)


def test_volatility_clusters_while_returns_do_not(market):
    r = log_returns(market[BTC].bars)
    noise = 4 / np.sqrt(len(r))
    assert autocorrelation(np.abs(r), 1) > 0.15
    assert autocorrelation(np.abs(r), 240) > 0.08
    # Fat tails widen the noise of the correlation of returns themselves.
    assert abs(autocorrelation(r, 1)) < 3 * noise


def test_day_has_a_rhythm_in_volatility_and_volume(market):
    bars = market[BTC].bars
    hour = (bars.ts_close // HOUR_NS) % 24
    r = np.r_[0.0, log_returns(bars)]

    def at(values, *hours):
        return np.mean(values[np.isin(hour, hours)])

    assert at(np.abs(r), 14, 15, 16) > 1.5 * at(np.abs(r), 2, 3, 4)
    assert at(bars.volume, 14, 15, 16) > 1.4 * at(bars.volume, 2, 3, 4)


def test_volume_rises_with_volatility(market):
    bars = market[BTC].bars
    size = np.log((bars.high - bars.low) / bars.open)[1:]
    assert np.corrcoef(size, np.log(bars.volume[1:]))[0, 1] > 0.4


def test_pairs_are_correlated_and_crash_together(market):
    btc, eth = market[BTC], market[ETH]
    z = [np.r_[log_returns(s.bars)] / s.volatility[1:] for s in (btc, eth)]
    assert np.corrcoef(*z)[0, 1] == pytest.approx(0.7, abs=0.03)
    wild = [np.abs(x) > np.quantile(np.abs(x), 0.999) for x in z]
    assert (wild[0] & wild[1]).sum() > 0.2 * wild[0].sum()


def test_spot_and_perpetual_follow_one_path_and_only_the_perpetual_has_funding(market):
    spot, perp = market[BTC], market[PERP]
    ticks = np.abs(spot.bars.close - perp.bars.close)
    assert ticks.max() <= 0.1
    assert len(spot.funding_ts_ns) == 0
    assert len(perp.funding_ts_ns) == 120 * 3
    assert (perp.funding_ts_ns % (8 * HOUR_NS) == 0).all()
    assert np.abs(perp.funding_rate).max() <= 0.003
    assert len(np.unique(perp.funding_rate)) > 50
    # The damper of the formula holds quiet rates at one basis point.
    assert 0.1 < (perp.funding_rate == 0.0001).mean() < 0.9


def test_without_alpha_the_past_says_nothing_about_the_next_bar(market):
    for id_ in (BTC, ETH):
        signal, following = observed_signal_and_next_return(market[id_].bars, 30)
        assert abs(np.corrcoef(signal, following)[0, 1]) < 4 / np.sqrt(len(signal))
        assert (market[id_].signal == 0).all()


@pytest.mark.parametrize(("alpha", "sign"), [("momentum", 1), ("reversion", -1)])
def test_planted_alpha_has_the_documented_correlation_with_the_next_return(alpha, sign):
    spec = SimulationSettings(days=240, alpha=alpha, alpha_strength=0.08, alpha_halflife_bars=30)
    series = simulate_market(spec)[BTC]
    z = log_returns(series.bars) / series.volatility[1:]
    noise = 4 / np.sqrt(len(z))

    assert np.corrcoef(series.signal[:-1], z)[0, 1] == pytest.approx(sign * 0.08, abs=noise)
    assert series.signal.std() == pytest.approx(1, rel=0.05)
    assert autocorrelation(series.signal, 1) == pytest.approx(spec.planted.persistence, abs=0.005)

    # And it can be found from the bars alone, a little weaker since volatility must be guessed.
    signal, following = observed_signal_and_next_return(series.bars, 30)
    assert 0.06 < sign * np.corrcoef(signal, following)[0, 1] < 0.085


def test_signal_is_causal_changing_the_future_does_not_change_it():
    eps = np.random.default_rng(1).standard_normal(500)
    z, signal = Alpha(0.2, 20).apply(eps, 0.3)
    eps[300:] = 9.0
    z_other, signal_other = Alpha(0.2, 20).apply(eps, 0.3)
    assert (z[:300] == z_other[:300]).all()
    assert (signal[:300] == signal_other[:300]).all()


def test_alpha_formula_equals_the_recursion_in_its_docstring():
    alpha = Alpha(0.15, 10)
    eps = np.random.default_rng(2).standard_normal(200)
    z, signal = alpha.apply(eps, 0.5)
    s = 0.5 * alpha.deviation
    for t in range(200):
        expected = 0.15 * s / alpha.deviation + np.sqrt(1 - 0.15**2) * eps[t]
        assert z[t] == pytest.approx(expected, abs=1e-12)
        s = alpha.phi * s + (1 - alpha.phi) * expected
        assert signal[t] == pytest.approx(s / alpha.deviation, abs=1e-12)


def test_doubling_gives_what_the_loop_gives():
    shocks = np.random.default_rng(3).standard_normal(777)
    x, expected = 2.0, []
    for shock in shocks:
        x = 0.97 * x + shock
        expected.append(x)
    assert ar1(shocks, 0.97, 2.0) == pytest.approx(np.array(expected), abs=1e-11)


def test_more_days_and_more_instruments_leave_the_rest_as_it_was():
    short = simulate(SimulationSettings(days=3, interval="5m", alpha="momentum"))[BTC]
    both = simulate(
        SimulationSettings(instruments=(ETH, BTC), days=40, interval="5m", alpha="momentum")
    )
    assert digest(both[BTC].take(slice(0, len(short)))) == digest(short)
    assert digest(both[BTC]) != digest(both[ETH])


def test_seed_changes_everything():
    one, two = (simulate(SimulationSettings(days=1, seed=seed))[BTC] for seed in (1, 2))
    assert (log_returns(one) != log_returns(two)).mean() > 0.99


def test_same_seed_gives_the_same_bytes_in_any_process_and_at_any_hash_seed():
    code = (
        "import hashlib; from catalog.simulate import *;"
        "m = simulate_market(SimulationSettings(days=2, alpha='reversion',"
        f" instruments=({BTC!r}, {PERP!r})));"
        "h = hashlib.sha256();"
        "[h.update(getattr(s.bars, c).tobytes()) for s in m.values()"
        " for c in ('ts_close', 'open', 'high', 'low', 'close', 'volume')];"
        "[h.update(s.funding_rate.tobytes()) for s in m.values()];"
        "print(h.hexdigest())"
    )
    outputs = set()
    for hash_seed in ("0", "1234"):
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        root = Path(__file__).parents[2]
        run = [sys.executable, "-c", code]
        outputs.add(subprocess.run(run, env=env, cwd=root, capture_output=True, check=True).stdout)
    assert len(outputs) == 1
    assert len(outputs.pop().strip()) == 64


@pytest.mark.parametrize("interval", ["1s", "1h", "1d"])
def test_other_bar_sizes_have_the_same_annual_volatility(interval):
    days = {"1s": 1, "1h": 400, "1d": 3000}[interval]
    spec = SimulationSettings(days=days, interval=interval, seed=5)
    bars = simulate(spec)[BTC]
    per_year = 365 * len(bars) / days
    annual = log_returns(bars).std() * np.sqrt(per_year)
    # One day holds one or two regimes only.
    assert annual == pytest.approx(0.6, rel=0.6 if interval == "1s" else 0.25)


def test_daily_funding_uses_no_bar_after_the_settlement():
    spec = SimulationSettings(instruments=(PERP,), interval="1d", days=20)
    series = simulate_market(spec)[PERP]
    assert series.funding_ts_ns[0] >= series.bars.ts_close[0]
    assert len(series.funding_ts_ns) == 19 * 3 + 1


def test_unusual_instrument_from_the_config_gets_a_price_of_ten_thousand_ticks():
    odd = InstrumentSettings(
        id="ODD.VENUE", kind="spot", base="ODD", quote="USDT", tick_size="0.5", lot_size="10"
    )
    bars = simulate(SimulationSettings(instruments=("ODD.VENUE",), days=1), [odd])["ODD.VENUE"]
    assert bars.open[0] == 5000.0
    assert (bars.close % 0.5 == 0).all()
    assert (bars.volume % 10 == 0).all()
    assert bars.volume.min() >= 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"instruments": ("BTCUSD.BINANCE",)}, ["BTCUSD.BINANCE", "did you mean"]),
        ({"instruments": (BTC, BTC)}, ["instruments", "twice"]),
        ({"interval": "7m"}, ["7m"]),
        ({"start": "2024-13-01"}, ["2024-13-01", "not a time"]),
        ({"start": "2024-01-01T00:00:30"}, ["start", "1m"]),
        ({"start_prices": {ETH: 3.0}}, ["start_prices", ETH]),
        ({"start_prices": {BTC: 0.001}}, ["start_prices", "one tick"]),
    ],
)
def test_impossible_settings_are_refused_with_one_paragraph(change, words):
    with pytest.raises(ConfigError) as e:
        simulate(SimulationSettings(days=1, **change))
    assert all(word in str(e.value) for word in words)


@pytest.mark.parametrize(
    ("key", "value"),
    [("days", 0), ("alpha", "magic"), ("alpha_strength", 0.9), ("tail_dof", 2), ("sed", 1)],
)
def test_settings_refuse_values_out_of_range_and_unknown_keys(key, value):
    with pytest.raises(ConfigError, match=key):
        decode({key: value}, SimulationSettings, "simulation")


def test_stored_simulation_is_labelled_and_storing_again_changes_nothing(tmp_path):
    store = BarStore(tmp_path / "catalog")
    spec = SimulationSettings(instruments=(BTC, PERP), days=2, seed=9)
    first = simulate_into(store, spec)
    again = simulate_into(store, spec)
    assert {id_: r.rows_added for id_, (_, r) in first.items()} == {BTC: 2880, PERP: 2880}
    assert {id_: r.rows_same for id_, (_, r) in again.items()} == {BTC: 2880, PERP: 2880}

    listed = store.list()
    assert [s.simulated for s in listed] == [True, True]
    assert all("simulated, seed 9" in s.sources[0].name for s in listed)
    read = store.read(listed[1].bar_type)
    assert digest(read) == digest(first[BTC][0].bars)
    ts, rate = store.read_funding(PERP)
    assert (ts == first[PERP][0].funding_ts_ns).all()
    assert (rate == first[PERP][0].funding_rate).all()


def test_another_simulation_is_refused_unless_it_may_replace(tmp_path):
    store = BarStore(tmp_path / "catalog")
    simulate_into(store, SimulationSettings(days=1, seed=1))
    with pytest.raises(DataError, match="replace"):
        simulate_into(store, SimulationSettings(days=1, seed=2))
    other = SimulationSettings(days=1, seed=2)
    result = simulate_into(store, other, replace=True)[BTC][1]
    assert result.rows_replaced == 1440
    assert digest(store.read(store.list()[0].bar_type)) == digest(simulate(other)[BTC])
