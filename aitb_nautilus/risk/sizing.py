"""How large an entry is.

A sizing turns equity, price and what is known of the entry into a quantity in base currency. It
never rounds up: the guard puts the quantity onto whole lots, downwards, and does not send an entry
that is smaller than what the venue takes.
"""

from __future__ import annotations

import copy
import math
from decimal import Decimal
from typing import Self

import msgspec

from aitb_nautilus.market.instruments import MAX_PRECISION
from aitb_nautilus.messages import BarClosed, Fill, Prediction
from aitb_nautilus.risk.book import ZERO, Position
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.kelly import TradeRecord, kelly_of_odds, kelly_of_returns
from aitb_nautilus.risk.risk_parity import RiskParity
from aitb_nautilus.risk.sizing_settings import (
    EquityFraction,
    FixedNotional,
    FractionalKelly,
    RiskParitySizing,
    Sizing,
    VolatilityTarget,
)
from aitb_nautilus.risk.volatility import YEAR_NS, EwmaVolatility, VolatilityState

__all__ = [
    "Edge",
    "EquityFraction",
    "FixedNotional",
    "Sizer",
    "SizerState",
    "Sizing",
    "VolatilityTarget",
    "make_sizers",
]

_HALF_LIVES = 10
_FINEST = 10.0**-MAX_PRECISION


class Edge(msgspec.Struct, frozen=True):
    """What is known of an entry, all of it towards the entry's own side.

    Attributes
    ----------
    probability
        That it wins, in [0, 1].
    expected_return
        Over `horizon_ns`, as a fraction.
    payoff
        What it wins at its targets and loses at its stop, as fractions of the price, > 0.
    """

    probability: float | None = None
    expected_return: float | None = None
    horizon_ns: int = 0
    payoff: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        prediction: Prediction | None,
        payoff: tuple[float, float] | None,
        *,
        is_long: bool,
    ) -> Self:
        """Return what a prediction says of an entry; of a short one, the opposite."""
        if prediction is None:
            return cls(payoff=payoff)
        up, expected = prediction.probability, prediction.expected_return
        if not is_long:
            up, expected = 1 - up, None if expected is None else -expected
        return cls(up, expected, prediction.horizon_ns, payoff)


_NOTHING_KNOWN = Edge()


class SizerState(msgspec.Struct):
    """What a `Sizer` remembers of its instrument's bars.

    Attributes
    ----------
    ts
        Close of the last bar, ns UTC; -1 before the first.
    volatility
        Of the instrument.
    volumes
        Of the last bars, base currency.
    """

    ts: int
    volatility: VolatilityState
    volumes: list[float]


