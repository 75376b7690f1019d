"""Keep on the disk what exits remember, and what funding came to: no journal says it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from aitb_nautilus.risk.exit_levels import ExitState
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.last_run import Funded, LastRun, LastRunFile

__all__ = ["ExitMemory"]


class ExitMemory:
    """Write what exits of open positions remember and funding, beside the name of the run.

    Parameters
    ----------
    file
        Names the last run.
    last
        This run, with what its exits remember from before.
    strategies, ledger
        Of the node.
    pool
        On which it is written.
    """

    def __init__(
        self,
        file: LastRunFile,
        last: LastRun,
        strategies: Sequence[GuardedStrategy],
        ledger: Ledger,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._file = file
        self._last = last
        self._strategies = strategies
        self._ledger = ledger
        self._pool = pool
        self._seen = (-1, -1)
        self._writing: Future[None] | None = None

    def begin(self) -> None:
        """Name this run as the last one.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        self._file.write(self._last)

    def keep(self) -> None:
        """Write what has changed since, unless the last time is not over; raise what it raised."""
        at = (self._ledger.revision, self._ledger.heard)
        if at == self._seen or (self._writing is not None and not self._writing.done()):
            return
        if self._writing is not None:
            self._writing.result()
        self._seen = at
        now = msgspec.structs.replace(self._last, exits=self._remembered(), funding=self._funding())
        if now != self._last:
            self._last = now
            self._writing = self._pool.submit(self._file.write, self._last)

    def _funding(self) -> dict[str, dict[str, Funded]]:
        found: dict[str, dict[str, Funded]] = {}
        for (owner, name), p in self._ledger.positions.items():
            if p.funding or p.trade_funding:
                paid = Funded(p.funding, p.trade_funding, p.ts_opened)
                found.setdefault(owner, {})[name] = paid
        return found

    def _remembered(self) -> dict[str, dict[str, ExitState]]:
        found: dict[str, dict[str, ExitState]] = {}
        for strategy in self._strategies:
            for name, manager in strategy.exit_managers().items():
                if strategy.view.quantity(name):
                    found.setdefault(strategy.component_id, {})[name] = manager.save()
        return found
