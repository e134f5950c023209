"""Seals secrets so that they open only in the row they were sealed for, with the master key of this home.

Sealed bytes: version (1) · key id (8) · nonce (12) · AES-256-GCM ciphertext with tag. The header and the binding
(tenant, table, row, column) are authenticated. Each tenant has a key of its own, derived from the master key by
HKDF-SHA-256; the key id lets a later master key seal while earlier ones still open.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from atom_backfill.errors import BugError, NeedsOwnerError

KEY_BYTES = 32
_VERSION = b"\x01"
_ID_BYTES, _NONCE_BYTES, _TAG_BYTES = 8, 12, 16
_HEADER_BYTES = len(_VERSION) + _ID_BYTES + _NONCE_BYTES


@dataclass(frozen=True, slots=True)
class Binding:
    """The place a secret belongs to. `row` is the row's key as text."""

    tenant_id: UUID
    table: str
    row: str
    column: str


class Vault:
    """Seals with the first of its master keys, opens with any, and hashes with the last, which rotation keeps."""

    def __init__(self, master_keys: Sequence[bytes]) -> None:
        if not master_keys or any(len(key) != KEY_BYTES for key in master_keys):
            raise BugError("vault_misused", f"A vault needs master keys of {KEY_BYTES} bytes.")
        self._keys = {_derive(key, b"key id", _ID_BYTES): key for key in master_keys}
        self._current = _derive(master_keys[0], b"key id", _ID_BYTES)
        self._oldest = master_keys[-1]

    def seal(self, binding: Binding, plain: bytes) -> bytes:
        """Seal a secret for its place; never twice the same bytes."""
        header = _VERSION + self._current + secrets.token_bytes(_NONCE_BYTES)
        cipher = _cipher(self._keys[self._current], binding.tenant_id)
        return header + cipher.encrypt(header[-_NONCE_BYTES:], plain, _associated(header, binding))

    def open(self, binding: Binding, sealed: bytes) -> bytes:
        """Return the secret. Raises NeedsOwnerError `vault_refused`: another key, another place, or changed bytes."""
        header = sealed[:_HEADER_BYTES]
        key = self._keys.get(header[1 : 1 + _ID_BYTES])
        if len(sealed) < _HEADER_BYTES + _TAG_BYTES or header[:1] != _VERSION:
            raise _refused("it is not in a form that this version knows")
        if key is None:
            raise _refused("it was sealed with another master key")
        try:
            cipher = _cipher(key, binding.tenant_id)
            return cipher.decrypt(header[-_NONCE_BYTES:], sealed[_HEADER_BYTES:], _associated(header, binding))
        except InvalidTag:
            raise _refused("it was changed, or belongs to another row") from None

    def keyed_hash(self, label: str, value: str) -> bytes:
        """Return 32 bytes that stand for `value` under `label`, and tell nothing to those who lack the key."""
        key = _derive(self._oldest, b"hash " + label.encode(), KEY_BYTES)
        return hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256")


def parse_master_key(text: str) -> bytes:
    """Read a master key from base64, plain or URL-safe. Raises NeedsOwnerError `vault_key_malformed`."""
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise NeedsOwnerError(
            "vault_key_malformed",
            f"The vault's master key (ATOM_MASTER_KEY, or the file in the home) must be base64 of {KEY_BYTES} bytes.",
        )
    return key


def make_master_key(path: Path) -> bytes:
    """Make the key file unless it is there, and return its key; several processes at once get the same one.

    Raises NeedsOwnerError `home_not_writable`, and as `read_master_key` does.
    """
    if not path.exists():
        try:
            write_once(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        except OSError as error:
            raise NeedsOwnerError(
                "home_not_writable",
                f"The vault's master key {path} cannot be written: give the folder to this user, or set "
                "ATOM_MASTER_KEY.",
                detail=str(error.strerror),
            ) from error
    return read_master_key(path)


def read_master_key(path: Path) -> bytes:
    """Read the key file. Raises NeedsOwnerError `vault_key_missing`, `vault_key_exposed`, `vault_key_malformed`."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1000)
    except OSError as error:
        raise NeedsOwnerError(
            "vault_key_missing",
            f"The vault's master key {path} cannot be read. Restore it or set ATOM_MASTER_KEY to open what it sealed; "
            "for a new home, run atom-backfill init.",
            detail=str(error.strerror),
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise NeedsOwnerError(
            "vault_key_exposed",
            f"Other users may read the vault's master key: run chmod 600 {path}, or set ATOM_MASTER_KEY instead.",
        )
    return parse_master_key(text.decode("ascii", errors="replace"))


def write_once(path: Path, content: bytes) -> None:
    """Write a file that this user alone may read, whole or not at all; one that is there stays. Raises OSError."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link fails where a rename would replace the key that another process made meanwhile.
        with suppress(FileExistsError):
            path.hardlink_to(partial)
    finally:
        partial.unlink()


def _cipher(master_key: bytes, tenant_id: UUID) -> AESGCM:
    return AESGCM(_derive(master_key, b"tenant " + tenant_id.bytes, KEY_BYTES))


def _derive(master_key: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length=length, salt=None, info=b"atom-backfill vault " + purpose).derive(master_key)


def _associated(header: bytes, binding: Binding) -> bytes:
    place = [str(binding.tenant_id), binding.table, binding.row, binding.column]
    return header + json.dumps(place, ensure_ascii=True).encode()


def _refused(reason: str) -> NeedsOwnerError:
    return NeedsOwnerError(
        "vault_refused",
        f"A stored secret cannot be opened: {reason}. Restore the master key, or enter the secret again "
        "with `connect`.",
    )
