"""What tests with real processes share: a world, a mailbox of 250 mails, and workers that die."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from databases import FreshDatabase, TestServer
from mortals import Launchers, Mortals
from worlds import a_world


@pytest.fixture(scope="session")
def faults_database(postgres: TestServer) -> Iterator[FreshDatabase]:
    """The database of these tests, emptied for each."""
    database = postgres.clone()
    yield database
    postgres.drop(database)


@pytest.fixture(scope="session")
def launchers() -> Iterator[Launchers]:
    """Processes that have loaded their libraries."""
    launchers = Launchers()
    yield launchers
    launchers.close()


@pytest.fixture
async def mortals(faults_database: FreshDatabase, tmp_path: Path, launchers: Launchers) -> AsyncIterator[Mortals]:
    """A mailbox to be read by worker processes; none of them outlives the test."""
    async with a_world(faults_database) as world, Mortals.of(world, tmp_path, launchers) as mortals:
        yield mortals
