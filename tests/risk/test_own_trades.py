"""What a sizing has learnt from a strategy's own trades, over restarts."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from aitb_nautilus.messages import Fill, Side
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_carried import Carried, carry
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Filled, Opened
from aitb_nautilus.risk.kelly import TradeRecord
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.own_trades import OwnTrades
from aitb_nautilus.risk.sizing import make_sizers
from aitb_nautilus.risk.sizing_settings import FractionalKelly
from aitb_nautilus.risk.taking_over import hold
from tests.risk.rig import make_context

BTC = "BTCUSDT-PERP.BINANCE"
WHO = "S-001"


def fills(count: int, seed: int) -> list[Fill]:
    """Return fills of up to 0.3 that mostly go against what is held, with fees, around 100."""
    dice, held, found = random.Random(seed), Decimal(0), list[Fill]()
    for n in range(count):
        quantity = Decimal(dice.randint(1, 3)) / 10
        buys = (held < 0) == (dice.random() < 0.75)
        held += quantity if buys else -quantity
        price, fee = round(100 + dice.gauss(0, 3), 1), round(dice.uniform(0, 0.1), 3)
        side: Side = "BUY" if buys else "SELL"
        found.append(Fill(WHO, BTC, f"o{n}", f"t{n}", n + 1, side, price, quantity, fee, "TAKER"))
    return found


def run(path: Path, carried: Carried, told: list[Fill]) -> Carried:
    """Write a run's journal, and return what it leaves."""
    opened = Opened(run_id=path.stem, config_sha256="0" * 64, mode="paper")
    with Journal(path, opened, 0) as journal:
        journal.append(carried, 0, "", "", "")
        for fill in told:
            body = Filled.of(fill, None, 0)
            journal.append(body, fill.ts, WHO, BTC, fill.client_order_id)
    ledger = Ledger(0.0)
    own = OwnTrades(path, ledger)
    rebuild(path, ledger, own.hear_fill)
    return replace(carry(ledger, path.stem, ledger.balance(), {}, 0), own_trades=own.carried())


@pytest.mark.parametrize("seed", range(5))
def test_trades_over_three_restarts_are_those_of_one_run(tmp_path: Path, seed: int) -> None:
    told = fills(80, seed)
    never, ledger = TradeRecord(10_000, 2), Ledger(0.0)
    for fill in told:
        ledger.apply_fill(fill)
        never.hear_fill(fill, ledger.position(WHO, BTC))
    carried, cuts = Carried(), (0, 17, 18, 61, 80)
    for n, (first, last) in enumerate(pairwise(cuts)):
        carried = run(tmp_path / f"{n}.sqlite", carried, told[first:last])
    whole = never.save()
    assert len(whole.returns) > 5
    assert carried.own_trades[WHO].returns == pytest.approx(whole.returns, rel=1e-12)
    assert list(carried.own_trades[WHO].open) == list(whole.open)


def test_sizing_goes_on_from_what_was_carried(tmp_path: Path) -> None:
    """Two of three won 2 %, one lost 1 %: share (2 + 1) / (3 + 2), half of 0.6/0.01 - 0.4/0.02."""
    context = make_context()
    sizing = FractionalKelly(payoff="trades", multiplier=0.01, min_trades=3, start_fraction=0.01)
    sizer = make_sizers(sizing, context, WHO, (BTC,), 60 * 10**9)[BTC]
    assert sizer.quantity(1_000.0, 100.0) == Decimal("0.1")
    prices = [(100.0, 102.0), (100.0, 102.0), (100.0, 99.0)]
    told = list[Fill]()
    for n, (bought, sold) in enumerate(prices):
        sides: tuple[tuple[Side, float], ...] = (("BUY", bought), ("SELL", sold))
        for side, price in sides:
            name = f"{side}-{n}"
            told.append(
                Fill(WHO, BTC, name, name, 2 * n + 1, side, price, Decimal(1), 0.0, "TAKER")
            )
    carried = run(tmp_path / "one.sqlite", Carried(), told)
    assert carried.own_trades[WHO].returns == pytest.approx([0.02, 0.02, -0.01])
    hold(context, (), carried, {})
    assert float(sizer.quantity(1_000.0, 100.0)) == pytest.approx(
        0.01 * (0.6 / 0.01 - 0.4 / 0.02) * 10
    )
