"""Take a finished run's decisions again, with its own limits and with others."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from aitb_nautilus.errors import ConfigError, RunError
from aitb_nautilus.market.times import iso
from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.again import Difference
from aitb_nautilus.risk.branch import Branch
from aitb_nautilus.risk.journal_carried import Carried
from aitb_nautilus.risk.limits import RiskSettings, refuse_unknown_scopes
from aitb_nautilus.risk.recorded import Wish, opened, steps
from aitb_nautilus.risk.trips import Affected
from aitb_nautilus.risk.what_if import WhatIf
from aitb_nautilus.run.killed import finish_killed
from aitb_nautilus.run.other_limits import (
    LimitChange,
    changed_limits,
    limit_changes,
    limits_of_file,
)
from aitb_nautilus.run.recorded_run import RecordedRun
from aitb_nautilus.settings import decode

__all__ = ["AffectedOrder", "Course", "LimitEffect", "WhatIfRecord", "what_if"]


type _Listens = Mapping[str, Sequence[tuple[str, str]]]


class Course(msgspec.Struct, frozen=True):
    """What one course of events came to, in the trader's currency.

    Attributes
    ----------
    net_pnl
        After fees and funding, at the last marks.
    fees, funding
        Positive was paid.
    traded
        Value of all fills.
    drawdown_frac
        The deepest fall of equity below its peak, looked at every hour.
    halts
        When and why trading stopped.
    """

    net_pnl: float
    fees: float
    funding: float
    fills: int
    traded: float
    drawdown_frac: float
    halts: list[str]


class AffectedOrder(msgspec.Struct, frozen=True):
    """An order on which the other limits decide otherwise; see `Affected`.

    Attributes
    ----------
    pnl_effect
        What the other course earned more by it; None where that is not known.
    """

    order: Affected
    time: str
    pnl_effect: float | None


class LimitEffect(msgspec.Struct, frozen=True):
    """What one limit does otherwise.

    Attributes
    ----------
    refused, shrunk
        Orders that were sent.
    passes, larger
        Orders that the run refused or shrank.
    value
        Of what is refused, and of what is taken off, at the last price; quote currency.
    pnl_effect
        What the other course earned more by it.
    """

    limit: str
    refused: int
    shrunk: int
    passes: int
    larger: int
    value: float
    pnl_effect: float


class WhatIfRecord(msgspec.Struct, frozen=True):
    """What other limits had made of a run.

    Attributes
    ----------
    decisions, openings
        Decisions that were taken again, and those on opening orders among them.
    differences
        Decisions that the run's own limits take otherwise than it did: must be none.
    changes
        Limits that differ from the run's own.
    not_applied
        Keys of limits that need quotes, of which the run had none.
    recorded, other
        What was, and what would have been.
    closed_early
        Positions that the other limits' ladder closed at the close of a bar.
    rest
        PnL effect that belongs to no single order: what was closed early, and whole lots.
    limits, orders
        By limit, the largest effect first, and all orders in the order of time.
    not_asked
        Decisions of a run that was killed on bars of which nothing was kept.
    """

    run_id: str
    run_dir: str
    mode: str
    currency: str
    decisions: int
    openings: int
    differences: list[Difference]
    changes: list[LimitChange]
    not_applied: list[str]
    recorded: Course
    other: Course
    closed_early: int
    rest: float
    limits: list[LimitEffect]
    orders: list[AffectedOrder]
    seconds: float
    not_asked: int = 0


def what_if(path: Path, config: Path | None = None, changes: Sequence[str] = ()) -> WhatIfRecord:
    """Take the decisions of a run again.

    Parameters
    ----------
    path
        The run folder.
    config
        A config file whose ``[risk]`` section holds the other limits; else they are the run's.
    changes
        As `changed_limits` takes them; they come after `config`.

    Raises
    ------
    DataError, ConfigError, UsageError
        If the run, the limits or the bars cannot be had.
    RunError
        If the run had a limit in force that this program does not know.
    """
    began = time.perf_counter()
    finish_killed(path)
    recorded = RecordedRun(path)
    record = recorded.run.record
    journal = opened(recorded.run.path)
    own_limits = decode(journal.limits, RiskSettings, str(path), "risk")
    other_limits = limits_of_file(config) if config is not None else own_limits
    other_limits = changed_limits(other_limits, changes)
    refuse_unknown_scopes(
        other_limits,
        str(config or "--set"),
        venues=[v.name for v in recorded.config.venues],
        strategies=[s.id for s in recorded.config.strategies],
        instruments=list(recorded.lots),
    )
    _refuse_unheard(own_limits, other_limits, record.instruments)
    own, other = (
        Branch(record.starting_equity, recorded.askable(limits), recorded.lots)
        for limits in (own_limits, other_limits)
    )
    for branch in (own, other):
        branch.go_on(journal.account, journal.remembered)
    course = WhatIf(own, other, recorded.lots, recorded.close_cost)
    not_asked = _follow(recorded, course, journal.listens)
    return WhatIfRecord(
        record.run_id,
        str(recorded.run.path),
        record.mode,
        record.currency,
        course.decisions,
        course.openings,
        course.differences,
        limit_changes(own_limits, other_limits),
        recorded.not_askable(other_limits),
        _course(own),
        _course(other),
        course.closed_early,
        course.trips.rest,
        _by_limit(course),
        [_order(course, one) for one in course.affected],
        round(time.perf_counter() - began, 3),
        not_asked,
    )


def _refuse_unheard(own: RiskSettings, other: RiskSettings, traded: Sequence[str]) -> None:
    """Refuse a reference that the run did not look at: nothing is known of its price."""
    heard = {*traded, *(r.reference.instrument for r in own.rules if r.reference)}
    for i, rule in enumerate(other.rules):
        if rule.reference is not None and rule.reference.instrument not in heard:
            raise ConfigError(
                f"risk.rules[{i}].reference",
                f"is {rule.reference.instrument}, which the run did not look at",
                f"must be one of {', '.join(sorted(heard))}",
            )


def _follow(recorded: RecordedRun, course: WhatIf, listens: _Listens) -> int:
    """Tell all facts in the order in which the run heard them; return how many wishes it cannot."""
    for strategy_id, sources in listens.items():
        course.expect_predictions(strategy_id, sources)
    bars, rates = recorded.bars(), deque(recorded.rates())
    predictions = deque(recorded.predictions(listens))
    heard, foretold, past, lost = 0, 0, recorded.run.past.num_rows, 0
    carried: Carried | None = None

    def settle(ts: int) -> None:
        while rates and rates[0].ts_settle <= ts:
            course.hear_rate(rates.popleft())

    def hold(*, at_once: bool = False) -> None:
        """Take over what was held: once the past is told, or before what was done with it."""
        nonlocal carried
        if carried is not None and (heard >= past or at_once):
            course.take(carried)
            carried = None

    walk = steps(recorded.run.path)
    for count, step in walk:
        if isinstance(step, Carried):
            carried = step
            continue
        for bar in islice(bars, count - heard):
            hold()
            settle(bar.ts)
            course.hear_bar(bar, past=heard < past)
            heard += 1
        if heard < count and recorded.run.record.killed_at is not None:
            lost = isinstance(step, Wish) + sum(isinstance(one, Wish) for _, one in walk)
            break
        if heard < count:
            raise RunError(
                str(recorded.run.path),
                f"has {heard} bars, and its journal speaks of {count}",
                "must have all bars that the run heard",
            )
        hold(at_once=True)
        if isinstance(step, Wish):
            while foretold < step.decided.foretold and predictions:
                course.hear_prediction(predictions.popleft())
                foretold += 1
        else:
            settle(step.ts if isinstance(step, Fill) else 0)
        course.take(step)
    for bar in bars:
        hold()
        settle(bar.ts)
        course.hear_bar(bar, past=heard < past)
        heard += 1
    course.end()
    return lost


def _course(branch: Branch) -> Course:
    ledger = branch.ledger
    positions = ledger.positions.values()
    return Course(
        ledger.equity() - ledger.starting_equity,
        sum(p.fees for p in positions),
        0.0 - sum(p.funding for p in positions),
        len(ledger.fills),
        sum(float(f.quantity) * f.price for f in ledger.fills),
        branch.drawdown,
        [f"{iso(halt.ts)}: {halt.reason}" for halt in branch.guard.halts],
    )


def _order(course: WhatIf, one: Affected) -> AffectedOrder:
    """Return an order with what it cost or saved; what did not happen has no figure."""
    known = one.outcome in ("refused", "shrunk")
    effect = course.trips.effect.get(one.client_order_id, 0.0) if known else None
    return AffectedOrder(one, iso(one.ts), effect)


def _by_limit(course: WhatIf) -> list[LimitEffect]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    value: dict[str, float] = defaultdict(float)
    effect: dict[str, float] = defaultdict(float)
    counted: set[str] = set()
    for one in course.affected:
        counts[one.limit][one.outcome] += 1
        if one.outcome in ("refused", "shrunk"):
            value[one.limit] += one.value
            # An order that is shrunk, and later refused a change, has one effect.
            if one.client_order_id not in counted:
                effect[one.limit] += course.trips.effect.get(one.client_order_id, 0.0)
                counted.add(one.client_order_id)
    found = [
        LimitEffect(
            limit, n["refused"], n["shrunk"], n["passes"], n["larger"], value[limit], effect[limit]
        )
        for limit, n in counts.items()
    ]
    return sorted(found, key=lambda e: (-abs(e.pnl_effect), -e.value, e.limit))
