"""What a config may not say, and how it is told. Section by section, through a file."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.run.config import (
    BacktestSettings,
    ComponentSettings,
    DeskConfig,
    VenueSettings,
)
from aitb_nautilus.run.load import load_config
from aitb_nautilus.settings import schema
from tests.run.desk_lab import DAY, T0, Lab

DROP = object()
"""Leave the key out."""


def put(data: dict[str, Any], path: str, value: Any) -> None:
    """Set a value at ``venues.0.leverage``."""
    *steps, last = path.split(".")
    place: Any = data
    for step in steps:
        place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
    if value is DROP:
        del place[last]
    else:
        place[last] = value


def refusal(lab: Lab, path: str, value: Any) -> str:
    """Return the error of the lab's config with one value changed."""
    data = lab.plain(lab.strategy({}))
    put(data, path, value)
    with pytest.raises(ConfigError) as caught:
        load_config(lab.write(data))
    text = str(caught.value)
    assert text.startswith(f"{lab.folder / 'desk.toml'}: ")
    assert caught.value.exit_code == 3
    return text.removeprefix(f"{lab.folder / 'desk.toml'}: ")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        # a misspelt key, on the top and inside
        ("venus", [], ["unknown key 'venus'", "did you mean 'venues'?"]),
        ("risk.max_open_order", 3, ["risk: unknown key", "did you mean 'max_open_orders'?"]),
        ("venues.0.takr_fee_bps", 3, ["venues[0]: unknown key", "'taker_fee_bps'?"]),
        ("backtest.form", "2023-01-01", ["backtest: unknown key 'form'", "known keys are start"]),
        ("strategies.0.klass", "a:B", ["strategies[0]: unknown key", "'class'?"]),
        ("instruments.0.tick", "1", ["instruments[0]: unknown key", "'tick_size'?"]),
        # a section that is not built yet does not exist yet
        ("papr", {}, ["unknown key 'papr'", "did you mean 'paper'?"]),
        # a wrong type
        ("venues.0.taker_fee_bps", "5", ["venues[0].taker_fee_bps: was '5'", "must be float"]),
        ("risk.max_open_orders", "many", ["risk.max_open_orders: was 'many'", "must be int"]),
        ("risk.max_open_orders", 1.5, ["risk.max_open_orders: was 1.5", "must be int"]),
        ("trader.id", 7, ["trader.id: was 7", "must be str"]),
        ("venues", {}, ["venues: was {}", "must be array"]),
        ("strategies.0.params", [], ["strategies[0].params: was []", "must be object"]),
        ("backtest", True, ["backtest: was True", "must be object"]),
        # a value that cannot be
        ("venues.0.taker_fee_bps", 1001.0, ["venues[0].taker_fee_bps: was 1001.0", "<= 1000"]),
        ("venues.0.maker_fee_bps", -101.0, ["maker_fee_bps: was -101.0", ">= -100"]),
        ("venues.0.slippage_bps", -1.0, ["slippage_bps: was -1.0", ">= 0"]),
        ("venues.0.latency_ms", 0.0, ["latency_ms: was 0.0", ">= 0.001"]),
        ("venues.0.leverage", 0.5, ["leverage: was 0.5", ">= 1"]),
        ("venues.0.leverage", 151.0, ["leverage: was 151.0", "<= 150"]),
        ("venues.1.leverage", 2.0, ["venues[1]", "leverage must be 1 on a cash account"]),
        ("venues.0.name", "sim", ["venues[0].name: was 'sim'"]),
        ("venues.0.account", "credit", ["venues[0].account: was 'credit'", "cash, margin"]),
        ("venues.0.limit_fill", "thru", ["limit_fill: was 'thru'", "Did you mean through?"]),
        ("risk.max_order_notional", 0.0, ["risk.max_order_notional: was 0.0", "> 0"]),
        (
            "risk.max_position_notional",
            1e300,
            ["max_position_notional: was 1e+300", "<= 1000000000000"],
        ),
        ("risk.max_orders_per_minute", 0, ["risk.max_orders_per_minute: was 0"]),
        ("risk.price_band_frac", 1.5, ["risk.price_band_frac: was 1.5", "<= 1"]),
        ("trader.id", "desk", ["trader.id: was 'desk', must be a name", "such as 'AITB-001'."]),
        ("trader.currency", "usdt", ["currency: was 'usdt'", "in capitals, such as 'USDT'."]),
        ("strategies.0.id", "1st", ["strategies[0].id: was '1st', must be a letter and up to"]),
        (
            "venues.0.base_url_http",
            "fapi.binance.com",
            ["base_url_http: was 'fapi.binance.com', must be an", "as 'https://fapi.binance.com'."],
        ),
        ("venues.0.base_url_http", "https://", ["must be an address"]),
        ("venues.0.base_url_http", "wss://fapi.binance.com", ["begins with https:// or http://"]),
        ("venues.0.base_url_ws", "https://a.b", ["must be an address that begins with wss:// or"]),
        ("venues.0.base_url_ws_trading", "ws:a.b", ["begins with wss:// or ws://, such as 'wss:"]),
        ("venues.0.latency", "20240301", ["latency: was '20240301', must be run: and the id of"]),
        ("backtest.ambiguous_bars", "best", ["ambiguous_bars: was 'best'", "stop_first"]),
        ("instruments.0.tick_size", "0", ["instruments[0]", "tick_size was '0'", "above 0"]),
        # money
        ("venues.0.starting_balance", "USDT 5", ["venues[0]", "'10000 USDT'"]),
        ("venues.0.starting_balance", "10000", ["starting_balance was '10000'"]),
        ("venues.0.starting_balance", "-1 USDT", ["starting_balance was '-1 USDT'"]),
        ("venues.0.starting_balance", "0 USDT", ["starting_balance was '0 USDT'"]),
        ("venues.0.starting_balance", "NaN USDT", ["starting_balance was 'NaN USDT'"]),
        ("venues.0.starting_balance", "inf USDT", ["starting_balance was 'inf USDT'"]),
        ("venues.0.starting_balance", "1e13 USDT", ["at most 1,000,000,000,000"]),
        ("venues.0.starting_balance", "0.000000001 USDT", ["at most 8 decimals"]),
        ("venues.0.starting_balance", "5 usdt", ["starting_balance was '5 usdt'"]),
        ("venues.0.starting_balance", "5 EUR", ["venues SIM", "is in EUR", "which is USDT"]),
        ("trader.currency", "EUR", ["starting_balance is in USDT", "which is EUR"]),
        # no number at all
        ("venues.0.taker_fee_bps", float("nan"), ["taker_fee_bps: was nan", "finite"]),
        ("risk.max_order_notional", float("inf"), ["max_order_notional: was inf", "finite"]),
        ("strategies.0.params.interval", float("-inf"), ["params.interval: was -inf", "finite"]),
        # time
        ("backtest.start", "yesterday", ["backtest: start was 'yesterday'", "2024-01-31"]),
        ("backtest.end", "2023-02-30", ["backtest: end was '2023-02-30'"]),
        # what is missing
        ("risk", DROP, ["key 'risk' is missing"]),
        ("venues", DROP, ["key 'venues' is missing"]),
        ("venues", [], ["venues: was []", "length >= 1"]),
        ("venues.0.taker_fee_bps", DROP, ["venues[0]: key 'taker_fee_bps' is missing"]),
        ("venues.0.starting_balance", DROP, ["venues[0]: key 'starting_balance' is missing"]),
        ("strategies.0.id", DROP, ["strategies[0]: key 'id' is missing"]),
    ],
)
def test_config_says_where_what_was_found_and_what_is_wanted(
    lab: Lab, path: str, value: Any, words: list[str]
) -> None:
    text = refusal(lab, path, value)
    for word in words:
        assert word in text
    assert "\n" not in text
    assert "regex" not in text


