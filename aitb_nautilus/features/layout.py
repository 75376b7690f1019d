"""What stands where: the plan (int64, made anew in each process) and the state (float64).

Plan::

    header    the cells COLUMNS to STATE
    sizes     SIZE_ROW cells for each bar size, base first: how many base bars make one; first and
              last + 1 of its features in the table below
    features  FEATURE_ROW cells for each feature, sorted by size: address of the kernel, offset of
    its
              cells, offset of its parameters, its instrument, its other instrument, its column

State::

    control   the cells STARTED, LAST, FIRST
    missing   for each instrument, how many bars in a row it lacks
    gathering for each size, whether its open bar was seen from its beginning
    bars      for each size and instrument: open, high, low, close, volume, close time in seconds
    held      for each feature, its last answer
    cells     of each kernel, with GUARD cells after each, which stay 0.0
    ---       a snapshot keeps what stands above
    constants the parameters of each kernel
    report    row and place of what was refused, the last two cells
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.features.feature_set import Feature, FeatureSet
from aitb_nautilus.features.kernel import Kernel

__all__ = ["Layout", "lay_out"]

# Cells of the plan's header. MISSING to REPORT hold offsets in the state, STATE its address.
COLUMNS, INSTRUMENTS, SIZES, BASE_NS, BASE_S, LONGEST_GAP, WARMUP = range(7)
MISSING, GATHERING, BARS, HELD, KEPT, REPORT, STATE = range(7, 14)
TABLE = 14
SIZE_ROW = 3
FEATURE_ROW = 6
# Cells of the state's control block, and what STARTED holds.
STARTED, LAST, FIRST = range(3)
CONTROL = 3
NO_BAR_YET, RUNNING, WAITING = range(3)
BAR_CELLS = 6
GUARD = 8
# What the driver answers.
FINE, NOT_YET, OFF_GRID, OUT_OF_ORDER, BAR_REFUSED, NOT_FINITE = range(6)


@dataclass(frozen=True)
class Layout:
    """Plan and empty state of a feature set.

    Parameters
    ----------
    plan
        (cells,) int64, with addresses of this process.
    state
        (cells,) float64, as before the first bar.
    guards
        (features, GUARD) int64: offsets in the state of the guard cells after each feature's cells.
    kept
        How many cells at the beginning of the state a snapshot keeps.
    """

    plan: NDArray[np.int64]
    state: NDArray[np.float64]
    guards: NDArray[np.int64]
    kept: int


def lay_out(
    features: FeatureSet, instruments: Sequence[str], address: Callable[[Kernel], int]
) -> Layout:
    """Return where everything of a feature set stands.

    Parameters
    ----------
    instruments
        Ids in the order of the driver's bars, the own instrument first.
    address
        Gives the address of a kernel's machine code.
    """
    ratios = sorted({1} | {f.interval.ns // features.interval.ns for f in features.features})
    columns = len(features.features)
    missing = CONTROL
    gathering = missing + len(instruments)
    bars = gathering + len(ratios)
    held = bars + len(ratios) * len(instruments) * BAR_CELLS
    sorted_columns = sorted(
        range(columns), key=lambda column: _ratio(features, features.features[column])
    )

    cells = held + columns
    guards = np.zeros((columns, GUARD), np.int64)
    offsets = []
    for column in sorted_columns:
        feature = features.features[column]
        offsets.append(cells)
        cells += feature.kernel.cells(*feature.arguments)
        guards[column] = cells + np.arange(GUARD)
        cells += GUARD
    kept = cells

    constants: list[float] = []
    table = []
    for column, offset in zip(sorted_columns, offsets, strict=True):
        feature = features.features[column]
        own = instruments.index(feature.instrument) if feature.instrument else 0
        other = instruments.index(feature.other) if feature.other else own
        parameters = kept + len(constants)
        table.append([address(feature.kernel), offset, parameters, own, other, column])
        constants += feature.codes()

    placed = [_ratio(features, features.features[column]) for column in sorted_columns]
    sizes = [
        [ratio, placed.index(ratio), placed.index(ratio) + placed.count(ratio)]
        if ratio in placed
        else [ratio, 0, 0]
        for ratio in ratios
    ]
    state = np.zeros(kept + len(constants) + 2)
    state[kept : kept + len(constants)] = constants
    header = [
        columns,
        len(instruments),
        len(ratios),
        features.interval.ns,
        features.interval.ns // 1_000_000_000,
        features.longest_gap_bars,
        features.warmup,
        missing,
        gathering,
        bars,
        held,
        kept,
        kept + len(constants),
        state.ctypes.data,
    ]
    numbers = header + [n for row in sizes for n in row] + [n for row in table for n in row]
    return Layout(np.array(numbers, np.int64), state, guards, kept)


def _ratio(features: FeatureSet, feature: Feature) -> int:
    return feature.interval.ns // features.interval.ns
