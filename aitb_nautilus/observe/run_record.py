"""What run.json holds: one struct, which the writer encodes and the reader decodes.

Times are ISO 8601 UTC texts, money is in account currency, `*_frac` and returns are fractions.
Every amount called fees, slippage or funding is a cost: positive was paid, negative was received.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from aitb_nautilus.observe.latency_record import StageLatency
from aitb_nautilus.observe.left_record import LeftRecord
from aitb_nautilus.observe.risk_record import RiskRecord
from aitb_nautilus.observe.stats import Stats

__all__ = [
    "SCHEMA",
    "Ambiguous",
    "CalibrationBin",
    "Costs",
    "DataRecord",
    "FeatureImportance",
    "Halt",
    "Histogram",
    "JournalRecord",
    "LabelRecord",
    "LimitCount",
    "Mode",
    "ModelRecord",
    "PaidRecord",
    "Period",
    "PeriodFigures",
    "PredictionFigures",
    "RunRecord",
    "Seconds",
    "VenueRecord",
]

SCHEMA = 1

Mode = Literal["backtest", "paper", "live"]


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """Time from the first bar's open to the last bar's close."""

    start: str
    end: str


class Seconds(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time went, in seconds of wall clock; `report` is None while the page is made."""

    load: float
    features: float
    inference: float
    engine: float
    report: float | None
    total: float


class LabelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a model was taught to foresee; `cost_bps` is what a gain must exceed to count as up."""

    kind: Literal["sign", "return", "triple_barrier"]
    horizon_bars: int
    horizon_ns: int
    cost_bps: float = 0.0


class FeatureImportance(msgspec.Struct, frozen=True, kw_only=True):
    """How much the log loss rose in the training's tests when a feature was shuffled."""

    feature: str
    log_loss_rise: float


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of similar probability: the mean that was foretold, and the share that went up.

    `low` and `high` are the 95% bounds of that share.
    """

    rows: int
    probability: float
    up_share: float
    low: float
    high: float


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Counts between n + 1 edges; the outermost counts gather all that lies beyond."""

    edges: list[float]
    counts: list[int]


class PeriodFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one UTC month, week or day, which begins at the date `start`.

    All but `rows` are None where the period has too few rows to measure.
    """

    start: str
    rows: int
    ic: float | None
    rank_ic: float | None
    log_loss: float | None
    hit_rate: float | None


class PredictionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's predictions in a run stand against what happened.

    Attributes
    ----------
    rows, resolved, late
        Predictions; those whose horizon has ended, on which all other figures rest; answers that
        came too late, or were overtaken by a newer bar's, and were dropped.
    first, last
        Bars that the first and the last prediction answer, ISO 8601 UTC; None without predictions.
    mean_probability, up_share
        What was foretold on average, and what happened.
    auc, log_loss, brier, ic, rank_ic, hit_rate
        As in `aitb_nautilus.training.metrics`; None where not defined.
    log_loss_prior
        Of one who always says `up_share`, which only hindsight knows.
    gain_error, ic_error
        Standard errors of ``log_loss_prior - log_loss`` and of `ic`, from sums over blocks of time;
        None where there are too few blocks.
    calibration
        Bins in order of probability, about equally filled.
    unit, periods
        ``month``, ``week`` or ``day``, and the figures of each.
    """

    rows: int
    resolved: int
    late: int
    first: str | None
    last: str | None
    mean_probability: float | None
    up_share: float | None
    auc: float | None
    log_loss: float | None
    log_loss_prior: float | None
    brier: float | None
    ic: float | None
    rank_ic: float | None
    hit_rate: float | None
    gain_error: float | None
    ic_error: float | None
    calibration: list[CalibrationBin]
    histogram: Histogram | None
    unit: Literal["month", "week", "day"]
    periods: list[PeriodFigures]


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What published predictions in the run: a model bundle, a stream or an ensemble.

    Attributes
    ----------
    sha256, manifest_sha256, alias
        Of the model, of its manifest, and by which alias it was named.
    trained_first, trained_last
        First and last bar of the training, ISO 8601 UTC; None if there is no one such span.
    trials
        How many models were tried before this one was chosen, itself included.
    members
        Of an ensemble.
    importance
        The most important features, the largest rise first.
    sample
        ``out``: every bar of the run came after all that the training looked at. ``in``: not so,
        or not known. ``walk-forward``: each prediction is from a model that had seen only the past.
    figures
        None if the run did not get so far.
    """

    id: str
    version: str
    sha256: str
    manifest_sha256: str | None = None
    alias: str | None = None
    algorithm: str = ""
    interval: str = ""
    instruments: list[str] = []
    label: LabelRecord | None = None
    trained_first: str | None = None
    trained_last: str | None = None
    simulated: bool = False
    trials: int = 1
    expires: str | None = None
    members: list[str] = []
    importance: list[FeatureImportance] = []
    sample: Literal["out", "in", "walk-forward"] = "in"
    figures: PredictionFigures | None = None

    @property
    def reference(self) -> str:
        """Name and version: ``btc_up@3``; of an ensemble ``blend (btc_up@3+calm@1)``."""
        return f"{self.id} ({self.version})" if self.members else f"{self.id}@{self.version}"


class PaidRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Of which run a back-test paid the latency, from bar to acknowledgement, times in ns.

    `sha256` is that of the histogram; `below_zero` the orders whose time fell below zero, since the
    venue's clock was ahead.
    """

    run_id: str
    mode: Mode
    orders: int
    below_zero: int
    p50_ns: int
    p99_ns: int
    max_ns: int
    sha256: str


class VenueRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How an exchange was modelled; with `paid`, latencies were drawn and `latency_ms` is p50."""

    name: str
    account: str
    maker_fee_bps: float
    taker_fee_bps: float
    slippage_bps: float
    latency_ms: float
    leverage: float
    starting_balances: list[str]
    paid: PaidRecord | None = None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Where the money went: ``gross_pnl - fees - slippage - funding = net_pnl``.

    `net_pnl` is the final less the starting equity, open positions at the last close included;
    `gross_pnl` is what the same fills had earned at their reference prices without any cost.
    """

    fees: float
    slippage: float
    funding: float
    gross_pnl: float
    net_pnl: float


class Ambiguous(msgspec.Struct, frozen=True, kw_only=True):
    """Exits in bars that touched both stop and target, and what these earn under either order."""

    count: int
    pnl_stop_first: float | None
    pnl_target_first: float | None
    rule: str


class DataRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A series of bars that the run read.

    `gaps` is the number of gaps, `missing` the number of bars missing in them.
    """

    bar_type: str
    rows: int
    first: str
    last: str
    sha256: str
    gaps: int
    sources: list[str]
    repairs: list[str]
    missing: int = 0
    simulated: bool = False


class JournalRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How many records the run's journal has, and the hash of the last of them.

    ``aitb audit verify RUN`` compares the hash with the file.
    """

    records: int
    head: str


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """Why and when the guard halted trading; `scope` is empty for the whole run."""

    ts: str
    reason: str
    scope: str = ""


class LimitCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders a limit refused, and of how many it let only a part pass."""

    limit: str
    refused: int
    shrunk: int


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The object in run.json; keys that this version does not know are ignored.

    `warm_up_bars` is the number of bars before the run that warmed it up, of all instruments.
    `latency` has a stage only where something was measured.

    `killed_at` is the time of the last record of a node's run that was killed, ISO 8601 UTC: what
    came after it is not known. `left` is what a node's run left; None of a back-test, and of a run
    that ended before it knew what the one before it had left.

    A complete run has everything. One that failed or was interrupted may lack what None allows.
    """

    schema: int
    run_id: str
    mode: Mode
    name: str
    status: Literal["complete", "failed", "interrupted", "running"]
    error: str | None
    created: str
    fingerprint: str | None
    config_sha256: str
    data_sha256: str | None
    models: list[ModelRecord]
    bars: int
    predictions: int
    orders: int
    fills: int
    seconds: Seconds | None
    stats: Stats | None
    run_dir: str
    simulated: bool
    currency: str
    period: Period | None
    instruments: list[str]
    bar_types: list[str]
    venues: list[VenueRecord]
    starting_equity: float
    final_equity: float | None
    costs: Costs | None
    ambiguous: Ambiguous | None
    honesty: list[str]
    data: list[DataRecord]
    versions: dict[str, Any]
    halts: list[Halt]
    refused: int
    limits: list[LimitCount] = []
    risk: RiskRecord | None = None
    journal: JournalRecord | None = None
    warm_up_bars: int = 0
    latency: list[StageLatency] = []
    killed_at: str | None = None
    left: LeftRecord | None = None