def test_every_pattern_of_a_config_says_in_words_what_it_wants() -> None:
    def patterns(part: Any) -> list[dict[str, Any]]:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        found = [one for value in inner for one in patterns(value)]
        return [part, *found] if isinstance(part, dict) and "pattern" in part else found

    told = [one for one in patterns(schema(DeskConfig)) if "env:" not in one["pattern"]]
    assert len(told) >= 10
    for one in told:
        assert one["description"], one
        assert all(re.search(one["pattern"], text) for text in one["examples"])
        assert one["examples"]


def test_end_must_come_after_start(lab: Lab) -> None:
    data = lab.plain(lab.strategy({}), backtest={"start": "2023-02-01", "end": "2023-02-01"})
    with pytest.raises(ConfigError, match="end was 2023-02-01, must be after start"):
        load_config(lab.write(data))


def test_dates_without_quotes_are_dates(lab: Lab) -> None:
    path = lab.config(lab.strategy({}))
    text = path.read_text().replace(
        "[backtest]", "[backtest]\nstart = 2023-01-01\nend = 2023-01-03"
    )
    path.write_text(text)
    assert load_config(path).config.backtest.range_ns() == (T0, T0 + 2 * DAY)


@pytest.mark.parametrize("section", ["venues", "instruments", "strategies"])
def test_same_name_twice_is_refused(lab: Lab, section: str) -> None:
    data = lab.plain(lab.strategy({}))
    data[section].append(data[section][0])
    with pytest.raises(ConfigError, match=rf"{section}.* twice"):
        load_config(lab.write(data))


