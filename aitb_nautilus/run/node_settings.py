"""What a config says of paper and live: the warm-up, the simulated fills, the end of a run."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from aitb_nautilus.risk.disk import OnDisk
from aitb_nautilus.settings import Settings

__all__ = ["LiveSettings", "OnStop", "PaperSettings", "RecordingSettings", "WarmUpSettings"]

OnStop = Literal["hold", "cancel", "flatten"]

_LEAST_DEAD_MAN_S: Final = 10.0


class WarmUpSettings(Settings, frozen=True):
    """Section ``[warm_up]``: how much of the past is heard before the first order, in every mode.

    Attributes
    ----------
    bars
        So many bars before the run begins, of each instrument. Absent: as many as the longest of
        the features, indicators and limits asks for. 0: none, everything begins cold.
    """

    bars: Annotated[int, msgspec.Meta(ge=0, le=5_000_000)] | None = None


class PaperSettings(Settings, frozen=True):
    """Section ``[paper]``: how the sandbox fills.

    Attributes
    ----------
    fills
        ``quotes``: at the best bid and ask of the venue's book, triggers at its trades. ``bars``:
        at closed bars only, for a venue without quotes; a market order fills at the last close.
    """

    fills: Literal["quotes", "bars"] = "quotes"


class RecordingSettings(Settings, frozen=True):
    """Section ``[recording]``: how what comes in is written down, for ``aitb replay``.

    Paper and live always record; a back-test does with ``--record``.

    Attributes
    ----------
    queue_size
        So many inputs may wait to be written. What finds the queue full is not recorded, which is
        said, and ends what can be replayed; trading goes on.
    flush_secs
        How long an input may wait to be written, which is what may be lost if the process is
        killed.
    """

    queue_size: Annotated[int, msgspec.Meta(ge=1_000, le=10_000_000)] = 200_000
    flush_secs: Annotated[float, msgspec.Meta(gt=0, le=60)] = 0.5


class LiveSettings(Settings, frozen=True):
    """Section ``[live]``: how a node runs and ends, on paper as well.

    Attributes
    ----------
    on_stop
        What becomes of orders and positions when the run is stopped. ``hold``: nothing is touched.
        ``cancel``: orders that could open are cancelled, stops and targets stay at the venue.
        ``flatten``: all is cancelled, and positions are closed at the market.
    on_error
        The same, when a component raised.
    stop_secs
        How long it may take until that is done, and orders on their way are answered; the node
        ends in any case then.
    connect_secs
        How long connecting to the venues may take.
    late_bar_secs
        So long after its close a bar is waited for; then the venue's history is asked for it.
    history_secs
        How long the venue may take to answer for its history, with all repetitions, before trading
        is halted.
    holes
        A bar that the venue's history lacks as well: ``halt`` trading, or ``accept`` it as a time
        without a trade.
    recovery_secs
        How long the venue is asked, after a restart, for orders of the run before that are not
        answered; what it does not know by then is not sent again, and trading halts. A command
        that is older than five seconds is refused by Binance.
    balance_tolerance_frac
        By how much of it the account's balance may differ, after a restart, from what the journal
        comes to: funding is no record of the journal. More binds the trader to reducing.
    order_check_secs
        How often the venue is asked, while a live run goes on, which orders are open. What it does
        not name any more is asked for by its id, so that a lost message is found.
    check_secs
        How often a live node asks the venue for orders, positions and balance, and compares them
        with what it knows; soon after a connection came back it does so in any case.
    dead_man_secs
        A dead man's switch: so long after a node that sends orders has died, the venue cancels all
        orders of each instrument in which no position is open; renewed at a third of it. At least
        10, and 5 an instrument. 0: none. Only where the venue has a countdown: Binance USD-M.
    snapshot_secs
        How often the tables of the run folder are written while the run goes on, at most. They are
        computed from the whole run: what the last time took of the processor is no more than half
        a percent of the time until the next. None begins shortly after a close, or so shortly
        before one that it would run into it. When the run ends they are written in any case.
    keep_warm_ms
        From shortly before a close until its bars are there, for at most so long after it,
        features and models are computed again and again, and thrown away: what waits for a minute
        is in no cache of the processor by then, and the order leaves later. 0: never.
    on_disk
        When the records of an order, and what the limits remember of it, are on the disk. ``soon``:
        a moment after the order left. Before it leaves they are with the operating system, so that
        they outlive the node, however that ends; a power cut may take the last ones, and the next
        start finds at the venue what they told of. ``before``: an order waits for the disk, twice
        if it opens; that takes milliseconds, and outlives a power cut as well.
    switch_interval_ms
        After so long another Python thread may have its turn. Python's own 5 ms make a quote wait
        for milliseconds whenever a thread beside the loop computes.
    """

    on_stop: OnStop = "cancel"
    on_error: OnStop = "cancel"
    stop_secs: Annotated[float, msgspec.Meta(gt=0, le=8)] = 5.0
    connect_secs: Annotated[float, msgspec.Meta(ge=1, le=600)] = 30.0
    late_bar_secs: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 10.0
    history_secs: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    holes: Literal["halt", "accept"] = "halt"
    recovery_secs: Annotated[float, msgspec.Meta(ge=1, le=600)] = 6.0
    balance_tolerance_frac: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    order_check_secs: Annotated[float, msgspec.Meta(ge=1, le=600)] = 5.0
    check_secs: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 30.0
    dead_man_secs: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    snapshot_secs: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0
    keep_warm_ms: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = 500.0
    on_disk: OnDisk = "soon"
    switch_interval_ms: Annotated[float, msgspec.Meta(ge=0.05, le=5)] = 0.5

    def __post_init__(self) -> None:
        """Refuse a countdown that a slow answer would let run out."""
        if 0 < self.dead_man_secs < _LEAST_DEAD_MAN_S:
            raise ValueError(
                f"dead_man_secs was {self.dead_man_secs:g}, must be 0 (no switch) or at least "
                f"{_LEAST_DEAD_MAN_S:g}: it is renewed at a third of it, and two may fail"
            )
