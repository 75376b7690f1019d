"""Where nothing may be sent to a venue, everything is decided and nothing leaves.

A live node that was started without orders is connected to a real account. What would open is
refused like everywhere; here what would close, change or cancel is refused as well, since somebody
who looks on must not move anything.

A sandbox that does not hold yet what the run before held would refuse each exit, and nobody could
do anything about that. Nothing is sent to it before it does.
"""

from __future__ import annotations

from aitb_nautilus.errors import RunError
from aitb_nautilus.risk.guard import Guard

__all__ = ["LIVE_ORDERS", "REOPENING", "check_may_send", "looks_on", "silence", "silenced"]

LIVE_ORDERS = "live-orders"
"""Name, in `Guard.withheld` and of the refusals, of what holds back everything for a whole run."""

REOPENING = "reopening"
"""The same of what holds back everything until what was held is opened in the sandbox again."""


def silenced(guard: Guard) -> tuple[str, str]:
    """Return by what everything is held back, exits and cancels among it, and why.

    Empty: what is allowed is sent.
    """
    for name in (LIVE_ORDERS, REOPENING):
        why = guard.withheld.get(name, "")
        if why:
            return name, why
    return "", ""


def silence(guard: Guard) -> str:
    """Return why nothing at all is sent, exits and cancels among it; empty: what is allowed is."""
    return silenced(guard)[1]


def looks_on(guard: Guard) -> str:
    """Return why nothing is sent for as long as the node runs; empty if it is, or will be."""
    return guard.withheld.get(LIVE_ORDERS, "")


def check_may_send(guard: Guard, what: str) -> None:
    """Stop a command that has come this far although the node may only look on.

    Parameters
    ----------
    what
        The command, for the error.

    Raises
    ------
    RunError
        If nothing may be sent. It is a defect of this program: what decides has to refuse before.
    """
    why = looks_on(guard)
    if why:
        raise RunError(what, "was about to be sent", f"must not be: {why}")
