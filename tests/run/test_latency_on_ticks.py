"""What latency costs on recorded quotes and trades of Binance, and why, to the tick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tomli_w

from aitb_nautilus.cli import main
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.economic import economic_against
from tests.run.desk_lab import Outcome, read_outcome

PERP = "BTCUSDT-PERP.BINANCE"
RECORDING = "ticks/binance_usdm_BTCUSDT_2024-08-08_{}.parquet"
MS = 1_000_000


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, market_dir: Path) -> Path:
    """Return a catalog with bars of one second made of the trades, and the quotes."""
    folder = tmp_path_factory.mktemp("ticks")
    for kind, what in (("trades", "trades"), ("quotes", "bbo")):
        file = str(market_dir / RECORDING.format(what))
        words = ["data", "import", file, "--kind", kind, "--catalog", str(folder / "data")]
        words += ["--instrument", PERP, "--interval", "1s"]
        assert main(words) == 0
    return folder


def run(folder: Path, latency_ms: float, fills: str = "quotes") -> Outcome:
    """Run the crossing of two averages of seconds with a latency."""
    params = {
        "instruments": [PERP],
        "interval": "1s",
        "fast": 3,
        "slow": 9,
        "sizing": {"method": "fixed_notional", "notional": 6_000.0},
    }
    config = {
        "catalog": {"path": str(folder / "data")},
        "backtest": {"runs": str(folder / "runs"), "fills": fills},
        "risk": {
            "max_order_notional": 20_000.0,
            "max_position_notional": 20_000.0,
            "max_orders_per_minute": 1_000,
            "price_band_frac": 0.5,
        },
        "venues": [
            {
                "name": "BINANCE",
                "starting_balance": "10000 USDT",
                "maker_fee_bps": 2.0,
                "taker_fee_bps": 5.0,
                "leverage": 5.0,
                "latency_ms": latency_ms,
            }
        ],
        "strategies": [{"class": "strategies.ema_cross:EmaCross", "id": "ema", "params": params}],
    }
    path = folder / f"ema-{latency_ms:g}.toml"
    path.write_text(tomli_w.dumps(config))
    return read_outcome(Path(backtest(path).run_dir))


@pytest.fixture(scope="module")
def fast(catalog: Path) -> Outcome:
    return run(catalog, 1.0)


@pytest.fixture(scope="module")
def slow(catalog: Path) -> Outcome:
    return run(catalog, 500.0)


def net(outcome: Outcome) -> float:
    assert outcome.record.costs is not None
    return outcome.record.costs.net_pnl


def market_at(market_dir: Path, outcome: Outcome, latency_ms: int) -> dict[str, float]:
    """Return what the recording quoted to each order when it arrived, by order id."""
    quotes = pq.read_table(market_dir / RECORDING.format("bbo"))
    ts = quotes["event_ms"].to_numpy() * MS
    best = {"BUY": quotes["ask"].to_numpy(), "SELL": quotes["bid"].to_numpy()}
    found = {}
    for order in outcome.table("orders"):
        row = np.searchsorted(ts, order["ts"] + latency_ms * MS, "right") - 1
        found[order["client_order_id"]] = float(best[order["side"]][row])
    return found


def test_profit_differs_between_1_ms_and_500_ms(fast: Outcome, slow: Outcome) -> None:
    assert fast.record.fingerprint != slow.record.fingerprint
    assert net(fast) != net(slow)
    # On this recording being late paid: the crossing of averages came after short moves, which
    # half a second later had in part gone back.
    assert net(fast) == pytest.approx(-207.326, abs=0.001)
    assert net(slow) == pytest.approx(-203.801, abs=0.001)


def test_same_latency_gives_the_same_run_again(catalog: Path, fast: Outcome, slow: Outcome) -> None:
    for one, latency_ms in ((fast, 1.0), (slow, 500.0)):
        again = run(catalog, latency_ms)
        assert again.record.fingerprint == one.record.fingerprint
        assert again.record.data_sha256 == one.record.data_sha256
        assert net(again) == net(one)


def test_both_decide_the_same_at_the_same_moments(fast: Outcome, slow: Outcome) -> None:
    key = ("client_order_id", "ts", "side", "type", "quantity")
    decided, also = (
        [[order[name] for name in key] for order in one.table("orders")] for one in (fast, slow)
    )
    assert decided == also
    assert len(decided) == 73


@pytest.mark.parametrize("latency_ms", [1, 500])
def test_every_order_fills_at_the_quote_of_its_arrival(
    market_dir: Path, fast: Outcome, slow: Outcome, latency_ms: int
) -> None:
    outcome = fast if latency_ms == 1 else slow
    quoted = market_at(market_dir, outcome, latency_ms)
    sent = {o["client_order_id"]: o["ts"] for o in outcome.table("orders")}
    assert {fill["client_order_id"] for fill in outcome.fills} == set(sent)
    for fill in outcome.fills:
        assert fill["ts"] == sent[fill["client_order_id"]] + latency_ms * MS
        best = quoted[fill["client_order_id"]]
        worse = best + (0.1 if fill["side"] == "BUY" else -0.1)  # beyond the best level: one tick
        assert fill["reference_price"] == best
        assert fill["price"] in (best, pytest.approx(worse))


def test_difference_is_what_the_quotes_moved_between_the_two_arrivals(
    market_dir: Path, fast: Outcome, slow: Outcome
) -> None:
    before, after = market_at(market_dir, fast, 1), market_at(market_dir, slow, 500)
    moved = sum(
        (1 if order["side"] == "SELL" else -1)
        * order["quantity"]
        * (after[order["client_order_id"]] - before[order["client_order_id"]])
        for order in fast.table("orders")
    )
    found = economic_against(slow.folder, fast.folder)
    layers = {one.layer: one.amount for one in found.layers}
    assert layers["time"] == pytest.approx(moved, abs=1e-6)
    assert layers["time"] == pytest.approx(3.49, abs=0.01)
    # The rest: what filled beyond the best level, and fees on slightly other prices.
    others = {name: amount for name, amount in layers.items() if name != "time"}
    assert sum(map(abs, others.values())) < 0.05
    assert found.difference == pytest.approx(net(slow) - net(fast))
    assert sum(layers.values()) == pytest.approx(found.difference)


def test_on_bars_alone_the_latency_changes_nothing(catalog: Path) -> None:
    # At most a quarter of a bar of one second.
    one, other = run(catalog, 1.0, "bars"), run(catalog, 250.0, "bars")
    assert [fill["price"] for fill in one.fills] == [fill["price"] for fill in other.fills]
    assert net(one) == net(other)
