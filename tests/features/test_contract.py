"""Every registered kernel keeps every promise; a new one is tested the day it appears."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aitb_nautilus.features.kernel import Kernel
from aitb_nautilus.features.kernels import KERNELS
from tests.features.contract import CHECKS


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_kernel_keeps_its_promise(kernel: Kernel, check: Callable[[Kernel], None]) -> None:
    check(kernel)


def test_there_are_at_least_sixty_features() -> None:
    assert len(KERNELS) >= 60
