"""Config files on the disk, and the components that they name."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.run.load import load_config, resolve
from aitb_nautilus.settings import Secret
from strategies.ema_cross import EmaCross, EmaCrossSettings
from tests.run.desk_lab import Lab

EMA = {
    "class": "strategies.ema_cross:EmaCross",
    "id": "ema",
    "params": {
        "instruments": ["BTCUSDT-PERP.BINANCE"],
        "interval": "1h",
        "sizing": {"method": "fixed_notional", "notional": 1000.0},
    },
}
BINANCE = [
    {
        "name": "BINANCE",
        "starting_balance": "10000 USDT",
        "maker_fee_bps": 2.0,
        "taker_fee_bps": 5.0,
    }
]


def refused(lab: Lab, **changes) -> str:
    data = lab.plain({**EMA, **changes}, venues=BINANCE)
    with pytest.raises(ConfigError) as caught:
        load_config(lab.write(data))
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{lab.folder / 'desk.toml'}: ")


def module(lab: Lab, name: str, text: str) -> str:
    (lab.folder / f"{name}.py").write_text(text)
    return name


def test_missing_file_names_the_nearest(lab: Lab) -> None:
    lab.config(EMA, name="btc_trend")
    with pytest.raises(ConfigError) as caught:
        load_config(lab.folder / "btc_trnd.toml")
    assert "there is no such file" in str(caught.value)
    assert f"Did you mean {lab.folder / 'btc_trend.toml'}?" in str(caught.value)


def test_missing_folder_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(tmp_path / "nowhere" / "a.toml")


def test_folder_instead_of_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"could not be read.*must be a TOML file"):
        load_config(tmp_path)


def test_file_that_is_no_text_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"a.toml: could not be read"):
        load_config(tmp_path / "a.toml")


def test_toml_with_a_mistake_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[risk]\nmax_order_notional = "5\n')
    with pytest.raises(ConfigError, match=r"a.toml: is no valid TOML: .*line 2.*Mend the line"):
        load_config(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("strategies.ema_cros:EmaCross", ["no module", "did you mean strategies.ema_cross:EmaC"]),
        ("strategie.ema_cross:EmaCross", ["no module 'strategie.ema_cross'", "strategies.ema_"]),
        ("strategies.ema_cross:EmaCros", ["has no 'EmaCros'", "did you mean strategies.ema_cr"]),
        ("strategies.ema_cross:Qqqq", ["has no 'Qqqq'", "must be a class in it"]),
        ("nowhere_at_all:Thing", ["no module 'nowhere_at_all'", "beside the config file"]),
        ("strategies.ema_cross", ["must be module:Class"]),
        ("strategies.ema_cross:", ["must be module:Class"]),
        (":EmaCross", ["must be module:Class"]),
        ("", ["must be module:Class"]),
        ("strategies.ema_cross:Ema", ["does not derive from GuardedStrategy"]),
        ("strategies.ema_cross:annotations", ["does not derive from GuardedStrategy"]),
        ("nautilus_trader.trading:Strategy", ["does not derive from GuardedStrategy"]),
        ("aitb_nautilus.risk.actor:GuardedActor", ["does not derive from GuardedStrategy"]),
        (".ema_cross:EmaCross", ["importing .ema_cross failed"]),
        ("strategies ema:EmaCross", ["no module 'strategies ema'"]),
    ],
)
def test_bad_class_is_refused_with_the_nearest_name(lab: Lab, path: str, words: list[str]) -> None:
    text = refused(lab, **{"class": path})
    assert text.startswith("strategies[0].class: ")
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('not today')", "ValueError: not today"),
        ("import a_library_that_is_not_there", "No module named 'a_library_that_is_not_there'"),
        ("from strategies.ema_cross import Nothing", "cannot import name 'Nothing'"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
    ],
)
def test_module_that_fails_to_import_says_why(lab: Lab, code: str, words: str) -> None:
    name = module(lab, f"lab_broken_{abs(hash(code))}", code)
    text = refused(lab, **{"class": f"{name}:Any"})
    assert f"importing {name} failed: " in text
    assert words in text
    assert f"python -c 'import {name}'" in text


def test_class_that_overrides_what_the_guard_needs_says_so(lab: Lab) -> None:
    name = module(
        lab,
        "lab_overrides",
        "from aitb_nautilus.risk.strategy import GuardedStrategy\n"
        "class Bad(GuardedStrategy):\n"
        "    def on_bar(self, bar): pass\n",
    )
    text = refused(lab, **{"class": f"{name}:Bad"})
    assert "overrides on_bar, which the guard needs" in text
    assert "decide_on_bar" in text


def test_actor_must_be_a_guarded_actor(lab: Lab) -> None:
    data = lab.plain(EMA, venues=BINANCE)
    data["actors"] = [{"class": "strategies.ema_cross:EmaCross", "id": "a"}]
    with pytest.raises(ConfigError, match=r"actors\[0\].class.*derive from GuardedActor"):
        load_config(lab.write(data))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"fsat": 3}, ["strategies[0].params: unknown key 'fsat'", "did you mean 'fast'?"]),
        ({"fast": "3"}, ["strategies[0].params.fast: was '3'", "must be int"]),
        ({"fast": 0}, ["params.fast: was 0", ">= 1"]),
        ({"fast": 30}, ["fast was 30, must be less than slow, which is 26"]),
        ({"interval": "7 hours"}, ["strategies[0].params", "'7 hours' is not known"]),
        ({"instruments": []}, ["params.instruments: was []", "length >= 1"]),
        ({"sizing": {"method": "all_in"}}, ["sizing.method: was 'all_in'", "fixed_notional"]),
        ({"sizing": {"notional": 5.0}}, ["params.sizing: key 'method' is missing"]),
        ({"exits": {"stop_frac": 1.5}}, ["params.exits.stop_frac: was 1.5", "< 1"]),
        ({"exits": {"stop_frc": 0.1}}, ["params.exits: unknown key 'stop_frc'", "'stop_frac'?"]),
        ({"exits": {"stop_frac": float("nan")}}, ["exits.stop_frac: was nan", "finite"]),
    ],
)
def test_params_are_checked_against_the_settings_of_the_class(
    lab: Lab, params: dict[str, object], words: list[str]
) -> None:
    text = refused(lab, params={**EMA["params"], **params})
    for word in words:
        assert word in text


def test_missing_params_are_named(lab: Lab) -> None:
    text = refused(lab, params={})
    assert text == "strategies[0].params: key 'instruments' is missing, it has no default."


def test_components_are_resolved_in_the_order_of_the_file(lab: Lab) -> None:
    second = {**EMA, "id": "second"}
    desk = load_config(lab.config(EMA, second, name="my desk", venues=BINANCE))
    assert [(c.id, c.cls) for c in desk.strategies] == [
        ("ema-001", EmaCross),
        ("second-002", EmaCross),
    ]
    assert isinstance(desk.strategies[0].settings, EmaCrossSettings)
    assert desk.strategies[0].settings.slow == 26
    assert desk.name == "my desk"
    assert list(desk.actors) == []


def test_module_beside_the_config_is_found_from_any_folder(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = lab.config(lab.strategy({}))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    (strategy,) = load_config(path).strategies
    assert Path(sys.modules[strategy.cls.__module__].__file__).parent == lab.folder


def test_module_in_the_current_folder_is_found(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = tmp_path_factory.mktemp("here")
    (here / "lab_here.py").write_text("VALUE = 5\n")
    monkeypatch.chdir(here)
    load_config(lab.config(EMA, venues=BINANCE))
    assert resolve("lab_here:VALUE", "test") == 5


def test_loading_many_configs_of_a_folder_adds_it_to_the_path_once(lab: Lab) -> None:
    for _ in range(3):
        load_config(lab.config(EMA, venues=BINANCE))
    assert sys.path.count(str(lab.folder)) == 1


def test_resolved_config_loads_again_and_means_the_same(lab: Lab) -> None:
    exits = {"stop_frac": 0.02, "max_bars": 5}
    desk = load_config(
        lab.config(
            {**EMA, "params": {**EMA["params"], "exits": exits}},
            lab.strategy({}),
            backtest={"start": "2023-01-01"},
            venues=[*BINANCE, *lab.plain()["venues"]],
        )
    )
    text = desk.toml()
    again = lab.folder / "again.toml"
    again.write_text(text)
    assert load_config(again).sha256() == desk.sha256()
    assert load_config(again).toml() == text
    # every default stands in it, and nothing that is absent
    written = tomllib.loads(text)
    assert written["strategies"][0]["params"]["slow"] == 26
    defaults = {"atr_bars": 14, "break_even_cost_bps": 10.0, "signal": True, "targets": []}
    assert written["strategies"][0]["params"]["exits"] == exits | defaults
    assert written["trader"] == {"id": "AITB-001", "currency": "USDT", "state": "state"}
    assert "end" not in written["backtest"]


def test_hash_is_of_the_meaning_not_of_the_text(lab: Lab) -> None:
    path = lab.config(EMA, venues=BINANCE)
    desk = load_config(path)
    path.write_text("# a remark\n\n" + path.read_text() + "\n[trader]\ncurrency = 'USDT'\n")
    assert load_config(path).sha256() == desk.sha256()
    longer = {**EMA, "params": {**EMA["params"], "slow": 27}}
    assert load_config(lab.config(longer, venues=BINANCE)).sha256() != desk.sha256()


SECRETIVE = """
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Secret, Settings

