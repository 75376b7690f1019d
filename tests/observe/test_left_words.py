"""What a node left, as a person reads it."""

from __future__ import annotations

from msgspec.structs import replace

from aitb_nautilus.observe.left_record import HeldLeft, LeftRecord, OrderLeft, StillHalted
from aitb_nautilus.observe.left_words import left_sentences, left_title

NOTHING = LeftRecord(ts="2024-03-01T10:00:00Z", halts=[], held=[], orders=[])
HALT = StillHalted(
    scope="the trader",
    state="halted",
    ts="2024-03-01T09:30:00Z",
    who="guard",
    reason="drawdown 15.2%",
)
COINS = HeldLeft(
    strategy_id="ema-001",
    instrument_id="BTCUSDT.BINANCE",
    quantity="0.25",
    dust="0.000004",
    price=60_100.5,
    is_coin=True,
)
SHORT = replace(
    COINS, instrument_id="BTCUSDT-PERP.BINANCE", quantity="-0.5", dust="0", is_coin=False
)
STOP = OrderLeft(
    client_order_id="O-1",
    strategy_id="ema-001",
    instrument_id="BTCUSDT-PERP.BINANCE",
    side="BUY",
    kind="STOP_MARKET",
    quantity="0.5",
    price=None,
    trigger_price=61_000.0,
    purpose="exit:stop",
    is_stop=True,
    is_exit=True,
)
TARGET = replace(STOP, kind="LIMIT", price=58_000.0, trigger_price=None, is_stop=False)
ENTRY = replace(TARGET, side="SELL", price=63_000.0, is_exit=False, strategy_id="grid-002")


def test_run_that_left_nothing_says_nothing() -> None:
    assert left_sentences(NOTHING, "live") == []


def test_halted_spot_run_says_that_it_lasts_and_which_coins_it_holds() -> None:
    left = replace(NOTHING, halts=[HALT], held=[COINS])
    assert left_title(left) == "Ended halted, as of 2024-03-01T10:00:00Z"
    assert left_sentences(left, "live") == [
        "The trader is halted since 2024-03-01T09:30:00Z by guard: drawdown 15.2%. That lasts: "
        "after the next start nothing opens until somebody resumes it (aitb resume).",
        "ema-001 still holds 0.25 coins of BTCUSDT.BINANCE and 0.000004 that are too little to be "
        "sold, entered at 60,100.5; no stop rests for it.",
        "From then on no node looks after it: no exit is sent until the desk is started again. Its "
        "next start takes all of it over.",
    ]


def test_position_says_which_of_its_exits_rest_without_a_node() -> None:
    left = replace(NOTHING, held=[SHORT], orders=[STOP, TARGET, ENTRY])
    assert left_title(left) == "What is left, as of 2024-03-01T10:00:00Z"
    assert left_sentences(left, "live") == [
        "ema-001 still holds -0.5 contracts of BTCUSDT-PERP.BINANCE, entered at 60,100.5; its stop "
        "rests at 61,000, and what closes it at 58,000.",
        "1 order rests beside that: SELL 0.5 BTCUSDT-PERP.BINANCE limit at 63,000.",
        "From then on no node looks after it: what rests at the venue may still fill, and no other "
        "exit is sent until the desk is started again. Its next start takes all of it over.",
    ]


def test_what_is_left_on_paper_is_on_paper() -> None:
    close = replace(STOP, kind="MARKET", trigger_price=None, is_stop=False)
    said = left_sentences(replace(NOTHING, held=[SHORT], orders=[close]), "paper")
    assert "no stop rests for it, and an order at the market that closes it was on" in said[0]
    assert said[1].startswith("All of it is on paper: nothing of it fills or closes while no node")


def test_dust_alone_is_told_as_dust() -> None:
    (said, _) = left_sentences(replace(NOTHING, held=[replace(COINS, quantity="0")]), "live")
    assert said == ("ema-001 still holds 0.000004 coins of BTCUSDT.BINANCE, too little to be sold.")
