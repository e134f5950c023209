"""No hot query reads a big table from end to end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from atom_backfill.archive.postgres import SQL as ARCHIVE
from atom_backfill.backfill.postgres import SQL as BACKFILL
from atom_backfill.db.named_sql import Queries
from atom_backfill.graph.postgres import SQL as GRAPH
from atom_backfill.graph.postgres_calls import SQL as CALLS
from atom_backfill.graph.postgres_identity import SQL as IDENTITY
from atom_backfill.graph.postgres_periods import SQL as FACTS
from atom_backfill.graph.postgres_units import SQL as UNITS
from atom_backfill.graph.postgres_walks import SQL as WALKS
from atom_backfill.jobs.postgres import SQL as JOBS
from atom_backfill.jobs.postgres_lanes import SQL as LANES
from atom_backfill.sources.postgres import SQL as SOURCES
from databases import TestServer

BIG = {
    "accounts", "historical_sync_jobs", "sync_chunks", "messages", "message_bodies", "message_places",
    "discovered_entities", "graph_nodes", "graph_edges", "graph_evidence", "graph_merges", "graph_heads", "graph_pins",
    "failures", "request_permits", "graph_lanes", "graph_mails", "graph_units", "graph_calls", "graph_answers",
}  # fmt: skip
"""Each has thousands of rows here, and many more in life."""

FEW = {"sync_chunks_unfinished", "sync_chunks_leased", "sync_chunks_leased_of_account", "graph_units_running",
       "graph_calls_open"}  # fmt: skip
"""Indexes that hold no more than what is at work."""

# 3 tenants, 6,000 accounts, 12,000 jobs of which 60 are at work, 60,000 chunks, 12,000 messages and what they show.
SEED = """
INSERT INTO tenants (id, name) SELECT id(1, n), 'tenant ' || n FROM generate_series(1, 3) n;
INSERT INTO accounts (tenant_id, id, kind, identity, address, status, config)
    SELECT id(1, 1 + n % 3), id(2, n), 'mbox', n::text, n || '@lumen.example', 'connected', '{}'
    FROM generate_series(1, 6000) n;
INSERT INTO historical_sync_jobs (tenant_id, id, account_id, status, graph_status, end_date, folders, again, chunk_size,
                                  max_parallel)
    SELECT id(1, 1 + (n % 6000 + 1) % 3), id(3, n), id(2, n % 6000 + 1),
           CASE WHEN n <= 60 THEN 'running' ELSE 'completed' END, 'off', now(), '{}', false, 100, 4
    FROM generate_series(1, 12000) n;
INSERT INTO job_turns (tenant_id, job_id, lane)
    SELECT tenant_id, id, 'ingest' FROM historical_sync_jobs WHERE status = 'running';
INSERT INTO sync_chunks (tenant_id, id, job_id, account_id, lane, kind, stage, seq, folder_id, window_start, window_end,
                         state, lease_until)
    SELECT tenant_id, gen_random_uuid(), id, account_id, 'ingest', 'window', 1, n, 'folder ' || n, now(), now(),
           CASE WHEN status <> 'running' OR n < 3 THEN 'done' WHEN n = 3 THEN 'leased' ELSE 'ready' END,
           CASE WHEN status = 'running' AND n = 3 THEN now() + interval '9 s' END
    FROM historical_sync_jobs, generate_series(1, 5) n;
INSERT INTO messages (tenant_id, id, account_id, first_job_id, last_job_id, source_id, internet_message_id,
                      conversation_id, thread_id, subject, received_at, from_name, from_address, participants, kind,
                      bulk, machine, is_draft, has_attachments, attachments, importance, web_link, change_key,
                      content_hash, generation, passages, notes)
    SELECT tenant_id, id(4, n), account_id, id, id, 'm-' || n, '<' || n || '>', '', id(5, n % 4000), 's', now(), '', '',
           '[]', 'message', false, false, false, false, '[]', 'normal', '', 'k', 'h', 'g', 1, '{}'
    FROM generate_series(1, 12000) n JOIN historical_sync_jobs ON historical_sync_jobs.id = id(3, n % 40 + 1);
INSERT INTO message_bodies SELECT tenant_id, id, 't', 1, '[]', 'text', '' FROM messages;
INSERT INTO message_places SELECT tenant_id, account_id, id, 'inbox' FROM messages;
INSERT INTO discovered_entities (tenant_id, id, job_id, message_id, entity_type, name, properties)
    SELECT tenant_id, gen_random_uuid(), first_job_id, id, 'person', 'n', '{}' FROM messages;
