"""The page ``docs/features.md``: every feature with its formula, made from what kernels declare."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aitb_nautilus.features.kernel import INF, Argument, Kernel

__all__ = ["FAMILIES", "range_text", "reference_page", "sentence", "warmup_text"]

FAMILIES = (
    "price",
    "trend",
    "momentum",
    "volatility",
    "volume",
    "reversion",
    "candle",
    "cross",
    "calendar",
)

_HEAD = """\
# Features

Made by `aitb features list --markdown`; a test compares this page with the kernels.

A feature set is a list of texts, in a config under `features.columns`:

```toml
[features]
interval = "1m"                      # one row of features for each bar of this size
columns = [
    "log_return(1)",                 # of the own instrument, at the base bar size
    "rsi(14)@1h",                    # of hours built from closed base bars
    "zscore(volume,50)",
    "beta(eth,60)",                  # against another instrument
    "eth:log_return(1)@5m",          # of another instrument
]
instruments = {{ eth = "ETHUSDT.BINANCE" }}
longest_gap_bars = 120               # missing bars that count as bars without a trade
```

Every answer depends on the last *warm-up* bars alone, bit for bit, whenever the calculation began;
rows before that are not valid. A feature of w bars of a larger size, r base bars each, warms up in
(w + 1) r - 1 base bars. What is computed in float64 leaves as float32. `aitb features show NAME`
tells more about one feature, and [decision 0010](decisions/0010-feature-kernels.md) why it is so.

In the formulas O, H, L, C, V are open, high, low, close and volume of a bar, `C[1]` is the close of
the bar before, `mean`, `sum`, `std`, `min`, `max` go over the window, ln is the natural logarithm,
EMA has the weight 2 / (n + 1), CY and VY belong to the other instrument, T is the time of the
bar's close. Warm-up and range are those of the example.

{count} features.
"""


def reference_page(kernels: Mapping[str, Kernel]) -> str:
    """Return the page as Markdown."""
    parts = [_HEAD.format(count=len(kernels))]
    for family in FAMILIES:
        parts.append(f"## {family.capitalize()}\n")
        parts += [_entry(k) for k in kernels.values() if k.family == family]
    return "\n".join(parts)


def range_text(kernel: Kernel, arguments: tuple[Argument, ...]) -> str:
    """Return the range of the answers: ``0 to 100``, ``>= 0``, ``any``."""
    low, high = kernel.range_of(arguments)
    if math.isinf(low) and math.isinf(high):
        return "any"
    if high == INF:
        return f">= {low:g}"
    return f"{low:.4g} to {high:.4g}"


def warmup_text(kernel: Kernel, arguments: tuple[Argument, ...]) -> str:
    """Return how many bars the warm-up takes."""
    bars = kernel.warmup(*arguments)
    return "1 bar" if bars == 1 else f"{bars:,} bars"


def _entry(kernel: Kernel) -> str:
    arguments = tuple(parameter.example for parameter in kernel.parameters)
    formula = " ".join(kernel.section("Formula").split())
    source = " ".join(kernel.section("References").split())
    lines = [f"### `{kernel.example()}`", "", sentence(kernel), ""]
    lines += [f"    {formula}", ""]
    lines += [f"- `{p.name}`: {p.text}; {p.range_text()}" for p in kernel.parameters]
    lines.append(
        f"- {kernel.unit}; range {range_text(kernel, arguments)}; "
        f"warm-up {warmup_text(kernel, arguments)}"
    )
    return "\n".join([*lines, f"- {source}", ""])


def sentence(kernel: Kernel) -> str:
    """Return a kernel's first line as a sentence about the feature."""
    text = kernel.summary.removeprefix("Return ")
    return text[:1].upper() + text[1:]
