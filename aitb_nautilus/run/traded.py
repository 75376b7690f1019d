"""What a run traded, whoever filled it: the common form from which results are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from aitb_nautilus.messages import Fill
from aitb_nautilus.observe.run_record import Ambiguous

__all__ = ["Traded"]


class Traded(msgspec.Struct, frozen=True, kw_only=True):
    """Orders and fills of a run.

    Attributes
    ----------
    fills
        In the order in which they happened.
    orders
        The run folder's table, in the order in which they were sent.
    purposes
        What each order was for, by client order id.
    references
        What a taker's fill is compared with, quote currency, by client order id.
    balances
        The engine's money by venue and currency code; None where its account is not the run's
        alone, so that it cannot be compared.
    settles_funding
        Whether those balances have paid and received funding.
    ambiguous
        Exits in bars that touched both stop and target.
    until
        Last close that counts, ns UTC; None for all.
    """

    fills: Sequence[Fill]
    orders: pa.Table
    purposes: Mapping[str, str]
    references: Mapping[str, float]
    balances: Mapping[str, Mapping[str, Any]] | None
    settles_funding: bool
    ambiguous: Ambiguous
    until: int | None
