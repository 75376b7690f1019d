"""Every feature says what its formula says, worked out a second time by plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from aitb_nautilus.features.kernel import Argument, Kernel
from aitb_nautilus.features.kernels import KERNELS
from aitb_nautilus.market.bars import BarFrame
from tests.features.contract import both
from tests.features.feature_bars import examples, run, set_of
from tests.features.references import REFERENCES, History

ROWS = (1500, 1507, 1519, 1520, 1533, 1540, 1561, 1580, 1599, 1600, 1633, 1680, 1699)
OTHERS: dict[str, tuple[tuple[Argument, ...], ...]] = {
    "log_return": ((1,), (240,)),
    "sma_ratio": ((7,), (600,)),
    "ema_ratio": ((5, 60),),
    "rsi": ((3,), (30,)),
    "macd_histogram": ((3, 10, 16),),
    "zscore": tuple((word, 20) for word in ("volume", "typical", "range", "turnover", "open")),
    "percent_rank": (("volume", 11), ("high", 2), ("low", 300)),
    "skewness": ((3,), (700,)),
    "kurtosis": ((4,), (700,)),
    "correlation": (("ETHUSDT.BINANCE", 3), ("ETHUSDT.BINANCE", 999)),
    "autocorrelation": ((17, 60),),
    "variance_ratio": ((20, 21),),
    "funding_clock": (("1",), ("2",), ("4",), ("24",)),
    "aroon": ((1,), (100,)),
    "bollinger_b": ((30, 1.5),),
}


def history(bars: BarFrame, row: int) -> History:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.ts_close / 1e9)
    return History(*(column[: row + 1] for column in columns))


def test_every_feature_has_a_reference() -> None:
    missing = KERNELS.keys() - REFERENCES.keys()
    assert not missing, f"write the formula once more, slowly, in references.py for {missing}"


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_feature_equals_its_formula(kernel: Kernel) -> None:
    own, other = both()
    for arguments in (examples(kernel), *OTHERS.get(kernel.name, ())):
        found = run(set_of(kernel, arguments), own, other).values[:, 0]
        wanted = [
            REFERENCES[kernel.name](history(own, row), history(other, row), *arguments)
            for row in ROWS
        ]
        size = max(np.abs(wanted).max(), 1e-300)
        np.testing.assert_allclose(found[list(ROWS)], wanted, rtol=1e-9, atol=1e-11 * size)
