"""Random desks: limits, exits and sizings that act at the sizes that the machine trades."""

from __future__ import annotations

from typing import Any

from tests.risk.machine.venue import Pick

__all__ = [
    "BTC",
    "EQUITY",
    "ETH",
    "INSTRUMENTS",
    "PRICES",
    "SOL",
    "draw_exits",
    "draw_risk",
    "draw_sizing",
]

BTC = "BTCUSDT-PERP.BINANCE"
SOL = "SOLUSDT-PERP.BINANCE"
ETH = "ETHUSDT.BINANCE"
"""A spot market: nothing can be sold short there."""
INSTRUMENTS = (BTC, SOL, ETH)
PRICES = {BTC: 30_000.0, SOL: 100.0, ETH: 2_000.0}
EQUITY = 100_000.0


def draw_risk(pick: Pick) -> dict[str, Any]:
    """Return a ``[risk]`` section: many limits in some desks, few in others."""
    odds = _one(pick, 2, 4, 8)
    risk = _scoped(pick, 1.0, odds) | {
        "max_order_notional": _one(pick, 1_000.0, 5_000.0, 1e6, 1e6),
        "max_position_notional": _one(pick, 2_000.0, 9_999.99, 1e6, 1e6),
        "max_open_orders": _one(pick, 3, 8, 100),
        "max_orders_per_minute": _one(pick, 2, 6, 1_000, 1_000),
        "price_band_frac": _one(pick, 0.01, 0.05, 0.1, 1.0),
    }
    _maybe(pick, risk, "max_concentration_frac", lambda: _one(pick, 0.03, 0.4), odds)
    _maybe(pick, risk, "max_daily_loss_frac", lambda: _one(pick, 0.0005, 0.004), odds)
    _maybe(pick, risk, "correlation", lambda: _correlation(pick), odds)
    _maybe(pick, risk, "drawdown", lambda: _drawdown(pick), odds)
    if "max_daily_loss_frac" in risk and "drawdown" in risk:
        steps = [risk["drawdown"].get(k) for k in ("reduce_frac", "halt_frac")]
        if any(s is not None and risk["max_daily_loss_frac"] >= s for s in steps):
            del risk["max_daily_loss_frac"]  # The config would be refused: it could never act.
    _untangle(risk)
    rules = []
    for scope in (
        {"strategy": "random"},
        {"instrument": SOL},
        {"venue": "BINANCE"},
        {"strategy": "threshold", "instrument": BTC},
    ):
        if not pick(5):
            rule = _scoped(pick, 0.8, odds)
            rule["max_orders_per_day"] = 15
            if scope == {"instrument": SOL} and pick(2):
                rule["reference"] = {
                    "instrument": BTC,
                    "max_divergence_frac": _one(pick, 0.02, 0.2),
                    "max_age_minutes": _one(pick, 1.0, 300.0),
                    "scale": PRICES[SOL] / PRICES[BTC],
                }
            _below(rule, risk)
            _untangle(rule)
            rules.append(rule | {"scope": scope})
    return risk | {"rules": rules}


def draw_exits(pick: Pick) -> dict[str, Any]:
    """Return exits of a strategy; what the config would refuse is left out."""
    exits: dict[str, Any] = {"atr_bars": 3}
    _maybe(pick, exits, *_one(pick, ("stop_frac", 0.005), ("stop_frac", 0.02), ("stop_atr", 2.0)))
    _maybe(
        pick,
        exits,
        *_one(
            pick,
            ("target_frac", 0.005),
            ("target_frac", 0.05),
            ("target_atr", 3.0),
            ("targets", ({"close_frac": 0.5, "frac": 0.01}, {"close_frac": 0.3, "frac": 0.03})),
        ),
    )
    _maybe(pick, exits, *_one(pick, ("trailing_frac", 0.01), ("trailing_atr", 2.5)))
    if not pick(4):
        exits |= {"chandelier_atr": 3.0, "chandelier_bars": 5}
    if not pick(3):
        exits["break_even_frac"] = 0.003
    _maybe(pick, exits, "max_bars", _one(pick, 2, 10))
    return exits


def draw_sizing(pick: Pick) -> dict[str, Any]:
    """Return a sizing; some of them wish far more than is allowed."""
    return _one(
        pick,
        {"method": "fixed_notional", "notional": 3_000},
        {"method": "fixed_notional", "notional": 50_000},
        {"method": "equity_fraction", "fraction": 0.02},
        {"method": "volatility_target", "annual_volatility_frac": 0.1, "half_life_bars": 5},
        {"method": "kelly", "payoff": "trades", "min_trades": 2, "start_fraction": 0.03},
        {"method": "risk_parity", "annual_volatility_frac": 0.2, "half_life_bars": 5},
    )


