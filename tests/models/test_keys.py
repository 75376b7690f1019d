from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from aitb_nautilus.errors import ModelError, UsageError
from aitb_nautilus.models.keys import SigningKey, config_folder, is_public_key, signature_fits
from aitb_nautilus.models.trust import Keyring

KEY = "ed25519:" + "ab" * 32


def test_key_is_made_on_first_use_for_its_owner_alone(tmp_path):
    folder = tmp_path / "deep" / "config"
    assert SigningKey.find(folder) is None
    key = SigningKey.find_or_make(folder)
    assert stat.S_IMODE((folder / "signing.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert SigningKey.find_or_make(folder).public == key.public
    assert is_public_key(key.public)
    assert key.public in repr(key)


def test_signature_fits_its_own_bytes_and_key_only(tmp_path):
    key, other = SigningKey.find_or_make(tmp_path / "a"), SigningKey.find_or_make(tmp_path / "b")
    signature = key.sign(b"data")
    assert signature_fits(key.public, signature, b"data")
    assert not signature_fits(key.public, signature, b"date")
    assert not signature_fits(other.public, signature, b"data")


def test_processes_that_make_the_key_at_once_share_one(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: SigningKey.find_or_make(tmp_path / "c").public, range(32)))
    assert len(set(keys)) == 1
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [".lock", "signing.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_key_that_others_may_touch_is_refused(tmp_path, mode):
    SigningKey.find_or_make(tmp_path)
    (tmp_path / "signing.key").chmod(mode)
    with pytest.raises(ModelError, match="Run: chmod 600 "):
        SigningKey.find(tmp_path)


def test_folder_in_which_others_may_exchange_the_key_is_refused(tmp_path):
    SigningKey.find_or_make(tmp_path)
    tmp_path.chmod(0o770)
    with pytest.raises(ModelError, match=r"may be changed by other users.*chmod 750"):
        SigningKey.find(tmp_path)


def test_key_that_is_a_link_is_refused(tmp_path):
    SigningKey.find_or_make(tmp_path / "a")
    (tmp_path / "b").mkdir(mode=0o700)
    (tmp_path / "b" / "signing.key").symlink_to(tmp_path / "a" / "signing.key")
    with pytest.raises(ModelError, match="is a symbolic link"):
        SigningKey.find(tmp_path / "b")


def test_file_that_holds_another_kind_of_key_is_refused(tmp_path):
    rsa = generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path / "signing.key"
    for data in (rsa, b"", b"\x00" * 32, rsa[:100]):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(ModelError, match="holds no Ed25519 private key"):
            SigningKey.find(tmp_path)


def test_config_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.delenv("AITB_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert config_folder() == Path("/home/anna/.config/aitb")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xdg")
    assert config_folder() == Path("/xdg/aitb")
    monkeypatch.setenv("AITB_HOME", "/own")
    assert config_folder() == Path("/own")


def test_trusted_key_is_known_by_its_name_until_it_is_removed(tmp_path):
    keyring = Keyring(tmp_path / "config")
    assert keyring.name_of(KEY) is None
    added = keyring.trust(KEY, "Anna")
    assert keyring.trust(KEY, "Anna") == added
    assert Keyring(tmp_path / "config").name_of(KEY) == "Anna"
    assert keyring.distrust("Anna") == added
    assert keyring.trusted() == ()
    assert keyring.own() is None, "trusting others needs no key of one's own"


def test_own_key_is_trusted_without_being_listed(tmp_path):
    keyring = Keyring(tmp_path)
    assert keyring.name_of(keyring.own_or_new().public) == "own"
    assert keyring.trusted() == ()


@pytest.mark.parametrize(
    ("key", "name", "said"),
    [
        ("ab" * 32, "Anna", "is no public key"),
        (KEY.upper(), "Anna", "is no public key"),
        (KEY + "0", "Anna", "is no public key"),
        (KEY, "", "was ''"),
        (KEY, "own", "was 'own'"),
        (KEY, "x\ny", "that say whose key it is"),
        ("ed25519:" + "cd" * 32, "Bert", "Bert is already trusted"),
        ("ed25519:" + "ef" * 32, "Carl", "Bert is already trusted"),
    ],
)
def test_key_or_name_that_cannot_be_trusted(tmp_path, key, name, said):
    keyring = Keyring(tmp_path)
    keyring.trust("ed25519:" + "ef" * 32, "Bert")
    with pytest.raises(UsageError, match=said):
        keyring.trust(key, name)
    assert [known.name for known in keyring.trusted()] == ["Bert"]


def test_removing_a_name_that_is_not_there_says_which_are(tmp_path):
    keyring = Keyring(tmp_path)
    keyring.trust(KEY, "Anna")
    with pytest.raises(UsageError, match="did you mean 'Anna'"):
        keyring.distrust("Ana")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format":"aitb-trust-2","keys":[]}',
        '{"format":"aitb-trust-1","keys":[{"name":"A","key":"x","added_ns":1}]}',
        f'{{"format":"aitb-trust-1","keys":[{{"name":"own","key":"{KEY}","added_ns":1}}]}}',
    ],
)
def test_damaged_list_is_refused_instead_of_trusting_nobody(tmp_path, text):
    (tmp_path / "trusted.json").write_text(text)
    with pytest.raises(ModelError, match="is no list of trusted keys"):
        Keyring(tmp_path).name_of(KEY)


def test_list_that_others_may_change_is_refused(tmp_path):
    keyring = Keyring(tmp_path)
    keyring.trust(KEY, "Anna")
    (tmp_path / "trusted.json").chmod(0o620)
    with pytest.raises(ModelError, match=r"may be changed by other users \(mode 0620\)"):
        keyring.name_of(KEY)


def test_threads_that_trust_at_once_all_stand_in_the_list(tmp_path):
    keyring = Keyring(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: keyring.trust(f"ed25519:{i:064x}", f"publisher {i}"), range(24)))
    assert len(keyring.trusted()) == 24
