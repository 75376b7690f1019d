"""Why the drawdown of a run and that of its ladder differ, in words."""

from __future__ import annotations

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.risk_record import RiskRecord
from aitb_nautilus.observe.run_record import RunRecord

__all__ = ["ladder_peak", "ladder_sentence"]


def ladder_peak(risk: RiskRecord) -> str:
    """Return from what the ladder counts."""
    if risk.ladder_days is None:
        return "from the highest equity so far"
    return f"from the highest equity of the last {risk.ladder_days:g} days"


def ladder_sentence(record: RunRecord) -> str | None:
    """Return both drawdowns with their definitions; None if they are one and the same."""
    risk, stats = record.risk, record.stats
    if risk is None or stats is None or risk.ladder_deepest is None or risk.ladder_days is None:
        return None
    return (
        f"By the ladder the deepest drawdown was {formats.percent(risk.ladder_deepest.value)} "
        f"({formats.minute(risk.ladder_deepest.ts)}): it counts {ladder_peak(risk)} "
        f"(risk.drawdown.window_days). The run's max drawdown of "
        f"{formats.percent(stats.max_drawdown)} counts from the highest equity of all time: losses "
        f"that lie further apart add up in it, and no step of the ladder limits it."
    )