def _scoped(pick: Pick, tight: float, odds: int) -> dict[str, Any]:
    """Return limits that may stand in ``[risk]`` and in a rule."""
    risk: dict[str, Any] = {}
    _maybe(pick, risk, "max_gross_notional", lambda: _one(pick, 6_000.0, 20_000.0) * tight, odds)
    _maybe(pick, risk, "max_net_notional", lambda: _one(pick, 3_000.0, 6_000.0) * tight, odds)
    _maybe(pick, risk, "max_orders_per_day", lambda: _one(pick, 5, 20, 60), odds)
    _maybe(
        pick, risk, "max_turnover_per_day", lambda: _one(pick, 20_000.0, 100_000.0) * tight, odds
    )
    _maybe(pick, risk, "max_stale_bars", lambda: _one(pick, 0.5, 2.0), odds)
    _maybe(pick, risk, "max_clock_skew_ms", lambda: _one(pick, 0.0, 500.0), odds)
    _maybe(pick, risk, "liquidity", lambda: _liquidity(pick), odds)
    _maybe(pick, risk, "max_leverage", lambda: _one(pick, 0.05, 0.2, 1.0) * tight, odds)
    _maybe(pick, risk, "max_prediction_age_minutes", lambda: _one(pick, 1.0, 300.0), odds)
    _maybe(pick, risk, "max_daily_loss", lambda: _one(pick, 50.0, 500.0) * tight, odds)
    _maybe(pick, risk, "cooldown_minutes", lambda: _one(pick, 0.5, 5.0, 60.0), odds)
    if not pick(2 * odds):
        risk["book"] = _book(pick)
    _maybe(
        pick, risk, "loss_streak", lambda: {"losses": 1 + pick(3), "pause_minutes": _pause(pick)}
    )
    _maybe(pick, risk, "loss_cooldown_minutes", lambda: _pause(pick), odds)
    _maybe(
        pick,
        risk,
        "low_profit",
        lambda: {
            "trades": 1 + pick(3),
            "pause_minutes": _pause(pick),
            "window_minutes": _one(pick, 60.0, 10_000.0),
            "min_pnl": _one(pick, -20.0, 0.0, 10.0),
        },
        odds,
    )
    _maybe(
        pick,
        risk,
        "stop_guard",
        lambda: {"stops": 1 + pick(2), "window_minutes": 600.0, "pause_minutes": _pause(pick)},
        odds,
    )
    return risk


def _below(rule: dict[str, Any], risk: dict[str, Any]) -> None:
    """Make a rule at least as tight as the whole, as the config asks."""
    for name, value in rule.items():
        if name not in risk or name in _FREE:
            continue
        if isinstance(value, dict):
            _below(value, risk[name])
        else:
            rule[name] = (max if name in _FLOORS else min)(value, risk[name])


def _untangle(risk: dict[str, Any]) -> None:
    """Leave out what the config refuses, since it could never act."""
    if "max_gross_notional" in risk and "max_net_notional" in risk:
        risk["max_net_notional"] = min(risk["max_net_notional"], risk["max_gross_notional"])
    if "cooldown_minutes" in risk and "loss_cooldown_minutes" in risk:
        longer = risk["cooldown_minutes"] + 30.0
        risk["loss_cooldown_minutes"] = max(risk["loss_cooldown_minutes"], longer)


_FREE = ("bars", "loss_streak", "low_profit", "stop_guard")
_FLOORS = ("cooldown_minutes", "loss_cooldown_minutes", "min_book_notional", "min_bar_value")


def _correlation(pick: Pick) -> dict[str, Any]:
    found: dict[str, Any] = {
        "half_life_bars": _one(pick, 5, 50),
        "min_bars": _one(pick, 2, 6),
        "shrinkage": _one(pick, 0.0, 0.2),
        "cluster_correlation": _one(pick, 0.3, 0.7),
    }
    kind = pick(3)
    if kind != 1:
        found["max_volatility_frac"] = _one(pick, 0.05, 0.3, 2.0)
        _maybe(pick, found, "max_risk_share_frac", lambda: _one(pick, 0.2, 0.6))
    if kind != 0:
        found["max_cluster_notional"] = _one(pick, 3_000.0, 8_000.0)
    return found


def _drawdown(pick: Pick) -> dict[str, Any]:
    steps = {"shrink_frac": 0.001, "reduce_frac": 0.003, "halt_frac": _one(pick, 0.006, 0.02)}
    left = {k: v for k, v in steps.items() if pick(3)} or steps
    return left | {"shrink_factor": 0.5}


def _liquidity(pick: Pick) -> dict[str, Any]:
    found: dict[str, Any] = {"bars": _one(pick, 1, 5)}
    if pick(3):
        found["max_volume_frac"] = _one(pick, 0.05, 0.5)
    if "max_volume_frac" not in found or not pick(2):
        found["min_bar_value"] = _one(pick, 1_000.0, 20_000.0)
    return found


def _book(pick: Pick) -> dict[str, Any]:
    found: dict[str, Any] = {"max_quote_age_ms": _one(pick, 1_000.0, 60_000.0, 86_400_000.0)}
    _maybe(pick, found, "max_spread_frac", lambda: _one(pick, 0.0005, 0.005))
    _maybe(pick, found, "min_book_notional", lambda: _one(pick, 1_000.0, 20_000.0))
    _maybe(pick, found, "book_band_frac", lambda: _one(pick, 0.01, 0.05))
    _maybe(pick, found, "max_divergence_frac", lambda: _one(pick, 0.001, 0.02))
    return found


def _pause(pick: Pick) -> float:
    return _one(pick, 1.0, 30.0, 240.0)


def _one(pick: Pick, *choices: Any) -> Any:
    return choices[pick(len(choices))]


def _maybe(pick: Pick, into: dict[str, Any], name: str, draw: Any, odds: int = 2) -> None:
    if not pick(odds):
        into[name] = draw() if callable(draw) else draw
