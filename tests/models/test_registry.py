from __future__ import annotations

import json
import multiprocessing
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.index import INDEX_NAME, entries
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.trust import Keyring
from tests.model_lab import FEATURES, FINGERPRINT, put


@pytest.fixture
def three(registry):
    for bias in (0.1, 0.2, 0.3):
        put(registry, bias=bias)
    return registry


def test_reference_means_a_version_an_alias_or_the_newest(three):
    three.promote("btc_up@2", "production", "best")
    assert three.resolve("btc_up@1").version == 1
    assert three.resolve("btc_up").version == 3
    found = three.resolve("btc_up@production")
    assert (found.version, found.alias) == (2, "production")
    assert found.path == three.root / "btc_up" / "2"


def test_newest_is_the_newest_that_was_not_withdrawn(three):
    three.withdraw("btc_up@3", "bad")
    assert three.resolve("btc_up").version == 2
    three.withdraw("btc_up", "bad")
    three.withdraw("btc_up@1", "bad")
    with pytest.raises(ModelError, match="has 3 versions, all of them withdrawn"):
        three.resolve("btc_up")


def test_tenth_version_is_newer_than_the_ninth(registry):
    for i in range(10):
        put(registry, bias=i / 10)
    assert registry.resolve("btc_up").version == 10
    with pytest.raises(ModelError, match="versions are 1 to 10"):
        registry.resolve("btc_up@11")


def test_promotion_says_who_when_why_and_what_was_before(three, monkeypatch):
    monkeypatch.setenv("LOGNAME", "anna")
    three.promote("btc_up@1", "production", "first")
    event = three.promote("btc_up@3", "production", "better AUC")
    assert event.who.startswith("anna@")
    assert (event.kind, event.version, event.previous) == ("promote", 3, 1)
    assert event.why == "better AUC"
    assert event.ts_ns > three.history("btc_up").events[0].ts_ns
    assert three.history("btc_up").events[-1] == event
    assert three.promote("btc_up@3", "production") is None
    assert three.history("btc_up").events[-1] == event


def test_rollback_goes_back_step_by_step(three):
    for version in (1, 2, 3):
        three.promote(f"btc_up@{version}", "production")
    assert three.rollback("btc_up", "production", "loses").version == 2
    assert three.rollback("btc_up", "production").version == 1
    with pytest.raises(ModelError, match="is version 1, and none before it can be used"):
        three.rollback("btc_up", "production")
    three.promote("btc_up@3", "production")
    assert three.rollback("btc_up", "production").version == 1


def test_rollback_passes_over_withdrawn_versions(three):
    for version in (1, 2, 3):
        three.promote(f"btc_up@{version}", "production")
    three.withdraw("btc_up@2", "bad")
    three.withdraw("btc_up@3", "bad")
    with pytest.raises(ModelError, match="was withdrawn"):
        three.resolve("btc_up@production")
    event = three.rollback("btc_up", "production")
    assert (event.version, event.previous) == (1, 3)
    assert three.resolve("btc_up@production").version == 1


def test_aliases_do_not_disturb_each_other(three):
    three.promote("btc_up@1", "production")
    three.promote("btc_up@3", "staging")
    three.promote("btc_up@staging", "production")
    assert three.resolve("btc_up@production").version == 3
    three.rollback("btc_up", "production")
    assert three.resolve("btc_up@production").version == 1
    assert three.resolve("btc_up@staging").version == 3


def test_version_that_would_not_load_is_neither_promoted_nor_rolled_back_to(three):
    three.promote("btc_up@1", "production")
    three.promote("btc_up@2", "production")
    for version in (1, 3):
        (three.root / "btc_up" / str(version) / "bundle.sig").unlink()
    with pytest.raises(ModelError, match=r"lacks bundle\.sig"):
        three.promote("btc_up@3", "production")
    with pytest.raises(ModelError, match=r"lacks bundle\.sig"):
        three.rollback("btc_up", "production")
    assert three.resolve("btc_up@production").version == 2


