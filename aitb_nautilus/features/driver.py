"""The one loop that runs kernels, for a million bars as for one.

Batch and stream are the same compiled function with more bars or fewer, so they cannot differ. It
knows the kernels by their addresses in the plan.

One step is one bar of the base size, for all instruments. A missing bar is a step too: the
instrument stands still at its last close and trades nothing. Bars of larger sizes are gathered here
from closed base bars, aligned to UTC; one that was not seen from its first base bar on is dropped.
Features of a size are asked when a bar of that size closes, and their answers stand until the next
one closes.

What stands where in the plan and in the state is said in `aitb_nautilus.features.layout`. This is
Python for Numba: no object, no exception, nothing but numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types
from numba.core.funcdesc import ExternalFunctionDescriptor
from numba.extending import intrinsic, register_jitable
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray

from aitb_nautilus.features.kernel import (
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    TIME,
    VOLUME,
    Cells,
    Values,
)
from aitb_nautilus.features.layout import (
    BAR_CELLS,
    BAR_REFUSED,
    BARS,
    BASE_NS,
    BASE_S,
    COLUMNS,
    FEATURE_ROW,
    FINE,
    FIRST,
    GATHERING,
    HELD,
    INSTRUMENTS,
    KEPT,
    LAST,
    LONGEST_GAP,
    MISSING,
    NO_BAR_YET,
    NOT_FINITE,
    NOT_YET,
    OFF_GRID,
    OUT_OF_ORDER,
    REPORT,
    RUNNING,
    SIZE_ROW,
    SIZES,
    STARTED,
    STATE,
    TABLE,
    WAITING,
    WARMUP,
)

__all__ = ["KERNEL_SIGNATURE", "drive", "driver_signature"]

type Plan = Sequence[int]
"""In compiled code a pointer, as are `Cells` and `Values`."""

FLOAT32_MOST = 3.4028234663852886e38

_FLOATS: Any = types.CPointer(types.float64)  # type: ignore[no-untyped-call]
_WHOLES: Any = types.CPointer(types.int64)  # type: ignore[no-untyped-call]
KERNEL_SIGNATURE: Any = types.float64(_FLOATS, _FLOATS, _FLOATS, _FLOATS, types.int64)
"""Of a kernel: cells, parameters, own bar, other bar, ordinal."""
_DESCRIBED: Any = ExternalFunctionDescriptor(  # type: ignore[no-untyped-call]
    "kernel", KERNEL_SIGNATURE.return_type, KERNEL_SIGNATURE.args
)


def driver_signature(rows: np.dtype[Any]) -> Any:
    """Return the signature of `drive` for rows of float32 or of float64."""
    return types.int64(
        types.int64[::1],
        types.float64[::1],
        types.int64[::1],
        types.float64[:, :, ::1],
        from_dtype(rows)[:, ::1],
    )


def _kernel_at(_: Any, _address: Any, _s: Any, _p: Any, _x: Any, _y: Any, k: Any) -> Any:
    """Call the kernel at an address; the arguments are addresses too, and the ordinal."""
    signature = types.float64(types.intp, types.intp, types.intp, types.intp, types.intp, k)

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        kind = context.get_external_function_type(_DESCRIBED)
        function = builder.inttoptr(values[0], kind.as_pointer())
        floats = context.get_argument_type(_FLOATS)
        pointers = [builder.inttoptr(value, floats) for value in values[1:5]]
        return builder.call(function, [*pointers, values[5]])

    return signature, generate


def _cells_at(pointer: Any) -> Any:
    """Return an intrinsic that makes a pointer of an address.

    The driver passes pointers on and not arrays: these are counted whenever they are passed, which
    doubles the time of a bar.
    """

    def cells_at(_: Any, _address: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            return builder.inttoptr(values[0], context.get_value_type(pointer))

        return pointer(types.intp), generate

    return intrinsic(cells_at)


_call: Any = intrinsic(_kernel_at)
_floats_at: Any = _cells_at(_FLOATS)
_wholes_at: Any = _cells_at(_WHOLES)


@register_jitable(error_model="numpy")
def _ask(plan: Plan, state: Cells, size: int, k: int) -> None:
    """Show the closed bars of one size to its features and keep their answers."""
    row = TABLE + SIZE_ROW * size
    table = TABLE + SIZE_ROW * plan[SIZES]
    cells = plan[STATE]
    bars = cells + 8 * (plan[BARS] + BAR_CELLS * plan[INSTRUMENTS] * size)
    for f in range(plan[row + 1], plan[row + 2]):
        t = table + FEATURE_ROW * f
        state[plan[HELD] + plan[t + 5]] = _call(
            plan[t],
            cells + 8 * plan[t + 1],
            cells + 8 * plan[t + 2],
            bars + 8 * BAR_CELLS * plan[t + 3],
            bars + 8 * BAR_CELLS * plan[t + 4],
            k,
        )


@register_jitable(error_model="numpy")
def _gather(plan: Plan, state: Cells, size: int, place: int) -> None:
    """Add the base bars that just closed, at a place in them, to the open bars of a larger size."""
    instruments = plan[INSTRUMENTS]
    for i in range(instruments):
        base = plan[BARS] + BAR_CELLS * i
        bar = base + BAR_CELLS * instruments * size
        if place == 0:
            for c in range(BAR_CELLS):
                state[bar + c] = state[base + c]
        else:
            state[bar + HIGH] = max(state[bar + HIGH], state[base + HIGH])
            state[bar + LOW] = min(state[bar + LOW], state[base + LOW])
            state[bar + CLOSE] = state[base + CLOSE]
            state[bar + VOLUME] += state[base + VOLUME]
            state[bar + TIME] = state[base + TIME]


@register_jitable(error_model="numpy")
def _step(plan: Plan, state: Cells, k: int) -> None:
    """Let all that closes with the base bars of ordinal k happen."""
    _ask(plan, state, 0, k)
    for size in range(1, plan[SIZES]):
        ratio = plan[TABLE + SIZE_ROW * size]
        place = k % ratio
        gathering = plan[GATHERING] + size
        if place == 0:
            state[gathering] = 1.0
        if state[gathering] != 0.0:
            _gather(plan, state, size, place)
            if place == ratio - 1:
                _ask(plan, state, size, k // ratio)


@register_jitable(error_model="numpy")
def _is_missing(plan: Plan, bars: Values, i: int) -> bool:
    """Return whether an instrument has no bar in a row; an only one always has."""
    return bool(plan[INSTRUMENTS] > 1 and np.isnan(bars[5 * i]))


@register_jitable(error_model="numpy")
def _refused(plan: Plan, state: Cells, bars: Values, ts: int, k: int) -> int:
    """Return what is wrong with a row of bars, or FINE. NaN fails each comparison."""
    if ts != (k + 1) * plan[BASE_NS]:
        return OFF_GRID
    if state[STARTED] != NO_BAR_YET and k <= np.int64(state[LAST]):
        return OUT_OF_ORDER
    for i in range(plan[INSTRUMENTS]):
        o = bars[5 * i]
        h = bars[5 * i + 1]
        low = bars[5 * i + 2]
        c = bars[5 * i + 3]
        v = bars[5 * i + 4]
        sound = 0.0 < low <= o <= h < np.inf and low <= c <= h and 0.0 <= v < np.inf
        if not sound and not _is_missing(plan, bars, i):
            state[plan[REPORT] + 1] = float(i)
            return BAR_REFUSED
    return FINE


@register_jitable(error_model="numpy")
def _stand_still(plan: Plan, state: Cells, i: int) -> bool:
    """Give an instrument that did not trade a flat bar; return whether it is missing too long."""
    bar = plan[BARS] + BAR_CELLS * i
    close = state[bar + CLOSE]
    state[bar + OPEN] = close
    state[bar + HIGH] = close
    state[bar + LOW] = close
    state[bar + VOLUME] = 0.0
    state[plan[MISSING] + i] += 1.0
    return bool(state[plan[MISSING] + i] > plan[LONGEST_GAP])


@register_jitable(error_model="numpy")
def _set_time(plan: Plan, state: Cells, k: int) -> None:
    """Write the close time of the base bars of ordinal k, in seconds."""
    seconds = (k + 1) * plan[BASE_S]
    for i in range(plan[INSTRUMENTS]):
        state[plan[BARS] + BAR_CELLS * i + TIME] = float(seconds)


@register_jitable(error_model="numpy")
def _fill(plan: Plan, state: Cells, bars: Values, k: int) -> bool:
    """Step through the times at which no instrument had a bar, then fill those that have none now.

    Returns whether one is missing for too long. What was done then does not matter.
    """
    last = np.int64(state[LAST])
    if k - last - 1 > plan[LONGEST_GAP]:
        return True
    for missed in range(last + 1, k):
        for i in range(plan[INSTRUMENTS]):
            if _stand_still(plan, state, i):
                return True
        _set_time(plan, state, missed)
        _step(plan, state, missed)
    lost = False
    for i in range(plan[INSTRUMENTS]):
        if _is_missing(plan, bars, i):
            lost = _stand_still(plan, state, i) or lost
    return lost


@register_jitable(error_model="numpy")
def _begin(plan: Plan, state: Cells, bars: Values, k: int) -> None:
    """Forget everything; begin with this row if all instruments have a bar in it."""
    for i in range(plan[KEPT]):
        state[i] = 0.0
    state[FIRST] = float(k)
    state[STARTED] = RUNNING
    for i in range(plan[INSTRUMENTS]):
        if _is_missing(plan, bars, i):
            state[STARTED] = WAITING


@register_jitable(error_model="numpy")
def _take(plan: Plan, state: Cells, bars: Values, k: int) -> None:
    """Make a row of bars the present ones."""
    for i in range(plan[INSTRUMENTS]):
        if not _is_missing(plan, bars, i):
            bar = plan[BARS] + BAR_CELLS * i
            for c in range(5):
                state[bar + c] = bars[5 * i + c]
            state[plan[MISSING] + i] = 0.0
    _set_time(plan, state, k)


def drive(
    plan: NDArray[np.int64],
    state: NDArray[np.float64],
    ts: NDArray[np.int64],
    bars: NDArray[np.float64],
    rows: NDArray[Any],
) -> int:
    """Run the features over bars and write one row for each.

    Parameters
    ----------
    plan, state
        As `aitb_nautilus.features.layout` lays them out; the state is changed.
    ts
        (n,) int64, close times, ns UTC, each after the one before.
    bars
        (n, instruments, 5) float64: open, high, low, close, volume. With more than one instrument,
        a NaN open says that the instrument has no bar at this time.
    rows
        (n, features) float32 or float64, written: the answers, or NaN in all of a row that is not
        valid.

    Returns
    -------
    int
        `FINE` if the last row is valid, `NOT_YET` if it is not, or what was refused; then the last
        two cells of the state say in which row, and which instrument or column. The bars before it
        are done; a refused bar or time changed nothing.
    """
    p = _wholes_at(plan.ctypes.data)
    s = _floats_at(state.ctypes.data)
    stride = 40 * p[INSTRUMENTS]
    valid = False
    for r in range(ts.shape[0]):
        now = _floats_at(bars.ctypes.data + stride * r)
        k = ts[r] // p[BASE_NS] - 1
        s[p[REPORT]] = float(r)
        refused = _refused(p, s, now, ts[r], k)
        if refused != FINE:
            return refused
        if s[STARTED] != RUNNING or _fill(p, s, now, k):
            _begin(p, s, now, k)
        if s[STARTED] == RUNNING:
            _take(p, s, now, k)
            _step(p, s, k)
        s[LAST] = float(k)

        valid = (
            s[STARTED] == RUNNING
            and k - np.int64(s[FIRST]) + 1 >= p[WARMUP]
            and not _is_missing(p, now, 0)
        )
        for c in range(p[COLUMNS]):
            answer = s[p[HELD] + c] if valid else np.nan
            rows[r, c] = answer
            if valid and not abs(answer) <= FLOAT32_MOST:
                s[p[REPORT] + 1] = float(c)
                return NOT_FINITE
    return FINE if valid else NOT_YET
