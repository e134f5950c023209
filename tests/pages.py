"""Pages for the ledger, and what must be true of its tables after each commit."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from atom_backfill.archive.rows import Failed, Stored
from atom_backfill.backfill.ports import Batch, Committed
from atom_backfill.backfill.postgres import PostgresLedger
from atom_backfill.identity import content_hash, message_id, thread_id
from atom_backfill.jobs.job import AccountId, JobId, Lease
from atom_backfill.mail.clean import clean
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Address, SourceId
from builders import a_message
from worlds import World


def a_stored(lease: Lease, source_id: str = "m-1", *, change_key: str = "k-1", **about: Any) -> Stored:
    """A message ready for the record. Some of its people are known to every other message."""
    fields = {"source_id": SourceId(source_id), "internet_message_id": f"<{source_id}@lumen.example>"} | about
    message = a_message(**fields)
    digest = clean(message, Limits())
    return Stored(
        message_id=message_id(lease.account_id, source_id),
        thread_id=thread_id(lease.account_id, message.conversation_id, source_id),
        digest=digest,
        source_body=b"",
        content_hash=content_hash(repr(message)),
        change_key=change_key,
        generation="g-1",
    )


def a_failed(lease: Lease, source_id: str = "m-9", code: str = "item_corrupt") -> Failed:
    """An item that cannot be read."""
    return Failed(
        source_id, message_id(lease.account_id, source_id), "inbox", None, "", "fetch", code, "It cannot be read."
    )


def some_stored(lease: Lease, first: int, last: int) -> tuple[Stored, ...]:
    """Messages m-first … m-last, from and to a few people in common."""
    people = [Address(f"Person {n}", f"person{n}@lumen{n % 3}.example") for n in range(7)]
    return tuple(
        a_stored(
            lease, f"m-{n}", from_=people[n % 7], to=(people[(n + 1) % 7], people[(n + 3) % 7]), conversation_id="c"
        )
        for n in range(first, last + 1)
    )


async def commit(world: World, lease: Lease, *stored: Stored, **about: Any) -> Committed:
    """Make a page count, and see that counters equal counts."""
    one_place = about.pop("one_place", True)
    fields: dict[str, Any] = {"stored": stored, "position": {"at": "2024-06-01T00:00:00+00:00"}} | about
    committed = await PostgresLedger(world.database).commit(lease, Batch(**fields), one_place=one_place)
    assert_counters(world, lease.job_id)
    return committed


def assert_counters(world: World, job: JobId, *, first: bool = True) -> None:
    """Counters equal counts over the tables; no edge without evidence.

    `first`: the mailbox's first job, for which what is done is also what is there.
    """
    row = world.job_row(job)
    counted = world.one(
        "SELECT (SELECT count(*) FROM messages WHERE first_job_id = %(job)s) AS records_processed,"
        " (SELECT count(*) FROM discovered_entities WHERE job_id = %(job)s)"
        " + (SELECT count(node_id) FROM graph_evidence WHERE job_id = %(job)s) AS entities_extracted,"
        " (SELECT count(edge_id) FROM graph_evidence WHERE job_id = %(job)s) AS relationships_extracted,"
        " (SELECT count(*) FROM messages WHERE last_job_id = %(job)s)"
        " + (SELECT count(*) FROM failures WHERE job_id = %(job)s) AS messages_done",
        job=job,
    )
    if not first:
        assert row["messages_done"] <= counted.pop("messages_done")
    assert {name: row[name] for name in counted} == counted
    wrong = world.rows(
        "SELECT edge.id FROM graph_edges edge WHERE weight = 0 OR weight <>"
        " (SELECT count(*) FROM graph_evidence evidence WHERE evidence.edge_id = edge.id)"
    )
    assert wrong == [], "a weight is the number of its evidence rows"
    both = world.rows("SELECT failures.id FROM failures JOIN messages ON messages.id = failures.message_id")
    assert both == [], "a source id is one message or one failure"


def record(world: World, account: AccountId) -> dict[str, UUID]:
    """Return the record's messages of an account: source id → first job."""
    rows = world.rows("SELECT source_id, first_job_id FROM messages WHERE account_id = %(a)s", a=account)
    return {row["source_id"]: row["first_job_id"] for row in rows}
