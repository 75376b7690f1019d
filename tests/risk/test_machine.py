"""Whatever happens between a node and its venue, no promise of guard and decisions is broken.

`machine/world.py` says what can happen and what must never; here Hypothesis chooses, and shrinks
what it finds. The long run, with figures, is ``python -m tests.risk.machine.long``.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aitb_nautilus.risk.limit_settings import RiskSettings, RuleSettings
from aitb_nautilus.risk.limits import build_limits
from aitb_nautilus.settings import decode
from tests.risk.machine.faults import FAULTS, LIMITS
from tests.risk.machine.invariants import INVARIANTS
from tests.risk.machine.long import memory, run, steps_until_found
from tests.risk.machine.outcomes import Ended
from tests.risk.machine.world import ACTIONS, WEIGHTS, World


class Machine(RuleBasedStateMachine):
    """A desk; Hypothesis chooses its limits and all that happens."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=memory())
        self.world: Any = None
        self.data: Any = None
        self.is_over = False

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.data = data
        self.world = World(self.pick, Path(self.folder.name))

    def pick(self, below: int) -> int:
        number: int = self.data.draw(st.integers(0, below - 1))
        return number

    def do(self, name: str, data: st.DataObject) -> None:
        self.data = data
        if self.is_over:
            return
        try:
            self.world.step(name)
        except Ended:
            self.is_over = True

    @invariant()
    def nothing_is_broken(self) -> None:
        if self.world is not None:
            assert not self.world.venue.faults

    def teardown(self) -> None:
        if self.world is not None:
            self.world.close()
        self.folder.cleanup()


def _doing(name: str) -> Callable[..., None]:
    @rule(data=st.data())
    def act(self: Machine, data: st.DataObject) -> None:
        self.do(name, data)

    return act


for _name in ACTIONS:
    setattr(Machine, f"then_{_name.replace(' ', '_')}", _doing(_name))

TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=40,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_short_run_finds_nothing_and_reaches_what_matters() -> None:
    tally: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    run(12_000, 7_000, tally, asked)
    assert set(asked) <= set(INVARIANTS)
    assert len(asked) > len(INVARIANTS) * 3 / 4
    assert min(tally[f"did {name}"] for name in WEIGHTS) > 0
    for what in (
        "opening orders",
        "opening changes",
        "heard out of order",
        "heard twice",
        "commands lost",
        "halts",
        "resumes",
        "positions looked at for a stop",
        "compared",
        "restarts",
        "killed before sending",
        "killed after sending",
        "killed in the log",
        "killed with records ahead of SQLite",
        "killed once SQLite had the log",
        "written ahead",
        "fills recovered",
        "orders around the guard",
    ):
        assert tally[what] > 0, what


def test_every_limit_of_the_config_has_an_invariant() -> None:
    # A new limit needs a function in machine/invariants.py that works out anew what it promises.
    keys = {*RiskSettings.__struct_fields__, *RuleSettings.__struct_fields__} - {"rules", "scope"}
    assert set(INVARIANTS) == keys


EVERYTHING: dict[str, Any] = {
    "max_order_notional": 1e9,
    "max_position_notional": 1e9,
    "max_gross_notional": 1e9,
    "max_net_notional": 1e9,
    "max_leverage": 100.0,
    "max_concentration_frac": 0.9,
    "max_orders_per_day": 10**6,
    "max_turnover_per_day": 1e9,
    "max_stale_bars": 10.0,
    "max_clock_skew_ms": 10.0,
    "max_prediction_age_minutes": 10.0,
    "max_daily_loss": 1e6,
    "max_daily_loss_frac": 0.1,
    "cooldown_minutes": 1.0,
    "loss_cooldown_minutes": 2.0,
    "loss_streak": {"losses": 2, "pause_minutes": 1.0},
    "low_profit": {"trades": 2, "pause_minutes": 1.0},
    "stop_guard": {"stops": 2, "pause_minutes": 1.0, "window_minutes": 1.0},
    "liquidity": {"max_volume_frac": 0.1, "min_bar_value": 1.0},
    "book": {
        "max_quote_age_ms": 1_000.0,
        "max_spread_frac": 0.1,
        "min_book_notional": 1.0,
        "book_band_frac": 0.1,
        "max_divergence_frac": 0.1,
    },
    "correlation": {
        "max_volatility_frac": 1.0,
        "max_risk_share_frac": 0.5,
        "max_cluster_notional": 1e6,
    },
    "drawdown": {"shrink_frac": 0.11, "reduce_frac": 0.12, "halt_frac": 0.13},
    "rules": [
        {
            "scope": {"instrument": "X.V"},
            "reference": {"instrument": "Y.V", "max_divergence_frac": 0.1, "max_age_minutes": 1.0},
        }
    ],
}


def test_every_limit_that_is_built_is_switched_off_once() -> None:
    risk = decode(EVERYTHING, RiskSettings, "desk.toml")
    absent = [n for n in RiskSettings.__struct_fields__ if getattr(risk, n) is None]
    assert absent == []
    assert {limit.name for limit in build_limits(risk)} == set(LIMITS)


SOON = [
    "no max_position_notional",
    "no max_gross_notional",
    "no max_open_orders",
    "no max_orders_per_day",
    "no price_band_frac",
    "no loss_streak",
    "pending orders do not count",
    "changes are not judged",
    "fills count as often as they are told",
    "halts are not asked",
    "halts are forgotten",
    "halts are not stored",
    "resting orders are not asked for",
    "orders around the guard pass",
    "exits need an active state",
    "exits need the journal",
    "cancels are dropped",
    "orders are sent twice",
    "the stop is forgotten",
    "the journal is written afterwards",
    "the log ahead is thrown away",
]
"""Faults that are found within a second; ``long faults`` plants all."""


@pytest.mark.parametrize("fault", SOON)
def test_planted_fault_is_found(fault: str) -> None:
    assert fault in FAULTS
    steps, why = steps_until_found(fault, 20_000)
    assert steps, f"{fault}: nothing was found"
    assert "Traceback" not in why
