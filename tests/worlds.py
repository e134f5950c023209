"""A database with tenants, mailboxes and jobs in it, for tests of the stores; a neighbour's rows are always there.

Emptying a database takes 5 ms and making one 250 ms, so a world is made anew in the same one for every test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from atom_backfill.access.postgres import PostgresTenants
from atom_backfill.access.tenants import Tenants
from atom_backfill.db.pool import Database
from atom_backfill.jobs.control import Control
from atom_backfill.jobs.job import (
    AccountId,
    ChunkId,
    ChunkPlan,
    Done,
    GraphStatus,
    JobId,
    JobPlan,
    Lane,
    Lease,
    Outcome,
    TenantId,
)
from atom_backfill.jobs.postgres import PostgresControl, PostgresJobStore
from databases import FreshDatabase, refuse_without_row_security

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)
Row = dict[str, Any]


@dataclass
class World:
    """One database. `admin` is a superuser's, for looking and for turning back time, never for the stores."""

    fresh: FreshDatabase
    database: Database
    admin: psycopg.Connection[Row]
    store: PostgresJobStore
    neighbour: TenantId = field(default_factory=lambda: TenantId(uuid4()))

    async def tenant(self, name: str = "lumen") -> TenantId:
        """Make a tenant."""
        made = await Tenants(PostgresTenants(self.database), uuid4).ensure(name)
        return TenantId(made.id)

    def account(self, tenant: TenantId, address: str = "ines@lumen.example", **about: Any) -> AccountId:
        """Make a mailbox."""
        account = AccountId(uuid4())
        row = {"id": account, "tenant": tenant, "address": address, "kind": "mbox", "identity": str(account)} | about
        self.run(
            "INSERT INTO accounts (tenant_id, id, kind, identity, address, status, config)"
            " VALUES (%(tenant)s, %(id)s, %(kind)s, %(identity)s, %(address)s, 'connected', '{}')",
            **row,
        )
        return account

    async def job(
        self, tenant: TenantId, account: AccountId, chunks: Sequence[ChunkPlan] | int = 1, **about: Any
    ) -> JobId:
        """Submit a job with these chunks, or with so many windows."""
        job = JobId(uuid4())
        windows = [a_window(n) for n in range(chunks)] if isinstance(chunks, int) else chunks
        fields: dict[str, Any] = {
            "start": START,
            "end": END,
            "folders": (),
            "again": False,
            "graph_status": GraphStatus.WAITING_FOR_KEY,
            "budget_usd": None,
            "chunk_size": 100,
            "max_parallel": 4,
        }
        plan = JobPlan(job_id=job, account_id=account, chunks=tuple(windows), **(fields | about))
        await self.control(tenant).submit(plan)
        return job

    async def lease(self, tenant_name: str = "lumen", **about: Any) -> Lease:
        """Make a tenant with a mailbox and a job of one window, and claim it."""
        tenant = await self.tenant(tenant_name)
        await self.job(tenant, self.account(tenant, f"ines@{tenant_name}.example"), **about)
        return await self.claim()

    def control(self, tenant: TenantId) -> Control:
        """Return the operations of a tenant's jobs."""
        return Control(PostgresControl(self.database), tenant, uuid4)

    async def claim(self, worker: str = "w-1") -> Lease:
        """Claim what must be there."""
        lease = await self.store.claim(worker, [Lane.INGEST])
        assert lease is not None, "nothing to claim"
        return lease

    async def nothing_to_claim(self) -> bool:
        """Tell whether there is nothing to claim."""
        return await self.store.claim("w-1", [Lane.INGEST]) is None

    async def settle_all(self, outcome: Outcome = Done()) -> int:  # noqa: B008 - frozen
        """Claim and settle until there is nothing more; tell how many it were."""
        settled = 0
        while (lease := await self.store.claim("w-1", [Lane.INGEST])) is not None:
            await self.store.settle(lease, outcome)
            settled += 1
        return settled

    def lapse(self, lease: Lease, by: timedelta = timedelta(seconds=1)) -> None:
        """Let a lease's time be over."""
        late = "UPDATE sync_chunks SET lease_until = atom_now() - %(by)s WHERE id = %(chunk)s AND state = 'leased'"
        self.run(late, by=by, chunk=lease.chunk_id)

    async def hasten(self) -> None:
        """Let every backoff be over. A worker of this event loop may hold a row, so the loop is not blocked."""
        await asyncio.to_thread(self.run, "UPDATE sync_chunks SET run_at = atom_now() WHERE state = 'ready'")

    def job_row(self, job: JobId) -> Row:
        """Read a job's row."""
        return self.one("SELECT * FROM historical_sync_jobs WHERE id = %(job)s", job=job)

    def chunk_row(self, chunk: ChunkId) -> Row:
        """Read a chunk's row."""
        return self.one(
            "SELECT tenant_id, state, fence, attempts, claims, worker, position, has_more, messages_done, error_code,"
            " error, lease_until, run_at - atom_now() AS waits FROM sync_chunks WHERE id = %(chunk)s",
            chunk=chunk,
        )

    async def until(self, true: Callable[[], object], *, within_s: float = 10.0) -> None:
        """Return once something is true of the database; TimeoutError after `within_s`."""
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110 - what would set an event is the code under test
                await asyncio.sleep(0.005)

    async def until_state(self, chunk: ChunkId, state: str) -> None:
        """Return once a chunk is in a state."""
        await self.until(lambda: self.chunk_row(chunk)["state"] == state)

    def rows(self, statement: LiteralString, **values: Any) -> list[Row]:
        """Read as superuser."""
        return self.admin.execute(statement, values).fetchall()

    def one(self, statement: LiteralString, **values: Any) -> Row:
        """Read the only row."""
        (row,) = self.rows(statement, **values)
        return row

    def value(self, statement: LiteralString, **values: Any) -> Any:
        """Read the only value."""
        return next(iter(self.one(statement, **values).values()))

    def run(self, statement: LiteralString, **values: Any) -> int:
        """Change something as superuser."""
        return self.admin.execute(statement, values).rowcount

    @contextmanager
    def holding(self, statement: LiteralString, **values: Any) -> Iterator[None]:
        """Keep the locks that a statement takes."""
        with psycopg.connect(self.fresh.superuser_url) as connection:
            connection.execute(statement, values)
            yield

    def tenant_tables(self) -> list[str]:
        """Return every table with a tenant's rows."""
        rows = self.rows(
            "SELECT relname::text AS name FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
            " WHERE attname = 'tenant_id' AND relkind IN ('r', 'p') ORDER BY 1"
        )
        return [row["name"] for row in rows]

    def rows_of(self, tenant: TenantId) -> dict[str, list[Row]]:
        """Read everything of a tenant, table by table."""
        return {
            table: self.rows(
                f"SELECT to_jsonb(t) AS row FROM {table} t WHERE tenant_id = %(tenant)s ORDER BY t::text",  # type: ignore[arg-type]
                tenant=tenant,
            )
            for table in self.tenant_tables()
        }

    async def add_neighbour(self) -> None:
        """Give another tenant one row in every table."""
        made = await Tenants(PostgresTenants(self.database), uuid4).create("neighbour")
        self.neighbour = TenantId(made.id)
        self.run(_NEIGHBOUR.replace("$tenant", str(self.neighbour)))  # type: ignore[arg-type]
        missing = [table for table, rows in self.rows_of(self.neighbour).items() if not rows]
        assert missing == [], "the neighbour has a row in every table"


