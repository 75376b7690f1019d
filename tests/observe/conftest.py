"""Run folders that the tests of `aitb_nautilus.observe` share: built once, never changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.observe.model_builder import ModelRecipe
from tests.observe.run_builder import Recipe, build_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return run folders by name; a test that writes into one copies it first."""
    root = tmp_path_factory.mktemp("runs")
    recipes = {
        "plain": Recipe(days=120, hold_bars=20),
        "skilled": Recipe(name="Skilled", days=200, hold_bars=20, skill=0.35),
        "simulated": Recipe(name="Sim", days=60, simulated=True, skill=0.35, leave_open=True),
        "several": Recipe(name="Several", days=60, instruments=4, halts=2, leave_open=True),
        "idle": Recipe(name="Idle", days=60, trades=False),
        "short": Recipe(name="Short", days=5),
        "losing": Recipe(name="Losing", days=120, hold_bars=20, skill=-0.35),
        "failed": Recipe(name="Failed", days=40, status="failed"),
        "interrupted": Recipe(name="Stopped", days=40, status="interrupted"),
        "modelled": Recipe(
            name="Modelled",
            days=150,
            instruments=2,
            models=(
                ModelRecipe(late=3),
                ModelRecipe(
                    "blend",
                    "btc_up@3+calm@1",
                    skill=0.0,
                    cost_bps=5.0,
                    sample="walk-forward",
                    members=("btc_up", "calm"),
                ),
            ),
        ),
        "seen": Recipe(
            name="Seen",
            days=200,
            hold_bars=20,
            skill=0.35,
            models=(ModelRecipe("seen_it", sample="in", simulated=True),),
        ),
        "other": Recipe(name="Other", days=90, fee_bps=2.0, params={"fast": 6, "stop": 0.02}),
    }
    return {name: build_run(root / name, recipe) for name, recipe in recipes.items()}


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run over a year of one-minute bars."""
    recipe = Recipe(name="A year of minutes", days=365, interval_s=60, hold_bars=600)
    return build_run(tmp_path_factory.mktemp("year") / "year", recipe)