INSERT INTO graph_nodes (tenant_id, id, type, key, name)
    SELECT id(1, 1 + n % 3), id(6, n), 'person', n || '@lumen.example', 'n' FROM generate_series(1, 12000) n;
INSERT INTO graph_edges (tenant_id, id, source_node_id, target_node_id, relationship_type)
    SELECT tenant_id, gen_random_uuid(), id, id, 'relation ' || n FROM graph_nodes, generate_series(1, 3) n;
INSERT INTO graph_evidence (tenant_id, id, job_id, node_id, message_id, quote)
    SELECT tenant_id, gen_random_uuid(), first_job_id, id(6, row_number() OVER ()), id, 'q' FROM messages;
INSERT INTO graph_merges (tenant_id, id, node_id, into_id, rule, score, evidence)
    SELECT tenant_id, gen_random_uuid(), id, gen_random_uuid(), 'name', 1, '' FROM graph_nodes;
INSERT INTO graph_heads SELECT tenant_id, id, gen_random_uuid() FROM graph_nodes;
INSERT INTO graph_pins (tenant_id, node_id, into_id, same)
    SELECT tenant_id, id, gen_random_uuid(), true FROM graph_nodes;
INSERT INTO failures (tenant_id, id, account_id, job_id, source_id, message_id, stage, error_code, error)
    SELECT tenant_id, gen_random_uuid(), account_id, id, 'f-' || n, gen_random_uuid(), 'fetch', 'gone', 'Gone.'
    FROM generate_series(1, 6000) n JOIN historical_sync_jobs ON historical_sync_jobs.id = id(3, n % 40 + 1);
INSERT INTO graph_lanes (tenant_id, job_id) SELECT tenant_id, id FROM historical_sync_jobs;
INSERT INTO graph_mails SELECT tenant_id, id, NULL, decode(md5(source_id), 'hex') FROM messages WHERE source_id < 'm-9';
INSERT INTO graph_units (tenant_id, id, account_id, job_id, thread_id, ordinal, latest_at, characters, mails, carried,
                         state)
    SELECT tenant_id, id, account_id, first_job_id, thread_id, 0, now(), 99, '[]', '[]',
           CASE WHEN source_id < 'm-2' THEN 'queued' WHEN source_id < 'm-3' THEN 'failed' ELSE 'done' END FROM messages;
INSERT INTO graph_calls (tenant_id, id, job_id, chunk_id, fence, units, attempt, model, state)
    SELECT tenant_id, id, first_job_id, id(9, 1), 1, ARRAY[id], 0, 'm', 'settled' FROM messages;
INSERT INTO graph_answers (tenant_id, key, answer) SELECT tenant_id, decode(md5(source_id), 'hex'), '{}' FROM messages;
INSERT INTO request_permits (scope, slot)
    SELECT 'mailbox ' || n, slot FROM generate_series(1, 1000) n, generate_series(1, 4) slot;