class KeptSettings(Settings, frozen=True):
    token: Secret
    other: Secret | None = None

class Kept(GuardedStrategy):
    settings_type = KeptSettings
"""


def test_secret_is_a_reference_and_its_value_is_never_written(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "hunter2")
    block = {"class": f"{module(lab, 'lab_secretive', SECRETIVE)}:Kept", "id": "kept"}
    desk = load_config(lab.config({**block, "params": {"token": "env:LAB_TOKEN"}}))
    token = desk.strategies[0].settings.token
    assert token == Secret("env:LAB_TOKEN")
    assert token.reveal() == "hunter2"
    for text in (desk.toml(), repr(desk), str(desk.plain()), repr(token)):
        assert "hunter2" not in text
        assert "env:LAB_TOKEN" in text
    monkeypatch.setenv("LAB_TOKEN", "changed")
    assert load_config(desk.path).sha256() == desk.sha256()


@pytest.mark.parametrize("key", ["token", "other"])
@pytest.mark.parametrize("secret", ["hunter2", "env:", "env:1A", "ENV:TOKEN", "env:A B", 12345])
def test_secret_itself_in_the_file_is_refused_and_not_repeated(
    lab: Lab, key: str, secret: object
) -> None:
    block = {"class": f"{module(lab, 'lab_secretive', SECRETIVE)}:Kept", "id": "kept"}
    path = lab.config({**block, "params": {"token": "env:LAB_TOKEN", key: secret}})
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    error: BaseException | None = caught.value
    assert f"strategies[0].params.{key}" in str(error)
    assert "env:NAME" in str(error)
    while error is not None:  # the whole chain, as --debug shows it
        if secret != "env:":
            assert str(secret) not in str(error)
        error = error.__cause__
