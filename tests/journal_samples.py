"""Journals for tests: a few orders from wish to fill, and hypothesis strategies for any record."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from hypothesis import strategies as st

from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_carried import Carried, CarriedOrder, CarriedPosition
from aitb_nautilus.risk.journal_records import (
    KINDS,
    Acknowledged,
    Body,
    Decided,
    Filled,
    Intended,
    Opened,
    Sent,
)
from aitb_nautilus.risk.kelly import OpenTrade, TradeState

BTC = "BTCUSDT-PERP.BINANCE"
EMA = "ema-001"
T0 = 1_700_000_040_000_000_000
OPENED = Opened(
    run_id="20231114-221400-btc",
    config_sha256="c0" * 32,
    mode="backtest",
    limits={"max_order_notional": 10_000.0},
    versions={"aitb": "0.1.0"},
)
ONE = Decimal("0.100")


def wish(journal: Journal, order: str, ts: int = T0, *, ahead: bool = False) -> int:
    """Write intent, decision and sending of an order; return the number of the last record."""
    intended = Intended(action="submit", side="BUY", order_kind="MARKET", quantity=ONE)
    journal.note(intended, ts, EMA, BTC, order)
    decided = Decided(
        outcome="allowed",
        wanted=ONE,
        quantity=ONE,
        equity=100_000.0,
        mark=30_000.0,
        open_orders=2,
    )
    journal.note(decided, ts, EMA, BTC, order)
    sent = Sent(action="submit", side="BUY", order_kind="MARKET", quantity=ONE)
    return journal.append(sent, ts, EMA, BTC, order, ahead=ahead)


def fill(journal: Journal, order: str, ts: int = T0 + 1) -> int:
    """Write the acceptance and the whole fill of an order; return the number of the last record."""
    journal.append(Acknowledged(answer="accepted"), ts, EMA, BTC, order)
    filled = Filled(
        trade_id=f"t-{order}",
        side="BUY",
        price=30_001.5,
        quantity=ONE,
        fee=1.5,
        liquidity="TAKER",
        leaves=Decimal(0),
    )
    return journal.append(filled, ts, EMA, BTC, order)


def write_orders(path: Path, count: int = 3, *, durable: bool = False) -> str:
    """Write a journal of some orders, two records that frame them included; return its head."""
    with Journal(path, OPENED, T0, durable=durable) as journal:
        for number in range(count):
            wish(journal, f"o{number}", T0 + number)
            fill(journal, f"o{number}", T0 + number)
    return journal.state.head


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    """Return all rows as SQLite holds them."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT * FROM records ORDER BY seq").fetchall()


def records(kinds: dict[str, type[Body]] = KINDS) -> st.SearchStrategy[Body]:
    """Return any body of any kind; numbers that JSON cannot hold are left out."""
    floats = st.floats(allow_nan=False, allow_infinity=False)
    decimals = st.decimals(allow_nan=False, allow_infinity=False)
    texts = st.text(st.characters(exclude_categories=["Cs"]))
    with_these = {
        float: floats,
        float | None: st.none() | floats,
        Decimal: decimals,
        Decimal | None: st.none() | decimals,
        str: texts,
    }
    return st.one_of([of_type(type_, with_these) for type_ in kinds.values()])


def _trade_states(floats: st.SearchStrategy[float]) -> st.SearchStrategy[TradeState]:
    trades = st.builds(OpenTrade, floats, floats)
    return st.builds(TradeState, st.lists(floats), st.dictionaries(st.text("AB"), trades))


def of_type(type_: type[msgspec.Struct], with_these: dict[Any, Any]) -> st.SearchStrategy[Any]:
    """Return structs of one kind, each field by its type."""
    texts = with_these[str]
    whole = st.integers(0, 2**62)
    tables = st.dictionaries(texts, texts | st.booleans() | st.integers(-(2**53), 2**53))
    lost = st.lists(texts).map(tuple)
    special = {
        "orders": st.deferred(lambda: _some(CarriedOrder, with_these)),
        "positions": st.deferred(lambda: _some(CarriedPosition, with_these)),
        "trades": lost,
        "own_trades": st.dictionaries(texts, _trade_states(with_these[float])),
        "limits": tables,
        "versions": st.dictionaries(texts, texts),
        "sent": st.dictionaries(texts, whole) if type_ is Carried else lost,
        "lost": st.integers(0, 2**62),
        "first_ts": st.integers(0, 2**62),
        "last_ts": st.integers(0, 2**62),
        "open_orders": st.integers(0, 2**31),
        "listens": st.dictionaries(texts, st.lists(st.tuples(texts, texts)).map(tuple)),
        "quote": st.none() | st.tuples(whole, *[with_these[float | None]] * 4),
        "references": st.lists(st.tuples(texts, whole, with_these[float | None])).map(tuple),
    }
    hints = get_type_hints(type_)
    fields = {}
    for name in type_.__struct_fields__:
        hint = hints[name]
        fields[name] = special[name] if name in special else by_type(hint, with_these)
    return st.builds(type_, **fields)


def _some(type_: type[msgspec.Struct], with_these: dict[Any, Any]) -> st.SearchStrategy[Any]:
    return st.lists(of_type(type_, with_these), max_size=3).map(tuple)


def by_type(hint: Any, with_these: dict[Any, Any]) -> st.SearchStrategy[Any]:
    """Return values of a type, of ours where we have a say."""
    return with_these[hint] if hint in with_these else st.from_type(hint)
