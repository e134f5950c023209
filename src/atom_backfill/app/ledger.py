"""Balances a tenant's mailboxes with its record and its memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from atom_backfill.app.core import Tenancy
from atom_backfill.custody.balance import balance_account, line_document
from atom_backfill.custody.postgres import PostgresBalance
from atom_backfill.memory.upkeep import tally
from atom_backfill.sources.accounts import Account
from atom_backfill.sources.ports import MailSource

Open = Callable[[Account], Awaitable[MailSource]]


async def balance(tenancy: Tenancy, accounts: Sequence[Account], open_source: Open) -> dict[str, Any]:
    """Return the ledger of accounts as scripts read it; memory and graph are the whole tenant's.

    It balances when no folder has a difference and the memory has every passage of every message.
    """
    record = PostgresBalance(tenancy.app.database, tenancy.id)
    as_of = tenancy.app.outside.clock.now()
    folders: list[dict[str, Any]] = []
    for account in accounts:
        about = {"account_id": account.account_id, "address": account.address}
        lines = await balance_account(await open_source(account), record, account.account_id)
        folders += [line_document(line, about) for line in lines]
    messages, passages = await record.count_messages()
    remembered = await tally(await tenancy.app.memories.index(tenancy.id), record.generations)
    whole = remembered.messages >= messages and remembered.passages >= passages  # more: a job went on meanwhile
    return {
        "balanced": whole and not any(folder["difference"] for folder in folders),
        "as_of": as_of,
        "folders": folders,
        "memory": {
            "messages": messages,
            "with_passages": remembered.messages,
            "passages": remembered.passages,
            "missing": max(0, passages - remembered.passages),
            "orphans": remembered.orphans,
        },
        "graph": {"units": 0, "done": 0, "failed": 0, "waiting": 0},
    }
