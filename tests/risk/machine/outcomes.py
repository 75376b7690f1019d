"""How a desk of the machine ends."""

from __future__ import annotations

__all__ = ["Ended", "Found"]


class Found(AssertionError):  # noqa: N818 - not an error of the program: what a run looks for
    """Something happened that must never happen."""


class Ended(Exception):  # noqa: N818
    """A person must answer the firewall before this desk goes on."""
