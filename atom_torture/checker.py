"""The independent checker: reads tables, dataset and truth, and nothing of the product's code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import blake2b
from math import hypot
from pathlib import Path
from typing import Any
from uuid import UUID

import lancedb
import psycopg
from psycopg.rows import dict_row

from atom_torture.truth import REFUSED, Mail

Row = dict[str, Any]
_LOOK = """
WITH counters AS (
    SELECT job.records_processed AS records, job.entities_extracted AS entities,
    job.relationships_extracted AS relationships,
    (SELECT count(*) FROM messages WHERE first_job_id = job.id) AS records_counted,
    (SELECT count(*) FROM discovered_entities WHERE job_id = job.id)
        + (SELECT count(*) FROM graph_evidence WHERE job_id = job.id AND node_id IS NOT NULL) AS entities_counted,
    (SELECT count(*) FROM graph_evidence WHERE job_id = job.id AND edge_id IS NOT NULL) AS relationships_counted
    FROM historical_sync_jobs job
), chunks AS (
    SELECT state, kind, worker, lease_until < atom_now() AS lapsed, folder_id, window_start, window_end, has_more,
        position ->> 'at' AS at
    FROM sync_chunks
)
SELECT (SELECT jsonb_agg(to_jsonb(counters)) FROM counters) AS jobs,
    (SELECT jsonb_agg(to_jsonb(chunks)) FROM chunks) AS chunks,
    ARRAY(SELECT source_id FROM messages UNION SELECT source_id FROM failures) AS settled,
    ARRAY(SELECT words FROM torture_violations) AS noted
"""
_MESSAGES = """
SELECT message.tenant_id, message.id, message.source_id, message.subject, message.generation, body.text,
    (SELECT array_agg(folder_id) FROM message_places place WHERE place.message_id = message.id) AS folders
FROM messages message LEFT JOIN message_bodies body ON body.message_id = message.id
"""


class Watcher:
    """Looks again and again while a schedule runs; what the database's own triggers have noted comes along."""

    def __init__(self, admin: psycopg.AsyncConnection[Any], mails: Sequence[Mail] = ()) -> None:
        self._admin = admin
        self._mails = mails
        self.violations: list[str] = []
        self.records = 0
        self.progress = (0, 0)
        """Records, and chunks done: what tells that work goes on."""

    async def look(self, healthy: Collection[str], *, lapsed: Collection[str] = (), all_listed: bool = True) -> None:
        """Compare counters with counts, leases with who is healthy, and positions with what has been read.

        `lapsed`: whose leases have lapsed and were taken back meanwhile. `all_listed`: whether the source has hidden
        nothing, which walks pass by then, and find at the end.
        """
        (seen,) = await _rows(self._admin, _LOOK)
        for job in seen["jobs"] or ():
            self.records = job["records"]
            for name in ("records", "entities", "relationships"):
                if job[name] != job[f"{name}_counted"]:
                    self._note(f"{name} is {job[name]}, but there are {job[f'{name}_counted']}")
        chunks = seen["chunks"] or ()
        if not {*lapsed, *(chunk["worker"] for chunk in chunks if chunk["lapsed"])}.isdisjoint(healthy):
            self._note("the lease of a healthy worker has lapsed")
        for mail in self._mails if all_listed else ():
            if mail.source_id not in seen["settled"] and any(_is_past(chunk, mail) for chunk in chunks):
                self._note(f"a position has gone past {mail.source_id}, which is neither stored nor failed")
        self.progress = (self.records, sum(chunk["state"] == "done" for chunk in chunks))
        for words in seen["noted"]:
            self._note(words)

    def _note(self, violation: str) -> None:
        if violation not in self.violations:
            self.violations.append(violation)


def _is_past(chunk: Row, mail: Mail) -> bool:
    """Tell whether a window's position says that a mail has been read."""
    received = mail.received_at
    if chunk["kind"] != "window" or chunk["folder_id"] != mail.folder or received is None:
        return False
    at, start, end = (_moment(chunk[name]) for name in ("at", "window_start", "window_end"))
    within = (start is None or received >= start) and (end is None or received < end)
    return within and (not chunk["has_more"] or (at is not None and received > at))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


async def at_rest(admin: psycopg.AsyncConnection[Any], memory: Path, tenant: UUID, mails: Sequence[Mail]) -> list[str]:
    """Compare record, failures and memory with the truth, row by row, once nothing is left to do."""
    found: list[str] = []
    jobs = await _rows(admin, "SELECT status, last_error_code AS code FROM historical_sync_jobs ORDER BY created_at")
    if jobs[-1]["status"] != "completed":
        found.append(f"the job is {jobs[-1]['status']} ({jobs[-1]['code']})")
    unfinished = await _rows(
        admin,
        "SELECT chunk.state FROM sync_chunks chunk JOIN historical_sync_jobs job ON job.id = chunk.job_id"
        " WHERE job.status = 'completed' AND chunk.state NOT IN ('done', 'quarantined')",
    )
    found += [f"a chunk of a completed job is {chunk['state']}" for chunk in unfinished]
    messages = await _rows(admin, _MESSAGES)
    failures = await _rows(admin, "SELECT tenant_id, source_id FROM failures")
    found += _of_record(messages, failures, tenant, mails)
    found += await _of_tenant(admin, tenant)
    return found + _of_memory(messages, _passages(memory, tenant), {mail.source_id: mail for mail in mails})


