from __future__ import annotations

from pathlib import Path

import msgspec

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.figures import FIGURES, GROUPS, difference, text
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.stats import Stats

BY_KEY = {figure.key: figure for figure in FIGURES}


def stats_of(path: Path) -> Stats:
    stats = Run(path).record.stats
    assert stats is not None
    return stats


def test_every_figure_is_a_field_of_the_stats_and_in_a_group(runs: dict[str, Path]) -> None:
    fields = set(Stats.__struct_fields__)
    assert {figure.key for figure in FIGURES} <= fields
    assert {figure.group for figure in FIGURES} == set(GROUPS)
    assert len({figure.label for figure in FIGURES}) == len(FIGURES)


def test_figures_that_the_contract_names_are_all_shown() -> None:
    named = (
        "total_return market_return sharpe sortino calmar max_drawdown profit_factor win_rate "
        "trades fees slippage funding"
    )
    assert set(named.split()) <= set(BY_KEY)


def test_undefined_figures_are_dashes(runs: dict[str, Path]) -> None:
    idle = stats_of(runs["idle"])
    shown = {figure.key: text(figure, idle, 2) for figure in FIGURES}
    assert shown["sharpe"] == shown["win_rate"] == shown["expectancy"] == formats.DASH
    assert shown["trades"] == "0"
    assert not any("nan" in value or "None" in value for value in shown.values())


def test_units_are_written_out(runs: dict[str, Path]) -> None:
    stats = msgspec.structs.replace(
        stats_of(runs["plain"]),
        total_return=0.1234,
        max_drawdown=0.2,
        win_rate=0.5,
        fees=1234.5,
        expectancy=-3.0,
        trades=1200,
        turnover=12.34,
        sharpe=1.005,
    )
    shown = {key: text(figure, stats, 2) for key, figure in BY_KEY.items()}
    assert shown["total_return"] == "+12.34%"
    assert shown["max_drawdown"] == "-20.00%"
    assert shown["win_rate"] == "50.00%"
    assert shown["fees"] == "1,234.50"
    assert shown["expectancy"] == "-3.00"
    assert shown["trades"] == "1,200"
    assert shown["turnover"] == "12.3x"


def test_differences_have_the_sign_of_the_change_that_is_shown(runs: dict[str, Path]) -> None:
    base = stats_of(runs["plain"])
    stats = msgspec.structs.replace(
        base,
        total_return=base.total_return + 0.05,
        max_drawdown=base.max_drawdown + 0.01,
        trades=base.trades - 3,
        fees=base.fees + 2.5,
        sharpe=None,
    )
    shown = {key: difference(figure, stats, base, 2) for key, figure in BY_KEY.items()}
    assert shown["total_return"] == "+5.00 pp"
    assert shown["max_drawdown"] == "-1.00 pp"  # it fell deeper
    assert shown["trades"] == "-3"
    assert shown["fees"] == "+2.50"
    assert shown["sharpe"] == formats.DASH
    assert shown["best_day"] == "0.00 pp"
