"""Kernels as machine code: each compiled once by Numba, kept on disk, called by address.

Numba keeps compiled code until the file of the function changes, and does not look at the functions
that it calls. So each kernel's code has a folder of its own, named by the hash of its source and of
everything that it calls: an edit compiles what it concerns, and nothing else.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
from numba.extending import register_jitable

from aitb_nautilus.features import driver, layout
from aitb_nautilus.features.cache import cache_root
from aitb_nautilus.features.kernel import Kernel, KernelFunction
from aitb_nautilus.features.sources import called_functions, source_hash

__all__ = ["Driver", "compiled_driver", "kernel_address"]

type Driver = Callable[..., int]

# numba.config has no types.
_CONFIG: Any = numba.config
_LOCK = threading.RLock()


def kernel_address(kernel: Kernel) -> int:
    """Return the address of a kernel's machine code; it is good until the process ends."""
    with _LOCK:
        address: int = _compiled_kernel(kernel.function).address
        return address


def compiled_driver(rows: np.dtype[Any]) -> Driver:
    """Return `drive` of `aitb_nautilus.features.driver` as machine code for rows of one dtype."""
    with _LOCK:
        return _compiled_driver(rows)


@functools.cache
def _compiled_kernel(function: KernelFunction) -> Any:
    for called in called_functions(function):
        _let_numba_compile(called)
    with _kept_in(f"{function.__name__}-{source_hash(function)[:20]}"):
        # A division by zero gives inf or nan, as in IEEE 754: compiled code must not raise.
        decorate = numba.cfunc(driver.KERNEL_SIGNATURE, cache=True, error_model="numpy")
        return decorate(function)


@functools.cache
def _compiled_driver(rows: np.dtype[Any]) -> Driver:
    signature = driver.driver_signature(rows)
    sources = "".join(inspect.getsource(module) for module in (driver, layout))
    with _kept_in(f"driver-{hashlib.sha256(sources.encode()).hexdigest()[:20]}"):
        decorate: Any = numba.njit(signature, cache=True, nogil=True, error_model="numpy")
        compiled: Driver = decorate(driver.drive)
        return compiled


@functools.cache
def _let_numba_compile(function: Callable[..., Any]) -> None:
    register_jitable(error_model="numpy")(function)


@contextmanager
def _kept_in(folder: str) -> Iterator[None]:
    """Let Numba keep what it compiles meanwhile in one folder of our cache."""
    before = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = str(cache_root() / folder)
    try:
        yield
    finally:
        _CONFIG.CACHE_DIR = before
