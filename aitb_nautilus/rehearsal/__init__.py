"""A local exchange to rehearse against: Binance's USDⓈ-M protocol over real sockets."""

from aitb_nautilus.rehearsal.bar_feed import BookModel
from aitb_nautilus.rehearsal.clock import SteppedClock, WallClock
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.rehearsal.process import RehearsalProcess, serve_in_process
from aitb_nautilus.rehearsal.rehearsal import Rehearsal, RunningRehearsal, serve_in_thread
from aitb_nautilus.rehearsal.sources import BarSource, RecordedSource, RehearsalSettings

__all__ = [
    "BarSource",
    "BookModel",
    "Fault",
    "RecordedSource",
    "Rehearsal",
    "RehearsalProcess",
    "RehearsalSettings",
    "RunningRehearsal",
    "SteppedClock",
    "WallClock",
    "serve_in_process",
    "serve_in_thread",
]
