"""What strategies won and lost in their own trades, from journals: a restart forgets none of it.

A sizing that learns from a strategy's own trades (`kelly.TradeRecord`) hears its fills. Those of
the runs before are in their journals; each run carries on what the one before it had learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.journal_carried import Carried
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.kelly import OpenTrade, TradeRecord, TradeState
from aitb_nautilus.risk.ledger import Ledger

__all__ = ["OwnTrades"]

_MOST = 10_000
"""No sizing looks at more trades; see `FractionalKelly.trades`."""


class OwnTrades:
    """Follow the trades of every strategy while a ledger is rebuilt from a journal.

    Parameters
    ----------
    path
        Of the journal: what the runs before it had learnt is in it.
    ledger
        That is rebuilt.
    """

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self._ledger = ledger
        self._records: dict[str, TradeRecord] = {}
        for record in read(path, Wanted(kinds=(Carried.kind,))):
            assert isinstance(record.body, Carried)  # noqa: S101 - no other kind was asked for
            for strategy_id, state in record.body.own_trades.items():
                self._of(strategy_id).restore(state)

    def hear_fill(self, fill: Fill) -> None:
        """Take a fill that the ledger holds already."""
        position = self._ledger.position(fill.strategy_id, fill.instrument_id)
        self._of(fill.strategy_id).hear_fill(fill, position)

    def carried(self) -> Mapping[str, TradeState]:
        """Return what each strategy's next run goes on from.

        Its positions begin with no profit, so what an open trade has won so far is put into where
        it began.
        """
        found: dict[str, TradeState] = {}
        for strategy_id, record in self._records.items():
            state = record.save()
            for instrument_id, trade in state.open.items():
                position = self._ledger.position(strategy_id, instrument_id)
                state.open[instrument_id] = OpenTrade(trade.value, trade.before - position.closed)
            if state.returns or state.open:
                found[strategy_id] = state
        return found

    def _of(self, strategy_id: str) -> TradeRecord:
        return self._records.setdefault(strategy_id, TradeRecord(_MOST, 2))
