"""What integration tests share: a world with a neighbour in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from copies import Copy, Original, a_copy
from databases import FreshDatabase, TestServer
from worlds import World, a_world


@pytest.fixture(scope="session")
def worlds_database(postgres: TestServer) -> Iterator[FreshDatabase]:
    """The database in which every `world` is made anew."""
    database = postgres.clone()
    yield database
    postgres.drop(database)


@pytest.fixture
async def world(worlds_database: FreshDatabase) -> AsyncIterator[World]:
    """A database in which another tenant has rows in every table, which must stay as they are."""
    async with a_world(worlds_database) as world:
        yield world


@pytest.fixture
async def copy(original: Original) -> AsyncIterator[Copy]:
    """A copy of what the module's `original` has read."""
    async with a_copy(original) as copy:
        yield copy
