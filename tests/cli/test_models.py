from __future__ import annotations

import json
from pathlib import Path

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.trust import Keyring
from tests.model_lab import FEATURES, put

KEY = "ed25519:" + "ab" * 32
WIDTHS = ["80", "120"]


@pytest.fixture(autouse=True)
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Registry(Path("models"))


@pytest.fixture
def three(registry):
    for bias in (0.1, 0.2, 0.3):
        put(registry, "btc_up_15m", bias=bias)
    return registry


def run(capsys, *words):
    """Run a verb of ``aitb models``; return its exit code, stdout and stderr."""
    code = main(["models", *words])
    out, err = capsys.readouterr()
    return code, out, err


def answer(capsys, *words):
    """Run a verb with --json; return its one object."""
    code, out, _ = run(capsys, *words, "--json")
    assert code == 0
    (line,) = out.splitlines()
    return json.loads(line)


def test_life_of_a_model_from_promotion_to_withdrawal(three, capsys):
    promoted = answer(capsys, "promote", "btc_up_15m@1", "production", "--why", "first")
    assert (promoted["version"], promoted["previous"], promoted["changed"]) == (1, None, True)
    assert answer(capsys, "promote", "btc_up_15m@1", "production")["changed"] is False
    assert answer(capsys, "promote", "btc_up_15m", "production")["version"] == 3
    withdrawn = answer(capsys, "withdraw", "btc_up_15m@3", "--why", "wrong feed")
    assert withdrawn["aliases"] == ["production"]
    code, out, _ = run(capsys, "verify", "btc_up_15m@production")
    assert code == 5
    assert "wrong feed" in " ".join(out.split())
    rolled = answer(capsys, "rollback", "btc_up_15m", "production", "--why", "back")
    assert (rolled["version"], rolled["previous"], rolled["why"]) == (1, 3, "back")
    listed = answer(capsys, "list")["versions"]
    assert [(v["version"], v["state"], v["aliases"]) for v in listed] == [
        (1, "ok", ["production"]),
        (2, "ok", []),
        (3, "withdrawn", []),
    ]


