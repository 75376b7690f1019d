"""The contract finds what is planted: a check that never fails proves nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aitb_nautilus.errors import DataError, RunError
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.kernel import Kernel
from aitb_nautilus.features.kernels import KERNELS
from tests.features import contract, planted
from tests.features.feature_bars import market, run, set_of


@pytest.mark.parametrize(
    ("check", "kernel"),
    [
        (contract.late_start_equals_full_history, planted.drifting_sum),
        (contract.outlier_is_forgotten, planted.drifting_sum),
        (contract.late_start_equals_full_history, planted.endless_average),
        (contract.outlier_is_forgotten, planted.endless_average),
        (contract.late_start_equals_full_history, planted.blocks_from_the_first_bar),
        (contract.late_start_equals_full_history, planted.too_short_warmup),
        (contract.stays_in_range, planted.leaves_its_range),
        (contract.scales_as_declared, planted.depends_on_the_money),
        (contract.never_raises, planted.raises),
        (contract.stays_in_its_cells, planted.writes_outside_its_cells),
        (contract.declares_everything, planted.says_nothing),
    ],
    ids=lambda value: getattr(value, "__name__", getattr(value, "name", None)),
)
def test_check_finds_the_wrong_kernel(check: Callable[[Kernel], None], kernel: Kernel) -> None:
    with pytest.raises(AssertionError):
        check(kernel)


@pytest.mark.parametrize(
    "compute",
    [planted.centred_on_the_whole, planted.one_row_early, planted.filled_backwards],
    ids=lambda compute: compute.__name__,
)
def test_check_finds_a_look_into_the_future(compute: contract.Compute) -> None:
    kernel = KERNELS["log_return"]
    contract.never_looks_ahead(kernel)
    with pytest.raises(AssertionError):
        contract.never_looks_ahead(kernel, compute)


def test_kernel_with_a_state_of_its_own_is_refused_before_it_runs() -> None:
    with pytest.raises(TypeError, match="shares_a_state uses SHARED, a ndarray"):
        run(set_of(planted.shares_a_state), market(10))


def test_nan_after_the_warmup_names_feature_and_bar() -> None:
    features = set_of(planted.divides_by_zero, (1,))
    bars = market(200)
    idle = int((bars.volume == 0.0).argmax())
    engine = FeatureEngine(features)
    with pytest.raises(
        DataError, match=r"feature divides_by_zero\(1\), bar 2021.*: is nan, must be"
    ):
        engine.batch(bars)
    assert engine.last_ns == bars.ts_close[idle]


def test_kernel_that_writes_outside_its_cells_is_found_by_its_guard_cell() -> None:
    bars = market(200)
    engine = FeatureEngine(set_of(planted.writes_outside_its_cells))
    with pytest.raises(RunError, match=r"writes_outside_its_cells.*wrote outside its cells"):
        engine.batch(bars)
    with pytest.raises(RunError, match="wrote outside its cells"):
        engine.snapshot()
