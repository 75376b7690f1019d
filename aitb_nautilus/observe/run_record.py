"""What run.json holds: one struct, which the writer encodes and the reader decodes.

Times are ISO 8601 UTC texts, money is in account currency, `*_frac` and returns are fractions.
Every amount called fees, slippage or funding is a cost: positive was paid, negative was received.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from aitb_nautilus.observe.stats import Stats

__all__ = [
    "SCHEMA",
    "Ambiguous",
    "Costs",
    "DataRecord",
    "Halt",
    "ModelRecord",
    "Period",
    "RunRecord",
    "Seconds",
    "VenueRecord",
]

SCHEMA = 1


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


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A model bundle that the run used."""

    id: str
    version: str
    sha256: str


class VenueRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How an exchange was modelled."""

    name: str
    account: str
    maker_fee_bps: float
    taker_fee_bps: float
    slippage_bps: float
    latency_ms: float
    leverage: float
    starting_balances: list[str]


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


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """Why and when the guard halted trading; `scope` is empty for the whole run."""

    ts: str
    reason: str
    scope: str = ""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The object in run.json; keys that this version does not know are ignored.

    A complete run has everything. One that failed or was interrupted may lack what None allows.
    """

    schema: int
    run_id: str
    mode: Literal["backtest", "paper", "live"]
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