@asynccontextmanager
async def a_world(fresh: FreshDatabase) -> AsyncIterator[World]:
    """Make a world in a database, and see at its end that the neighbour's rows are what they were."""
    with psycopg.connect(fresh.superuser_url, autocommit=True, row_factory=dict_row) as admin:
        # It blocks the event loop, so waiting for a transaction of the test itself would take for ever.
        admin.execute("SET lock_timeout = '5s'")
        empty(admin)
        async with await Database.open(fresh.url) as database:
            await refuse_without_row_security(database)
            world = World(fresh, database, admin, PostgresJobStore(database))
            await world.add_neighbour()
            before = world.rows_of(world.neighbour)
            yield world
            assert world.rows_of(world.neighbour) == before, "a neighbour's rows were touched"


def empty(admin: psycopg.Connection[Row]) -> None:
    """Take every row out of a database, and everybody else off it."""
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    tables = admin.execute(
        "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'"
    ).fetchall()
    admin.execute("SET session_replication_role = replica")
    for table in tables:
        admin.execute(f"DELETE FROM {table['name']}")  # type: ignore[arg-type]
    admin.execute("SET session_replication_role = origin")


def a_window(number: int = 0, **about: Any) -> ChunkPlan:
    """A window, the lower its number the sooner."""
    fields: dict[str, Any] = {
        "kind": "window",
        "stage": 1,
        "seq": number,
        "folder_id": "inbox",
        "window_start": START,
        "window_end": END,
    }
    return ChunkPlan(chunk_id=ChunkId(uuid4()), **(fields | about))


