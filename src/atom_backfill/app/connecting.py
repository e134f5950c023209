"""Connects mailboxes: proves that one can be read, learns who it is, and stores how to reach it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from atom_backfill.app.core import Tenancy
from atom_backfill.errors import NeedsOwnerError, NotFoundError, RefusedError, UsageError
from atom_backfill.jobs.job import AccountId
from atom_backfill.sources.accounts import MBOX, Account, Connection
from atom_backfill.sources.outlook.auth import Credentials, DeviceCode
from atom_backfill.sources.ports import MailboxIdentity

ADDRESS_LIMIT = 320
"""Characters of the longest address: 64 before the @, 255 after it (RFC 5321)."""


@dataclass(frozen=True, slots=True)
class Registration:
    """An app registration in Microsoft Entra: its directory, its id, and its secret; without one a person signs in."""

    tenant: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)


async def connect_mbox(tenancy: Tenancy, path: Path, address: str) -> tuple[Account, bool]:
    """Connect local files; returns their account, and whether it has read another path until now.

    The same path again resumes its account, and so does an address that an account of local files has: it reads this
    path from now on. Raises UsageError for names that cannot be kept, NotFoundError where there is nothing,
    NeedsOwnerError where there is no mail in it, RefusedError where the path is another account's.
    """
    place = await asyncio.to_thread(lambda: path.expanduser().absolute())
    address = checked_address(address)
    if _is_no_text(str(place)):
        raise UsageError("bad_path", f"The name {str(place)!r} is not UTF-8: rename the file or folder first.")
    if not await asyncio.to_thread(place.exists):
        raise NotFoundError("no_such_file", f"There is no file or folder {place}.")
    mailbox = await tenancy.app.mailboxes.local_files(place, address).identify()
    known = await _known_files(tenancy, mailbox, address)
    if known is not None and not address:
        mailbox = replace(mailbox, address=known.address)
    moved = known is not None and known.identity != mailbox.identity
    account = await _save(tenancy, Connection(MBOX, mailbox, {"path": str(place)}, {}), known if moved else None)
    return account, moved


async def _known_files(tenancy: Tenancy, mailbox: MailboxIdentity, address: str) -> Account | None:
    """Find the account that local files go to: the one of this address, else the one of this path."""
    accounts = [account for account in await tenancy.accounts.list() if account.kind == MBOX]
    own = next((account for account in accounts if account.identity == mailbox.identity), None)
    named = [account for account in accounts if address and account.address.casefold() == address.casefold()]
    if not named or own in named:
        return own
    if own is not None:
        words = f"This path is read by account {own.account_id} already, and {address} is another: leave --address out."
        raise RefusedError("path_taken", words)
    return named[0]


async def connect_outlook(tenancy: Tenancy, app: Registration, user: str, tell: Callable[[str], None]) -> Account:
    """Connect an Outlook mailbox; the same mailbox again resumes its account. `tell` is given the way to sign in.

    Raises UsageError, NotFoundError, SignInNeededError and NeedsOwnerError that say what to change and where.
    """
    user = checked_address(user)
    if user and not _names_a_user(user):
        raise UsageError("bad_address", f"{user!r} names no mailbox: write an address like ines@example.com, or an id.")
    credentials = Credentials(app.tenant, app.client_id, app.client_secret)

    async def tell_code(code: DeviceCode) -> None:
        tell(code.message)

    try:
        connection = await tenancy.app.mailboxes.connect_outlook(credentials, user, tell_code)
    except NeedsOwnerError as error:
        if error.code == "mailbox_not_found":  # of a job, what its owner has to mend; here, a name that names nothing
            raise NotFoundError(error.code, error.message, detail=error.detail) from error
        raise
    return await _save(tenancy, connection)


def checked_address(address: str) -> str:
    """Return an address, or another name for a mailbox, trimmed. Raises UsageError where it cannot be one."""
    name = address.strip()
    if len(name) > ADDRESS_LIMIT or not name.isprintable():
        wanted = f"at most {ADDRESS_LIMIT} characters, none of them invisible"
        raise UsageError("bad_address", f"An account's address has {wanted}: write one like ines@example.com.")
    return name


def _names_a_user(user: str) -> bool:
    """Tell whether Microsoft Graph could know a user by this: a principal name, which has an @, or an id."""
    return re.fullmatch(r"[^@\s/]+@[^@\s/]+|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", user) is not None


def _is_no_text(name: str) -> bool:
    # Python carries bytes that are no UTF-8 as lone surrogates; neither PostgreSQL nor JSON takes those.
    return any("\ud800" <= character <= "\udfff" for character in name)


async def _save(tenancy: Tenancy, connection: Connection, moved: Account | None = None) -> Account:
    if moved is None:
        account_id = await tenancy.accounts.save(AccountId(tenancy.app.outside.new_id()), connection)
    else:
        account_id = await tenancy.accounts.save(moved.account_id, connection, moved=True)
    return await tenancy.accounts.read(account_id)
