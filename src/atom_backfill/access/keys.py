"""A tenant's own keys for models (BYOK). Names are matched without case and kept in upper case.

A key's base URL and model belong to it, and are given anew with each value: no key goes to a server that it was not
given for. There is no default key, and none that tenants share: no key, no call.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from atom_backfill.errors import AtomError, KeyNeededError, NotFoundError, UsageError
from atom_backfill.jobs.job import GRAPH_KEY
from atom_backfill.llm.form import Form

MOST_CHARS = 4096
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_MODEL = re.compile(r"[\x21-\x7e]{1,200}")


class KeyStatus(StrEnum):
    """What is known of a key."""

    UNTESTED = "untested"
    WORKS = "works"
    REJECTED = "rejected"
    QUOTA_USED_UP = "quota_used_up"


@dataclass(frozen=True, slots=True)
class ModelKey:
    """A key without its value. `version` rises with each value; `form` is None until it is found out."""

    name: str
    base_url: str
    model: str
    status: KeyStatus
    form: Form | None
    version: int
    tested_at: datetime | None
    updated_at: datetime


class KeyStore(Protocol):
    """The record of one tenant's keys."""

    async def list(self) -> Sequence[ModelKey]:
        """Return all, by name."""
        ...

    async def find(self, name: str) -> tuple[ModelKey, str] | None:
        """Return a key with its value."""
        ...

    async def save(self, name: str, value: str, base_url: str, model: str) -> ModelKey:
        """Store a value, replacing one of that name; the key is untested again."""
        ...

    async def note(self, key: ModelKey, status: KeyStatus, form: Form | None) -> None:
        """Store what is known now, unless the key has been set anew meanwhile."""
        ...

    async def delete(self, name: str) -> bool:
        """Erase a key; False when there is none."""
        ...


FindForm = Callable[[ModelKey, str], Awaitable[Form]]
"""Asks the key's model a few short questions. Raises KeyNeededError where the key is refused."""


class Keys:
    """What can be done with a tenant's keys."""

    def __init__(self, store: KeyStore, find_form: FindForm) -> None:
        self._store = store
        self._find_form = find_form

    async def set(self, name: str, value: str, base_url: str, model: str) -> ModelKey:
        """Store a key. Raises UsageError for what cannot be one."""
        if not _MODEL.fullmatch(model):
            raise UsageError("bad_model", "A model's name has 1 to 200 visible characters.")
        return await self._store.save(checked_name(name), checked_value(value), base_url, model)

    async def list(self) -> Sequence[ModelKey]:
        """Return the keys by name, never their values."""
        return await self._store.list()

    async def delete(self, name: str) -> str:
        """Erase a key and return its name. Raises NotFoundError."""
        wanted = checked_name(name)
        if not await self._store.delete(wanted):
            raise _unknown(wanted)
        return wanted

    async def test(self, name: str) -> ModelKey:
        """Ask the key's model a few short questions, and note what that tells.

        Raises NotFoundError, and what the endpoint says: KeyNeededError, NeedsOwnerError or RetryLaterError.
        """
        wanted = checked_name(name)
        found = await self._store.find(wanted)
        if found is None:
            raise _unknown(wanted)
        key, value = found
        try:
            form = await self._find_form(key, value)
        except AtomError as error:
            if (status := status_after(error)) is not None:
                await self._store.note(key, status, key.form)
            raise
        await self._store.note(key, KeyStatus.WORKS, form)
        tested = next((each for each in await self._store.list() if each.name == wanted), None)
        if tested is None:  # erased while its model was asked
            raise _unknown(wanted)
        return tested


def status_after(error: AtomError) -> KeyStatus | None:
    """Return what an endpoint's refusal says of the key; None where it says nothing of it."""
    if isinstance(error, KeyNeededError):
        return KeyStatus.REJECTED
    return KeyStatus.QUOTA_USED_UP if error.code == "quota_used_up" else None


def checked_name(name: str) -> str:
    """Return a key's name as it is kept. Raises UsageError `bad_key_name`."""
    upper = name.strip().upper()
    if not _NAME.fullmatch(upper):
        raise UsageError("bad_key_name", f"A key's name has letters, digits and _, such as {GRAPH_KEY}.")
    return upper


def checked_value(value: str) -> str:
    """Return a key's value, without white space around it. Raises UsageError `bad_key` and shows none of it."""
    stripped = value.strip()
    if not stripped:
        raise UsageError("bad_key", "The key is empty: give it on stdin, or type it when asked.")
    if len(stripped) > MOST_CHARS or not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise UsageError("bad_key", "That is no key: it has spaces, line breaks or letters that no key has.")
    return stripped


def _unknown(name: str) -> NotFoundError:
    return NotFoundError("no_such_key", f"There is no key {name}; `atom-backfill key list` lists them.")
