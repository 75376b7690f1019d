"""A local exchange to rehearse against: Binance's USDⓈ-M protocol over real sockets."""

from aitb_nautilus.rehearsal.bar_feed import BookModel
from aitb_nautilus.rehearsal.clock import SteppedClock, WallClock
from aitb_nautilus.rehearsal.fault_plan import PlannedFault, read_fault_plan
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.rehearsal.rehearsal import Rehearsal
from aitb_nautilus.rehearsal.sources import BarSource, RecordedSource, RehearsalSettings, Source
from aitb_nautilus.rehearsal.status import status

__all__ = [
    "BarSource",
    "BookModel",
    "Fault",
    "PlannedFault",
    "RecordedSource",
    "Rehearsal",
    "RehearsalSettings",
    "Source",
    "SteppedClock",
    "WallClock",
    "read_fault_plan",
    "status",
]
