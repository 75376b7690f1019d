"""One course of events, told anew."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aitb_nautilus.messages import BarClosed, Fill
from aitb_nautilus.risk.branch import Branch
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import PASS, Limit, Proposal, Verdict
from tests.risk.rig import BTC, T0, make_context


class Failing(Limit):
    """A limit that cannot take a bar."""

    name = "failing"

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        return PASS

    def hear_bar(self, bar: BarClosed) -> None:
        raise ValueError(f"no {bar.instrument_id}")


def test_what_is_held_is_seen_again_after_a_bar_of_the_past_that_a_limit_cannot_take() -> None:
    branch = Branch(10_000.0, [Failing()], make_context().guard.lots)
    held = Decimal("0.5")
    branch.hear_fill(Fill("S-001", BTC, "o1", "t1", T0, "BUY", 30_000.0, held, 0.0, "TAKER"))
    bar = BarClosed(BTC, T0, *[30_000.0] * 4, 1.0)
    for past in (True, False):
        with pytest.raises(ValueError, match=f"no {BTC}"):
            branch.hear_bar(bar, past=past)
        assert branch.held("S-001", BTC) == held
