"""What stops a run before it begins: nothing is written then."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from aitb_nautilus.errors import AitbError, ConfigError, DataError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.preparation import prepare
from tests.run.desk_lab import DAY, HOUR, MINUTE, SPOT, T0, A, B, Lab, buy, flat, instrument


def refused(lab: Lab, *strategies, error: type[AitbError] = ConfigError, **sections) -> str:
    """Return the paragraph of a run that does not begin."""
    with pytest.raises(error) as caught:
        backtest(lab.config(*strategies, **sections))
    assert type(caught.value) is error
    assert not (lab.folder / "runs").exists()
    return str(caught.value)


def test_desk_without_a_strategy_is_a_config_error(lab: Lab) -> None:
    assert "desk.toml: strategies: there is none, must have at least one" in refused(lab)


def test_strategies_that_listen_to_nothing_are_a_config_error(lab: Lab) -> None:
    assert "none of them listens to bars" in refused(lab, lab.strategy({}, instruments=()))


def test_unknown_instrument_names_the_nearest_and_the_block_that_adds_it(lab: Lab) -> None:
    text = refused(lab, lab.strategy({}, instruments=("AAUSDT-PERP.SIM",)))
    assert "instrument AAUSDT-PERP.SIM: is not known, did you mean 'AAAUSDT-PERP.SIM'?" in text
    assert "[[instruments]]" in text


def test_misspelt_instrument_of_a_shipped_strategy_is_held_against_the_config_first(
    lab: Lab,
) -> None:
    def ema(id_: str, *instruments: str) -> dict[str, Any]:
        params = {"instruments": instruments, "interval": "1m", "fast": 2, "slow": 4}
        params["sizing"] = {"method": "equity_fraction", "fraction": 0.5}
        return {"class": "strategies.ema_cross:EmaCross", "id": id_, "params": params}

    text = refused(lab, ema("one", A), ema("two", "AAUSDT.SIM"))
    place = f"{lab.folder / 'desk.toml'}: strategies two-002: "
    assert text == f"{place}instrument AAUSDT.SIM: is not known, did you mean {A}?"
    # The package knows this one, at a venue that the config has not: that would not run either.
    text = refused(lab, ema("one", A), ema("two", "BTCUSD-PERP.SIM"))
    assert f"{place}instrument BTCUSD-PERP.SIM: is not known, the config has " in text
    assert A in text
    assert "BTCUSDT" not in text


def test_bars_that_the_catalog_lacks_are_a_data_error_with_the_command(lab: Lab) -> None:
    lab.bars(flat(100, 3))
    text = refused(lab, lab.strategy({}, interval="5m"), error=DataError)
    assert "has no bars AAAUSDT-PERP.SIM-5-MINUTE-LAST-EXTERNAL" in text
    assert "the nearest it has is AAAUSDT-PERP.SIM-1-MINUTE-LAST-EXTERNAL" in text
    assert f"aitb data import FILES --instrument {A} --interval 5m" in text


def test_catalog_that_is_not_there_is_a_data_error(lab: Lab) -> None:
    text = refused(
        lab, lab.strategy({}), error=DataError, catalog={"path": str(lab.folder / "no such")}
    )
    assert "no such: " in text or "no such" in text
    assert "aitb data import" in text


@pytest.mark.parametrize(
    ("start", "end", "bars"),
    [("2024-01-01", None, 0), (None, "2022-12-31", 0), ("2023-01-01T00:04", "2023-01-01T00:05", 1)],
)
def test_range_with_too_few_bars_is_a_data_error_that_says_what_there_is(
    lab: Lab, start: str | None, end: str | None, bars: int
) -> None:
    lab.bars(flat(100, 8))
    times = {k: v for k, v in (("start", start), ("end", end)) if v}
    text = refused(lab, lab.strategy({}), error=DataError, backtest=times)
    assert f"has {bars} bars between" in text
    assert "2023-01-01T00:01:00Z to 2023-01-01T00:08:00Z" in text


def test_range_takes_the_bars_that_open_in_it(lab: Lab) -> None:
    lab.bars(flat(100, 10))
    times = {"start": "2023-01-01T00:02:00", "end": "2023-01-01T00:06:00"}
    record = lab.run(lab.strategy({}), backtest=times).record
    assert record.bars == 4
    assert (record.period.start, record.period.end) == (
        "2023-01-01T00:02:00Z",
        "2023-01-01T00:06:00Z",
    )
    assert (record.data[0].first, record.data[0].rows) == ("2023-01-01T00:03:00Z", 4)


def test_one_instrument_at_two_intervals_is_a_config_error(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    lab.bars(flat(100, 5), interval="5m")
    text = refused(lab, lab.strategy({}), lab.strategy({}, interval="5m", id_="slow"))
    assert f"{A} is wanted as 1m and as 5m bars" in text


def test_venue_that_the_config_lacks_is_a_config_error(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    data = lab.plain(lab.strategy({}))
    del data["venues"][0]
    with pytest.raises(ConfigError, match=r"there is none named SIM, which AAAUSDT-PERP\.SIM"):
        backtest(lab.write(data))


@pytest.mark.parametrize(("wrong", "right"), [(SPOT, "cash"), (A, "margin")])
def test_account_must_suit_the_instrument(lab: Lab, wrong: str, right: str) -> None:
    lab.bars(flat(100, 5), wrong)
    data = lab.plain(lab.strategy({}, instruments=(wrong,)))
    perpetual, spot = data["venues"]
    perpetual.update(account="cash", leverage=1.0)
    spot.update(account="margin")
    with pytest.raises(ConfigError, match=f"account: was .* must be '{right}' to trade {wrong}"):
        backtest(lab.write(data))


def test_instrument_of_another_quote_currency_is_a_config_error(lab: Lab) -> None:
    text = refused(
        lab,
        lab.strategy({}),
        trader={"currency": "EUR"},
        venue={"starting_balance": "1000 EUR"},
    )
    assert f"{A} is quoted in USDT, must be quoted in trader.currency, which is EUR" in text


def test_latency_beyond_a_quarter_of_a_bar_is_a_config_error(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    text = refused(lab, lab.strategy({}), venue={"latency_ms": 15_000.001})
    assert "venues SIM.latency_ms: was 15000" in text
    assert "at most a quarter of a bar, 15000 for 1m bars" in text


def test_catalog_of_other_decimals_than_the_config_is_a_data_error(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    data = lab.plain(lab.strategy({}))
    data["instruments"][0]["tick_size"] = "0.01"
    with pytest.raises(DataError, match="was imported with 1 decimals of price"):
        backtest(lab.write(data))


FAILS = """
class Fails(Scripted):
    def __init__(self, *args):
        super().__init__(*args)
        raise {error}

