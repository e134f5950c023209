"""Accounts: the mailboxes of a tenant, connected and disconnected. Credentials live in the vault, never here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from atom_backfill.errors import NotFoundError, RefusedError, UsageError
from atom_backfill.jobs.job import AccountId
from atom_backfill.sources.ports import MailboxIdentity

OUTLOOK, MBOX = "outlook", "mbox"
ONE_PLACE_KINDS = frozenset({OUTLOOK})
"""Kinds of mailbox in which a message lies in exactly one folder: one that is seen elsewhere was moved."""


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox of a tenant. `config` says how to reach it, without secrets; `messages`: how many are in the record.

    `changed_at` is another moment after each change of how it is reached, secrets included.
    """

    account_id: AccountId
    kind: str
    identity: str
    address: str
    status: str
    status_detail: str
    config: dict[str, Any]
    changed_at: datetime
    messages: int


@dataclass(frozen=True, slots=True)
class Connection:
    """What connecting found out and needs to keep: `secrets` go into the vault."""

    kind: str
    mailbox: MailboxIdentity
    config: dict[str, Any]
    secrets: dict[str, str] = field(repr=False)


class Accounts(Protocol):
    """One tenant's accounts."""

    async def list(self) -> Sequence[Account]:
        """Return all accounts, the oldest first."""
        ...


async def find_account(accounts: Accounts, named: str) -> Account:
    """Return the account that an id, its beginning, or an address names. Raises NotFoundError, UsageError."""
    wanted = named.strip().casefold()
    listed = await accounts.list()
    exact = [account for account in listed if wanted in (account.address.casefold(), str(account.account_id))]
    found = exact or [account for account in listed if wanted and str(account.account_id).startswith(wanted)]
    if not found:
        raise NotFoundError("no_such_account", f"There is no account {named!r}; `atom-backfill accounts` lists them.")
    if len(found) > 1:
        raise UsageError("ambiguous", f"{named!r} names several accounts; give more of the id.")
    return found[0]


def refuse_disconnected(account: Account) -> None:
    """Raise RefusedError where the account cannot be read before it is connected again."""
    if account.status == "disconnected":
        raise RefusedError("disconnected", f"{account.address} is disconnected; connect it again first.")
