"""Balances a tenant's mailboxes with its record and its memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from atom_backfill.app.core import Tenancy
from atom_backfill.backfill.check import position_of
from atom_backfill.custody.balance import balance_account, line_document, nobody
from atom_backfill.custody.postgres import PostgresBalance
from atom_backfill.jobs.job import ChunkId
from atom_backfill.memory.upkeep import tally
from atom_backfill.sources.accounts import Account
from atom_backfill.sources.ports import MailSource, Place

Open = Callable[[Account], Awaitable[MailSource]]
PLACES_A_CHUNK = 200
LOOK_EVERY_S = 0.2


class Fetching:
    """Has what a balance finds missing read by workers: chunks of the account's latest job, which is completed."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._record = PostgresBalance(tenancy.app.database, tenancy.id)
        self._chunks: list[ChunkId] = []
        self.places = 0

    async def add(self, account: Account, places: Sequence[Place]) -> None:
        """Add chunks for places. Raises RefusedError where the latest job is at work, or has ended otherwise."""
        job = await self._record.latest_job(account.account_id)
        assert job is not None, "without a job, everything is out of range"
        wanted = list({place.source_id: place for place in places}.values())
        for start in range(0, len(wanted), PLACES_A_CHUNK):
            position = position_of(wanted[start : start + PLACES_A_CHUNK])
            self._chunks.append(await self._tenancy.control.fetch(job, position))
        self.places += len(wanted)

    async def done(self) -> None:
        """Return once workers have read what they can."""
        while await self._record.unfinished(self._chunks):
            await self._tenancy.app.outside.clock.sleep(LOOK_EVERY_S)


async def balance(
    tenancy: Tenancy, accounts: Sequence[Account], open_source: Open, fetch: Fetching | None = None
) -> dict[str, Any]:
    """Return the ledger of accounts as scripts read it; memory and graph are the whole tenant's.

    `fetch` is given what is missing, as the walk meets it.
    It balances when no folder has a difference and the memory has every passage of every message.
    """
    record = PostgresBalance(tenancy.app.database, tenancy.id)
    as_of = tenancy.app.outside.clock.now()
    folders: list[dict[str, Any]] = []
    for account in accounts:
        about = {"account_id": account.account_id, "address": account.address}
        missing = nobody if fetch is None else partial(fetch.add, account)
        lines = await balance_account(await open_source(account), record, account.account_id, missing)
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
        "graph": await record.count_units(),
    }
