"""Every component keeps the contract of CONVENTIONS, the day it appears."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.component_contract import CHECKS, components, components_of, write_files

FOUND = components(["strategies", "actors"])
_NUMBERS = itertools.count(1)

GOOD = '''
"""A component that keeps the contract."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.messages import BarClosed, Intent, OrderIntent
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings
# imports


class BuyOnceSettings(Settings, frozen=True):
    """Settings of `BuyOnce`.

    Attributes
    ----------
    instruments
        Instrument ids.
    interval, quantity
        Length of the bars, and what to buy.
    """

    instruments: tuple[str, ...]
    interval: str
    quantity: float = 1.0


class BuyOnce(GuardedStrategy):
    """Buy on the first bar."""

    settings_type = BuyOnceSettings
    settings: BuyOnceSettings

    def bar_types(self) -> Sequence[str]:
        """Listen to every instrument's bars."""
        interval = Interval.parse(self.settings.interval)
        return [interval.bar_type(i) for i in self.settings.instruments]

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        """Buy."""
        # body
        return [OrderIntent(instrument_id=bar.instrument_id, side="BUY", quantity=Decimal(1))]
'''


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that example settings name, and the key that signed them."""
    folder = tmp_path_factory.mktemp("components")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AITB_HOME", str(folder / "keys"))
        write_files(folder)
    return folder


@pytest.fixture(autouse=True)
def among_the_files(example_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let relative paths and the user's key be those of the example files."""
    monkeypatch.chdir(example_folder)
    monkeypatch.setenv("AITB_HOME", str(example_folder / "keys"))


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Callable[[str], type]]:
    """Return what turns source code into the first component of a module."""
    names = []

    def plant(code: str) -> type:
        name = f"planted_{next(_NUMBERS)}"
        path = tmp_path / f"{name}.py"
        path.write_text(code)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        names.append(name)
        spec.loader.exec_module(module)
        return components_of(module)[0]

    yield plant
    for name in names:
        del sys.modules[name]


def problems(cls: type) -> list[str]:
    """Return what all checks find, an error in one of them included."""
    found = []
    for check in CHECKS:
        try:
            found += [f"{check.__name__}: {text}" for text in check(cls)]
        except Exception as e:
            found.append(f"{check.__name__}: raised {type(e).__name__}")
    return found


def test_components_are_found() -> None:
    assert "strategies.ema_cross:EmaCross" in [f"{c.__module__}:{c.__name__}" for c in FOUND]


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("cls", FOUND, ids=lambda c: f"{c.__module__}:{c.__name__}")
def test_component_keeps_the_contract(cls: type, check: Callable[[type], Iterator[str]]) -> None:
    assert list(check(cls)) == []


def test_component_that_keeps_the_contract_has_no_problems(
    planted: Callable[[str], type],
) -> None:
    assert problems(planted(GOOD)) == []


SECOND = '''

class Other(GuardedStrategy):
    """Do nothing."""
