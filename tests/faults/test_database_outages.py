"""The database goes away under a worker: what was not committed is done again, and nothing is half there."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from atom_backfill.db.embedded import EmbeddedPostgres
from databases import TestServer
from mortals import Launchers, Mortals
from worlds import a_world

PROGRESS_WITHIN_S = 15.0

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = 'atom_test'
"""


@pytest.mark.long
async def test_connections_cut_in_the_middle_cost_pages_and_no_mail(mortals: Mortals) -> None:
    job, world = await mortals.start(), mortals.world
    worker = await mortals.worker(lease_s=2.0)
    for least in (1, 60, 150):
        await world.until(lambda least=least: world.job_row(job)["messages_done"] >= least, within_s=30)  # type: ignore[misc]
        world.run(CUT)
    ended = asyncio.create_task(worker.ended())
    while not ended.done():
        await world.hasten()
        await asyncio.wait({ended}, timeout=0.2)
    assert await ended == 0
    await mortals.assert_all_done()


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that a test may stop."""
    home = Path(tempfile.mkdtemp(prefix="atom-home-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, durable=False)
    server.start()
    yield server
    server.destroy()
    shutil.rmtree(home)


@pytest.mark.long
async def test_a_server_that_is_restarted_is_worked_on_within_seconds(
    own_server: EmbeddedPostgres, tmp_path: Path, launchers: Launchers
) -> None:
    server = await asyncio.to_thread(TestServer, own_server)
    fresh = server.clone()
    server.close()
    async with a_world(fresh) as world, Mortals.of(world, tmp_path, launchers) as mortals:
        job = await mortals.start()
        worker = await mortals.worker(lease_s=2.0)
        await world.until(lambda: world.job_row(job)["messages_done"] > 0, within_s=30)
        world.admin.close()
        await asyncio.to_thread(own_server.stop, even_if_used=True)
        await asyncio.to_thread(own_server.start)
        back = time.monotonic()
        world.admin = psycopg.connect(fresh.superuser_url, autocommit=True, row_factory=dict_row)
        done = world.job_row(job)["messages_done"]
        await world.until(lambda: world.job_row(job)["messages_done"] > done, within_s=PROGRESS_WITHIN_S + 5)
        assert time.monotonic() - back < PROGRESS_WITHIN_S
        ended = asyncio.create_task(worker.ended())
        while not ended.done():
            await world.hasten()
            await asyncio.wait({ended}, timeout=0.2)
        assert await ended == 0
        await mortals.assert_all_done()
