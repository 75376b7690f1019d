"""How feature sets are read, what errors say, and what a fingerprint covers."""

from __future__ import annotations

import dataclasses

import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.features.feature_set import feature_set, parse_features
from aitb_nautilus.features.kernels import KERNELS
from aitb_nautilus.features.settings import FeatureSettings
from aitb_nautilus.settings import decode
from tests.features import planted

ETH = "ETHUSDT-PERP.BINANCE"


def names(*texts: str) -> tuple[str, ...]:
    return parse_features(texts, interval="1m", instruments={"eth": ETH}).names


def message(*texts: str, **rest: object) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_features(texts, **({"interval": "1m"} | rest))
    return str(caught.value)


def test_features_have_one_spelling() -> None:
    assert names(
        " rsi( 14 ) ",
        "candle_body()",
        "hour_sin",
        "zscore(volume,+50)",
        "rsi(14)@60m",
        "ema_ratio(12,26)@1m",
        "bollinger_b(20,2.50)",
        "beta(eth,60)",
        f"beta({ETH},61)@1h",
        "eth:log_return(1)@5m",
        "BTC/USDT:USDT.OKX:log_return(2)",
    ) == (
        "rsi(14)",
        "candle_body",
        "hour_sin",
        "zscore(volume,50)",
        "rsi(14)@1h",
        "ema_ratio(12,26)",
        "bollinger_b(20,2.5)",
        "beta(ETHUSDT-PERP.BINANCE,60)",
        "beta(ETHUSDT-PERP.BINANCE,61)@1h",
        "ETHUSDT-PERP.BINANCE:log_return(1)@5m",
        "BTC/USDT:USDT.OKX:log_return(2)",
    )


def test_spelling_reads_back_as_the_same_feature() -> None:
    texts = [kernel.example() for kernel in KERNELS.values()]
    first = parse_features(texts, interval="5m")
    again = parse_features(first.names, interval="5m")
    assert again.names == first.names
    assert again.fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("rsii(14)", "columns[0] 'rsii(14)': there is no feature 'rsii', did you mean rsi?"),
        ("qqqqqq(1)", "there is no feature 'qqqqqq'. See: aitb features list."),
        ("rsi", "has 0 arguments, must have 1 (n), such as rsi(14)."),
        ("rsi(14,3)", "has 2 arguments, must have 1 (n), such as rsi(14)."),
        ("hour_sin(3)", "has 1 argument, hour_sin takes none."),
        ("rsi(14.5)", "n was '14.5', n must be a whole number from 1 to 700."),
        ("rsi(0)", "n was 0, n must be a whole number from 1 to 700."),
        ("rsi(900)", "n was 900, n must be a whole number from 1 to 700. Use a larger bar size"),
        ("rsi(-3)", "n was -3, n must be a whole number from 1 to 700."),
        ("rsi()", "has 0 arguments, must have 1 (n)"),
        ("rsi(,)", "has 2 arguments"),
        ("bollinger_b(20,x)", "width was 'x', width must be a number from 0.1 to 10."),
        ("bollinger_b(20,nan)", "width was nan, width must be a number from 0.1 to 10."),
        ("zscore(volum,50)", "source was 'volum', source must be one of close, open,"),
        ("zscore(volum,50)", "Did you mean volume?"),
        ("ema_ratio(26,12)", "fast was 26, must be less than slow, 12. Usual is ema_ratio(12,26)."),
        ("rsi(14", "cannot be read, must be such as rsi(14), zscore(volume,50)"),
        ("", "cannot be read"),
        ("rsi(14))", "cannot be read"),
        ("rsi(14)@", "the interval '' is not known"),
        ("rsi(14)@7m", "an interval of 7m does not divide"),
        ("rsi(14)@30s", "bars of 30s cannot be built from closed bars of 1m, must be a whole"),
        ("beta(et,60)", "'et' is no instrument, did you mean eth?"),
        (
            "beta(x,60)",
            "'x' is no instrument, must be an id such as ETHUSDT.BINANCE or a short name",
        ),
        ("beta(,60)", "other was empty"),
        ("nobody:rsi(14)", "'nobody' is no instrument"),
    ],
)
def test_error_says_what_is_wrong_and_what_would_be_right(text: str, wanted: str) -> None:
    found = message(text, instruments={"eth": ETH})
    assert found.startswith("features.columns[0]")
    assert wanted in found


def test_error_names_the_place_in_the_list() -> None:
    assert message("rsi(14)", "nothing(1)", where="desk.toml: features").startswith(
        "desk.toml: features.columns[1] 'nothing(1)':"
    )


def test_feature_named_twice_is_refused_however_it_is_spelled() -> None:
    assert message("rsi(14)", "hour_sin", "rsi(14)@1m") == (
        "features.columns[2] 'rsi(14)@1m': is the same feature as columns[0] 'rsi(14)', "
        "each must be named once."
    )


def test_empty_list_and_unknown_interval_are_refused() -> None:
    assert "must name at least one feature" in message()
    assert "features.interval: the interval '1x' is not known" in message("hour_sin", interval="1x")


def test_warmup_is_known_in_advance() -> None:
    features = parse_features(["log_return(5)", "rsi(14)", "log_return(3)@1h"], interval="5m")
    assert [features.warmup_of(f) for f in features.features] == [6, 28 * 14 + 1, 5 * 12 - 1]
    assert features.warmup == 28 * 14 + 1


def test_settings_of_a_config_become_a_set() -> None:
    settings = decode(
        {"columns": ["beta(eth,60)"], "interval": "5m", "instruments": {"eth": ETH}},
        FeatureSettings,
        "desk.toml: features",
    )
    features = feature_set(settings)
    assert features.names == (f"beta({ETH},60)",)
    assert features.others == (ETH,)
    assert features.longest_gap_bars == 120
    with pytest.raises(ConfigError, match="unknown key 'column'"):
        decode({"column": []}, FeatureSettings, "desk.toml: features")


def test_fingerprint_covers_order_arguments_bars_and_rules() -> None:
    def print_of(*texts: str, **rest: object) -> str:
        return parse_features(texts, **({"interval": "1m"} | rest)).fingerprint

    same = print_of("rsi(14)", "beta(eth,60)", instruments={"eth": ETH})
    assert same == print_of("rsi(14)", f"beta({ETH},60)")
    different = {
        same,
        print_of(f"beta({ETH},60)", "rsi(14)"),
        print_of("rsi(15)", f"beta({ETH},60)"),
        print_of("rsi(14)@5m", f"beta({ETH},60)"),
        print_of("rsi(14)", "beta(ETHUSDT.BINANCE,60)"),
        print_of("rsi(14)", f"beta({ETH},60)", interval="5m"),
        print_of("rsi(14)", f"beta({ETH},60)", longest_gap_bars=60),
    }
    assert len(different) == 7


def test_fingerprint_covers_the_formula() -> None:
    other = dataclasses.replace(KERNELS["rsi"], function=planted.leaves_its_range.function)
    one = parse_features(["rsi(14)"], interval="1m")
    two = parse_features(["rsi(14)"], interval="1m", kernels={"rsi": other})
    assert one.fingerprint != two.fingerprint
