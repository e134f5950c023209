"""What a page costs does not grow with the mailbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from atom_backfill.backfill.ports import Batch
from atom_backfill.backfill.postgres import PostgresLedger
from atom_backfill.db.pool import Database
from atom_backfill.jobs.job import Lease
from databases import TestServer
from pages import some_stored
from worlds import World, a_world

STORED, PAGE = 5_000, 40
MOST_ROWS_READ = 60 * PAGE
"""A page reads what it is about: messages, people, edges, and the parents of the rows that it adds."""


@pytest.fixture
async def new_world(postgres: TestServer) -> AsyncIterator[World]:
    """A world in a database of which nothing has been analysed."""
    fresh = postgres.clone()
    async with a_world(fresh) as world:
        yield world
    postgres.drop(fresh)


async def test_a_page_reads_its_own_rows_however_many_are_stored(new_world: World) -> None:
    lease = await new_world.lease()
    fill(new_world, lease)
    new_world.run("ANALYZE")
    page = some_stored(lease, 1, PAGE)
    read = await rows_read(new_world, lease, Batch(stored=page))
    assert read.total() < MOST_ROWS_READ, read
    seen = tuple((message.message_id, "inbox") for message in page)
    read = await rows_read(new_world, lease, Batch(stored=page[:9], seen=seen))
    assert read.total() < MOST_ROWS_READ, read


async def test_before_the_first_analysis_a_page_reads_no_table_once_for_each_message(new_world: World) -> None:
    lease = await new_world.lease()
    fill(new_world, lease)
    page = some_stored(lease, 1, PAGE)
    read = await rows_read(new_world, lease, Batch(stored=page))
    assert read.total() < 8 * STORED, read
    seen = tuple((message.message_id, "inbox") for message in page)
    read = await rows_read(new_world, lease, Batch(stored=page[:9], seen=seen))
    assert read.total() < 8 * STORED, read


async def rows_read(world: World, lease: Lease, page: Batch) -> Counter[str]:
    """Look up a page and make it count; return how many rows of each table the database read for that."""
    before = _read_so_far(world)
    async with await Database.open(world.fresh.url) as database:
        ledger = PostgresLedger(database)
        await ledger.settled(lease, [(f"m-{n}", "k-1") for n in range(1, PAGE + 1)], again=False)
        await ledger.commit(lease, page, one_place=True)
    # A connection tells what it has read when it is closed.
    await world.until(lambda: _read_so_far(world) > before)
    return _read_so_far(world) - before


def fill(world: World, lease: Lease) -> None:
    """Store a large mailbox of other mail, with its places, people and edges."""
    keys = {"t": lease.tenant_id, "a": lease.account_id, "j": lease.job_id, "n": STORED}
    world.run(
        "INSERT INTO messages (tenant_id, id, account_id, first_job_id, last_job_id, source_id, internet_message_id,"
        " conversation_id, thread_id, subject, received_at, from_name, from_address, participants, kind, bulk, machine,"
        " is_draft, has_attachments, attachments, importance, web_link, change_key, content_hash, generation, passages,"
        " notes) SELECT %(t)s, gen_random_uuid(), %(a)s, %(j)s, %(j)s, 'o-' || n, '', '', gen_random_uuid(), '',"
        " atom_now(), '', '', '[]', 'message', false, false, false, false, '[]', 'normal', '', 'k', 'h', 'g', 1, '{}'"
        " FROM generate_series(1, %(n)s) AS n",
        **keys,
    )
    world.run(
        "INSERT INTO message_places SELECT tenant_id, account_id, id, 'inbox' FROM messages WHERE tenant_id = %(t)s",
        **keys,
    )
    world.run(
        "INSERT INTO graph_nodes (tenant_id, id, type, key, name)"
        " SELECT %(t)s, gen_random_uuid(), 'person', n || '@crowd.example', '' FROM generate_series(1, %(n)s) AS n",
        **keys,
    )
    world.run(
        "INSERT INTO graph_edges (tenant_id, id, source_node_id, target_node_id, relationship_type, weight)"
        " SELECT tenant_id, gen_random_uuid(), id, id, 'writes_to', 1 FROM graph_nodes WHERE tenant_id = %(t)s",
        **keys,
    )
    world.value("SELECT pg_stat_force_next_flush() IS NULL AS asked")


def _read_so_far(world: World) -> Counter[str]:
    rows = world.rows("SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_user_tables")
    return Counter({row["relname"]: row["rows"] for row in rows})
