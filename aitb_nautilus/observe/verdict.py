"""What may be said of a run in words: the verdict, and how it stands against the market."""

from __future__ import annotations

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.luck import Verdict, judge
from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.observe.stats import Stats

__all__ = ["MODES", "ambiguous_sentence", "market_sentence", "period_sentence", "verdict_of"]

MODES = {"backtest": "Back-test", "paper": "Paper trading", "live": "Live trading"}

_ENDINGS = {"failed": "The run failed", "interrupted": "The run was interrupted"}


def verdict_of(record: RunRecord) -> Verdict:
    """Return the verdict on a run; one that did not end well is not judged."""
    stats = record.stats
    if record.status != "complete" or stats is None:
        ending = _ENDINGS.get(record.status, "The run has not ended")
        if record.killed_at is not None:
            ending = "The run was killed"
        what = "there are no figures" if stats is None else "figures end there and are not judged"
        return Verdict("broken", f"{ending}: {what}.", record.error or "")
    return judge(
        stats.bootstrap,
        total_return=stats.total_return,
        trades=stats.trades + stats.open_trades,
        days=stats.days,
        simulated=record.simulated,
        seen_by=[model.reference for model in record.models if model.sample == "in"],
    )


def market_sentence(stats: Stats) -> str:
    """Return how the run stands against holding its instruments."""
    gap = formats.ratio(abs(stats.total_return - stats.market_return) * 100)
    side = "above" if stats.total_return >= stats.market_return else "below"
    return (
        f"Holding the market returned {formats.percent(stats.market_return, signed=True)}; "
        f"the run is {gap} percentage points {side} it."
    )


def period_sentence(record: RunRecord) -> list[str]:
    """Return what the run covers: time, length, instruments, bars."""
    facts = []
    if record.period is not None:
        start, end = formats.minute(record.period.start), formats.minute(record.period.end)
        facts.append(f"{start} to {end} UTC")
    if record.stats is not None:
        facts.append(formats.days(record.stats.days))
    ids = record.instruments
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    facts.append(", ".join(ids[:3]) + more)
    facts.append(f"{formats.count(record.bars)} bars")
    return facts


def ambiguous_sentence(record: RunRecord) -> str | None:
    """Return how many exits are in doubt and what they earn under either order; None without."""
    ambiguous = record.ambiguous
    if ambiguous is None:
        return None
    if ambiguous.count == 0:
        return "No bar touched both a stop and a target: the order of exits is certain."
    decimals = formats.money_decimals(record.starting_equity)
    stop = formats.money(ambiguous.pnl_stop_first, decimals, signed=True)
    target = formats.money(ambiguous.pnl_target_first, decimals, signed=True)
    exits = "exit" if ambiguous.count == 1 else "exits"
    return (
        f"{formats.count(ambiguous.count)} {exits} in bars that touched both stop and target: "
        f"{stop} {record.currency} if stops came first, {target} {record.currency} if targets did. "
        f"This run counts {ambiguous.rule.replace('_', ' ')}."
    )
