"""Whether each instrument has had as many bars as its slowest listener looks back.

A venue's history may lack them: a market that opened yesterday, a page that it does not keep. What
is computed from too few bars is not what it would be, so nothing opens until the stream has brought
the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from aitb_nautilus.market.times import iso

__all__ = ["FEW_BARS", "EnoughBars"]

FEW_BARS = "few-bars"
"""Name of the refusal that an opening order gets while bars of the past are missing."""


class EnoughBars:
    """Count the bars that were told.

    Parameters
    ----------
    wanted
        Bars of each instrument, before the first one on which anything may open.
    interval_ns
        Length of the bars, by instrument id.

    Examples
    --------
    >>> enough = EnoughBars(2, {"A": 60_000_000_000})
    >>> enough.take("A")
    >>> enough.missing({"A": 1_700_000_040_000_000_000})
    'A has had 1 of 2 bars; the last of them closes at 2023-11-14T22:15:00Z'
    """

    def __init__(self, wanted: int, interval_ns: Mapping[str, int]) -> None:
        self._wanted = wanted
        self._interval_ns = interval_ns
        self._left = dict.fromkeys(interval_ns, wanted) if wanted else {}

    def take(self, instrument_id: str) -> None:
        """Count a bar."""
        left = self._left.get(instrument_id)
        if left is None:
            return
        if left > 1:
            self._left[instrument_id] = left - 1
        else:
            del self._left[instrument_id]

    def missing(self, lasts: Mapping[str, int]) -> str:
        """Return of which instrument bars are missing for the longest; empty: of none.

        Parameters
        ----------
        lasts
            Close of the last bar of each instrument that was told or given up, ns UTC.
        """
        if not self._left:
            return ""
        until = {n: lasts[n] + left * self._interval_ns[n] for n, left in self._left.items()}
        slowest = max(until, key=until.__getitem__)
        more = f", and bars of {len(until) - 1} more are missing" if len(until) > 1 else ""
        return (
            f"{slowest} has had {self._wanted - self._left[slowest]} of {self._wanted} bars{more}; "
            f"the last of them closes at {iso(until[slowest])}"
        )
