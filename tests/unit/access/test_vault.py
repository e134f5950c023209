"""The vault opens a secret in its own row, with its own key, unchanged, and in no other way."""

from __future__ import annotations

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from atom_backfill.access.vault import KEY_BYTES, Binding, Vault, make_master_key, parse_master_key, read_master_key
from atom_backfill.errors import BugError, NeedsOwnerError

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
SECRET = b"refresh-token-of-lee@example.com"
PLACE = Binding(UUID(int=1), "secrets", "account 7", "sealed")


@pytest.fixture
def vault() -> Vault:
    return Vault([KEY])


def test_a_sealed_secret_opens_in_its_own_row(vault: Vault) -> None:
    assert vault.open(PLACE, vault.seal(PLACE, SECRET)) == SECRET


@pytest.mark.parametrize("plain", [b"", b"\x00", os.urandom(100_000)])
def test_any_bytes_can_be_sealed(vault: Vault, plain: bytes) -> None:
    assert vault.open(PLACE, vault.seal(PLACE, plain)) == plain


def test_sealing_twice_never_gives_the_same_bytes(vault: Vault) -> None:
    assert len({vault.seal(PLACE, SECRET) for _ in range(100)}) == 100


def test_the_sealed_bytes_do_not_contain_the_secret(vault: Vault) -> None:
    assert SECRET[:8] not in vault.seal(PLACE, SECRET)


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, tenant_id=UUID(int=2)),
        replace(PLACE, table="accounts"),
        replace(PLACE, row="account 8"),
        replace(PLACE, column="cache"),
        # The parts are not simply strung together: this has the same letters in another division.
        replace(PLACE, table="secret", row="saccount 7"),
    ],
)
def test_a_secret_moved_elsewhere_is_refused(vault: Vault, elsewhere: Binding) -> None:
    with pytest.raises(NeedsOwnerError) as refused:
        vault.open(elsewhere, vault.seal(PLACE, SECRET))
    assert refused.value.code == "vault_refused"


def test_a_change_of_any_byte_is_refused(vault: Vault) -> None:
    sealed = vault.seal(PLACE, SECRET)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(NeedsOwnerError):
            vault.open(PLACE, bytes(changed))


def test_a_shortened_secret_is_refused(vault: Vault) -> None:
    sealed = vault.seal(PLACE, SECRET)
    for length in range(len(sealed)):
        with pytest.raises(NeedsOwnerError):
            vault.open(PLACE, sealed[:length])


def test_another_master_key_is_refused_and_the_reason_is_said(vault: Vault) -> None:
    with pytest.raises(NeedsOwnerError, match="another master key"):
        Vault([OTHER_KEY]).open(PLACE, vault.seal(PLACE, SECRET))


def test_a_refusal_tells_nothing_of_the_secret_or_the_key(vault: Vault) -> None:
    sealed = bytearray(vault.seal(PLACE, SECRET))
    sealed[-1] ^= 1
    with pytest.raises(NeedsOwnerError) as refused:
        vault.open(PLACE, bytes(sealed))
    told = f"{refused.value} {refused.value.detail} {vault!r} {refused.value.__cause__!r}"
    assert SECRET.decode() not in told
    assert sealed.hex()[:20] not in told
    assert KEY.hex() not in told


def test_after_rotation_old_secrets_open_and_new_ones_need_the_new_key(vault: Vault) -> None:
    rotated = Vault([OTHER_KEY, KEY])
    assert rotated.open(PLACE, vault.seal(PLACE, SECRET)) == SECRET
    assert Vault([OTHER_KEY]).open(PLACE, rotated.seal(PLACE, SECRET)) == SECRET


def test_a_keyed_hash_survives_rotation_and_depends_on_key_label_and_value(vault: Vault) -> None:
    assert vault.keyed_hash("source id", "AAA") == Vault([OTHER_KEY, KEY]).keyed_hash("source id", "AAA")
    hashes = {
        vault.keyed_hash("source id", "AAA"),
        vault.keyed_hash("source id", "AAB"),
        vault.keyed_hash("internet message id", "AAA"),
        Vault([OTHER_KEY]).keyed_hash("source id", "AAA"),
    }
    assert len(hashes) == 4
    assert {len(each) for each in hashes} == {32}


def test_a_keyed_hash_takes_any_text(vault: Vault) -> None:
    assert vault.keyed_hash("source id", "\ud800\x00") != vault.keyed_hash("source id", "")


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, KEY[:16]]])
def test_a_vault_without_a_proper_key_cannot_be_made(keys: list[bytes]) -> None:
    with pytest.raises(BugError):
        Vault(keys)


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    key = make_master_key(path)
    assert len(key) == KEY_BYTES
    assert make_master_key(path) == read_master_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["vault.key"]


def test_many_at_once_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: make_master_key(tmp_path / "vault.key"), range(64)))
    assert len(keys) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_file_that_others_may_read_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "vault.key"
    make_master_key(path)
    path.chmod(mode)
    with pytest.raises(NeedsOwnerError, match="chmod 600") as refused:
        read_master_key(path)
    assert refused.value.code == "vault_key_exposed"


def test_a_missing_key_file_is_refused_and_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(NeedsOwnerError, match="init") as refused:
        read_master_key(tmp_path / "vault.key")
    assert refused.value.code == "vault_key_missing"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(NeedsOwnerError) as refused:
        make_master_key(tmp_path / "gone" / "vault.key")
    assert refused.value.code == "home_not_writable"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_key_is_read_from_both_kinds_of_base64(encode: object) -> None:
    key = bytes([0xFB, 0xEF, 0xFF] * 10 + [1, 2])
    assert callable(encode)
    assert parse_master_key(f" {encode(key).decode()}\n") == key


@pytest.mark.parametrize("text", ["", "abc", "not base64!", base64.b64encode(KEY[:31]).decode(), "ä" * 44, "=" * 44])
def test_a_malformed_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(NeedsOwnerError) as refused:
        parse_master_key(text)
    assert refused.value.code == "vault_key_malformed"
    assert not text or text not in str(refused.value)
