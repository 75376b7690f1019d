"""The shipped portfolio on the recorded market: correlation caps and the drawdown ladder act."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import Decided
from aitb_nautilus.run.load import load_config, read_toml
from catalog.store import BarStore
from tests.conftest import CHECKOUT
from tests.run.desk_lab import Lab, Outcome
from tests.run.test_shows import frame

CONFIG = CHECKOUT / "configs" / "portfolio.toml"
MARKET = "bars_1h/binance_um_perp_20pairs_1h_2024-07_2025-06.parquet"


def test_shipped_portfolio_is_read() -> None:
    desk = load_config(CONFIG)
    (strategy,) = desk.strategies
    assert len(strategy.settings.instruments) == 20  # type: ignore[attr-defined]
    assert desk.config.risk.drawdown is not None


@pytest.fixture
def outcome(lab: Lab, market_dir: Path) -> Outcome:
    """Return the first weeks; all steps of the ladder stand nearer, so that they reach the last."""
    weeks = pc.field("open_time") < datetime(2024, 8, 12, tzinfo=UTC)
    table = pq.read_table(market_dir / MARKET, filters=weeks)
    interval, store = Interval.parse("1h"), BarStore(lab.folder / "data")
    with store.batch() as batch:
        for symbol in sorted(set(table["symbol"].to_pylist())):
            rows = table.filter(pc.field("symbol") == symbol)
            spec = find_instrument(f"{symbol}-PERP.BINANCE")
            batch.write(spec, interval, frame(rows, interval), source=symbol)
    data = read_toml(CONFIG)
    data["catalog"]["path"] = str(lab.folder / "data")
    data["backtest"]["runs"] = str(lab.folder / "runs")
    data["risk"]["drawdown"] |= {"shrink_frac": 0.02, "reduce_frac": 0.07, "halt_frac": 0.12}
    return lab.run_plain(data)


@pytest.mark.realdata
def test_limits_shrink_and_refuse_and_the_last_step_ends_flat(outcome: Outcome) -> None:
    record = outcome.record
    acted = {one.limit: (one.refused, one.shrunk) for one in record.limits}
    for limit in ("max_cluster_notional", "drawdown"):
        assert min(acted[limit]) > 0, acted
    assert sum(refused for refused, _ in acted.values()) == record.refused
    (halt,) = record.halts
    assert "drawdown.halt_frac is 12.00%" in halt.reason
    assert record.status == "complete"

    flattened = [fill for fill in outcome.fills if fill["purpose"] == "exit:flatten"]
    ts = datetime.fromisoformat(halt.ts).timestamp() * 1e9
    assert len(flattened) > 1
    assert all(0 < fill["ts"] - ts < 3_600e9 for fill in flattened)  # at the next bar's open
    assert not [fill for fill in outcome.fills if fill["ts"] > ts and fill not in flattened]
    left: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in outcome.fills:
        sign = 1 if fill["side"] == "BUY" else -1
        left[fill["instrument_id"]] += sign * Decimal(repr(fill["quantity"]))
    assert set(left.values()) == {Decimal(0)}
    assert record.stats is not None
    assert record.stats.open_trades == 0


@pytest.mark.realdata
def test_journal_tells_each_act_of_a_limit_and_the_halt(outcome: Outcome) -> None:
    told: Counter[tuple[str, str]] = Counter()
    for record in read(outcome.folder / "journal.sqlite", Wanted(kinds=("decision",))):
        if isinstance(record.body, Decided) and record.body.outcome != "allowed":
            told[record.body.limit, record.body.outcome] += 1
    counted = {(one.limit, "refused"): one.refused for one in outcome.record.limits}
    counted |= {(one.limit, "shrunk"): one.shrunk for one in outcome.record.limits}
    assert told == {key: count for key, count in counted.items() if count}
