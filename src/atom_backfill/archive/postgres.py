"""The record in PostgreSQL: writes for the page commit, which owns the transaction, and reads for people."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.archive.rows import Failed, Stored, body_row, entity_rows, message_row
from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database
from atom_backfill.db.scope import Work
from atom_backfill.db.transaction import Row, Transaction
from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.identity import failure_id, id_range, message_id
from atom_backfill.jobs.job import Lease, TenantId

SQL = load_queries(__package__)


async def known_messages(tx: Transaction, tenant: TenantId, ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Lock and return what the record has of these messages."""
    rows = await tx.fetch_all(SQL["read_known"], {"tenant": tenant, "ids": sorted(ids)})
    return {row["id"]: row for row in rows}


async def write_messages(tx: Transaction, lease: Lease, messages: Sequence[Stored]) -> int:
    """Write new or changed messages with bodies and findings; returns the number of findings."""
    keys = {"tenant": lease.tenant_id, "account": lease.account_id, "job": lease.job_id}
    ordered = sorted(messages, key=lambda stored: stored.message_id)
    rows = [_jsonb(message_row(stored), "participants", "attachments") for stored in ordered]
    await tx.executemany(SQL["insert_message"], [keys | row for row in rows])
    await tx.executemany(SQL["insert_body"], [keys | _jsonb(body_row(stored), "segments") for stored in ordered])
    found = [row for stored in ordered for row in entity_rows(stored)]
    return await tx.execute(SQL["insert_entities"], keys | {"rows": Jsonb(found)})


async def drop_findings(tx: Transaction, tenant: TenantId, ids: Collection[UUID]) -> list[Row]:
    """Forget the findings of messages that have changed: (job_id, entities) to lower."""
    return await tx.fetch_all(SQL["drop_entities"], {"tenant": tenant, "ids": list(ids)})


async def touch_messages(tx: Transaction, lease: Lease, messages: Sequence[Stored]) -> None:
    """Note that unchanged messages were read again."""
    keys = {"tenant": lease.tenant_id, "job": lease.job_id}
    ids, change_keys = [m.message_id for m in messages], [m.change_key for m in messages]
    await tx.execute(SQL["touch_messages"], keys | {"ids": ids, "change_keys": change_keys})


async def write_places(tx: Transaction, lease: Lease, places: Iterable[tuple[UUID, str]], *, one_place: bool) -> None:
    """Note where messages lie; with `one_place` the new place ends the old one."""
    ordered = sorted(set(places))
    if not ordered:
        return
    keys = {
        "tenant": lease.tenant_id,
        "account": lease.account_id,
        "message_ids": [message for message, _ in ordered],
        "folder_ids": [folder for _, folder in ordered],
    }
    if one_place:
        await tx.execute(SQL["drop_other_places"], keys)
    await tx.execute(SQL["insert_places"], keys)


async def write_failures(tx: Transaction, lease: Lease, failed: Sequence[Failed]) -> int:
    """Note what could not be read, where the record has no message of it; returns how many are new to this job."""
    ids = [failure_id(lease.account_id, item.source_id) for item in failed]
    rows = [
        {
            "id": str(identity),
            "source_id": item.source_id,
            "message_id": str(item.message_id),
            "folder_id": item.folder_id,
            "received_at": item.received_at and item.received_at.isoformat(),
            "subject": item.subject,
            "stage": item.stage,
            "error_code": item.error_code,
            "error": item.error,
        }
        for identity, item in zip(ids, failed, strict=True)
    ]
    keys = {"tenant": lease.tenant_id, "account": lease.account_id, "job": lease.job_id}
    counted = keys | {"ids": ids}
    before: int = await tx.fetch_value(SQL["count_failures"], counted)
    message_ids = [item.message_id for item in failed]
    await tx.execute(SQL["insert_failures"], keys | {"rows": Jsonb(rows), "message_ids": message_ids})
    after: int = await tx.fetch_value(SQL["count_failures"], counted)
    return after - before


async def drop_failures(tx: Transaction, lease: Lease, source_ids: Iterable[str]) -> int:
    """Forget the failures of messages that have been read after all; returns how many this job had."""
    ids = [failure_id(lease.account_id, source_id) for source_id in source_ids]
    return int(await tx.fetch_value(SQL["drop_failures"], {"tenant": lease.tenant_id, "job": lease.job_id, "ids": ids}))


async def settled(tx: Transaction, lease: Lease, items: Sequence[tuple[str, str]], *, again: bool) -> frozenset[str]:
    """Return the source ids among (source id, change key) that need not be read again."""
    rows = await tx.fetch_all(
        SQL["find_settled"],
        {
            "tenant": lease.tenant_id,
            "job": lease.job_id,
            "again": again,
            "ids": [message_id(lease.account_id, source_id) for source_id, _ in items],
            "failure_ids": [failure_id(lease.account_id, source_id) for source_id, _ in items],
            "change_keys": [change_key for _, change_key in items],
        },
    )
    return frozenset(row["source_id"] for row in rows)


