"""Connects mailboxes: proves that one can be read, learns who it is, and stores how to reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from atom_backfill.app.core import Tenancy
from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.jobs.job import AccountId
from atom_backfill.sources.accounts import MBOX, Account, Connection
from atom_backfill.sources.outlook.auth import Credentials, DeviceCode

ADDRESS_LIMIT = 320
"""Characters of the longest address: 64 before the @, 255 after it (RFC 5321)."""


@dataclass(frozen=True, slots=True)
class Registration:
    """An app registration in Microsoft Entra: its directory, its id, and its secret; without one a person signs in."""

    tenant: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)


async def connect_mbox(tenancy: Tenancy, path: Path, address: str) -> Account:
    """Connect local files; the same path again resumes its account.

    Raises UsageError for names that cannot be kept, NotFoundError where there is nothing, NeedsOwnerError where there
    is no mail in it.
    """
    place = await asyncio.to_thread(lambda: path.expanduser().absolute())
    address = checked_address(address)
    if _is_no_text(str(place)):
        raise UsageError("bad_path", f"The name {str(place)!r} is not UTF-8: rename the file or folder first.")
    if not await asyncio.to_thread(place.exists):
        raise NotFoundError("no_such_file", f"There is no file or folder {place}.")
    mailbox = await tenancy.app.mailboxes.local_files(place, address).identify()
    return await _save(tenancy, Connection(MBOX, mailbox, {"path": str(place)}, {}))


async def connect_outlook(tenancy: Tenancy, app: Registration, user: str, tell: Callable[[str], None]) -> Account:
    """Connect an Outlook mailbox; the same mailbox again resumes its account. `tell` is given the way to sign in.

    Raises UsageError, SignInNeededError and NeedsOwnerError that say what to change and where.
    """
    user = checked_address(user)
    credentials = Credentials(app.tenant, app.client_id, app.client_secret)

    async def tell_code(code: DeviceCode) -> None:
        tell(code.message)

    return await _save(tenancy, await tenancy.app.mailboxes.connect_outlook(credentials, user, tell_code))


def checked_address(address: str) -> str:
    """Return an address, or another name for a mailbox, trimmed. Raises UsageError where it cannot be one."""
    name = address.strip()
    if len(name) > ADDRESS_LIMIT or not name.isprintable():
        wanted = f"at most {ADDRESS_LIMIT} characters, none of them invisible"
        raise UsageError("bad_address", f"An account's address has {wanted}: write one like ines@example.com.")
    return name


def _is_no_text(name: str) -> bool:
    # Python carries bytes that are no UTF-8 as lone surrogates; neither PostgreSQL nor JSON takes those.
    return any("\ud800" <= character <= "\udfff" for character in name)


async def _save(tenancy: Tenancy, connection: Connection) -> Account:
    account_id = await tenancy.accounts.save(AccountId(tenancy.app.outside.new_id()), connection)
    return await tenancy.accounts.read(account_id)
