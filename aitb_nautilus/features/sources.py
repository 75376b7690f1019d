"""What a kernel is made of: its own source and that of every function it calls.

The hash of it names the folder of the compiled code, so that an edit anywhere below a kernel
compiles it anew (Numba's own cache looks at the kernel's file alone), and it is part of a feature
set's fingerprint, so that a model never meets another formula than it was trained on. Comments,
texts, annotations and layout do not count.
"""

from __future__ import annotations

import ast
import builtins
import functools
import hashlib
import inspect
import textwrap
import types
from collections.abc import Callable
from typing import Any

__all__ = ["called_functions", "global_names", "source_hash"]


@functools.cache
def called_functions(function: Callable[..., Any]) -> tuple[types.FunctionType, ...]:
    """Return the plain functions that a function calls, and those that these call, sorted by name.

    Raises
    ------
    TypeError
        If one of them uses a global name that is no function, number or module. Compiled code would
        freeze its value.
    """
    found: dict[types.FunctionType, None] = {}
    waiting = [_plain(function)]
    while waiting:
        for value in global_names(waiting.pop()).values():
            if isinstance(value, types.FunctionType) and value not in found:
                found[value] = None
                waiting.append(value)
    return tuple(sorted(found, key=lambda f: (f.__module__, f.__qualname__)))


@functools.cache
def source_hash(function: Callable[..., Any]) -> str:
    """Return the sha256, in hex, of a function, all it calls, and the constants that they use."""
    digest = hashlib.sha256()
    for part in (_plain(function), *called_functions(function)):
        digest.update(_bare_source(part).encode())
        for name, value in sorted(global_names(part).items()):
            if isinstance(value, int | float):
                digest.update(f"\n{name} = {value!r}".encode())
    return digest.hexdigest()


def global_names(function: types.FunctionType) -> dict[str, Any]:
    """Return the global names that a function uses, with their values.

    Raises
    ------
    TypeError
        If a value is no function, number or module, or a name is not there.
    """
    if function.__closure__:
        raise TypeError(f"{function.__qualname__} uses variables of a function around it")
    found = {}
    tree = ast.parse(_source(function))
    for node in ast.walk(_without_words(tree)):
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
            continue
        name = node.id
        if name in function.__code__.co_varnames:
            continue
        if name in function.__globals__:
            value = function.__globals__[name]
            if not isinstance(value, types.FunctionType | types.ModuleType | int | float):
                raise TypeError(
                    f"{function.__qualname__} uses {name}, a {type(value).__name__}; "
                    "a kernel may use functions, numbers and modules"
                )
            found[name] = value
        elif not hasattr(builtins, name):
            raise TypeError(f"{function.__qualname__} uses {name}, which is not defined")
    return found


def _plain(function: Callable[..., Any]) -> types.FunctionType:
    if not isinstance(function, types.FunctionType):
        raise TypeError(f"{function!r} is no plain function")
    return function


@functools.cache
def _source(function: types.FunctionType) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _bare_source(function: types.FunctionType) -> str:
    """Return a function's statements, spelled in one way."""
    return ast.unparse(_without_words(ast.parse(_source(function))))


def _without_words(tree: ast.Module) -> ast.Module:
    """Take decorators, annotations and docstrings away."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
            node.returns = None
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                argument.annotation = None
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return tree
