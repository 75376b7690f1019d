"""Both strategies with sizings that see the prediction, the exits, their trades, the whole desk."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import Any

import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import BarClosed, Fill
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.kelly import TradeState
from aitb_nautilus.risk.sizing_settings import RiskParitySizing
from aitb_nautilus.settings import decode
from strategies.ema_cross import EmaCross, EmaCrossSettings
from tests.conftest import CHECKOUT
from tests.risk.rig import BTC, ETH, close_of, make_context
from tests.strategies.hand_desk import MODEL, PRICE, HandDesk

KELLY = {"method": "kelly", "multiplier": 0.5, "cost_bps": 0, "max_fraction": 10}
BY_EXITS = {"sizing": KELLY | {"payoff": "exits"}}
BY_RETURN = {"sizing": KELLY | {"payoff": "expected_return", "half_life_bars": 2}}
BY_TRADES = {"sizing": KELLY | {"payoff": "trades", "min_trades": 2, "start_fraction": 0.3}}


def entered(desk: HandDesk, probability: float, **terms: Any) -> float:
    """Return the value of what a prediction enters, in parts of the equity of 100,000."""
    words = desk.step(probability, **terms)
    if not words:
        return 0.0
    assert words in (["BUY"], ["SELL"])
    return float(desk.order("entry").quantity) * PRICE / 100_000.0


@pytest.mark.parametrize("probability", [0.6, 0.4])
def test_probability_and_the_distances_of_the_exits_reach_the_size(probability: float) -> None:
    # 0.6 / 0.05 - 0.4 / 0.1 = 8, on either side, and half of it.
    desk = HandDesk(**BY_EXITS, exits={"stop_frac": 0.05, "target_frac": 0.1})
    assert entered(desk, probability) == pytest.approx(4.0)


def test_larger_probability_enters_more_and_the_cap_holds() -> None:
    exits = {"stop_frac": 0.05, "target_frac": 0.1}
    sizes = [entered(HandDesk(**BY_EXITS, exits=exits), p) for p in (0.55, 0.6, 0.7, 1.0)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == pytest.approx(10.0)


def test_entry_without_an_edge_is_not_even_wished() -> None:
    desk = HandDesk(**BY_EXITS, exits={"stop_frac": 0.1, "target_frac": 0.02})
    assert desk.step(0.6) == []
    assert desk.ledger.orders == {}


def test_position_without_an_edge_on_the_other_side_is_closed_and_not_turned() -> None:
    desk = HandDesk(**BY_EXITS, exits={"stop_frac": 0.05, "target_frac": 0.1})
    desk.hold(0.9)
    # 0.34 long: 0.66 / 0.05 is more than 0.34 / 0.1, so a short has an edge at its exits.
    assert [w for w in desk.step(0.34) if w in ("BUY", "SELL")] == ["SELL"]
    other = HandDesk(**BY_EXITS, exits={"stop_frac": 0.1, "target_frac": 0.05})
    other.hold(0.9)  # 0.9 / 0.1 - 0.1 / 0.05
    # 0.6 / 0.1 - 0.4 / 0.05 is not above zero.
    answer = other.step(0.4)
    assert "close exit:signal" in answer
    assert not {"BUY", "SELL"} & set(answer)


def test_expected_return_over_the_variance_of_its_horizon_reaches_the_size() -> None:
    desk = HandDesk(**BY_RETURN)
    for close in (PRICE, PRICE * 1.01, PRICE):
        desk.bar(close)
    # Squared returns 0.0000990 a minute; the horizon is an hour, and they fade to nothing there.
    variance = desk.strategy._markets[BTC].sizer._volatility.yearly_variance  # type: ignore[union-attr]
    assert variance is not None
    hour = variance / (365 * 24)
    answer = desk.predict(0.6, expected_return=0.002)
    assert answer == ["BUY"]
    size = float(desk.order("entry").quantity) * PRICE / 100_000.0
    assert size == pytest.approx(0.5 * 0.002 / hour)


def test_model_without_an_expected_return_stops_a_run_that_sizes_by_it() -> None:
    with pytest.raises(ConfigError) as caught:
        HandDesk(**BY_RETURN).step(0.5)
    assert str(caught.value) == (
        f"threshold-001: sizing.payoff: model {MODEL} gives no expected return. "
        "Choose another one, or name a model that does."
    )


def test_own_trades_are_measured_with_the_probability_that_is_told() -> None:
    desk = HandDesk(**BY_TRADES)
    assert entered(desk, 0.6) == pytest.approx(0.3)
    desk.fill()
    for price, probability in ((PRICE * 1.1, 0.4), (PRICE * 1.1 * 1.05, 0.51)):
        desk.bar(price)
        desk.predict(probability)
        desk.fill()
    # Long from 30,000 to 33,000 won a tenth; short from there to 34,650 lost a twentieth.
    equity = desk.ledger.equity()
    desk.bar(PRICE)
    assert desk.predict(0.6) == ["BUY"]
    size = float(desk.order("entry").quantity) * PRICE / equity
    assert size == pytest.approx(0.5 * (0.6 / 0.05 - 0.4 / 0.1))


def test_entries_wait_for_the_range_that_their_exits_are_measured_in() -> None:
    desk = HandDesk(exits={"stop_atr": 2.0, "atr_bars": 3})
    assert [desk.step(0.6) for _ in range(4)] == [[], [], [], ["BUY"]]


def test_signal_that_is_turned_off_closes_and_opens_nothing_while_a_position_is_held() -> None:
    desk = HandDesk(exits={"max_bars": 3, "signal": False})
    desk.hold(0.6)
    assert [desk.step(p) for p in (0.1, 0.5, 0.1)] == [[], [], ["close exit:time"]]
    assert desk.step(0.1) == ["SELL"]


# The baseline


def cross(context: Context, component_id: str = "ema-001", **changes: Any) -> EmaCross:
    data = {"instruments": [BTC], "interval": "1m", "fast": 1, "slow": 2, **BY_TRADES}
    settings = decode(data | changes, EmaCrossSettings, "desk.toml: strategies[0].params")
    return EmaCross(settings, context, component_id)


def test_baseline_measures_its_own_trades_and_the_share_that_won() -> None:
    context = make_context()
    strategy = cross(context)

    def fill(side: Any, price: float) -> None:
        trade_id = f"T-{len(context.ledger.fills)}"
        fact = Fill("ema-001", BTC, "O", trade_id, 1, side, price, Decimal(1), 0.0, "TAKER")
        context.ledger.apply_fill(fact)
        assert list(strategy.decide_on_fill(fact)) == []

    (entry,) = _entries(strategy)
    context.ledger.marks[BTC] = PRICE
    assert float(strategy.size(entry)) * PRICE == pytest.approx(0.3 * 100_000)
    for price in (PRICE * 1.1, PRICE * 1.1, PRICE * 0.95):
        fill("BUY", PRICE)
        fill("SELL", price)
    # Three of five by Laplace's rule; a tenth won, a twentieth lost: half of 8.
    equity = context.ledger.equity()
    assert float(strategy.size(entry)) * PRICE / equity == pytest.approx(4.0)


def _entries(strategy: EmaCross) -> Any:
    for number, close in enumerate((PRICE, PRICE, PRICE * 1.01)):
        bar = BarClosed(BTC, close_of(number + 1), close, close, close, close, 1.0)
        strategy.context.ledger.apply_bar(bar)
        yield from strategy.decide_on_bar(bar)


@pytest.mark.parametrize("payoff", ["exits", "expected_return"])
def test_baseline_has_no_prediction_to_size_by(payoff: str) -> None:
    with pytest.raises(ConfigError, match="this strategy has none, so it must be 'trades'"):
        cross(make_context(), sizing=KELLY | {"payoff": payoff})


def test_strategies_of_one_desk_must_agree_on_its_risk() -> None:
    context = make_context()
    parity = {"method": "risk_parity", "annual_volatility_frac": 0.2}
    cross(context, sizing=parity)
    cross(context, "ema-002", sizing=parity | {"max_fraction": 0.5}, instruments=[ETH])
    with pytest.raises(ConfigError, match=r"ema-003: sizing.shrinkage: was 0.9, but 0.2 in ema"):
        cross(context, "ema-003", sizing=parity | {"shrinkage": 0.9})


def test_baseline_whose_trades_lost_on_the_whole_wishes_nothing() -> None:
    context = make_context()
    strategy = cross(context)
    assert len(list(_entries(strategy))) == 1
    record = strategy._markets[BTC].sizer._trades
    assert record is not None
    record.restore(TradeState(returns=[0.01, -0.1, -0.1]))
    other = cross(context, "ema-002")
    other._markets[BTC].sizer._trades = record
    assert list(_entries(other)) == []


def test_example_in_the_docs_is_read() -> None:
    text = (CHECKOUT / "docs" / "risk.md").read_text()
    block = text.partition("## A strategy's own risk")[2].partition("```toml\n")[2]
    params = tomllib.loads(block.partition("```")[0])["strategies"]["params"]
    data = {"instruments": [BTC], "interval": "1h"} | params
    settings = decode(data, EmaCrossSettings, "docs/risk.md")
    assert [one.atr for one in settings.exits.targets] == [4.0, 8.0]
    assert isinstance(settings.sizing, RiskParitySizing)