def a_check(number: int = 0) -> ChunkPlan:
    """A folder's check."""
    return a_window(number, kind="check", stage=2)


def ids_of(rows: Sequence[Row]) -> list[UUID]:
    """Return the ids of rows."""
    return [row["id"] for row in rows]


_NEIGHBOUR = """
WITH it AS (SELECT '$tenant'::uuid AS t, gen_random_uuid() AS a, gen_random_uuid() AS j, gen_random_uuid() AS m,
                   gen_random_uuid() AS n, gen_random_uuid() AS e, gen_random_uuid() AS o, gen_random_uuid() AS c),
a AS (INSERT INTO accounts (tenant_id, id, kind, identity, address, status, config)
      SELECT t, a, 'mbox', 'theirs', 'them@neighbour.example', 'connected', '{}' FROM it RETURNING 1),
f AS (INSERT INTO account_folders SELECT t, a, 'inbox', 'Inbox', 'inbox', false, false, 1 FROM it RETURNING 1),
s AS (INSERT INTO secrets (tenant_id, owner_id, name, sealed) SELECT t, a, 'token_cache', 'sealed' FROM it RETURNING 1),
mk AS (INSERT INTO model_keys (tenant_id, name, base_url, model) SELECT t, 'A_KEY', 'https://m.example', 'm' FROM it
       RETURNING 1),
j AS (INSERT INTO historical_sync_jobs (tenant_id, id, account_id, status, graph_status, end_date, folders, again,
          chunk_size, max_parallel, records_processed, entities_extracted, relationships_extracted)
      SELECT t, j, a, 'completed', 'off', now(), '{}', false, 100, 4, 1, 2, 1 FROM it RETURNING 1),
turn AS (INSERT INTO job_turns (tenant_id, job_id, lane) SELECT t, j, 'ingest' FROM it RETURNING 1),
c AS (INSERT INTO sync_chunks (tenant_id, id, job_id, account_id, lane, kind, stage, seq, state, folder_id)
      SELECT t, gen_random_uuid(), j, a, 'ingest', 'window', 1, 0, 'done', 'inbox' FROM it RETURNING 1),
m AS (INSERT INTO messages (tenant_id, id, account_id, first_job_id, last_job_id, source_id, internet_message_id,
          conversation_id, thread_id, subject, received_at, from_name, from_address, participants, kind, bulk, machine,
          is_draft, has_attachments, attachments, importance, web_link, change_key, content_hash, generation, passages,
          notes)
      SELECT t, m, a, j, j, 'm-1', '<m-1@neighbour.example>', 'c-1', m, 'Theirs', now(), 'Them',
             'them@neighbour.example', '[]', 'message', false, false, false, false, '[]', 'normal', '', 'k', 'h', 'g',
             1, '{}' FROM it RETURNING 1),
b AS (INSERT INTO message_bodies SELECT t, m, 'Their text', 1, '[]', 'text', 'their body' FROM it RETURNING 1),
p AS (INSERT INTO message_places SELECT t, a, m, 'inbox' FROM it RETURNING 1),
d AS (INSERT INTO discovered_entities (tenant_id, id, job_id, message_id, entity_type, name, properties)
      SELECT t, gen_random_uuid(), j, m, 'person', 'Them', '{}' FROM it RETURNING 1),
n AS (INSERT INTO graph_nodes (tenant_id, id, type, key, name) SELECT t, n, 'person', 'them@neighbour.example', 'Them'
      FROM it UNION ALL SELECT t, o, 'person', 'they@neighbour.example', 'They' FROM it RETURNING 1),
e AS (INSERT INTO graph_edges (tenant_id, id, source_node_id, target_node_id, relationship_type, weight)
      SELECT t, e, n, n, 'writes_to', 1 FROM it RETURNING 1),
v AS (INSERT INTO graph_evidence (tenant_id, id, job_id, node_id, edge_id, message_id, quote)
      SELECT t, gen_random_uuid(), j, n, NULL::uuid, m, 'Them' FROM it
      UNION ALL SELECT t, gen_random_uuid(), j, NULL, e, m, 'Them' FROM it RETURNING 1),
mg AS (INSERT INTO graph_merges (tenant_id, id, node_id, into_id, rule, score, evidence)
       SELECT t, gen_random_uuid(), n, o, 'name', 1, 'Them' FROM it RETURNING 1),
hd AS (INSERT INTO graph_heads SELECT t, n, o FROM it RETURNING 1),
pn AS (INSERT INTO graph_pins (tenant_id, node_id, into_id, same) SELECT t, n, o, true FROM it RETURNING 1),
sg AS (INSERT INTO graph_suggestions SELECT t, n, o, 'name', 0.5, 'Them' FROM it RETURNING 1),
co AS (INSERT INTO graph_communities (tenant_id, id, level, name, size) SELECT t, c, 0, 'Them', 2 FROM it RETURNING 1),
cm AS (INSERT INTO graph_community_members SELECT t, n, 0, c FROM it RETURNING 1),
rv AS (INSERT INTO graph_reviews (tenant_id, purpose, evidence, took_s)
       SELECT t, purpose, 3, 0.1 FROM it, unnest(ARRAY['identity', 'communities']) purpose RETURNING 1),
lane_gl AS (INSERT INTO graph_lanes (tenant_id, job_id, units_total) SELECT t, j, 1 FROM it RETURNING 1),
lane_gs AS (INSERT INTO graph_spending (tenant_id, usd) SELECT t, 1 FROM it RETURNING 1),
lane_gg AS (INSERT INTO graph_generations (tenant_id, id, definition, model) SELECT t, n, 'd', 'm' FROM it RETURNING 1),
lane_gm AS (INSERT INTO graph_mails (tenant_id, message_id, text_hash) SELECT t, m, 'h' FROM it RETURNING 1),
lane_gu AS (INSERT INTO graph_units (tenant_id, id, account_id, job_id, thread_id, ordinal, latest_at, characters,
           mails, carried) SELECT t, n, a, j, m, 0, now(), 99, '[]', '[]' FROM it RETURNING 1),
lane_gc AS (INSERT INTO graph_calls (tenant_id, id, job_id, chunk_id, fence, units, attempt, model)
       SELECT t, n, j, e, 1, ARRAY[n], 0, 'm' FROM it RETURNING 1),
lane_ga AS (INSERT INTO graph_answers (tenant_id, key, answer) SELECT t, 'k', '{}' FROM it RETURNING 1),
lane_kp AS (INSERT INTO key_paces (tenant_id, name, version, requests, tokens, requests_left, tokens_left, at,
           blocked_until, raised_at, told)
       SELECT t, 'A_KEY', 1, 1, 1, 1, 1, now(), now(), now(), false FROM it RETURNING 1),
mem AS (INSERT INTO memories (tenant_id, epoch, building, mark) SELECT t, 1, 'theirs', 1 FROM it RETURNING 1)
INSERT INTO failures (tenant_id, id, account_id, job_id, source_id, message_id, stage, error_code, error)
SELECT t, gen_random_uuid(), a, j, 'm-2', gen_random_uuid(), 'fetch', 'gone', 'Gone.' FROM it
"""
