"""Where nothing may be sent to a venue, everything is decided and nothing leaves.

A live node that was started without orders is connected to a real account. What would open is
refused like everywhere; here what would close, change or cancel is refused as well, since somebody
who looks on must not move anything.
"""

from __future__ import annotations

from aitb_nautilus.errors import RunError
from aitb_nautilus.risk.guard import Guard

__all__ = ["LIVE_ORDERS", "check_may_send", "silence"]

LIVE_ORDERS = "live-orders"
"""Name, in `Guard.withheld` and of the refusals, of what holds back everything."""


def silence(guard: Guard) -> str:
    """Return why nothing at all is sent, exits and cancels among it; empty: what is allowed is."""
    return guard.withheld.get(LIVE_ORDERS, "")


def check_may_send(guard: Guard, what: str) -> None:
    """Stop a command that has come this far although nothing may be sent.

    Parameters
    ----------
    what
        The command, for the error.

    Raises
    ------
    RunError
        If nothing may be sent. It is a defect of this program: what decides has to refuse before.
    """
    why = silence(guard)
    if why:
        raise RunError(what, "was about to be sent", f"must not be: {why}")