class Talks(Scripted):
    def bar_types(self):
        return ["AAAUSDT-PERP.SIM every minute"]

class Ticks(Scripted):
    def bar_types(self):
        return ["AAAUSDT-PERP.SIM-100-TICK-LAST-EXTERNAL"]
"""


def test_component_that_cannot_be_made_is_a_config_error_that_names_it(lab: Lab) -> None:
    code = FAILS.replace("{error}", "ZeroDivisionError('oh')")
    text = refused(lab, lab.strategy({}, code=code, cls="Fails"))
    assert "strategies scripted-001: could not be made (ZeroDivisionError: oh)" in text
    assert ":Fails must accept its params" in text


@pytest.mark.parametrize("cls", ["Talks", "Ticks"])
def test_text_that_is_no_bar_type_is_a_config_error_that_names_the_strategy(
    lab: Lab, cls: str
) -> None:
    code = FAILS.replace("{error}", "ValueError()")
    text = refused(lab, lab.strategy({}, code=code, cls=cls))
    assert "strategies scripted-001.bar_types()" in text
    assert "is no bar type of a fixed interval" in text


def test_data_record_tells_gaps_sources_and_repairs(lab: Lab) -> None:
    lab.bars([*flat(100, 3), None, *flat(100, 2), None, None, *flat(100, 1)])
    (told,) = lab.run(lab.strategy({})).record.data
    assert (told.rows, told.gaps, told.missing) == (6, 2, 3)
    assert told.sources == ["hand"]
    assert told.repairs == []
    assert (told.first, told.last) == ("2023-01-01T00:01:00Z", "2023-01-01T00:09:00Z")
    assert told.sha256 == lab.store.data_sha256(told.bar_type)


def test_preparation_holds_bars_funding_and_balances_of_what_is_used(lab: Lab) -> None:
    lab.bars(flat(100, 300), A)
    lab.bars(flat(100, 300), B)
    lab.bars(flat(100, 300), SPOT)
    lab.funding([T0, T0 + HOUR, T0 + DAY], [1e-4, 2e-4, 3e-4])
    desk = load_config(lab.config(lab.strategy({}, instruments=(A, SPOT))))
    ready = prepare(desk, RunState())
    assert set(ready.frames) == {A, SPOT}
    assert ready.starting_equity == ready.context.ledger.starting_equity == 20_000
    times, rates = ready.funding[A]
    assert (times.tolist(), rates.tolist()) == ([T0 + HOUR], [2e-4])  # what settles in the bars
    assert ready.funding.keys() == {A}
    only_a = prepare(load_config(lab.config(lab.strategy({}))), RunState())
    assert only_a.starting_equity == 10_000  # the other venue is not used


def test_data_hash_covers_bars_and_funding(lab: Lab) -> None:
    def now() -> str:
        return prepare(load_config(lab.config(lab.strategy({}))), RunState()).data_sha256

    lab.bars(flat(100, 200))
    first = now()
    assert now() == first
    lab.funding([T0 + HOUR], [1e-4])
    second = now()
    assert second != first
    frame = lab.store.read(Interval.parse("1m").bar_type(A))
    frame.close[7] = 99.9
    frame.low[7] = 99.9
    spec = msgspec.convert(instrument(A), InstrumentSettings)
    lab.store.write(spec, Interval.parse("1m"), frame, source="hand", replace=True)
    assert now() not in (first, second)


def test_frames_hold_the_doubles_of_the_source(lab: Lab) -> None:
    rows = [(100.1, 100.3, 99.7, 100.2, 0.123), (100.2, 100.9, 100.1, 100.7, 7.001)]
    lab.bars(rows)
    ready = prepare(load_config(lab.config(lab.strategy({1: [buy()]}))), RunState())
    frame = ready.frames[A]
    assert np.array_equal(frame.close, [100.2, 100.7])
    assert np.array_equal(frame.volume, [0.123, 7.001])
    assert frame.ts_close.tolist() == [T0 + MINUTE, T0 + 2 * MINUTE]
