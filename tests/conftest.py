"""Fixtures of the whole suite: a server for the run, a fresh database for each test."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from atom_backfill.db.pool import Database
from databases import FreshDatabase, TestServer, refuse_without_row_security, running_server


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes that tests start, also where the run itself was started with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[TestServer]:
    """The run's PostgreSQL server; the xdist workers of a run share it."""
    base = tmp_path_factory.getbasetemp()
    shared: Path = base if worker_id == "master" else base.parent
    with running_server(shared / "server") as server:
        yield server


@pytest.fixture
def fresh_database(postgres: TestServer) -> Iterator[FreshDatabase]:
    """URLs of a database with the whole schema, which this test alone has."""
    database = postgres.clone()
    yield database
    postgres.drop(database)


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    """An open database with the whole schema, as a login that row-level security binds."""
    async with await Database.open(fresh_database.url) as database:
        await refuse_without_row_security(database)
        yield database


@pytest.fixture(autouse=True)
def logs_as_they_come() -> Iterator[None]:
    """A test that runs a command in its own process sets the logs up; the next one has them as they come."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