def test_withdrawal_needs_a_reason_and_is_for_good(three):
    with pytest.raises(ValueError, match="needs a reason"):
        three.withdraw("btc_up@1", " ")
    three.withdraw("btc_up@1", "bad")
    with pytest.raises(ModelError, match="was withdrawn by"):
        three.withdraw("btc_up@1", "bad again")
    assert three.read("btc_up@1", withdrawn_too=True).manifest.version == 1
    with pytest.raises(ModelError, match="was withdrawn by"):
        three.promote("btc_up@1", "production")


def test_broken_version_can_be_withdrawn(three):
    (three.root / "btc_up" / "2" / "model.onnx").unlink()
    assert three.withdraw("btc_up@2", "its file is lost").version == 2


@pytest.mark.parametrize("alias", ["Production", "latest", "3", "a b", ""])
def test_alias_that_is_none_is_refused(three, alias):
    with pytest.raises(ModelError, match="the alias"):
        three.promote("btc_up@1", alias)
    with pytest.raises(ModelError, match="the alias"):
        three.rollback("btc_up", alias)


def test_line_that_a_killed_writer_left_never_happened(three):
    three.promote("btc_up@1", "production")
    path = three.root / "btc_up" / "history.jsonl"
    good = path.read_bytes()
    for cut in range(1, 40):
        path.write_bytes(good + b'{"kind":"promote","version":3,"ts_ns":1,"who":"x"'[:cut])
        assert three.resolve("btc_up@production").version == 1
    three.promote("btc_up@2", "production")
    assert three.resolve("btc_up@production").version == 2
    assert path.read_bytes().startswith(good)
    assert len(path.read_bytes().splitlines()) == 5


def test_bundle_copied_from_another_machine_loads_once_its_key_is_trusted(tmp_path, registry):
    other = Registry(tmp_path / "there", Keyring(tmp_path / "their-config"))
    put(other)
    other.root.rename(registry.root)
    with pytest.raises(ModelError, match="aitb models trust"):
        registry.verify("btc_up")
    registry.keyring.trust(other.keyring.own().public, "Anna")
    told = {"features": FEATURES, "feature_fingerprint": FINGERPRINT, "interval": "1m"}
    assert registry.load("btc_up", **told).bundle.signer == "Anna"
    assert put(registry, bias=0.9).bundle.manifest.version == 2


def test_threads_that_promote_at_once_leave_one_whole_history(three):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: three.promote(f"btc_up@{i % 3 + 1}", "production"), range(30)))
    _check_chain(three)


def _promote_many(root, config, count):
    registry = Registry(root, Keyring(config))
    for i in range(count):
        registry.promote(f"btc_up@{i % 3 + 1}", "production")


