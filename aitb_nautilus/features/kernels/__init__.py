"""All features, one file a family.

A feature is a function under `aitb_nautilus.features.kernel.feature`; standing in one of these
files registers it. Numba keeps compiled code by file, so a new family gets a new file.
"""

from __future__ import annotations

import importlib
import pkgutil

from aitb_nautilus.features.kernel import Kernel

__all__ = ["KERNELS"]


def _all_kernels() -> dict[str, Kernel]:
    found: dict[str, Kernel] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        family = importlib.import_module(f"{__name__}.{module}")
        for name, value in vars(family).items():
            if isinstance(value, Kernel):
                if name in found:
                    raise ValueError(f"two features are called {name}")
                found[name] = value
    return found


KERNELS = _all_kernels()
"""Every feature by its name."""