class Sizer:
    """Size the entries of one instrument.

    Parameters
    ----------
    sizing
        The method.
    interval_ns
        Length of the bars given to `update`, ns.
    trades
        The strategy's own trades; needed where the Kelly fraction comes from them.
    parity
        The desk's risk parity, which has this strategy and instrument among its legs; needed for
        `RiskParitySizing`.

    Attributes
    ----------
    weighs_edge
        Whether what is known of an entry changes its size.
    """

    def __init__(
        self,
        sizing: Sizing,
        interval_ns: int,
        trades: TradeRecord | None = None,
        parity: RiskParity | None = None,
    ) -> None:
        self._sizing = sizing
        self.weighs_edge = isinstance(sizing, FractionalKelly)
        self._trades = trades
        self._parity = parity
        self._instrument_id = ""
        self._ts = -1
        self._volumes: list[float] = []
        self._volatility: EwmaVolatility | None = None
        if isinstance(sizing, VolatilityTarget) or (
            isinstance(sizing, FractionalKelly) and sizing.payoff == "expected_return"
        ):
            self._volatility = EwmaVolatility(sizing.half_life_bars, interval_ns)

    def save(self) -> SizerState:
        """Return what a restart must bring back of this instrument."""
        own = self._volatility
        volatility = VolatilityState() if own is None else copy.copy(own.state)
        return SizerState(self._ts, volatility, list(self._volumes))

    def restore(self, state: SizerState) -> None:
        """Go on from what was saved."""
        self._ts = state.ts
        if self._volatility is not None:
            self._volatility.state = copy.copy(state.volatility)
        self._volumes = list(state.volumes)

    @property
    def is_ready(self) -> bool:
        """Return whether enough bars were seen to size an entry."""
        sizing = self._sizing
        if sizing.max_volume_frac is not None and len(self._volumes) < sizing.volume_bars:
            return False
        if self._parity is not None and not self._parity.knows(self._instrument_id):
            return False
        return self._volatility is None or self._volatility.yearly_variance is not None

    @property
    def bars_before(self) -> int:
        """Return after how many bars no earlier one counts for more than a thousandth."""
        sizing = self._sizing
        bars = 0 if sizing.max_volume_frac is None else sizing.volume_bars
        match sizing:
            case VolatilityTarget() | RiskParitySizing():
                bars = max(bars, _HALF_LIVES * sizing.half_life_bars)
            case FractionalKelly(payoff="expected_return"):
                bars = max(bars, _HALF_LIVES * sizing.half_life_bars)
        return bars

    def update(self, bar: BarClosed) -> None:
        """Take in a closed bar; one that was taken in already changes nothing."""
        self._instrument_id = bar.instrument_id
        if bar.ts <= self._ts:
            return
        self._ts = bar.ts
        if self._volatility is not None:
            self._volatility.update(bar.close)
        if self._parity is not None:
            self._parity.hear_bar(bar)
        if self._sizing.max_volume_frac is not None:
            self._volumes.append(bar.volume)
            del self._volumes[: -self._sizing.volume_bars]

    def hear_fill(self, fill: Fill, position: Position) -> None:
        """Take in a fill of the strategy that its position holds already."""
        if self._trades is not None:
            self._trades.hear_fill(fill, position)

    def quantity(self, equity: float, price: float, edge: Edge = _NOTHING_KNOWN) -> Decimal:
        """Return the quantity of an entry, base currency, >= 0; 0 while too little is known.

        It is 0 as well where it is less than the finest lot that there is.

        Parameters
        ----------
        equity
            Of the desk, quote currency.
        price
            What one unit costs, quote currency, > 0.
        edge
            What is known of the entry.
        """
        if not self.is_ready:
            return ZERO
        sizing, equity = self._sizing, max(equity, 0.0)
        cap = math.inf if sizing.max_fraction is None else sizing.max_fraction
        if isinstance(sizing, FixedNotional):
            notional = min(sizing.notional, equity * cap) if cap < math.inf else sizing.notional
        else:
            notional = equity * min(self._fraction(sizing, edge), cap)
        quantity = notional / price
        if sizing.max_volume_frac is not None:
            mean = sum(self._volumes) / len(self._volumes)
            quantity = min(quantity, mean * sizing.max_volume_frac)
        # No lot is finer; and far below, where floats lose digits, it would exceed its caps.
        return Decimal(repr(quantity)) if quantity >= _FINEST else ZERO

    def _fraction(self, sizing: Sizing, edge: Edge) -> float:
        """Return the value of an entry as a fraction of equity, before the caps."""
        match sizing:
            case EquityFraction():
                return sizing.fraction
            case VolatilityTarget():
                return sizing.annual_volatility_frac / math.sqrt(self._yearly_variance())
            case FractionalKelly():
                return self._kelly(sizing, edge)
            case RiskParitySizing() if self._parity is not None:
                return sizing.annual_volatility_frac * self._parity.share(self._instrument_id)
        raise TypeError(f"{sizing!r} needs more than this sizer was given; see make_sizers")

    def _kelly(self, sizing: FractionalKelly, edge: Edge) -> float:
        cost = sizing.cost_bps / 1e4
        if sizing.payoff == "expected_return":
            if edge.expected_return is None:
                return 0.0
            variance = self._yearly_variance() * edge.horizon_ns / YEAR_NS
            return sizing.multiplier * kelly_of_returns(edge.expected_return - cost, variance)
        if sizing.payoff == "trades":
            odds = None if self._trades is None else self._trades.odds()
            if odds is None:
                return sizing.start_fraction
            share, win, loss = odds
            probability = share if edge.probability is None else edge.probability
            return sizing.multiplier * kelly_of_odds(probability, win, loss)
        if edge.probability is None or edge.payoff is None:
            return 0.0
        win, loss = edge.payoff
        return sizing.multiplier * kelly_of_odds(edge.probability, win - cost, loss + cost)

    def _yearly_variance(self) -> float:
        known = None if self._volatility is None else self._volatility.yearly_variance
        assert known is not None  # noqa: S101 - `is_ready` was asked first
        return known


def make_sizers(
    sizing: Sizing,
    context: Context,
    component_id: str,
    instruments: tuple[str, ...],
    interval_ns: int,
) -> dict[str, Sizer]:
    """Return a sizer for each of a strategy's instruments; they share what is the strategy's.

    Raises
    ------
    ConfigError
        If another strategy of the desk asks for another risk parity.
    """
    trades = parity = None
    if isinstance(sizing, FractionalKelly) and sizing.payoff == "trades":
        trades = TradeRecord(sizing.trades, sizing.min_trades)
        context.trade_records[component_id] = trades
    if isinstance(sizing, RiskParitySizing):
        parity = context.risk_parity
        parity.join(component_id, instruments, sizing, interval_ns)
    return {name: Sizer(sizing, interval_ns, trades, parity) for name in instruments}