'''


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("", SECOND, "one_file_one_component: planted"),
        (
            "    settings_type = BuyOnceSettings\n",
            "",
            "settings_stand_in_the_same_file: settings_type is not a struct of its own",
        ),
        (
            "class BuyOnceSettings(Settings, frozen=True):",
            "class BuyOnceSettings(Settings, frozen=True, forbid_unknown_fields=False):",
            "settings_stand_in_the_same_file: its settings take unknown keys",
        ),
        (
            "class BuyOnceSettings(Settings, frozen=True):",
            "class BuyOnceSettings(Settings, frozen=False):",
            "settings_stand_in_the_same_file: its settings can be changed",
        ),
        (
            "settings_type = BuyOnceSettings",
            "settings_type = EmaCrossSettings",
            "settings_stand_in_the_same_file: its settings stand in strategies.ema_cross",
        ),
        ('    """Buy on the first bar."""\n', "", "docstrings_tell_all: BuyOnce has no docstring"),
        ("Buy on the first bar.", "Buys on the first bar.", "docstrings_tell_all: the docstring"),
        ("Buy on the first bar.", "a strategy.", "docstrings_tell_all: the docstring"),
        (
            "interval, quantity\n",
            "interval\n",
            "docstrings_tell_all: BuyOnceSettings does not tell what quantity is",
        ),
        (
            "    quantity: float = 1.0\n",
            "    quantity: float = 1.0\n    quantityx: float = 1.0\n",
            "settings_refuse_a_misspelt_key: the misspelt key quantityx is taken",
        ),
        (
            "# body",
            "return ['buy']",
            "decides_without_an_engine: it answered a bar with 'buy', which is no intent",
        ),
        (
            "for i in self.settings.instruments]",
            "for i in ()]",
            "decides_without_an_engine: it listens to nothing",
        ),
        (", quantity=Decimal(1))", ")", "decides_without_an_engine: raised ConfigError"),
        ("# body", "self.cache.bars()", "decides_without_an_engine: raised RuntimeError"),
        (
            "# imports",
            "from aitb_nautilus.run.backtest import backtest as _",
            "imports_lower_floors_only: it imports aitb_nautilus.run.backtest.backtest",
        ),
        (
            "# imports",
            "from strategies.ema_cross import EmaCrossSettings",
            "imports_lower_floors_only: it imports strategies.ema_cross.EmaCrossSettings",
        ),
        ("# body", "is_live = False", "asks_for_no_mode: line 43 says 'live'"),
        ("# body", "mode = 'backtest'", "asks_for_no_mode: line 43 says 'backtest'"),
        ("# body", "x = self.context.paper if 0 else 0", "asks_for_no_mode: line 43 says 'paper'"),
        ("# imports", "import time", "takes_time_and_chance_from_the_engine_and_the_config"),
        (
            "# imports",
            "from time import monotonic",
            "takes_time_and_chance_from_the_engine_and_the_config",
        ),
        (
            "# imports",
            "import datetime\nNOW = datetime.datetime.now()",
            "takes_time_and_chance_from_the_engine_and_the_config: line 12 asks the wall clock",
        ),
        (
            "# imports",
            "import random\nX = random.random()",
            "takes_time_and_chance_from_the_engine_and_the_config: line 12 draws without a seed",
        ),
        (
            "# imports",
            "from random import gauss",
            "takes_time_and_chance_from_the_engine_and_the_config: it imports random.gauss",
        ),
        (
            "# imports",
            "import numpy as np\nX = np.random.normal()",
            "takes_time_and_chance_from_the_engine_and_the_config: line 12 draws without a seed",
        ),
        (
            "# imports",
            "import numpy as np\nX = np.random.default_rng()",
            "takes_time_and_chance_from_the_engine_and_the_config: line 12 makes a default_rng",
        ),
        (
            "# body",
            "f = super().submit_order",
            "keeps_to_the_guard_and_to_exact_prices: line 43 calls submit_order around the guard",
        ),
        (
            "# body",
            "f = lambda bar: bar.close.as_double()",
            "keeps_to_the_guard_and_to_exact_prices: line 43 takes a price by as_double",
        ),
    ],
)
def test_planted_breach_of_the_contract_is_found(
    planted: Callable[[str], type], old: str, new: str, problem: str
) -> None:
    code = GOOD.replace(old, new) if old else GOOD + new
    if "EmaCrossSettings" in new and "import" not in new:
        code = code.replace("# imports", "from strategies.ema_cross import EmaCrossSettings")
    assert code != GOOD
    cls = planted(code)
    found = problems(cls)
    assert [text for text in found if text.startswith(problem)], found


@pytest.mark.parametrize(
    "code",
    [
        "import random\nX = random.Random(7)",
        "import numpy as np\nX = np.random.default_rng(7)",
        "LIVES = 9",
    ],
)
def test_chance_from_a_seed_and_words_that_only_look_alike_are_no_breach(
    planted: Callable[[str], type], code: str
) -> None:
    assert problems(planted(GOOD.replace("# imports", code))) == []