def test_words_for_people_say_what_happened(three, capsys):
    said = [
        run(capsys, "promote", "btc_up_15m@1", "live")[1],
        run(capsys, "promote", "btc_up_15m@2", "live")[1],
        run(capsys, "promote", "btc_up_15m@2", "live")[1],
        run(capsys, "withdraw", "btc_up_15m@2", "--why", "bad")[1],
        run(capsys, "rollback", "btc_up_15m", "live")[1],
    ]
    assert said == [
        "btc_up_15m: live is version 1.\n",
        "btc_up_15m: live is version 2, before 1.\n",
        "Nothing changed: it is that already.\n",
        "btc_up_15m: version 2 withdrawn.\n"
        "live points to it. Roll back: aitb models rollback btc_up_15m live\n",
        "btc_up_15m: live rolled back from 2 to 1.\n",
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_list_fits_the_terminal_and_labels_simulated_data(three, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    three.promote("btc_up_15m@2", "production")
    (Path("models") / "btc_up_15m" / "3" / "bundle.sig").unlink()
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert max(len(line) for line in out.splitlines()) <= int(width)
    assert "production" in out
    assert "broken" in out
    assert "lacks bundle.sig" in " ".join(out.split())
    assert "Models of simulated data say nothing about a real market." in out
    assert ("trials" in out) == (width == "120")


def test_list_of_nothing_says_how_to_begin(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert "aitb train CONFIG" in out
    assert not Path("models").exists()


def test_list_of_one_model_holds_no_other(three, capsys):
    put(three, "eth", bias=0.4)
    assert {v["model"] for v in answer(capsys, "list", "eth")["versions"]} == {"eth"}
    code, _, err = run(capsys, "list", "eht")
    assert code == 5
    assert "did you mean 'eth'?" in err


@pytest.mark.parametrize("width", WIDTHS)
def test_show_tells_what_the_model_is_and_how_it_did(three, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    expires = 4_102_444_800_000_000_000
    put(three, "eth", bias=0.4, notes="[bold]odd[/]", expires_ns=expires, parent=3)
    three.promote("eth", "live", "why [not]")
    code, out, _ = run(capsys, "show", "eth@live")
    assert code == 0
    assert max(len(line) for line in out.splitlines()) <= int(width)
    flat = " ".join(out.split())
    for said in (
        "eth@1 live",
        "sign over 15 bars (15m), cost_bps 5",
        "1m of BTCUSDT.BINANCE",
        "129,600 rows, 1970-01-01 to 1970-04-01",
        "2, purge 15m, embargo 1h",
        "3 models were tried",
        "expires 2100-01-01 00:00",
        "replaces version 3",
        "[bold]odd[/]",
        "Trained on simulated data",
        f"4 features {', '.join(FEATURES)}",
        "mean 0.5200 0.6920",
        "why [not]",
    ):
        assert said in flat


def test_show_as_json_holds_the_whole_manifest_and_its_history(three, capsys):
    three.promote("btc_up_15m@1", "live")
    three.promote("btc_up_15m@2", "live")
    three.withdraw("btc_up_15m@1", "bad")
    shown = answer(capsys, "show", "btc_up_15m@1")
    assert shown["withdrawn"] is True
    assert shown["expired"] is False
    assert shown["manifest"]["contract"]["features"] == list(FEATURES)
    assert [event["kind"] for event in shown["history"]] == [
        "publish",
        "promote",
        "promote",
        "withdraw",
    ]


def test_verify_takes_references_folders_or_all(three, capsys, tmp_path):
    folder = str(Path("models/btc_up_15m/2"))
    done = answer(capsys, "verify", "btc_up_15m@1", folder, str(tmp_path / folder))
    assert [r["version"] for r in done["verified"]] == [1, 2, 2]
    three.withdraw("btc_up_15m@1", "bad")
    put(three, "old", bias=0.4, expires_ns=1_800_000_000_000_000_000)
    done = answer(capsys, "verify", "--all")
    assert [r["reference"] for r in done["verified"]] == ["btc_up_15m@2", "btc_up_15m@3", "old@1"]
    assert done["failed"] == 0


def test_verify_names_every_failure_and_leaves_with_5(three, capsys):
    for version in ("1", "3"):
        (Path("models/btc_up_15m") / version / "model.onnx").unlink()
    code, out, err = run(capsys, "verify", "--all", "--json")
    assert (code, err) == (5, "")
    done = json.loads(out)
    assert done["failed"] == 2
    assert [r["problem"] is None for r in done["verified"]] == [False, True, False]
    code, out, _ = run(capsys, "verify", "--all")
    assert code == 5
    assert out.count("refused") == 2
    assert out.count("ok ") == 1


def test_trust_lists_adds_and_removes(registry, capsys):
    assert "You have no key yet" in run(capsys, "trust")[1]
    assert answer(capsys, "trust")["own"] is None
    put(registry)
    assert answer(capsys, "trust")["own"] == registry.keyring.own().public
    added = answer(capsys, "trust", KEY, "--name", "Anna@desk")
    assert [(t["name"], t["key"]) for t in added["trusted"]] == [("Anna@desk", KEY)]
    out = run(capsys, "trust")[1]
    assert "own" in out
    assert "Anna@desk" in out
    assert KEY in "".join(out.split())
    assert answer(capsys, "trust", "--remove", "Anna@desk")["trusted"] == []


def test_command_in_the_refusal_of_a_strangers_model_makes_it_load(registry, capsys, tmp_path):
    put(Registry(registry.root, Keyring(tmp_path / "stranger")))
    code, _, err = run(capsys, "show", "btc_up@1")
    assert code == 5
    command = err.split("run that publisher's models: aitb models ")[1].strip().rstrip(".")
    assert command.endswith(" --name NAME")
    assert run(capsys, *command.replace("NAME", "Anna").split())[0] == 0
    assert answer(capsys, "show", "btc_up@1")["signer"] == "Anna"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["verify"], 2, "needs the models to verify, or --all"),
        (["verify", "--all", "btc_up@1"], 2, "needs the models to verify, or --all"),
        (["trust", KEY], 2, "needs KEY and --name together"),
        (["trust", "--name", "Anna"], 2, "needs KEY and --name together"),
        (["trust", "key", "--name", "Anna"], 2, "'key' is no public key"),
        (["trust", "--remove", "Anna"], 2, "nobody named 'Anna' is trusted"),
        (["withdraw", "btc_up_15m@1"], 2, "--why"),
        (["withdraw", "btc_up_15m@1", "--why", " "], 2, "must say why"),
        (["promote", "btc_up_15m@9", "live"], 5, "versions are 1, 2, 3"),
        (["promote", "btc_up_15m@1", "LIVE"], 5, "the alias 'LIVE' must be"),
        (["rollback", "btc_up_15m", "live"], 5, "has no alias 'live'"),
        (["show", "no/such"], 5, "model reference 'no/such'"),
        (["show", "btc_up_15m", "--models", "nowhere"], 5, "the folder holds no models"),
    ],
)
def test_what_cannot_be_done_is_one_paragraph_with_its_exit_code(three, capsys, words, code, said):
    found, out, err = run(capsys, *words)
    assert (found, out) == (code, "")
    assert said in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
