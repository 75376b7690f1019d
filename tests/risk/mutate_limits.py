"""Break every limit in turn, and see whether a test fails for it.

    python -m tests.risk.mutate_limits [off] [bounds] [comparisons] [--only Name]

Limits are found, not listed. Each is broken in three ways: switched off; each number that the
config gives it made 1 % larger, and 1 % smaller (of counts: by one); each comparison in it turned
to the neighbouring one, such as ``<`` to ``<=``. Every mutant runs the tests of limits in a process
of its own until one fails. Some comparisons mean the same either way; these survive, and are shown
to be looked at. Without words, all three ways are gone through.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import inspect
import io
import math
import os
import re
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aitb_nautilus.risk import limits
from aitb_nautilus.risk.limit_rule import PASS, Limit

HERE = Path(__file__).resolve().parent
TESTS = sorted(str(path) for path in HERE.glob("test_limit*.py"))
_TURNED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


class Mutant(NamedTuple):
    """One way to break one limit."""

    way: str
    limit: type[Limit]
    what: str
    plant: Callable[[], None]


def every_limit(kind: type[Limit] = Limit) -> Iterator[type[Limit]]:
    """Yield the limits of the house: whatever has a name below a class."""
    assert limits.build_limits
    if hasattr(kind, "name") and kind.__module__.startswith("aitb_nautilus."):
        yield kind
    for below in kind.__subclasses__():
        yield from every_limit(below)


def switched_off(limit: type[Limit]) -> Iterator[Mutant]:
    """Let every order pass."""
    yield Mutant("off", limit, "", lambda: setattr(limit, "check", lambda *_: PASS))


def other_bounds(limit: type[Limit]) -> Iterator[Mutant]:
    """Change each number that the limit is made with."""
    made: Any = limit.__init__
    numbers = [
        one.name for one in inspect.signature(made).parameters.values()
        if re.match("(int|float)", str(one.annotation))
    ]  # fmt: skip
    for name in numbers:
        for factor in (0.99, 1.01):

            def plant(name: str = name, factor: float = factor) -> None:
                def init(self: Limit, *args: Any, **kwargs: Any) -> None:
                    bound = inspect.signature(made).bind(self, *args, **kwargs)
                    bound.arguments[name] = _changed(bound.arguments.get(name), factor)
                    made(*bound.args, **bound.kwargs)

                limit.__init__ = init  # type: ignore[assignment,method-assign]

            yield Mutant("bounds", limit, f"{name} x {factor}", plant)


def turned_comparisons(limit: type[Limit]) -> Iterator[Mutant]:
    """Turn each comparison, one at a time, wherever in the class or in what it derives from."""
    for home in limit.__mro__[: limit.__mro__.index(Limit)]:
        for name, function in vars(home).items():
            if inspect.isfunction(function) and name != "__init__":
                yield from _turned(limit, home, name, function)


def _turned(limit: type[Limit], home: type, name: str, function: Any) -> Iterator[Mutant]:
    source = textwrap.dedent(inspect.getsource(function))
    count = sum(isinstance(node, ast.Compare) for node in ast.walk(ast.parse(source)))
    for number in range(count):
        tree = ast.parse(source)
        compare = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)][number]
        before = ast.unparse(compare)
        ops = [_TURNED[type(op)]() if type(op) in _TURNED else op for op in compare.ops]
        if [type(op) for op in ops] == [type(op) for op in compare.ops]:
            continue  # "is None" and "in" have no neighbour
        if "ROUNDING" in before or "nearly" in before.lower():
            continue  # beside such a bound nothing lies right on it
        compare.ops = ops
        what = f"{name}: {before} -> {ast.unparse(compare)}"

        def plant(tree: ast.Module = tree) -> None:
            names: dict[str, Any] = {}
            code = compile(tree, "<mutant>", "exec")
            exec(code, vars(sys.modules[home.__module__]), names)
            setattr(limit, name, names[name])

        yield Mutant("comparisons", limit, what, plant)


def _changed(value: Any, factor: float) -> Any:
    """Return a number that is a little different; whatever else it is stays."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, int):
        return max(value + int(math.copysign(1, factor - 1)), 1)
    return value * factor


def is_killed(mutant: Mutant) -> bool:
    """Return whether a test fails; planted and run in a process of its own."""
    child = os.fork()
    if not child:
        mutant.plant()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS])
        os._exit(0 if code == 0 else 1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) != 0


_WAYS = {"off": switched_off, "bounds": other_bounds, "comparisons": turned_comparisons}


def main() -> int:
    """Break everything, and print what survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", choices=[*_WAYS, []], default=[])
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    found = sorted(set(every_limit()), key=lambda one: one.__name__)
    mutants = [
        mutant
        for way in chosen.ways or _WAYS
        for limit in found
        if chosen.only in ("", limit.__name__)
        for mutant in _WAYS[way](limit)
    ]
    if is_killed(Mutant("none", Limit, "", lambda: None)):
        print("the tests fail without any mutant")
        return 1
    began, counts = time.monotonic(), Counter[tuple[str, bool]]()
    for mutant in mutants:
        killed = is_killed(mutant)
        counts[mutant.way, killed] += 1
        if not killed:
            print(f"SURVIVED {mutant.way} {mutant.limit.__name__} {mutant.what}", flush=True)
    for way in dict.fromkeys(mutant.way for mutant in mutants):
        killed, survived = counts[way, True], counts[way, False]
        print(f"{way}: {killed} of {killed + survived} killed")
    print(f"{len(found)} limits, {len(mutants)} mutants, {time.monotonic() - began:.0f} s")
    return int(any(way == "off" and not killed for way, killed in counts))


if __name__ == "__main__":
    sys.exit(main())