"""


def uuid(kind: int, number: int) -> UUID:
    """The id that the seed gives."""
    return UUID(int=(kind << 64) + number)


IDS = [uuid(4, n) for n in range(1, 60)]
JOB, CHUNK = uuid(3, 30), uuid(9, 1)
TENANT, ACCOUNT = uuid(1, 1 + 31 % 3), uuid(2, 31)
VALUES: dict[str, Any] = {
    "tenant": TENANT, "account": ACCOUNT, "owner": ACCOUNT, "job": JOB, "jobs": [JOB], "chunk": CHUNK,
    "chunks": [CHUNK], "fence": 1, "fences": [1], "lane": "ingest", "lanes": ["ingest"], "worker": "w",
    "lease_s": 20.0, "after": 0.0,
    "code": "c", "error": "e", "failures": 0, "retries": 0, "position": Jsonb({}), "has_more": True, "again": False,
    "id": IDS[0], "ids": IDS, "failure_ids": IDS, "message_ids": IDS, "change_keys": ["k"] * 59, "folder": "folder 1",
    "folder_ids": ["inbox"] * 59, "rows": Jsonb([]), "done": 1, "messages": 1, "entities": 1, "relationships": 1,
    "fetch": 1.0, "embed": 1.0, "store": 1.0, "finished": 1, "total": 1, "estimate": 1, "thread": uuid(5, 7),
    "least": None, "most": 4, "status": None, "limit": 20, "scope": "mailbox 7", "holder": CHUNK, "held_s": 45.0,
    "wait_s": 3.0, "one_each": True, "edges": IDS, "message": IDS[0], "source_id": "f-7", "node": uuid(6, 7),
    "threads": [uuid(5, 7)], "hashes": [b"h"], "keys": [b"k"], "left_out": [None] * 59, "state": "done",
    "reason": None, "dropped": Jsonb({}), "attempts": 0, "troubles": 0, "answer_key": None, "generation": None,
    "start": None, "end": None,
    "call": IDS[0], "units": IDS, "attempt": 0, "model": "m", "usd": 1, "cap": 1, "key_name": "K", "key_version": 1,
    "outcome": "whole", "input_tokens": 1, "output_tokens": 1, "latency_ms": 1, "released": 1, "unpriced": False,
    "slots": IDS[:4], "more": 0, "key": "K",
    "sources": IDS, "relations": ["works_for"] * 59, "a": IDS, "b": IDS, "kinds": [True], "headers": ["writes_to"],
}  # fmt: skip
ENGINE, WORK = "atom_engine", "atom_work"
HOT: dict[tuple[str, str], tuple[Queries, str]] = {
    ("jobs", ENGINE): (JOBS, """
        pick_turn take_chunk begin_job renew_leases beat_jobs settle_done settle_again settle_quarantined note_error
        lock_job count_chunks count_finished_chunks complete_job fail_job end_turn is_idle rescue_lapsed"""),
    ("jobs", WORK): (JOBS, "read_status reopen_chunks hasten_job find_active_job"),
    ("backfill", WORK): (BACKFILL, """
        open_chunk hold_fence mark_seen lower_counters raise_counters raise_chunk expect_more read_covered
        list_failures"""),
    ("archive", WORK): (ARCHIVE, """
        read_known find_settled touch_messages insert_places drop_other_places insert_entities drop_entities
        insert_failures count_failures drop_failures read_failures read_message read_thread read_places find_places
        read_entities read_headlines read_failures_of_message"""),
    ("graph", WORK): (GRAPH, """
        insert_nodes insert_edges insert_evidence drop_evidence drop_bare_edges drop_bare_nodes read_facts"""),
    ("facts", WORK): (FACTS, """
        insert_entities date_messages read_mentions write_periods move_evidence drop_other_periods
        find_single_valued"""),
    ("walks", WORK): (WALKS, """
        step read_dated read_group_mentions read_edge_evidence read_named_evidence read_nodes read_group
        read_group_merges read_group_evidence read_told_entities"""),
    ("identity", WORK): (IDENTITY, """
        read_mentioned read_side_by_side read_correspondents read_group drop_pins
        drop_pins_between"""),
    ("units", WORK): (UNITS, """
        find_window_threads find_job_threads read_new_mails read_earlier_mails count_thread_units find_same_texts
        insert_mails pick_units begin_units queue_units requeue_lost end_unit read_unit_mails find_answers
        forget_mails"""),
    ("calls", WORK): (CALLS, """
        reserve why_not_reserved lock_call settle_call spend spread_cost find_lost_calls lose_calls"""),
    ("lanes", WORK): (LANES, """
        lock_lane add_units insert_slots reopen_slots open_graph_turn begin_lane leave_lane wake_lane count_progress
        hold_slot note_slot_progress retry_units"""),
    ("lanes", ENGINE): (LANES, "lock_lane count_slots complete_lane reopen_slots"),
    ("sources", ENGINE): (SOURCES, "take_permit free_permit read_throttle throttle_account drop_slot"),
}  # fmt: skip
CASES = [
    pytest.param(role, queries[name], id=f"{room}.{name}")
    for (room, role), (queries, names) in HOT.items()
    for name in names.split()
]


@pytest.fixture(scope="module")
def seeded(postgres: TestServer) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A transaction in which a database has thousands of rows and their statistics; it is never committed.

    A database of its own: in one that other tests have filled and emptied, indexes are large and plans are others.
    """
    database = postgres.clone()
    with psycopg.connect(database.superuser_url, row_factory=dict_row) as connection:
        connection.execute(
            "CREATE FUNCTION pg_temp.id(kind bigint, number bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS"
            " $$ SELECT (lpad(to_hex(kind), 16, '0') || lpad(to_hex(number), 16, '0'))::uuid $$"
        )
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(SEED.replace(" id(", " pg_temp.id("))  # type: ignore[arg-type]
        connection.execute("ANALYZE")
        yield connection
        connection.rollback()
    postgres.drop(database)


