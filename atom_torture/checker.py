"""The independent checker: reads tables, dataset and truth, and nothing of the product's code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
    SELECT tenant_id, state, kind, worker, lease_until < atom_now() AS lapsed, folder_id, window_start, window_end,
        has_more, position ->> 'at' AS at
    FROM sync_chunks
)
SELECT (SELECT jsonb_agg(to_jsonb(counters)) FROM counters) AS jobs,
    (SELECT jsonb_agg(to_jsonb(chunks)) FROM chunks) AS chunks,
    ARRAY(SELECT tenant_id || source_id FROM messages UNION SELECT tenant_id || source_id FROM failures) AS settled,
    ARRAY(SELECT words FROM torture_violations) AS noted
"""
_MESSAGES = """
SELECT message.tenant_id, message.id, message.source_id, message.subject, message.generation, body.text,
    (SELECT array_agg(folder_id) FROM message_places place WHERE place.message_id = message.id) AS folders
FROM messages message LEFT JOIN message_bodies body ON body.message_id = message.id
"""
Truth = Mapping[UUID, Sequence[Mail]]
"""Each tenant's mails."""


class Watcher:
    """Looks again and again while a schedule runs; what the database's own triggers have noted comes along."""

    def __init__(self, admin: psycopg.AsyncConnection[Any], mails: Truth | None = None) -> None:
        self._admin = admin
        self._mails = mails or {}
        self.violations: list[str] = []
        self.records = 0
        self.progress = (0, 0)
        """Records of all jobs, and chunks done: what tells that work goes on."""

    async def look(self, healthy: Collection[str], *, lapsed: Collection[str] = (), all_listed: bool = True) -> None:
        """Compare counters with counts, leases with who is healthy, and positions with what has been read.

        `lapsed`: whose leases have lapsed and were taken back meanwhile. `all_listed`: whether the source has hidden
        nothing, which walks pass by then, and find at the end.
        """
        (seen,) = await _rows(self._admin, _LOOK)
        jobs = seen["jobs"] or ()
        self.records = sum(job["records"] for job in jobs)
        for job in jobs:
            for name in ("records", "entities", "relationships"):
                if job[name] != job[f"{name}_counted"]:
                    self._note(f"{name} is {job[name]}, but there are {job[f'{name}_counted']}")
        chunks = seen["chunks"] or ()
        if not {*lapsed, *(chunk["worker"] for chunk in chunks if chunk["lapsed"])}.isdisjoint(healthy):
            self._note("the lease of a healthy worker has lapsed")
        settled = set(seen["settled"])
        for tenant, mails in self._mails.items() if all_listed else ():
            walked = [chunk for chunk in chunks if chunk["tenant_id"] == str(tenant)]
            for mail in mails:
                if f"{tenant}{mail.source_id}" not in settled and any(_is_past(each, mail) for each in walked):
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


async def at_rest(admin: psycopg.AsyncConnection[Any], memory: Path, mails: Truth, *, swept: bool) -> list[str]:
    """Compare record, failures and memory with the truth, row by row, once nothing is left to do.

    The memory is written before the database refuses a message; such rows may be there until they are `swept`.
    """
    found = await _of_jobs(admin, mails)
    found += await _of_tenants(admin, mails)
    messages = await _rows(admin, _MESSAGES)
    failures = await _rows(admin, "SELECT tenant_id, source_id FROM failures")
    for tenant, theirs in mails.items():
        stored = [row for row in messages if row["tenant_id"] == tenant]
        found += _of_record(stored, [row for row in failures if row["tenant_id"] == tenant], theirs)
        passages = [row for row in _passages(memory, tenant) if swept or not row["subject"].startswith(REFUSED)]
        found += _of_memory(stored, passages, {mail.source_id: mail for mail in theirs})
    return found


async def _of_jobs(admin: psycopg.AsyncConnection[Any], tenants: Collection[UUID]) -> list[str]:
    jobs = await _rows(
        admin,
        "SELECT tenant_id, status, concat_ws('; ', last_error_code, (SELECT string_agg(kind || ' ' || error_code, ', ')"
        " FROM sync_chunks WHERE job_id = job.id AND state = 'quarantined')) AS code"
        " FROM historical_sync_jobs job ORDER BY created_at",
    )
    last = {job["tenant_id"]: job for job in jobs}
    found = ["a tenant has no job" for tenant in tenants if tenant not in last]
    found += [f"the job is {job['status']} ({job['code']})" for job in last.values() if job["status"] != "completed"]
    unfinished = await _rows(
        admin,
        "SELECT chunk.state FROM sync_chunks chunk JOIN historical_sync_jobs job ON job.id = chunk.job_id"
        " WHERE job.status = 'completed' AND chunk.state NOT IN ('done', 'quarantined')",
    )
    return found + [f"a chunk of a completed job is {chunk['state']}" for chunk in unfinished]


def _of_record(messages: list[Row], failures: list[Row], mails: Sequence[Mail]) -> list[str]:
    found = []
    stored, failed = Counter(row["source_id"] for row in messages), Counter(row["source_id"] for row in failures)
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


async def _of_tenants(admin: psycopg.AsyncConnection[Any], mails: Truth) -> list[str]:
    """Find rows of nobody, and rows under one tenant in which another's domain occurs: no mail names both."""
    tables = await _rows(
        admin,
        "SELECT relname::text AS name FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE attname = 'tenant_id' AND relkind IN ('r', 'p')",
    )
    values: Row = {"tenants": list(mails)}
    wrong = {"is nobody's": "tenant_id <> ALL(%(tenants)s)"}
    if len(mails) > 1:
        values |= {f"domain_{number}": theirs[0].domain for number, theirs in enumerate(mails.values())}
        others = [
            f"tenant_id <> (%(tenants)s)[{n + 1}] AND strpos(each::text, %(domain_{n})s) > 0" for n in range(len(mails))
        ]
        wrong["has another tenant's words"] = " OR ".join(others)
    # One statement for all: there are many tables, and most are empty.
    looks = [
        f"SELECT 'a row of {table['name']} {what}' AS words FROM {table['name']} each WHERE {where}"
        for table in tables
        for what, where in ((what.replace("'", "''"), where) for what, where in wrong.items())
    ]
    return [row["words"] for row in await _rows(admin, " UNION ALL ".join(looks), values)]


def _of_memory(messages: list[Row], passages: list[Row], mails: dict[str, Mail]) -> list[str]:
    found = [f"{count} rows have one id" for count in Counter(row["id"] for row in passages).values() if count > 1]
    known = {str(row["id"]): row for row in messages}
    shown: dict[str, list[Row]] = {}
    for row in passages:
        if not _has_its_vector(row):
            found.append(f"a passage of {row['message_id']} has another's vector")
        message = known.get(row["message_id"])
        if message is None:
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