def test_processes_that_promote_at_once_leave_one_whole_history(three):
    context = multiprocessing.get_context("spawn")
    told = (three.root, three.keyring.folder, 12)
    workers = [context.Process(target=_promote_many, args=told) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert _check_chain(three) >= 12


def _check_chain(registry):
    """Check that each promotion names as previous what the one before it set; count them."""
    promotions = [e for e in registry.history("btc_up").events if e.kind == "promote"]
    for before, after in zip([None, *promotions], promotions, strict=False):
        assert after.previous == (before and before.version)
        assert after.previous != after.version
    return len(promotions)


def test_list_says_what_state_each_version_is_in(three):
    put(three, "eth", bias=0.5, expires_ns=4_102_444_800_000_000_000)
    three.promote("btc_up@1", "production")
    three.promote("btc_up@1", "staging")
    three.withdraw("btc_up@2", "bad")
    (three.root / "btc_up" / "3" / "bundle.sig").unlink()
    found = {f"{e.id}@{e.version}": e for e in entries(three, 4_102_444_800_000_000_000)}
    states = {name: e.state for name, e in found.items()}
    assert states == {
        "btc_up@1": "ok",
        "btc_up@2": "withdrawn",
        "btc_up@3": "broken",
        "eth@1": "expired",
    }
    assert found["btc_up@1"].aliases == ("production", "staging")
    assert found["btc_up@1"].metrics == {"auc": pytest.approx(0.52), "log_loss": 0.692}
    assert found["btc_up@1"].signer == "own"
    assert found["btc_up@3"].algorithm is None
    assert "lacks bundle.sig" in found["btc_up@3"].problem


def test_list_follows_every_change_and_forgets_what_is_gone(three):
    assert len(entries(three, 0)) == 3
    path = three.root / "btc_up" / "2" / "bundle.json"
    path.chmod(0o644)
    good = path.read_bytes()
    path.write_bytes(good.replace(b"logistic", b"lOgistic"))
    assert [e.state for e in entries(three, 0)] == ["ok", "broken", "ok"]
    path.write_bytes(good)
    assert [e.state for e in entries(three, 0)] == ["ok", "ok", "ok"]
    for file in (three.root / "btc_up" / "2").iterdir():
        file.unlink()
    (three.root / "btc_up" / "2").rmdir()
    assert [e.version for e in entries(three, 0)] == [1, 3]


def test_version_of_a_key_that_is_trusted_no_more_is_listed_as_such(tmp_path, registry):
    stranger = Keyring(tmp_path / "stranger")
    put(Registry(registry.root, stranger))
    registry.keyring.trust(stranger.own().public, "Anna")
    assert [(e.state, e.signer) for e in entries(registry, 0)] == [("ok", "Anna")]
    registry.keyring.distrust("Anna")
    assert [(e.state, e.signer) for e in entries(registry, 0)] == [("untrusted", None)]


def test_index_that_is_lost_is_made_anew_and_the_same(three):
    three.promote("btc_up@2", "production")
    before = entries(three, 0)
    for path in three.root.glob(f"{INDEX_NAME}*"):
        path.unlink()
    assert entries(three, 0) == before
    assert three.resolve("btc_up@production").version == 2


def test_index_holds_versions_aliases_and_events_for_anyone_to_query(three):
    three.promote("btc_up@2", "production", "best")
    entries(three, 0)
    database = sqlite3.connect(three.root / INDEX_NAME)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("SELECT alias, version FROM aliases").fetchall() == [("production", 2)]
    assert database.execute("SELECT count(*) FROM versions WHERE interval = '1m'").fetchone() == (
        3,
    )
    kinds = database.execute("SELECT kind, why FROM events ORDER BY number").fetchall()
    assert kinds == [("publish", "")] * 3 + [("promote", "best")]
    database.close()


def test_damaged_index_stops_lists_but_no_loading(three):
    (three.root / INDEX_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(ModelError, match="It holds nothing that the folders do not: remove"):
        entries(three, 0)
    assert three.verify("btc_up").resolved.version == 3


def test_index_of_an_older_schema_is_made_anew(three):
    with sqlite3.connect(three.root / INDEX_NAME) as database:
        database.execute("CREATE TABLE versions (id TEXT)")
        database.execute("PRAGMA user_version = 77")
    database.close()
    assert len(entries(three, 0)) == 3


def test_folder_that_may_not_be_written_is_listed_all_the_same(three, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert len(entries(three, 0)) == 3
    assert not (three.root / INDEX_NAME).exists()


def test_threads_that_list_at_once_agree(three):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: entries(three, 0), range(8)))
    assert all(each == found[0] for each in found)


def test_folder_that_is_not_there_holds_no_models(registry):
    assert registry.ids() == []
    assert entries(registry, 0) == []


def test_models_are_loaded_without_the_engine_or_a_trainer():
    code = (
        "import sys, json; import aitb_nautilus.models.registry, aitb_nautilus.models.export;"
        "print(json.dumps([m for m in sys.modules if m.split('.')[0] in "
        "{'nautilus_trader', 'sklearn', 'lightgbm', 'skl2onnx', 'pandas', 'joblib'}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout) == []
