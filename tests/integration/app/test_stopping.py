"""A worker that is told to stop ends in time, also where its database is away or does not answer."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import psycopg
import pytest
from structlog.testing import capture_logs

from atom_backfill.app.work import run_worker
from atom_backfill.db.embedded import EmbeddedPostgres
from atom_backfill.jobs.worker import WorkerOptions
from databases import FreshDatabase
from integration.app.conftest import Opened

IDLE = WorkerOptions("w-1", poll_s=0.01)


@contextmanager
def hanging(fresh: FreshDatabase) -> Iterator[None]:
    """Let nothing that is connected get an answer."""
    with psycopg.connect(fresh.superuser_url, autocommit=True) as admin:
        rows = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    for (pid,) in rows:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for (pid,) in rows:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def away(fresh: FreshDatabase) -> Iterator[None]:
    """Let nobody connect, and end what is connected."""
    with psycopg.connect(fresh.superuser_url.replace(f"/{fresh.name}", "/postgres"), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {fresh.name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [fresh.name])
        try:
            yield
        finally:
            admin.execute(f"ALTER DATABASE {fresh.name} ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("trouble", [hanging, away])
async def test_an_idle_worker_stops_within_seconds_whatever_the_database_does(
    opened: Opened, fresh_database: FreshDatabase, trouble: object
) -> None:
    stop = asyncio.Event()
    with capture_logs() as logs:
        async with asyncio.timeout(60), opened() as app:
            working = asyncio.create_task(run_worker(app, stop, IDLE))
            while not logs:  # noqa: ASYNC110 - the log is what tells
                await asyncio.sleep(0.01)
            with trouble(fresh_database):  # type: ignore[operator]
                await asyncio.sleep(0.2)
                began = monotonic()
                stop.set()
                await working
                await app.database.close()
                assert monotonic() - began < 6


async def test_a_server_that_another_process_is_starting_holds_up_no_stop(
    opened: Opened, fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    """The thread that would bring it back cannot be stopped, and a process that ends waits for its threads."""
    stop, home = asyncio.Event(), tmp_path / "home"
    with capture_logs() as logs:
        async with asyncio.timeout(60), opened() as app:
            app._server = EmbeddedPostgres(home)
            working = asyncio.create_task(run_worker(app, stop, IDLE))
            while not logs:  # noqa: ASYNC110 - the log is what tells
                await asyncio.sleep(0.01)
            with EmbeddedPostgres(home)._exclusive(), away(fresh_database):
                await asyncio.sleep(0.2)
                began = monotonic()
                stop.set()
                await working
                await app.database.close()
                await asyncio.get_running_loop().shutdown_default_executor()
                assert monotonic() - began < 6
