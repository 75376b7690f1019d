"""What every kernel promises, as checks of any kernel.

Each check raises `AssertionError` if the promise is broken. `tests/features/test_contract.py` runs
them on every registered kernel, `tests/features/test_planted.py` on kernels that break them.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import math
import textwrap
from collections.abc import Callable

import numpy as np

from aitb_nautilus.features.engine import FeatureEngine, FeatureRows
from aitb_nautilus.features.kernel import Argument, Choice, Kernel, Number, Whole
from aitb_nautilus.features.sources import called_functions
from aitb_nautilus.market.bars import BarFrame
from tests.features.feature_bars import (
    examples,
    flat,
    frame,
    market,
    run,
    same_bits,
    scaled,
    set_of,
    sides,
)

BARS = 1700
TINY = 1e-9  # rounding, beside the size of what a feature usually is

type Compute = Callable[..., FeatureRows]


@functools.cache
def both() -> tuple[BarFrame, BarFrame]:
    """Return a market and another one beside it."""
    return market(BARS), market(BARS, seed=2, price=1_500.0)


def batch_equals_stream(kernel: Kernel) -> None:
    """One bar after the other gives the bits of the batch; so does any mixture of the two."""
    features = set_of(kernel)
    frames = sides(features, *both())
    whole = FeatureEngine(features).batch(frames).values
    engine = FeatureEngine(features)
    rows = np.full_like(whole, np.nan)
    cuts = [0, 1, 400, 401, 1500, BARS]
    for i, (start, stop) in enumerate(itertools.pairwise(cuts)):
        if i % 2:
            part = {name: bars.take(slice(start, stop)) for name, bars in frames.items()}
            rows[start:stop] = engine.batch(part).values
            continue
        for r in range(start, stop):
            row = engine.update_all(int(frames["own"].ts_close[r]), bars_at(frames, r))
            if row is not None:
                rows[r] = row
    assert np.isfinite(whole[-1]).all()
    assert same_bits(rows, whole)


def bars_at(frames: dict[str, BarFrame], r: int) -> dict[str, tuple[float, ...]]:
    """Return the bars of one row as plain numbers."""
    return {
        name: tuple(float(column[r]) for column in (b.open, b.high, b.low, b.close, b.volume))
        for name, b in frames.items()
    }


def snapshots_lose_nothing(kernel: Kernel) -> None:
    """A snapshot at any bar goes on with the bits of the run that was never cut."""
    features = set_of(kernel)
    frames = sides(features, *both())
    whole = FeatureEngine(features).batch(frames).values
    random = np.random.default_rng(5)
    engine, done = FeatureEngine(features), 0
    for cut in np.sort(random.choice(np.arange(1, BARS - 50), 12, replace=False)):
        engine.batch({name: bars.take(slice(done, cut)) for name, bars in frames.items()})
        done = int(cut)
        other = FeatureEngine(features)
        other.restore(engine.snapshot())
        assert other.snapshot() == engine.snapshot()
        rest = {name: bars.take(slice(done, done + 50)) for name, bars in frames.items()}
        assert same_bits(other.batch(rest).values, whole[done : done + 50]), f"cut at {cut}"


def never_looks_ahead(kernel: Kernel, compute: Compute = run) -> None:
    """Bars that come later, whatever they are, change no row."""
    features = set_of(kernel)
    frames = both()
    whole = compute(features, *frames)
    assert whole.valid[-1]
    for cut in (*range(1, 40), 777, 1200, *range(BARS - 30, BARS)):
        cut_off = compute(features, *(bars.take(slice(0, cut)) for bars in frames))
        assert same_bits(cut_off.values, whole.values[:cut]), f"cut at {cut}"
    cut = 1300
    other_future = [
        BarFrame(
            bars.ts_close,
            *(
                np.r_[column[:cut], scaled_column[cut:]]
                for column, scaled_column in zip(columns(bars), columns(far), strict=True)
            ),
        )
        for bars, far in zip(frames, (scaled(b, 3.0, 7.0) for b in frames), strict=True)
    ]
    assert same_bits(compute(features, *other_future).values[:cut], whole.values[:cut])


def columns(bars: BarFrame) -> tuple[np.ndarray, ...]:
    return bars.open, bars.high, bars.low, bars.close, bars.volume


def late_start_equals_full_history(kernel: Kernel) -> None:
    """After the warm-up that it declares, it does not matter when the calculation began."""
    features = set_of(kernel)
    frames = both()
    whole = run(features, *frames)
    assert int(whole.valid.argmax()) == features.warmup - 1
    for start in (*range(1, 25), 100, 339, 640, 801):
        late = run(features, *(bars.take(slice(start, None)) for bars in frames))
        assert late.valid.any()
        assert same_bits(late.values[late.valid], whole.values[start:][late.valid]), start


def outlier_is_forgotten(kernel: Kernel) -> None:
    """One bar of another world leaves no trace once it is out of the window."""
    features = set_of(kernel)
    place = 820
    whole = run(features, *both()).values
    wild = []
    for bars in both():
        changed = [column.copy() for column in columns(bars)]
        for column in changed[:4]:
            column[place] *= 1e7
        changed[4][place] = 1e12
        wild.append(BarFrame(bars.ts_close, *changed))
    after = run(features, *wild).values
    gone = place + features.warmup
    assert gone < BARS
    assert same_bits(after[gone:], whole[gone:])
    assert same_bits(after[:place], whole[:place])


def stays_in_range(kernel: Kernel) -> None:
    """Answers are finite and within what the kernel declares, for usual and least arguments."""
    for arguments in (examples(kernel), least(kernel)):
        features = set_of(kernel, arguments)
        low, high = kernel.range_of(arguments)
        for frames in (both(), *hard_markets(features.warmup + 60)):
            rows = run(features, *frames)
            found = rows.values[rows.valid]
            assert len(found)
            assert np.isfinite(found).all()
            assert found.min() >= low, f"{features.names[0]}: {found.min()} under {low}"
            assert found.max() <= high, f"{features.names[0]}: {found.max()} over {high}"


def hard_markets(count: int) -> list[tuple[BarFrame, BarFrame]]:
    """Return markets in which formulas divide by zero, lose digits or overflow."""
    steps = np.arange(count)
    up = 100.0 * 1.001**steps
    jump = np.where(steps % 17 < 3, 900.0, 30.0)
    last = np.where(steps == count - 1, 101.0, 100.0)
    nothing, some = np.zeros(count), np.full(count, 5.0)
    straight = frame(up, up * 1.0005, up * 0.9995, up, some)
    bursts = np.where(steps % 5 == 0, 1e9, 1e-5)
    wild = frame(jump[::-1], np.full(count, 901.0), np.full(count, 29.0), jump, bursts)
    step = frame(last, last, last, last, nothing)
    dear = scaled(market(count, seed=4), 1e6, 1e-4)
    cheap = scaled(market(count, seed=6), 1e-9, 1e9)
    still, traded = flat(count), flat(count, 0.1, 3.0)
    return [
        (still, still),
        (traded, straight),
        (straight, traded),
        (straight, straight),
        (wild, dear),
        (step, wild),
        (dear, cheap),
        (cheap, step),
    ]


def least(kernel: Kernel) -> tuple[Argument, ...]:
    """Return the smallest arguments that a kernel accepts."""
    found: list[Argument] = []
    for parameter in kernel.parameters:
        match parameter:
            case Whole() | Number():
                found.append(parameter.least)
            case Choice():
                found.append(parameter.words[-1])
            case _:
                found.append(parameter.example)
    assert kernel.refuses(*found) is None
    return tuple(found)


def scales_as_declared(kernel: Kernel) -> None:
    """Other money and other lots change the answer as the kernel says."""
    features = set_of(kernel)
    own, other = both()
    rows = run(features, own, other)
    plain = rows.values[rows.valid]
    for power, price, volume in (
        (kernel.price_power, 10.0, 1.0),
        (kernel.price_power, 2.0**-7, 1.0),
        (kernel.volume_power, 1.0, 10.0),
        (kernel.volume_power, 1.0, 2.0**9),
    ):
        if power is not None:
            wanted = plain * (price * volume) ** power
            found = run(features, scaled(own, price, volume), other).values[rows.valid]
            np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=TINY * np.abs(wanted).max())


def declares_everything(kernel: Kernel) -> None:
    """Its text says what it is, its formula and its source; its declarations are sound."""
    assert kernel.summary.startswith("Return ")
    assert kernel.summary.endswith((".", ":"))
    assert len(kernel.section("Formula")) > 3
    assert len(kernel.section("References")) > 5
    assert kernel.unit
    assert kernel.family in {
        "price",
        "trend",
        "momentum",
        "volatility",
        "volume",
        "reversion",
        "candle",
        "cross",
        "calendar",
    }
    for parameter in kernel.parameters:
        assert parameter.text
        assert parameter.read(str(parameter.example), "example") == parameter.example
    for arguments in (examples(kernel), least(kernel)):
        assert kernel.refuses(*arguments) is None
        assert kernel.warmup(*arguments) >= 1
        assert kernel.cells(*arguments) >= 0
        low, high = kernel.range_of(arguments)
        assert low < high


class CheckedCells:
    """Cells that know where they end, as compiled code does not."""

    def __init__(self, count: int) -> None:
        self.values = [np.float64(0.0)] * count

    def __getitem__(self, index: int) -> float:
        assert 0 <= index < len(self.values), f"reads cell {index} of {len(self.values)}"
        return self.values[index]

    def __setitem__(self, index: int, value: float) -> None:
        assert 0 <= index < len(self.values), f"writes cell {index} of {len(self.values)}"
        self.values[index] = np.float64(value)


def stays_in_its_cells(kernel: Kernel) -> None:
    """As plain Python, with cells that check their bounds, it keeps to its own."""
    own, other = both()
    bars = [np.column_stack([*columns(b), b.ts_close / 1e9]) for b in (own, other)]
    first = int(own.ts_close[0]) // 60_000_000_000 - 1
    for arguments in (examples(kernel), least(kernel)):
        cells = CheckedCells(kernel.cells(*arguments))
        pairs = zip(kernel.parameters, arguments, strict=True)
        codes = [parameter.code(argument) for parameter, argument in pairs]
        warmup = kernel.warmup(*arguments)
        answer = math.nan
        for r in range(min(BARS, 2 * warmup + 60)):
            x, y = (side[r] for side in bars)
            try:
                with np.errstate(all="ignore"):
                    answer = kernel.function(cells, codes, x, y, first + r)
            except (ArithmeticError, ValueError):
                # Before the warm-up is over, compiled code answers NaN or infinity here.
                assert r < warmup - 1, f"raises at bar {r}"
        assert math.isfinite(answer)


def never_raises(kernel: Kernel) -> None:
    """Nothing in it, or in what it calls, can raise: compiled code would answer 0.0 and go on."""
    for function in (kernel.function, *called_functions(kernel.function)):
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        for node in ast.walk(tree):
            assert not isinstance(node, ast.Raise | ast.Assert | ast.Try), function.__qualname__


CHECKS = (
    declares_everything,
    never_raises,
    stays_in_its_cells,
    batch_equals_stream,
    snapshots_lose_nothing,
    never_looks_ahead,
    late_start_equals_full_history,
    outlier_is_forgotten,
    stays_in_range,
    scales_as_declared,
)