async def places_of(tx: Transaction, tenant: TenantId, ids: Collection[UUID]) -> dict[UUID, set[str]]:
    """Return the folder ids of messages that the record has."""
    places: dict[UUID, set[str]] = {}
    for row in await tx.fetch_all(SQL["find_places"], {"tenant": tenant, "ids": list(ids)}):
        places.setdefault(row["message_id"], set()).add(row["folder_id"])
    return places


async def failures_of(tx: Transaction, lease: Lease, ids: Sequence[UUID] | None) -> list[Row]:
    """Return the job's quarantined items, all of them when `ids` is None."""
    keys = {"tenant": lease.tenant_id, "job": lease.job_id, "ids": None if ids is None else list(ids)}
    return await tx.fetch_all(SQL["read_failures"], keys)


class PostgresArchive:
    """Reads of one tenant's record, for people and search."""

    def __init__(self, database: Database, tenant: TenantId) -> None:
        self._database = database
        self._tenant = tenant

    async def message(self, wanted: UUID) -> Row:
        """Return a message with text, segments, folders, entities and failures. Raises NotFoundError."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            row = await tx.fetch_one(SQL["read_message"], {"tenant": self._tenant, "id": wanted})
            if row is None:
                raise NotFoundError(
                    "no_such_message",
                    "There is no such message in this tenant's record: `search` shows those there are.",
                )
            places = await tx.fetch_all(SQL["read_places"], {"tenant": self._tenant, "ids": [wanted]})
            entities = await tx.fetch_all(SQL["read_entities"], {"tenant": self._tenant, "id": wanted})
            of_source = {"tenant": self._tenant, "account": row["account_id"], "source_id": row["source_id"]}
            failures = await tx.fetch_all(SQL["read_failures_of_message"], of_source)
        return row | {"folders": [place["path"] for place in places], "entities": entities, "failures": failures}

    async def thread(self, thread: UUID) -> list[UUID]:
        """Return the ids of a conversation's messages, oldest first."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await tx.fetch_all(SQL["read_thread"], {"tenant": self._tenant, "thread": thread})
        return [row["id"] for row in rows]

    async def resolve_message(self, prefix: str) -> UUID:
        """Find the message that an id or its beginning names.

        Raises NotFoundError, with the way out where the message could not be read, and UsageError where several fit.
        """
        try:
            return await self._resolve("find_messages", prefix, "message")
        except NotFoundError as error:
            raise await self._unread(prefix) or error from None

    async def resolve_thread(self, prefix: str) -> UUID:
        """Find the thread that an id or its beginning names. Raises NotFoundError, UsageError where several do."""
        return await self._resolve("find_threads", prefix, "thread")

    async def headlines(self, ids: Collection[UUID]) -> dict[UUID, Row]:
        """Return what a search result shows of these messages; those that the record does not know are missing."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await tx.fetch_all(SQL["read_headlines"], {"tenant": self._tenant, "ids": list(ids)})
        return {row["id"]: row for row in rows}

    async def folders_of(self, ids: Collection[UUID]) -> dict[UUID, list[str]]:
        """Return the folders, for people, that hold these messages."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await tx.fetch_all(SQL["read_places"], {"tenant": self._tenant, "ids": list(ids)})
        folders: dict[UUID, list[str]] = {}
        for row in rows:
            folders.setdefault(row["message_id"], []).append(row["path"])
        return folders

    async def _unread(self, prefix: str) -> NotFoundError | None:
        least, most = id_range(prefix, "message")
        async with self._database.transaction(Work(self._tenant)) as tx:
            row = await tx.fetch_one(SQL["find_unread"], {"tenant": self._tenant, "least": least, "most": most})
        if row is None:
            return None
        return NotFoundError(
            "message_not_read",
            f"This message could not be read: `failures {row['job_id']}` says why, and "
            f"`retry {row['job_id']} --failure {row['id']}` reads it again.",
        )

    async def _resolve(self, query: str, prefix: str, what: str) -> UUID:
        least, most = id_range(prefix, what)
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await tx.fetch_all(SQL[query], {"tenant": self._tenant, "least": least, "most": most})
        if not rows:
            raise NotFoundError(
                f"no_such_{what}",
                f"There is no {what} {prefix!r} in this tenant's record: `search` shows those there are.",
            )
        if len(rows) > 1:
            raise UsageError("ambiguous", f"{prefix!r} names several {what}s: give more of the id.")
        found: UUID = rows[0]["id"]
        return found


def _jsonb(row: dict[str, Any], *columns: str) -> dict[str, Any]:
    return row | {column: Jsonb(row[column]) for column in columns}