def plan_of(connection: psycopg.Connection[dict[str, Any]], role: str, statement: str, **values: Any) -> Any:
    """Return the plan of a statement as a role has it."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL ROLE {role}")  # type: ignore[arg-type]
        connection.execute("SELECT set_config('atom.tenant', %s, true)", [str(TENANT)])
        explain = f"EXPLAIN (FORMAT JSON) {statement}"
        found = connection.execute(explain, VALUES | values).fetchone()  # type: ignore[arg-type]
    assert found is not None
    return found["QUERY PLAN"]


def read_whole(node: Any, table: str = "") -> Iterator[str]:
    """Yield each big table that a plan reads from end to end, be it by an index that knows the tenant alone."""
    if isinstance(node, list):
        for each in node:
            yield from read_whole(each, table)
    elif isinstance(node, dict):
        table = node.get("Relation Name", table)
        columns = set(re.findall(r"(\w+) (?:=|<|>)", node.get("Index Cond", "")))
        by_tenant = "Index Name" in node and columns <= {"tenant_id"} and node["Index Name"] not in FEW
        if table in BIG and (node.get("Node Type") == "Seq Scan" or by_tenant):
            yield table
        for each in node.values():
            yield from read_whole(each, table)


def _kind(index: str) -> str:
    """Tell an index that holds few rows by its very definition from others."""
    return (
        "Partial" if index in ("sync_chunks_unfinished", "sync_chunks_leased", "sync_chunks_leased_of_account") else ""
    )


@pytest.mark.parametrize(("role", "statement"), CASES)
def test_a_hot_query_reads_no_big_table_whole(
    seeded: psycopg.Connection[dict[str, Any]], role: str, statement: str
) -> None:
    plan = plan_of(seeded, role, statement)
    assert list(read_whole(plan)) == [], json.dumps(plan, indent=1)


def locked_below(node: Any, sorting: str = "") -> Iterator[str]:
    """Yield what gathers rows above a node that locks them: it would have them all locked, to use the first."""
    if isinstance(node, list):
        for each in node:
            yield from locked_below(each, sorting)
    elif isinstance(node, dict):
        kind = node.get("Node Type", "")
        if kind == "LockRows" and sorting:
            yield sorting
        gathers = kind in ("Sort", "Incremental Sort", "Hash", "Aggregate", "Materialize", "Gather")
        for each in node.values():
            yield from locked_below(each, kind if gathers else sorting)


@pytest.mark.parametrize("one_each", [True, False])
def test_a_claim_locks_turns_in_the_order_of_fairness_and_stops_at_the_first(
    seeded: psycopg.Connection[dict[str, Any]], one_each: bool
) -> None:
    plan = plan_of(seeded, ENGINE, JOBS["pick_turn"], one_each=one_each)
    assert '"LockRows"' in json.dumps(plan)
    assert list(locked_below(plan)) == [], json.dumps(plan, indent=1)
    sorted_above = "SELECT * FROM (SELECT * FROM job_turns FOR UPDATE) turn ORDER BY last_claimed_at LIMIT 1"
    assert list(locked_below(plan_of(seeded, ENGINE, sorted_above))), "the other way would be noticed"


@pytest.mark.parametrize(
    "sloppy", ["SELECT count(*) FROM messages", "SELECT max(name) FROM graph_nodes WHERE name > 'a'"]
)
def test_a_table_that_is_read_whole_would_be_noticed(seeded: psycopg.Connection[dict[str, Any]], sloppy: str) -> None:
    assert list(read_whole(plan_of(seeded, WORK, sloppy)))


def test_the_list_of_jobs_reads_nothing_else_whole(seeded: psycopg.Connection[dict[str, Any]]) -> None:
    """A tenant's jobs and accounts may be read to sort them; what hangs on each of the twenty may not."""
    plan = plan_of(seeded, WORK, BACKFILL["read_jobs"], most=None)
    assert set(read_whole(plan)) <= {"historical_sync_jobs", "accounts"}, json.dumps(plan, indent=1)