def _of_record(messages: list[Row], failures: list[Row], tenant: UUID, mails: Sequence[Mail]) -> list[str]:
    found = []
    stored, failed = Counter(row["source_id"] for row in messages), Counter(row["source_id"] for row in failures)
    foreign = [row["source_id"] for row in (*messages, *failures) if row["tenant_id"] != tenant]
    found += [f"{source_id} is under another tenant" for source_id in foreign]
    by_id = {row["source_id"]: row for row in messages}
    for mail in mails:
        times = (stored.pop(mail.source_id, 0), failed.pop(mail.source_id, 0))
        wanted = (0, 1) if mail.poison else (1, 0)
        if times != wanted:
            found.append(f"{mail.source_id} ({mail.poison or 'sound'}): (stored, failed) {times} times, not {wanted}")
        elif not mail.poison:
            found += _of_message(by_id[mail.source_id], mail)
    return found + [f"{source_id} is in no mailbox" for source_id in (*stored, *failed)]


def _of_message(row: Row, mail: Mail) -> list[str]:
    found = []
    if row["subject"] != mail.subject:
        found.append(f"{mail.source_id} has another subject")
    if (row["text"] or "").split() != mail.body.split():
        found.append(f"{mail.source_id} has another text")
    if row["folders"] != [mail.folder]:
        found.append(f"{mail.source_id} lies in {row['folders']}, not in {mail.folder}")
    return found


async def _of_tenant(admin: psycopg.AsyncConnection[Any], tenant: UUID) -> list[str]:
    tables = await _rows(
        admin,
        "SELECT relname::text AS name FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE attname = 'tenant_id' AND relkind IN ('r', 'p')",
    )
    counts = " UNION ALL ".join(
        f"SELECT '{table['name']}' AS table, count(*) AS rows FROM {table['name']} WHERE tenant_id <> %(tenant)s"
        for table in tables
    )
    foreign = await _rows(admin, counts, {"tenant": tenant})
    return [f"{row['rows']} rows of {row['table']} are another tenant's" for row in foreign if row["rows"]]


def _of_memory(messages: list[Row], passages: list[Row], mails: dict[str, Mail]) -> list[str]:
    found = [f"{count} rows have one id" for count in Counter(row["id"] for row in passages).values() if count > 1]
    known = {str(row["id"]): row for row in messages}
    shown: dict[str, list[Row]] = {}
    for row in passages:
        if not _has_its_vector(row):
            found.append(f"a passage of {row['message_id']} has another's vector")
        message = known.get(row["message_id"])
        if message is None:
            # The memory is written before the database refuses the message; a sweep takes such rows away.
            if not row["subject"].startswith(REFUSED):
                found.append("a passage is of a message that the record does not know")
        elif row["generation"] == message["generation"]:
            shown.setdefault(row["message_id"], []).append(row)
    for message_id, message in known.items():
        rows = shown.get(message_id, [])
        mail = mails.get(message["source_id"])
        if not rows:
            found.append(f"{message['source_id']} is in the record and not in the memory")
        elif mail:
            words = {word for row in rows for word in row["text"].split()}
            if words - set(mail.body.split()):
                found.append(f"{message['source_id']} has a passage of other words")
            if set(mail.body.split()) - words:
                found.append(f"{message['source_id']} lacks a passage")
        if len({row["seq"] for row in rows}) != len(rows):
            found.append(f"{message['source_id']} has a passage twice")
    return found


def _has_its_vector(row: Row) -> bool:
    """Tell whether a row's vector follows from its words as the harness's embedders make it: a hash, of length 1."""
    words = f"{row['subject']}\n{row['text']}".strip().encode()
    numbers = [each + 1.0 for each in blake2b(words, digest_size=len(row["vector"])).digest()]
    return all(abs(have - want / hypot(*numbers)) < 1e-4 for have, want in zip(row["vector"], numbers, strict=True))


def _passages(memory: Path, tenant: UUID) -> list[Row]:
    table = lancedb.connect(memory / str(tenant)).open_table("passages")
    columns = ["id", "message_id", "subject", "generation", "seq", "text", "vector"]
    rows: list[Row] = table.search().select(columns).limit(None).to_list()
    return rows


async def _rows(admin: psycopg.AsyncConnection[Any], statement: str, values: Row | None = None) -> list[Row]:
    async with admin.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values, prepare=True)
        return await cursor.fetchall()