def test_actor_of_a_strategys_name_is_refused(lab: Lab) -> None:
    data = lab.plain(lab.strategy({}))
    data["actors"] = [{"class": "a:B", "id": data["strategies"][0]["id"]}]
    with pytest.raises(ConfigError, match="strategies and actors has id 'scripted' twice"):
        load_config(lab.write(data))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9999-12-31", "start was '9999-12-31' does not lie between the years 1678 and 2262"),
        ("tomorrow", "start was 'tomorrow' is not a time; write 2024-01-31"),
    ],
)
def test_what_is_no_time_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        BacktestSettings(start=text)


def test_balance_reads_underscores_and_exponents() -> None:
    for text in ("10_000 USDT", "1e4 USDT", "10000.00 USDT"):
        venue = VenueSettings(
            name="SIM", starting_balance=text, maker_fee_bps=0.0, taker_fee_bps=0.0
        )
        assert venue.balance() == (10_000, "USDT")


def test_maker_rebate_is_allowed() -> None:
    venue = VenueSettings(
        name="SIM", starting_balance="1 USDT", maker_fee_bps=-2.5, taker_fee_bps=5.0
    )
    assert venue.maker_fee_bps == -2.5
    assert venue.latency_ns == 50_000_000


def test_schema_is_valid_and_names_every_key_with_its_bounds() -> None:
    """Checked by hand as well as by jsonschema's meta-schema, which may not be installed."""
    whole = schema(DeskConfig)
    json.dumps(whole, allow_nan=False)
    definitions = whole["$defs"]
    refs = {word for word in json.dumps(whole).split('"') if word.startswith("#/$defs/")}
    assert {ref.removeprefix("#/$defs/") for ref in refs} <= definitions.keys()
    for cls in (
        BacktestSettings,
        ComponentSettings,
        DeskConfig,
        InstrumentSettings,
        RiskSettings,
        VenueSettings,
    ):
        told = definitions[cls.__name__]
        assert told["type"] == "object"
        assert told["additionalProperties"] is False
        assert list(told["properties"]) == list(cls.__struct_encode_fields__)
        required = {f.encode_name for f in msgspec.structs.fields(cls) if f.required}
        assert set(told["required"]) == required
    assert "class" in definitions["ComponentSettings"]["properties"]
    leverage = definitions["VenueSettings"]["properties"]["leverage"]
    assert (leverage["minimum"], leverage["maximum"], leverage["default"]) == (1, 150, 1.0)
    rule = definitions["BacktestSettings"]["properties"]["ambiguous_bars"]
    assert rule["enum"] == ["stop_first", "target_first"]


def test_schema_passes_the_meta_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    whole = schema(DeskConfig)
    jsonschema.Draft202012Validator.check_schema(whole)


@pytest.mark.parametrize("secs", [5.0, -1.0, 4_000.0, float("nan")])
def test_dead_mans_switch_that_one_slow_answer_would_spring_is_refused(
    lab: Lab, secs: float
) -> None:
    assert "dead_man_secs" in refusal(lab, "live.dead_man_secs", secs)


def test_dead_mans_switch_is_refused_where_the_venue_has_no_countdown(lab: Lab) -> None:
    told = refusal(lab, "live.dead_man_secs", 30.0)
    assert told.startswith("live.dead_man_secs was 30, and SIM has no countdown")


@pytest.mark.parametrize(
    ("adapter", "account", "has"),
    [("binance", "margin", True), ("binance", "cash", False), ("kraken", "margin", False)],
)
def test_countdown_is_one_of_binances_perpetuals(adapter: Any, account: Any, has: bool) -> None:
    venue = VenueSettings(
        name="SIM",
        starting_balance="10 USDT",
        maker_fee_bps=0.0,
        taker_fee_bps=0.0,
        account=account,
        adapter=adapter,
    )
    assert venue.has_countdown == has
