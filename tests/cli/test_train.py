from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from aitb_nautilus.cli.plumbing import run
from aitb_nautilus.cli.train import command
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.models.registry import Registry
from catalog.store import BarStore
from tests.bar_samples import walk

CONFIG = """
[features]
interval = "1m"
columns = ["log_return(1)", "rsi(14)", "candle_body"]

[model]
id = "btc_up"
instruments = ["BTCUSDT.BINANCE"]
start = "2023-01-01"
end = "2023-01-04"

[model.label]
kind = "sign"
horizon_bars = 5

[model.algorithm]
kind = "lightgbm"
trees = 10

[model.folds]
count = 3

[model.walk_forward]
train_days = 1
step_days = 0.5
"""


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "home"))
    BarStore(tmp_path / "data").write(
        find_instrument("BTCUSDT.BINANCE"), Interval("1m"), walk(5000), source="a.csv"
    )
    (tmp_path / "btc.toml").write_text(CONFIG)
    return tmp_path


def train(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(click.Group(commands=[command]), ["train", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refusal(capsys: pytest.CaptureFixture[str], desk: Path, old: str, new: str) -> tuple[int, str]:
    """Return exit code and paragraph for a config in which one text was replaced."""
    assert old in CONFIG
    (desk / "btc.toml").write_text(CONFIG.replace(old, new))
    code, out, err = train(capsys, "btc.toml")
    assert out == ""
    return code, err


def test_training_publishes_a_signed_model_and_shows_baselines(
    capsys: pytest.CaptureFixture[str], desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = train(capsys, "btc.toml")
    assert (code, err) == (0, "")
    assert out.startswith("btc_up@1 lightgbm, label sign over 5 bars of 1m, BTCUSDT.BINANCE\n")
    assert "class prior" in out
    assert "no better than" in out
    assert "published: models/btc_up/1" in out
    assert max(map(len, out.splitlines())) <= 80
    assert Registry(Path("models")).verify("btc_up@1").bundle.signer == "own"


def test_json_is_one_object_with_every_metric(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = train(capsys, "btc.toml", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["model"]["version"] == 1
    # Bars that open in the span, without those of the warm-up; the last five have no label.
    warmup = parse_features(answer["features"], interval="1m").warmup
    assert answer["rows"] + answer["unlabelled"] == 3 * 1440 - warmup + 1
    assert answer["unlabelled"] == 5
    assert len(answer["judgement"]["folds"]) == 3
    for name in ("model", "class prior", "last return's sign"):
        assert answer["judgement"]["summary"][name]["log_loss"]["mean"] > 0.6
    assert {"features", "folds", "fit", "publish", "total"} == answer["seconds"].keys()


def test_walk_forward_writes_the_stream_and_no_model(
    capsys: pytest.CaptureFixture[str], desk: Path
) -> None:
    code, out, _ = train(capsys, "btc.toml", "--walk-forward", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["path"] == "walk-forward/btc_up.parquet"
    assert len(answer["windows"]) == 4
    assert (desk / answer["path"]).is_file()
    assert not (desk / "models").exists()
    code, out, _ = train(capsys, "btc.toml", "--walk-forward")
    assert "trained anew 4 times" in out


def test_sections_of_a_desk_may_stand_in_the_file(
    capsys: pytest.CaptureFixture[str], desk: Path
) -> None:
    (desk / "btc.toml").write_text(CONFIG + '[trader]\nid = "ME-001"\n')
    assert train(capsys, "btc.toml", "--json")[0] == 0


@pytest.mark.parametrize(("old", "new", "paragraph"), [
    ("[model.label]", "[model.lable]", "unknown key 'lable', did you mean 'label'?"),
    ('kind = "sign"', 'kind = "sine"', "was 'sine', must be one of"),
    ("horizon_bars = 5", "horizon_bars = 0", "model.label"),
    ("[features]", "[feature]", "has no section [features]"),
    ("rsi(14)", "rsj(14)", "there is no feature 'rsj', did you mean rsi?"),
    ("BTCUSDT.BINANCE", "BTCUSD.BINANCE", "model.instruments[0]: was 'BTCUSD.BINANCE'"),
    ('end = "2023-01-04"', 'end = "2022-01-04"', "must be after start"),
    ('id = "btc_up"', 'id = "BTC up"', "model id 'BTC up' must be"),
    ("trees = 10", "trees = 10\nleafs = 3", "unknown key 'leafs', did you mean 'leaves'?"),
])  # fmt: skip
def test_wrong_config_is_one_paragraph_with_exit_3(
    capsys: pytest.CaptureFixture[str], desk: Path, old: str, new: str, paragraph: str
) -> None:
    code, err = refusal(capsys, desk, old, new)
    assert code == 3
    assert err.startswith("error: btc.toml")
    assert paragraph in err


@pytest.mark.parametrize(("old", "new", "paragraph"), [
    ("BTCUSDT.BINANCE", "ETHUSDT.BINANCE", "has no bars ETHUSDT.BINANCE-1-MINUTE"),
    ('"2023-01-04"', '"2023-01-01T00:10:00"', "10 are there, too few for a single row"),
    ("horizon_bars = 5", "horizon_bars = 9000", "the horizon of 9,000 bars reaches beyond"),
    ("horizon_bars = 5", "horizon_bars = 5\ncost_bps = 1000", "must be of both classes"),
    ('start = "2023-01-01"\nend = "2023-01-04"', 'start = "2025-01-01"', "has no bars between"),
    ("count = 3", "count = 100", "must have at least 50 of each"),
])  # fmt: skip
def test_data_that_cannot_teach_are_one_paragraph_with_exit_4(
    capsys: pytest.CaptureFixture[str], desk: Path, old: str, new: str, paragraph: str
) -> None:
    code, err = refusal(capsys, desk, old, new)
    assert code == 4
    assert paragraph in err
    assert not (desk / "models").exists()


def test_walk_forward_without_a_schedule_says_what_to_add(
    capsys: pytest.CaptureFixture[str], desk: Path
) -> None:
    (desk / "btc.toml").write_text(CONFIG[: CONFIG.index("[model.walk_forward]")])
    code, _, err = train(capsys, "btc.toml", "--walk-forward")
    assert code == 3
    assert "Add for example: [model.walk_forward] with train_days" in err


def test_model_that_does_not_converge_is_exit_5(
    capsys: pytest.CaptureFixture[str], desk: Path
) -> None:
    logistic = 'kind = "logistic"\nmost_iterations = 1\ninverse_penalty = 1e6'
    code, err = refusal(capsys, desk, 'kind = "lightgbm"\ntrees = 10', logistic)
    assert code == 5
    assert "has not converged" in err
