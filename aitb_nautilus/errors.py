"""Errors that a user can act on.

Every error is one paragraph: where it happened, what was found, what was wanted, what to do.
The command line prints the paragraph to stderr and leaves with the error's exit code::

    AitbError                 1   something failed
    |-- RunError              1   a run ended before its end
    |-- UsageError            2   the command line itself is wrong
    |-- ConfigError           3   the config file, or something it names
    |-- DataError             4   the catalog, or a file given to it
    |-- ModelError            5   a model bundle
    |-- HaltedError           6   the guard halted trading
    `-- StoppedError        130   Ctrl-C before a run had begun; 128 + 2, as shells have it
"""

from __future__ import annotations

__all__ = [
    "AitbError",
    "ConfigError",
    "DataError",
    "HaltedError",
    "ModelError",
    "RunError",
    "StoppedError",
    "UsageError",
]


class AitbError(Exception):
    """Say where something went wrong, what was found, what was wanted and what to do.

    Parameters
    ----------
    where
        File, path inside it, or the name of the object: ``configs/btc.toml: risk.max_open_orders``.
    found
        What was there: ``was -3``.
    wanted
        What is accepted: ``must be at least 1``.
    todo
        What the user can do about it; a command where one helps.

    Examples
    --------
    >>> str(ConfigError("btc.toml: risk.max_open_orders", "was -3", "must be at least 1"))
    'btc.toml: risk.max_open_orders: was -3, must be at least 1.'
    """

    exit_code = 1

    def __init__(self, where: str, found: str, wanted: str = "", todo: str = "") -> None:
        self.where = where
        self.found = found
        self.wanted = wanted
        self.todo = todo
        super().__init__(self.paragraph())

    def paragraph(self) -> str:
        """Return the error as one paragraph of plain text."""
        sentence = f"{self.where}: {self.found}"
        if self.wanted:
            sentence += f", {self.wanted}"
        sentence = sentence.rstrip(".")
        if not sentence.endswith("?"):
            sentence += "."
        if self.todo:
            sentence += f" {self.todo.rstrip('.')}"
            if not sentence.endswith("?"):
                sentence += "."
        return sentence


class RunError(AitbError):
    """A run ended before its end: a component raised, or the user stopped it."""


class UsageError(AitbError):
    """The command line itself is wrong."""

    exit_code = 2


class ConfigError(AitbError):
    """The config file, or something that it names, is wrong."""

    exit_code = 3


class DataError(AitbError):
    """The catalog, or a file given to it, cannot be used."""

    exit_code = 4


class ModelError(AitbError):
    """A model bundle cannot be used."""

    exit_code = 5


class HaltedError(AitbError):
    """The guard halted trading."""

    exit_code = 6


class StoppedError(AitbError):
    """The user stopped the command before a run had begun."""

    exit_code = 130

    @classmethod
    def at_once(cls) -> StoppedError:
        """Return what is said of a command that has left nothing behind."""
        return cls("aitb", "interrupted", todo="Run the same command again to start over")
